//! What the versions of one key share.

use std::hash::{Hash, Hasher};
use std::ptr::{self, NonNull};

use super::prefetch::prefetch;
use super::version::Version;
use crate::KeyRef;
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::{FREES, Lifetime};

/// The place of a key in the indexes. The table leads to the newest version directly, which saves
/// lookups a step.
pub(super) struct Record<T> {
    /// The newest version; never null once the record is in the table.
    pub(super) head: AtomicPtr<Version<T>>,
    life: Lifetime,
}

/// A record in the table, or on its way out of it.
///
/// Whoever holds one knows that the record is alive: it is in the table (the writer), or a version
/// of it is visible at a revision that the holder keeps, or the holder was pinned when it found it.
pub(super) struct RecordRef<T>(NonNull<Record<T>>);

impl<T> Clone for RecordRef<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for RecordRef<T> {}

// SAFETY: a record is shared by design: its head is atomic. Versions behind it hold `Arc<T>`.
unsafe impl<T: Send + Sync> Send for RecordRef<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for RecordRef<T> {}

impl<T> RecordRef<T> {
    pub(super) fn new() -> Self {
        Self(NonNull::from(Box::leak(Box::new(Record {
            head: AtomicPtr::new(ptr::null_mut()),
            life: Lifetime::new(),
        }))))
    }

    /// # Safety
    /// Nobody can reach the record any more.
    pub(super) unsafe fn free(self) {
        // SAFETY: alive until here, and by the caller's word nobody else's; made by `new`.
        unsafe {
            self.0.as_ref().life.end();
            if FREES {
                drop(Box::from_raw(self.0.as_ptr()));
            }
        }
    }

    /// # Safety
    /// The record outlives `'a`.
    #[inline]
    pub(super) unsafe fn get<'a>(self) -> &'a Record<T> {
        // SAFETY: the caller's word.
        let record = unsafe { self.0.as_ref() };
        record.life.visit();
        record
    }

    /// Begins to load the newest version.
    ///
    /// # Safety
    /// The record is alive.
    pub(super) unsafe fn prefetch_head(self) {
        // ORDERING: Relaxed: the version is not looked at.
        // SAFETY: the caller's word.
        prefetch(unsafe { self.get() }.head.load(Ordering::Relaxed));
    }

    /// # Safety
    /// The record is alive, and the caller is the writer, or pinned for `'a`.
    pub(super) unsafe fn key<'a>(self) -> KeyRef<'a> {
        // ORDERING: Acquire pairs with the Release in `WriteGuard::link`.
        // SAFETY: the caller's word; a head is not freed while a thread is pinned that found it.
        unsafe { Version::key(self.get().head.load(Ordering::Acquire)) }
    }
}

impl<T> PartialEq for RecordRef<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for RecordRef<T> {}

impl<T> Hash for RecordRef<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
