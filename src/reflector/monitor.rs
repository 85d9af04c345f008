//! How a reflector is doing, readable from any thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_listener::Event;

use super::SourceError;
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
    /// Changes applied from watches.
    pub events: u64,
    /// Batches in which they were applied.
    pub batches: u64,
    /// Most changes in one batch.
    pub largest_batch: u64,
    /// Events of a type this crate does not know.
    pub unknown_events: u64,
    /// Objects that could not be decoded, or are not of the expected kind.
    pub undecodable: u64,
    /// Failed lists and watches.
    pub failures: u64,
    /// The source's version up to which the sinks are complete.
    pub resource_version: Option<ResourceVersion>,
    /// The last failure, in a sentence.
    pub last_error: Option<String>,
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
        self.shared.lock().progress.clone()
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
    synced: bool,
}

impl State {
    fn settled(&self) -> bool {
        self.synced || self.progress.phase == Phase::Stopped
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

    pub(super) fn is_synced(&self) -> bool {
        self.lock().synced
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.lock().progress.phase = phase;
        if phase == Phase::Stopped {
            self.changed.notify(usize::MAX);
        }
    }

    pub(super) fn start_listing(&self) {
        let progress = &mut self.lock().progress;
        progress.phase = Phase::Listing;
        progress.listed = 0;
        progress.total = None;
    }

    pub(super) fn listed(&self, listed: u64, remaining: Option<u64>) {
        let progress = &mut self.lock().progress;
        progress.listed = listed;
        progress.total = remaining.map(|remaining| listed + remaining).or(progress.total);
    }

    pub(super) fn synced(&self, version: &ResourceVersion) {
        let mut state = self.lock();
        state.progress.total = Some(state.progress.listed);
        state.progress.resource_version = Some(version.clone());
        state.synced = true;
        drop(state);
        self.changed.notify(usize::MAX);
    }

    pub(super) fn applied(&self, events: u64, version: &ResourceVersion) {
        let progress = &mut self.lock().progress;
        progress.resource_version = Some(version.clone());
        if events > 0 {
            progress.events += events;
            progress.batches += 1;
            progress.largest_batch = progress.largest_batch.max(events);
        }
    }

    pub(super) fn count_relist(&self) {
        self.lock().progress.relists += 1;
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

    pub(super) fn undecodable(&self, key: Option<&Key>, error: &str) {
        tracing::warn!(key = key.map(Key::as_str), error, "undecodable object, skipped");
        self.lock().progress.undecodable += 1;
    }
}
