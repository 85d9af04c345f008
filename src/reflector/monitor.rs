//! How a reflector is doing, readable from any thread.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_listener::Event;

use super::quarantine::{Quarantine, Quarantined};
use super::{SourceError, Undecodable};
use crate::{Key, ResourceVersion};

/// What a reflector is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// It has not run yet.
    #[default]
    Idle,
    /// It is fetching the list.
    Listing,
    /// It is watching, or opening a watch.
    Watching,
    /// It waits after a failure.
    BackingOff,
    /// It was stopped, or refused.
    Stopped,
}

/// A reflector's counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Objects received by the list that is running, or that ran last.
    pub listed: u64,
    /// How many objects that list has in all, if the source says so.
    pub total: Option<u64>,
    /// Lists after the first complete one.
    pub relists: u64,
    /// The relists by what made each necessary.
    pub relist_causes: RelistCauses,
    /// Times that a watch was opened.
    pub watches: u64,
    /// Watches given up because nothing at all came from them for too long.
    pub silences: u64,
    /// Changes applied from watches.
    pub events: u64,
    /// Batches in which they were applied.
    pub batches: u64,
    /// Most changes in one batch.
    pub largest_batch: u64,
    /// Events of a type this crate does not know.
    pub unknown_events: u64,
    /// Objects that could not be decoded, or are not of the expected kind, since the start.
    pub undecodable: u64,
    /// Keys whose newest version could not be decoded, now; [`Monitor::quarantined`] names them.
    pub quarantined: u64,
    /// Events that were no news to their key: repeated ones, and ones older than what is known.
    pub stale_events: u64,
    /// Bytes received from the source, where it counts them.
    pub bytes: u64,
    /// When the source last said anything.
    pub last_contact: Option<Instant>,
    /// Failed lists and watches.
    pub failures: u64,
    /// The source's version up to which the sinks are complete.
    pub resource_version: Option<ResourceVersion>,
    /// The last failure, in a sentence.
    pub last_error: Option<String>,
}

impl Progress {
    /// How long the source has been silent: the most by which the content may lag behind, beside
    /// the source's own delay. `None` before the first contact.
    #[must_use]
    pub fn lag(&self) -> Option<Duration> {
        self.last_contact.map(|contact| now().saturating_duration_since(contact))
    }
}

/// Relists by what made each necessary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelistCauses {
    /// The source no longer had the changes since the last version.
    pub expired: u64,
    /// The source did not know a version as new as the last one, again and again.
    pub version_too_large: u64,
    /// The watch could not be understood at the same place, again and again.
    pub protocol: u64,
}

/// What made a relist necessary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Expired,
    VersionTooLarge,
    Protocol,
}

/// Why waiting for a version ended without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The reflector stopped first.
    #[error("the reflector stopped before it reached the version")]
    Stopped,
    /// The version and the reflector's have no order: not both are numbers.
    #[error("the version cannot be compared with the source's")]
    Incomparable,
}

/// The time on tokio's clock, so that paused time counts too.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A handle on a reflector's progress. Cheap to clone; it outlives the reflector.
#[derive(Clone, Debug)]
pub struct Monitor {
    shared: Arc<Shared>,
}

impl Monitor {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The counters as they are now.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let state = self.shared.lock();
        let quarantined = state.quarantine.len() as u64;
        Progress { quarantined, ..state.progress.clone() }
    }

    /// Whether the first list is in every sink, the reflector runs, and the source was heard of
    /// within `max_lag`: what a readiness probe asks. O(1).
    #[must_use]
    pub fn is_ready(&self, max_lag: Duration) -> bool {
        let state = self.shared.lock();
        state.synced
            && state.progress.phase != Phase::Stopped
            && state.progress.lag().is_some_and(|lag| lag <= max_lag)
    }

    /// The objects that the source has but that could not be decoded, by key. O(their number).
    #[must_use]
    pub fn quarantined(&self) -> Vec<(Key, Quarantined)> {
        self.shared.lock().quarantine.to_vec()
    }

    /// Why a key's newest version is not in the sinks, if it could not be decoded.
    #[must_use]
    pub fn quarantine_of(&self, key: &Key) -> Option<Quarantined> {
        self.shared.lock().quarantine.get(key).cloned()
    }

    /// Waits until every sink holds everything up to `version`: after a write that the source
    /// answered with a version, reads then include it.
    ///
    /// # Errors
    /// When the reflector stops first, or the versions have no order.
    ///
    /// # Cancel safety
    /// Nothing is lost; any number of tasks may wait at once. There is no time limit: the source
    /// may be away for as long as it likes.
    pub fn wait_for(
        &self,
        version: &ResourceVersion,
    ) -> impl Future<Output = Result<(), WaitError>> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        let version = version.clone();
        async move {
            loop {
                // Listening starts before the check, so a change between the two is not missed.
                let changed = shared.changed.listen();
                if let Some(result) = shared.lock().reached(&version) {
                    return result;
                }
                changed.await;
            }
        }
    }

    /// Waits until the first list is in every sink, or the reflector has stopped.
    ///
    /// # Cancel safety
    /// Nothing is lost; any number of tasks may wait at once.
    pub fn synced(&self) -> impl Future<Output = ()> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        async move {
            loop {
                // Listening starts before the check, so a change between the two is not missed.
                let changed = shared.changed.listen();
                if shared.lock().settled() {
                    return;
                }
                changed.await;
            }
        }
    }
}

/// Where a source reports an object that turned out undecodable after it was delivered, as a
/// lazily decoded one may.
#[derive(Clone, Debug)]
pub struct Report {
    shared: Arc<Shared>,
}

impl Report {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Lists the object as quarantined, until the next version of its key comes.
    pub fn undecodable(&self, bad: Undecodable) {
        self.shared.undecodable(&bad);
        self.shared.quarantine(bad);
    }
}

/// What the reflector writes and its monitors read. The lock is taken once per batch and never
/// held across a call to anything else.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Event,
}

#[derive(Debug, Default)]
struct State {
    progress: Progress,
    quarantine: Quarantine,
    synced: bool,
}

impl State {
    fn settled(&self) -> bool {
        self.synced || self.progress.phase == Phase::Stopped
    }

    fn reached(&self, wanted: &ResourceVersion) -> Option<Result<(), WaitError>> {
        let order = self.progress.resource_version.as_ref().map(|held| held.compare(wanted));
        match order {
            Some(Some(Ordering::Equal | Ordering::Greater)) => Some(Ok(())),
            Some(None) => Some(Err(WaitError::Incomparable)),
            _ if self.progress.phase == Phase::Stopped => Some(Err(WaitError::Stopped)),
            _ => None,
        }
    }
}

impl Shared {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), changed: Event::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Counters are whole after any panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        self.changed.notify(usize::MAX);
    }

    pub(super) fn is_synced(&self) -> bool {
        self.lock().synced
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.lock().progress.phase = phase;
        if phase == Phase::Stopped {
            self.wake();
        }
    }

    pub(super) fn contact(&self, bytes: u64) {
        let mut state = self.lock();
        state.progress.last_contact = Some(now());
        state.progress.bytes = bytes;
    }

    pub(super) fn start_listing(&self) {
        let progress = &mut self.lock().progress;
        progress.phase = Phase::Listing;
        progress.listed = 0;
        progress.total = None;
    }

    pub(super) fn start_watching(&self) {
        let progress = &mut self.lock().progress;
        progress.phase = Phase::Watching;
        progress.watches += 1;
    }

    pub(super) fn listed(&self, listed: u64, remaining: Option<u64>) {
        let progress = &mut self.lock().progress;
        progress.listed = listed;
        progress.total = remaining.map(|remaining| listed + remaining).or(progress.total);
    }

    /// A whole list is in the sinks; `bad` is what it named and they lack.
    pub(super) fn synced(&self, version: &ResourceVersion, bad: Vec<Undecodable>) {
        let mut state = self.lock();
        state.quarantine = Quarantine::default();
        for bad in bad {
            state.quarantine.insert(bad);
        }
        let progress = &mut state.progress;
        progress.total = Some(progress.listed);
        progress.resource_version = Some(version.clone());
        progress.last_contact = Some(now());
        state.synced = true;
        drop(state);
        self.wake();
    }

    /// A batch is in the sinks.
    pub(super) fn applied(&self, events: u64, stale: u64, version: &ResourceVersion, bytes: u64) {
        let mut state = self.lock();
        let progress = &mut state.progress;
        progress.resource_version = Some(version.clone());
        progress.last_contact = Some(now());
        progress.stale_events += stale;
        progress.bytes = bytes;
        if events > 0 {
            progress.events += events;
            progress.batches += 1;
            progress.largest_batch = progress.largest_batch.max(events);
        }
        drop(state);
        self.wake();
    }

    pub(super) fn count_relist(&self, cause: Cause) {
        let progress = &mut self.lock().progress;
        progress.relists += 1;
        match cause {
            Cause::Expired => progress.relist_causes.expired += 1,
            Cause::VersionTooLarge => progress.relist_causes.version_too_large += 1,
            Cause::Protocol => progress.relist_causes.protocol += 1,
        }
    }

    pub(super) fn count_silence(&self) {
        self.lock().progress.silences += 1;
    }

    pub(super) fn failed(&self, error: &SourceError) {
        let progress = &mut self.lock().progress;
        progress.failures += 1;
        progress.last_error = Some(error.to_string());
    }

    pub(super) fn unknown_event(&self, event_type: &str) {
        tracing::warn!(event_type, "unknown event type, skipped");
        self.lock().progress.unknown_events += 1;
    }

    pub(super) fn undecodable(&self, bad: &Undecodable) {
        tracing::warn!(key = bad.key.as_ref().map(Key::as_str), error = bad.error, "undecodable");
        self.lock().progress.undecodable += 1;
    }

    /// The newest version of a key came and could not be decoded.
    pub(super) fn quarantine(&self, bad: Undecodable) {
        self.lock().quarantine.insert(bad);
    }

    pub(super) fn has_quarantine(&self) -> bool {
        self.lock().quarantine.len() > 0
    }

    /// A good version of the key came, or the key is gone.
    pub(super) fn release(&self, key: &Key) {
        self.lock().quarantine.remove(key);
    }
}
