//! A stamp: the last revision that changed a bucket, a group of buckets, or a shard.
//!
//! The writer raises it to a revision that is not yet published, before the change. So for whoever reads at that
//! revision, or at a later one, the publication orders it; a reader of an older one relies on it only in a bucket.

use crate::sync::atomic::{AtomicU64, Ordering};

pub(super) struct Stamp(AtomicU64);

impl Stamp {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Whether there was a change after a revision. In a bucket, call after loads of words and objects.
    #[inline]
    pub(super) fn is_after(&self, revision: u64) -> bool {
        // ORDERING: Relaxed: pairs with `raise` through `WriteGuard::publish`, and with `include` through
        // `WriteGuard::rebuild`. In a bucket also with `raise` through `Bucket::fill` or `Bucket::set`, whose
        // stores have been acquired where they are of a later revision. A stamp that is later than need be only
        // costs a read of records.
        self.0.load(Ordering::Relaxed) > revision
    }

    /// Raises it to a revision that is not yet published, and so later than all before; for the writer.
    #[inline]
    pub(super) fn raise(&self, revision: u64) {
        // ORDERING: Relaxed: pairs with the load in `is_after`, behind the Release of the change and of the
        // revision.
        self.0.store(revision, Ordering::Relaxed);
    }

    /// Raises it to the birth of what a new table is given, if that is later; for the writer, before anybody knows
    /// the table.
    pub(super) fn include(&self, born: u64) {
        // ORDERING: Relaxed, both: nobody else knows it yet.
        let last = self.0.load(Ordering::Relaxed);
        self.0.store(last.max(born), Ordering::Relaxed);
    }
}
