//! Statistics of the feed.

use super::{Feed, WAITER};
use crate::sync::atomic::{AtomicU64, Ordering};

/// What the feed of a store keeps, and for how many subscriptions; part of
/// [`StoreStats`](crate::store::StoreStats).
///
/// ```
/// use watchcache::{Key, Store};
///
/// let store = Store::<Key>::new();
/// let mut subscription = store.subscribe().start()?;
/// store.add("a/web".parse::<Key>()?)?;
/// store.delete("a/web");
/// let feed = store.stats().feed;
/// assert_eq!((feed.subscriptions, feed.log_changes), (1, 2));
/// assert!(feed.log_bytes > 0);
/// assert_eq!((feed.differences, feed.resets), (0, 0), "nobody has fallen behind");
/// # drop(subscription.try_next());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// Changes that were kept behind the log, for subscriptions that have fallen behind it, at the
    /// writer's last check: it makes one with the publication by which an eighth of
    /// [the limit](super::FeedLimits::behind) has been written since. What [keeps its place](super::Subscribe::keep_place) is not counted.
    pub behind_changes: usize,
    /// Likewise, in bytes.
    pub behind_bytes: usize,
    /// How often a subscription received a difference, since the log no longer had the changes it needed.
    pub differences: u64,
    /// How often one received the whole content again, since its place was revoked.
    pub resets: u64,
}

/// How often subscriptions received something other than the log's changes.
pub(super) struct Told {
    // ORDERING: Relaxed throughout: statistics; no ordering needed.
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
        // ORDERING: Relaxed: statistics; no ordering needed.
        let interest = self.asked.interest.load(Ordering::Relaxed);
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
