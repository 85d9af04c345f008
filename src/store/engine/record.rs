//! What the versions of one key share.

use std::hash::{Hash, Hasher};
use std::ptr::{self, NonNull};

use super::prefetch::prefetch;
use super::slab::Slab;
use super::version::{Version, visible};
use crate::KeyRef;
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::{Arc, Lifetime};

/// The place of a key in the indexes. The table leads to the newest version directly, which saves
/// lookups a step.
pub(super) struct Record<T> {
    /// The newest version; never null once the record is in the table.
    pub(super) head: AtomicPtr<Version<T>>,
    /// The head's object, or null where it has none.
    object: AtomicPtr<T>,
    life: Lifetime,
}

impl<T> Record<T> {
    pub(super) fn new() -> Self {
        Self {
            head: AtomicPtr::new(ptr::null_mut()),
            object: AtomicPtr::new(ptr::null_mut()),
            life: Lifetime::new(),
        }
    }
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
    /// Made by `Slabs::take`, so that the pointer leads to the whole slab.
    pub(super) fn new(record: NonNull<Record<T>>) -> Self {
        Self(record)
    }

    pub(super) fn address(self) -> NonNull<Record<T>> {
        self.0
    }

    /// Makes it a record without a version again.
    ///
    /// # Safety
    /// Nobody can reach the record any more.
    pub(super) unsafe fn end(self) {
        // SAFETY: alive until here.
        let record = unsafe { self.get() };
        record.life.end();
        // ORDERING: Relaxed: who comes to its next key comes by way of a later publication.
        record.head.store(ptr::null_mut(), Ordering::Relaxed);
        record.object.store(ptr::null_mut(), Ordering::Relaxed);
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

    /// Makes a version the newest, at a revision which is not yet published.
    ///
    /// # Safety
    /// The record is alive, and the caller is the writer.
    pub(super) unsafe fn set_head(self, head: *mut Version<T>, object: *const T, revision: u64) {
        // ORDERING: Relaxed: a reader of that revision is ordered behind its publication, and one of
        // an older revision behind the object, which is stored after it.
        // SAFETY: the caller's word.
        unsafe { Slab::changed(self.0) }.store(revision, Ordering::Relaxed);
        // ORDERING: Release pairs with the Acquire in `View::resolve`, which comes to a head by way
        // of an index.
        // SAFETY: the caller's word.
        unsafe { self.get() }.head.store(head, Ordering::Release);
        // SAFETY: the caller's word.
        unsafe { self.set_object(object) };
    }

    /// Gives a head that is not yet published another object.
    ///
    /// # Safety
    /// As for [`set_head`](Self::set_head).
    pub(super) unsafe fn set_object(self, object: *const T) {
        // ORDERING: Release pairs with the Acquire in `object`: the stamp comes before it.
        // SAFETY: the caller's word.
        unsafe { self.get() }.object.store(object.cast_mut(), Ordering::Release);
    }

    /// The object at a revision, or null where the key is deleted then: as a rule without a look at
    /// a version.
    ///
    /// # Safety
    /// The record is alive. What is returned is good to look at for whoever keeps the revision; the
    /// caller is pinned.
    #[inline]
    pub(super) unsafe fn object(self, revision: u64) -> *const T {
        // SAFETY: the caller's word.
        let (record, changed) = unsafe { (self.get(), Slab::changed(self.0)) };
        // ORDERING: Acquire pairs with the Release in `set_object`: who sees an object of a later
        // revision sees its stamp below.
        let object = record.object.load(Ordering::Acquire);
        // ORDERING: Relaxed: behind the load above, which acquires.
        if changed.load(Ordering::Relaxed) <= revision {
            return object;
        }
        // ORDERING: Acquire pairs with the Release in `set_head`.
        // SAFETY: the caller's word.
        let version = unsafe { visible(record.head.load(Ordering::Acquire), revision) };
        // SAFETY: visible at that revision.
        let object = version.and_then(|version| unsafe { version.as_ref().value() });
        object.map_or(ptr::null(), Arc::as_ptr)
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
        // ORDERING: Acquire pairs with the Release in `set_head`.
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
