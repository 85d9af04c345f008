//! Events that came out of order: when a list has to show what they mean.

use std::time::Duration;

use tokio::time::Instant;

use crate::ResourceVersion;

/// How long an event that shows little waits for a list, and how long the next list waits after one that
/// failed: at first, and at most, after lists that failed or showed nothing.
const FIRST: Duration = Duration::from_secs(120);
const LONGEST: Duration = Duration::from_secs(1800);

/// What stands until a list has answered it.
///
/// It shows that a list is needed, never why: the list may have been older than it says, of another server, of a
/// history that is gone, or of versions without an order.
#[derive(Debug)]
pub(super) struct Doubt {
    /// When a list is due, and the version of an event that needs it.
    due: Option<(Instant, ResourceVersion)>,
    /// After a list that failed.
    not_before: Option<Instant>,
    patience: Duration,
}

impl Default for Doubt {
    fn default() -> Self {
        Self { due: None, not_before: None, patience: FIRST }
    }
}

impl Doubt {
    /// An event shows that the list was wrong.
    pub(super) fn contradicted(&mut self, version: ResourceVersion) {
        self.due_at(Instant::now(), version);
    }

    /// An event brings what the list should have had if the event is no repetition from before the list.
    pub(super) fn unanswered(&mut self, version: ResourceVersion) {
        self.due_at(Instant::now() + self.patience, version);
    }

    fn due_at(&mut self, at: Instant, version: ResourceVersion) {
        let at = self.not_before.map_or(at, |not_before| at.max(not_before));
        if self.due.as_ref().is_none_or(|(due, _)| at < *due) {
            self.due = Some((at, version));
        }
    }

    /// Whether anything stands.
    pub(super) fn stands(&self) -> bool {
        self.due.is_some()
    }

    /// The event for which a list is due.
    pub(super) fn is_due(&self) -> Option<&ResourceVersion> {
        let (at, version) = self.due.as_ref()?;
        (Instant::now() >= *at).then_some(version)
    }

    /// The list that was due failed: the watch may go on meanwhile.
    pub(super) fn failed(&mut self) {
        let next = Instant::now() + self.patience;
        self.not_before = Some(next);
        if let Some((at, _)) = &mut self.due {
            *at = next;
        }
        self.wait_longer();
    }

    /// A list came; whether it showed something that the sinks did not hold.
    pub(super) fn listed(&mut self, changed: bool) {
        self.not_before = None;
        match self.due.take() {
            Some(_) if !changed => self.wait_longer(),
            Some(_) => self.patience = FIRST,
            None => {}
        }
    }

    fn wait_longer(&mut self) {
        self.patience = (self.patience * 2).min(LONGEST);
    }
}
