//! Counters of one shard of keys, guarded by its lock.

use crate::sync::Counter;

/// A map's shard has room for nothing but its table, so these are kept beside it; only accessed with the
/// shard's lock held.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) delayed: Counter,
    pub(crate) processing: Counter,
    pub(crate) adds: Counter,
    pub(crate) coalesced: Counter,
    pub(crate) popped: Counter,
    pub(crate) deleted: Counter,
    pub(crate) retries: Counter,
    pub(crate) requeued: Counter,
    pub(crate) abandoned: Counter,
    /// The most entries, and how many were removed, since the table's size was last checked.
    pub(crate) peak: Counter,
    pub(crate) removals: Counter,
}

impl Tally {
    /// Values in the queue: those that came in less those that went out and those that are delayed.
    pub(crate) fn depth(&self) -> u64 {
        let came = self.adds.get() + self.requeued.get();
        let went = self.coalesced.get() + self.popped.get() + self.deleted.get();
        came - went - self.delayed.get()
    }
}
