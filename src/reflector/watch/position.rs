//! A watch's position in the source's history.

use std::cmp::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::events::Kind;
use super::gathered::Gathered;
use crate::ResourceVersion;
use crate::reflector::run::{Behind, OldEvents, Run};
use crate::reflector::{Source, SourceError};
use crate::version::{compare, number_of};

/// So many bookmarks in a row that are older than what is known are not just a repeated line.
const OLD_BOOKMARKS: u32 = 3;

/// Events that are older than what is known, in one watch and over how long: what a server repeats when a
/// watch begins comes at once. In a row, where a sink tells that it holds something newer.
const OLD_EVENTS: u32 = 5;
const OLD_EVENTS_FOR: Duration = Duration::from_secs(5);

impl<S: Source> Run<'_, S> {
    pub(super) fn bookmark(
        &mut self,
        version: &ResourceVersion,
        gathered: &mut Gathered<S::Object>,
    ) {
        if matches!(version.as_str(), "" | "0") {
            return self.shared.empty_bookmark();
        }
        let held = gathered.reached.version();
        let order = held.and_then(|held| compare(version.as_str(), held));
        if order == Some(Ordering::Less) && self.order.is_ordered() {
            let before = |version: u64| version.saturating_sub(1);
            if version.number().is_some()
                && version.number() == self.order.unfinished().map(before)
                && !std::mem::replace(&mut gathered.began, true)
            {
                // Where this watch began, so that the rest of the version comes again. Nothing has to come first:
                // one that says so again names what the source has.
                return;
            }
            self.behind.bookmarks += 1;
            self.behind.named = Some(version.clone());
            return;
        }
        self.advance(Some(version.as_str()), Kind::Modified, gathered);
        self.forward();
        gathered.complete |= self.order.close(version.number());
    }

    /// A watch begins.
    pub(super) fn forget_old_events(&mut self) {
        self.old_events = OldEvents::default();
    }

    /// An object came in a version that is older than the position, and not as a repetition of what is
    /// known. Deletions show nothing: some servers write the object's last version.
    pub(super) fn old_event(&mut self, version: Option<&str>, untold: bool) {
        let old = &mut self.old_events;
        old.count = old.count.saturating_add(1);
        old.untold |= untold;
        let since = *old.since.get_or_insert_with(Instant::now);
        if old.count >= OLD_EVENTS && since.elapsed() >= OLD_EVENTS_FOR {
            self.forget_old_events();
            self.doubt.contradicted(version.unwrap_or_default().into());
        }
    }

    /// The failure of a watch whose bookmarks stay behind, once they do, or whose events need a list.
    pub(super) fn fell_behind(&mut self) -> Option<SourceError> {
        if let Some(version) = self.doubt.is_due() {
            let (version, known) = (version.clone(), self.position.clone()?);
            return Some(SourceError::OutOfOrder { version, known });
        }
        if self.behind.bookmarks < OLD_BOOKMARKS {
            return None;
        }
        self.behind.bookmarks = 0;
        let (version, known) = (self.behind.named.take()?, self.position.clone()?);
        Some(SourceError::Behind { version, known })
    }

    /// Moves the position to an event's version: forward, never back, where versions have an order.
    /// Returns whether the event is older than the position.
    pub(super) fn advance(
        &mut self,
        version: Option<&str>,
        kind: Kind,
        gathered: &mut Gathered<S::Object>,
    ) -> bool {
        // A replayed object's version is not a position in the watch's history.
        gathered.replays &= kind == Kind::Added;
        let Some(version) = version.filter(|_| !gathered.replays) else { return false };
        let held = gathered.reached.version();
        let moved = if self.order.is_ordered() {
            match held.and_then(|held| compare(version, held)) {
                Some(Ordering::Less) => return true,
                Some(Ordering::Equal) => false,
                _ => true,
            }
        } else {
            held != Some(version)
        };
        if moved {
            gathered.reached.set(Some(version));
            gathered.moved = true;
            gathered.complete = true;
            self.forward();
        }
        false
    }

    /// The source is not behind what it had sent.
    fn forward(&mut self) {
        self.behind = Behind::default();
        if !self.old_events.untold {
            self.forget_old_events();
        }
    }

    /// The watch ends. If that may be in the middle of a version, the version is not reported, and the
    /// next watch begins before it.
    pub(super) fn stop_short(&self, gathered: &mut Gathered<S::Object>) {
        let reached = gathered.reached.version().and_then(number_of);
        if let Some(version) = reached.filter(|_| gathered.moved)
            && reached == self.order.unfinished()
        {
            let before = (version - 1).to_string();
            gathered.moved = self.position.as_ref().is_none_or(|known| known.as_str() != before);
            gathered.reached.set(Some(&before));
            // There is a part of it, and the rest is missing.
            gathered.complete = false;
        }
    }
}
