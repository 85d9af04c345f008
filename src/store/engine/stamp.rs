//! Change stamps: how a walk finds an object without reading its version.
//!
//! A table's slot, and likewise a record, has the address of its newest object. Some sixteen of them
//! share a stamp, the last revision that changed one. The writer raises the stamp, then stores the
//! object; a reader loads the object, then the stamp. A reader of revision R that sees a stamp of R or
//! before has seen no object of a later revision; otherwise it reads the versions. It sees no older
//! object than R's either, since all of R was stored before R was published.

use std::ptr;

use crate::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Slots or records that share one stamp.
pub(super) const GROUP: usize = 16;

/// The last revision that changed one object of a group.
pub(super) struct Stamp(AtomicU64);

impl Stamp {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Only for the writer, which calls [`Newest::set`] next.
    #[inline]
    pub(super) fn raise(&self, revision: u64) {
        // ORDERING: Relaxed: only the writer stores stamps. A table that is being filled is given
        // heads in any order of their birth, hence the larger one.
        let last = self.0.load(Ordering::Relaxed);
        // ORDERING: Relaxed: a reader of that revision is ordered behind its publication, and one of
        // an older revision behind the object, which is stored after it.
        self.0.store(last.max(revision), Ordering::Relaxed);
    }

    /// Returns whether an object of the group changed after a revision. Call after [`Newest::get`].
    #[inline]
    pub(super) fn is_after(&self, revision: u64) -> bool {
        // ORDERING: Relaxed: after the load of the object, which acquires. A reader of a revision is
        // ordered after that revision's stamps; a stamp of a later one only costs a read of the version.
        self.0.load(Ordering::Relaxed) > revision
    }
}

/// The address of the newest object, or null where there is none.
pub(super) struct Newest<T>(AtomicPtr<T>);

impl<T> Newest<T> {
    pub(super) fn none() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Only for the writer.
    #[inline]
    pub(super) fn set(&self, object: *const T) {
        // ORDERING: Release pairs with the Acquire in `get`: the stamp comes before it.
        self.0.store(object.cast_mut(), Ordering::Release);
    }

    #[inline]
    pub(super) fn get(&self) -> *const T {
        // ORDERING: Acquire pairs with the Release in `set`: a reader that sees an object of a later
        // revision sees its stamp.
        self.0.load(Ordering::Acquire)
    }

    /// The address alone, for prefetching.
    #[inline]
    pub(super) fn hint(&self) -> *const T {
        // ORDERING: Relaxed: the object is not read.
        self.0.load(Ordering::Relaxed)
    }

    /// Forgets an object that no reader can reach through this any more.
    pub(super) fn clear(&self) {
        // ORDERING: Relaxed: the next object comes by way of a later publication.
        self.0.store(ptr::null_mut(), Ordering::Relaxed);
    }
}
