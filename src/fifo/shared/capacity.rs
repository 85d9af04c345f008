//! The capacity: how many keys the queue may hold.

use crate::sync::atomic::{AtomicUsize, Ordering};

pub(super) struct Capacity {
    limit: Option<usize>,
    /// Keys that have an entry; counted only if there is a limit.
    held: AtomicUsize,
}

impl Capacity {
    pub(super) fn new(limit: Option<usize>) -> Self {
        Self { limit, held: AtomicUsize::new(0) }
    }

    #[inline]
    pub(super) fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// Counts one more key, if there is room.
    pub(super) fn reserve(&self) -> bool {
        let Some(limit) = self.limit else { return true };
        let more = |held: usize| (held < limit).then_some(held + 1);
        // ORDERING: Relaxed, as a count guards no data.
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Counts more keys, before they can be removed, or fewer, after they were.
    #[inline]
    pub(super) fn adjust(&self, keys: isize) {
        if self.limit.is_some() && keys != 0 {
            // ORDERING: Relaxed, as a count guards no data. A negative number wraps, and so does the sum.
            self.held.fetch_add(keys as usize, Ordering::Relaxed);
        }
    }
}
