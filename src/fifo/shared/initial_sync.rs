//! Whether the first list has been processed.

use crate::sync::atomic::{AtomicUsize, Ordering};

/// Nothing was ever put, deleted or replaced.
const UNTOUCHED: usize = 0;
/// Keys of the first replace are still to be dealt with.
const SYNCING: usize = 1;
const SYNCED: usize = 2;

pub(super) struct InitialSync {
    state: AtomicUsize,
    /// Keys of the first replace that are still to be dealt with.
    remaining: AtomicUsize,
}

impl InitialSync {
    pub(super) fn new() -> Self {
        Self { state: AtomicUsize::new(UNTOUCHED), remaining: AtomicUsize::new(0) }
    }

    /// A queue that is fed before any replace has no initial list to wait for.
    #[inline]
    pub(super) fn mark_fed(&self) {
        // ORDERING: Relaxed, as a flag that guards no data.
        if self.state.load(Ordering::Relaxed) == UNTOUCHED {
            let (from, to) = (UNTOUCHED, SYNCED);
            // ORDERING: Relaxed, as above.
            let _ = self.state.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Returns whether this is the first replace; if so, it sets [`InitialSync::expect`] before it
    /// unlocks.
    pub(super) fn begin(&self) -> bool {
        let (from, to) = (UNTOUCHED, SYNCING);
        // ORDERING: Relaxed, as in `mark_fed`.
        self.state.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Expects so many keys. Call with all shards locked.
    pub(super) fn expect(&self, keys: usize) {
        // ORDERING: Relaxed, as `settle` of any of these keys comes after a section of its shard's lock,
        // which the caller holds.
        self.remaining.store(keys, Ordering::Relaxed);
        if keys == 0 {
            self.complete();
        }
    }

    /// Counts keys that were dealt with.
    #[inline]
    pub(super) fn finish(&self, keys: usize) {
        // ORDERING: AcqRel, so that the caller that counts the last one sees the work on all others.
        if keys > 0 && self.remaining.fetch_sub(keys, Ordering::AcqRel) == keys {
            self.complete();
        }
    }

    fn complete(&self) {
        // ORDERING: Release pairs with the Acquire in `is_complete`: a reader that sees it sees what was
        // done with the keys.
        self.state.store(SYNCED, Ordering::Release);
    }

    pub(super) fn is_complete(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `complete`.
        self.state.load(Ordering::Acquire) == SYNCED
    }
}
