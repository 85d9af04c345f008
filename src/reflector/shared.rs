//! State that the reflector writes and its monitors read.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::progress::{Cause, Phase, Progress, now};
use super::quarantine::Quarantine;
use super::{SourceError, Undecodable};
use crate::sync::{Mutex, PoisonError};
use crate::waiters::{Wait, Waiters};
use crate::{Key, KeyRef, ResourceVersion};

/// Counters and quarantine. Neither a reader waits for the reflector nor the reflector for a reader.
pub(super) struct Shared {
    /// What readers see, replaced as a whole.
    published: ArcSwap<Progress>,
    /// What is written. The lock keeps two writers (the reflector, and a reader that reports an object)
    /// from publishing over each other; nothing else is called under it.
    progress: Mutex<Progress>,
    quarantine: Quarantine,
    /// Waiting tasks. Wakers are called when all of the above is whole and unlocked.
    waiters: Arc<Waiters>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shared = f.debug_struct("Shared");
        shared.field("progress", &**self.progress()).field("quarantine", &self.quarantine);
        shared.finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            published: ArcSwap::default(),
            progress: Mutex::default(),
            quarantine: Quarantine::default(),
            waiters: Arc::new(Waiters::for_news()),
        }
    }

    pub(super) fn progress(&self) -> arc_swap::Guard<Arc<Progress>> {
        self.published.load()
    }

    pub(super) fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// The quarantine has changed.
    fn publish(&self) {
        self.update(|_| {});
    }

    fn update(&self, change: impl FnOnce(&mut Progress)) {
        // Counters are whole after any panic.
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut progress);
        progress.quarantined = self.quarantine.len() as u64;
        self.published.store(Arc::new(progress.clone()));
    }

    /// Waits for an answer, which only a change of content or the end can bring.
    pub(super) async fn until<R>(&self, answer: impl Fn(&Progress) -> Option<R>) -> R {
        let look = || answer(&self.progress());
        let mut wait = Wait::new();
        poll_fn(|context| wait.poll(context, &self.waiters, || look().is_some(), || None, look))
            .await
    }

    /// Call once the change is published.
    fn wake(&self) {
        drop(self.waiters.tell(u64::MAX));
    }

    pub(super) fn is_synced(&self) -> bool {
        self.progress().synced
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.update(|progress| progress.phase = phase);
    }

    /// The reflector is about to end with this error.
    pub(super) fn ended_by(&self, error: &SourceError) {
        let text = told(error);
        self.update(|progress| {
            progress.last_error = Some(text);
            progress.failing = true;
        });
    }

    /// The reflector has ended.
    pub(super) fn stop(&self) {
        self.set_phase(Phase::Stopped);
        self.wake();
    }

    pub(super) fn contact(&self, bytes: u64) {
        self.update(|progress| {
            progress.last_contact = Some(now());
            progress.bytes = bytes;
        });
    }

    pub(super) fn start_listing(&self) {
        self.update(|progress| {
            progress.phase = Phase::Listing;
            progress.lists += 1;
            progress.listed = 0;
            progress.total = None;
        });
    }

    pub(super) fn start_watching(&self) {
        self.update(|progress| {
            progress.phase = Phase::Watching;
            progress.watches += 1;
        });
    }

    pub(super) fn listed(&self, listed: u64, remaining: Option<u64>) {
        self.update(|progress| {
            progress.listed = listed;
            progress.total =
                remaining.map(|remaining| listed.saturating_add(remaining)).or(progress.total);
        });
    }

    /// A whole list is in the sinks.
    pub(super) fn synced(&self, list: Synced<'_>) {
        self.update(|progress| {
            progress.synced = true;
            progress.total = Some(progress.listed);
            progress.resource_version = list.version.cloned();
            progress.unordered = list.unordered;
            progress.behind = None;
            progress.restarts += u64::from(list.restarted);
            progress.last_contact = Some(now());
            progress.last_complete = progress.last_contact;
            progress.failing = false;
        });
        self.wake();
    }

    /// A batch is in the sinks.
    pub(super) fn applied(&self, applied: Applied<'_>) {
        self.update(|progress| {
            if let Some(version) = applied.version {
                progress.resource_version = Some(version.clone());
            }
            progress.last_contact = Some(now());
            if applied.complete {
                progress.last_complete = progress.last_contact;
                progress.behind = None;
                progress.failing = false;
            }
            progress.stale_events += applied.stale;
            progress.bytes = applied.bytes;
            if applied.events > 0 {
                progress.events += applied.events;
                progress.batches += 1;
                progress.largest_batch = progress.largest_batch.max(applied.events);
            }
        });
        self.wake();
    }

    pub(super) fn count_relist(&self, cause: Cause) {
        self.update(|progress| {
            progress.relists += 1;
            progress.relist_causes.count(cause);
        });
    }

    pub(super) fn count_silence(&self) {
        self.update(|progress| progress.silences += 1);
    }

    pub(super) fn empty_bookmark(&self) {
        self.update(|progress| progress.empty_bookmarks += 1);
    }

    pub(super) fn failed(&self, error: &SourceError) {
        let text = told(error);
        self.update(|progress| {
            progress.failures += 1;
            if let SourceError::Behind { version, .. } = error {
                progress.behind = Some(version.clone());
            }
            progress.last_error = Some(text);
            progress.failing = true;
        });
    }

    /// The source ended a watch, which is no failure.
    pub(super) fn closed(&self) {
        self.update(|progress| progress.failing = false);
    }

    pub(super) fn unknown_event(&self, event_type: &str) {
        tracing::warn!(event_type, "unknown event type, skipped");
        self.update(|progress| progress.unknown_events += 1);
    }

    pub(super) fn undecodable(&self, bad: &Undecodable) {
        tracing::warn!(key = bad.key.as_ref().map(Key::as_str), error = bad.error, "undecodable");
        self.update(|progress| progress.undecodable += 1);
    }

    /// Verifies the reports that could not be verified when they came.
    pub(super) fn verify(&self, is_current: impl Fn(KeyRef<'_>, &ResourceVersion) -> bool) {
        if self.quarantine.end_applying(is_current) {
            self.publish();
        }
    }

    /// Lists what a sink refused.
    pub(super) fn refused(&self, refused: Vec<Undecodable>) {
        if refused.is_empty() {
            return;
        }
        let count = refused.len() as u64;
        for refused in refused {
            let Undecodable { key, error, .. } = &refused;
            tracing::warn!(key = key.as_ref().map(Key::as_str), error, "refused by a sink");
            self.quarantine.refuse(refused);
        }
        self.update(|progress| progress.refused += count);
    }

    pub(super) fn quarantine_one(&self, bad: Undecodable) {
        self.quarantine.insert(bad);
        self.publish();
    }

    /// A good version of the key came, or, without a version, the key was deleted. Usually nobody asks which.
    pub(super) fn release<'a>(&self, key: KeyRef<'_>, version: impl FnOnce() -> Option<&'a str>) {
        if !self.quarantine.is_empty() && self.quarantine.release(key, version()) {
            self.publish();
        }
    }

    /// Feeds sinks, after which the keys have these versions, or none.
    pub(super) fn feed<'k, R>(
        &self,
        feed: impl FnOnce() -> R,
        is_current: impl Fn(KeyRef<'_>, &ResourceVersion) -> bool,
        changed: impl Iterator<Item = (KeyRef<'k>, Option<&'k str>)>,
    ) -> R {
        self.quarantine.begin_applying();
        let fed = feed();
        let late = self.quarantine.end_applying(is_current);
        if self.quarantine.release_superseded(changed) || late {
            self.publish();
        }
        fed
    }

    pub(super) fn reported(
        &self,
        bad: Undecodable,
        is_current: impl Fn(&Undecodable) -> Option<bool>,
    ) {
        let asked = Undecodable { raw: None, ..bad.clone() };
        self.quarantine.report(bad, || is_current(&asked));
        self.undecodable(&asked);
    }
}

/// How much of an error's text is kept, in bytes: servers' words are in it, and each publication copies it.
pub(super) const TEXT_LIMIT: usize = 4 << 10;

fn told(error: &SourceError) -> String {
    let mut text = error.to_string();
    shorten(&mut text);
    text
}

/// Cuts a text that is too long.
pub(super) fn shorten(text: &mut String) {
    if text.len() > TEXT_LIMIT {
        text.truncate(beginning(text, TEXT_LIMIT).len());
        text.push('…');
        text.shrink_to_fit();
    }
}

/// The whole characters within the first bytes of a text.
pub(super) fn beginning(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// The effect of a list.
pub(super) struct Synced<'a> {
    pub(super) version: Option<&'a ResourceVersion>,
    /// Whether its versions have no order.
    pub(super) unordered: bool,
    /// Whether it is older than what the sinks held.
    pub(super) restarted: bool,
}

/// The effect of a batch.
pub(super) struct Applied<'a> {
    pub(super) events: u64,
    pub(super) stale: u64,
    pub(super) version: Option<&'a ResourceVersion>,
    /// Whether it shows that the content is complete.
    pub(super) complete: bool,
    pub(super) bytes: u64,
}
