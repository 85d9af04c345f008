//! Figures of the feed.

use super::{Feed, WAITER};
use crate::sync::atomic::{AtomicU64, Ordering};

/// What the feed of a store keeps, and for how many; part of [`StoreStats`](crate::store::StoreStats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedStats {
    /// Subscriptions, handlers' among them.
    pub subscriptions: usize,
    /// Threads and tasks that wait for a revision, a version or the whole content.
    pub waiting: usize,
    /// Changes in the log.
    pub log_changes: usize,
    /// Bytes in the log, objects' among them, by [`Object::size`](crate::Object::size).
    pub log_bytes: usize,
    /// Changes that were kept behind the log, for subscriptions that have fallen behind it, when the writer
    /// looked last: it does so once an eighth of [the limit](super::FeedLimits::behind) was written. What
    /// [keeps its place](super::Subscribe::keep_place) is not counted.
    pub behind_changes: usize,
    /// Likewise, in bytes.
    pub behind_bytes: usize,
    /// How often a subscription was told a difference, since the log did not have what it needed.
    pub differences: u64,
    /// How often one was given the whole content anew, since what it kept was given up.
    pub resets: u64,
}

/// How often subscriptions were told something else than the log.
pub(super) struct Told {
    // ORDERING: Relaxed throughout: figures order nothing.
    differences: AtomicU64,
    resets: AtomicU64,
}

impl Told {
    pub(super) fn new() -> Self {
        Self { differences: AtomicU64::new(0), resets: AtomicU64::new(0) }
    }

    pub(super) fn count_difference(&self) {
        self.differences.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_reset(&self) {
        self.resets.fetch_add(1, Ordering::Relaxed);
    }
}

impl<T> Feed<T> {
    pub(crate) fn stats(&self) -> FeedStats {
        // ORDERING: Relaxed: a figure orders nothing.
        let interest = self.interest.load(Ordering::Relaxed);
        let (log, behind) = (self.log.held(), self.log.behind());
        FeedStats {
            subscriptions: (interest % WAITER - u64::from(self.always)) as usize,
            waiting: (interest / WAITER) as usize,
            log_changes: log.changes,
            log_bytes: log.bytes,
            behind_changes: behind.changes,
            behind_bytes: behind.bytes,
            differences: self.told.differences.load(Ordering::Relaxed),
            resets: self.told.resets.load(Ordering::Relaxed),
        }
    }
}
