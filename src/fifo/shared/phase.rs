//! The phases of a queue: open, closing, closed, and abandoned.

use crate::sync::atomic::{AtomicUsize, Ordering};

const OPEN: usize = 0;
/// Adds are refused, but one that was accepted before may not be queued yet.
const CLOSING: usize = 1;
const CLOSED: usize = 2;
/// Closed, and nobody waits for the rest to be processed.
const ABANDONED: usize = 3;

pub(super) struct Phase(AtomicUsize);

impl Phase {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(OPEN))
    }

    /// Returns whether a call may add. Ask with the shard locked.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        // ORDERING: Relaxed, as `close` takes every shard's lock between `begin_close` and `end_close`.
        self.0.load(Ordering::Relaxed) == OPEN
    }

    /// Returns whether it is closed or about to be.
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        // ORDERING: Relaxed: a thread that leaves a shard after `close` took its lock sees it through
        // that lock, and `close` sees what was done in the shard before; see `notify_closed` for the
        // rest.
        self.0.load(Ordering::Relaxed) != OPEN
    }

    /// Returns whether everything accepted before the close is queued or delayed.
    #[inline]
    pub(super) fn is_complete(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `end_close`.
        self.0.load(Ordering::Acquire) >= CLOSED
    }

    /// Refuses further adds; `false` if another call already does.
    pub(super) fn begin_close(&self) -> bool {
        // ORDERING: Relaxed, as the shards' locks order it.
        let (set, fail) = (Ordering::Relaxed, Ordering::Relaxed);
        self.0.compare_exchange(OPEN, CLOSING, set, fail).is_ok()
    }

    /// Call when each shard was locked once after `begin_close`.
    pub(super) fn end_close(&self) {
        // ORDERING: Release pairs with the Acquire in `is_complete`.
        self.0.fetch_max(CLOSED, Ordering::Release);
    }

    /// Stops all waiting for the rest to be processed.
    pub(super) fn abandon(&self) {
        // ORDERING: Release pairs with the Acquire in `is_abandoned`.
        self.0.fetch_max(ABANDONED, Ordering::Release);
    }

    pub(super) fn is_abandoned(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `abandon`.
        self.0.load(Ordering::Acquire) == ABANDONED
    }
}
