//! The objects of one key: the newest in its record, and what it held before in a chain, newest first.
//!
//! ```text
//! Hot { object, born }   Cold { old, number } ──> Old { object, born } ──prev──> Old ──> ...
//!                                                                      <──newer──
//! ```
//!
//! A reader of revision R loads the newest object, then its birth. Born at R or before, it is the object at R.
//! Otherwise it is the first in the chain that was.

use std::ptr::{self, NonNull};

use super::prefetch::prefetch_counts;
use super::record::RecordRef;
use crate::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use crate::sync::{Arc, Lifetime, UnsafeCell};

/// What walks read of a record: four of them are a cache line.
pub(super) struct Hot<T> {
    /// The newest object, or null where the key is deleted. The record has a count of it.
    object: AtomicPtr<T>,
    /// The revision at which it became visible.
    born: AtomicU64,
}

/// What the writer, and readers of older revisions, read of a record.
pub(super) struct Cold<T> {
    /// What the key held before, newest first.
    old: AtomicPtr<Old<T>>,
    /// The source's version of the newest object as a number, or 0. Enough to tell newer from older without
    /// reading the object. Only the writer reads and writes it.
    number: UnsafeCell<u64>,
}

/// What a key held from one revision on, until the birth of what came next.
pub(super) struct Old<T> {
    /// The object, of which this has a count, or null where the key was deleted.
    object: *const T,
    pub(super) born: u64,
    /// What the key held before that. Only the writer changes it, to take one out of the chain.
    prev: AtomicPtr<Old<T>>,
    /// The one after this, or null if that is the record's newest object: so one is taken out of the chain in
    /// one step. Only the writer reads and writes it.
    newer: UnsafeCell<*mut Old<T>>,
    record: RecordRef<T>,
    life: Lifetime,
}

impl<T> Hot<T> {
    /// Without a key.
    pub(super) fn new() -> Self {
        Self { object: AtomicPtr::new(ptr::null_mut()), born: AtomicU64::new(0) }
    }

    /// The newest object, or null; for the writer.
    #[inline]
    pub(super) fn newest(&self) -> *const T {
        // ORDERING: Relaxed: only the writer stores it.
        self.object.load(Ordering::Relaxed)
    }

    /// When it was born; for the writer.
    #[inline]
    pub(super) fn born(&self) -> u64 {
        // ORDERING: Relaxed: only the writer stores it.
        self.born.load(Ordering::Relaxed)
    }

    /// Has what is set next born at a revision which is not yet published; for the writer, after
    /// [`Cold::push`].
    #[inline]
    pub(super) fn bear(&self, revision: u64) {
        // ORDERING: Release pairs with the Acquire in `object_at`: a reader that sees this birth sees what the
        // key held before it.
        self.born.store(revision, Ordering::Release);
    }

    /// Makes an object the newest, or the key a deleted one; for the writer, after [`bear`](Self::bear).
    #[inline]
    pub(super) fn set(&self, object: *const T) {
        // ORDERING: Release pairs with the Acquire in `object_at`: a reader that sees this object sees its birth.
        // It is whole for a reader that comes to its revision by the publication.
        self.object.store(object.cast_mut(), Ordering::Release);
    }

    /// Forgets what it had, of a key that nobody can reach any more.
    pub(super) fn clear(&self) {
        // ORDERING: Relaxed: a reader reaches its next key by way of a word that is stored later.
        self.object.store(ptr::null_mut(), Ordering::Relaxed);
        self.born.store(0, Ordering::Relaxed);
    }
}

impl<T> Cold<T> {
    /// Without a key.
    pub(super) fn new() -> Self {
        Self { old: AtomicPtr::new(ptr::null_mut()), number: UnsafeCell::new(0) }
    }

    /// What the key held before, or null; for the writer.
    #[inline]
    pub(super) fn old(&self) -> *mut Old<T> {
        // ORDERING: Relaxed: only the writer stores it.
        self.old.load(Ordering::Relaxed)
    }

    /// Makes this what the key held before, in front of what it held before that.
    ///
    /// # Safety
    /// The caller is the writer; `old` is whole, has what [`old`](Self::old) returned as its `prev`, and is in no
    /// chain.
    #[inline]
    pub(super) unsafe fn push(&self, old: NonNull<Old<T>>) {
        // SAFETY: what is in a chain is alive, and only the writer accesses `newer`.
        if let Some(prev) = unsafe { self.old().as_ref() } {
            prev.life.visit();
            // SAFETY: as above.
            prev.newer.with_mut(|newer| unsafe { *newer = old.as_ptr() });
        }
        // ORDERING: Release pairs with the Acquire in `object_at`: what it leads to is whole.
        self.old.store(old.as_ptr(), Ordering::Release);
    }

    /// # Safety
    /// The caller is the writer.
    #[inline]
    pub(super) unsafe fn number(&self) -> u64 {
        // SAFETY: only the writer accesses it.
        self.number.with(|number| unsafe { *number })
    }

    /// # Safety
    /// The caller is the writer.
    #[inline]
    pub(super) unsafe fn set_number(&self, to: u64) {
        // SAFETY: only the writer accesses it.
        self.number.with_mut(|number| unsafe { *number = to });
    }
}

impl<T> Old<T> {
    /// What a record's newest object becomes when another supersedes it.
    #[inline]
    pub(super) fn of(record: RecordRef<T>, hot: &Hot<T>, cold: &Cold<T>) -> Self {
        Self {
            object: hot.newest(),
            born: hot.born(),
            prev: AtomicPtr::new(cold.old()),
            newer: UnsafeCell::new(ptr::null_mut()),
            record,
            life: Lifetime::new(),
        }
    }

    /// The object, or null; for the writer, or for whoever found this by [`object_at`].
    #[inline]
    pub(super) fn object(&self) -> *const T {
        self.life.visit();
        self.object
    }

    #[inline]
    pub(super) fn record(&self) -> RecordRef<T> {
        self.record
    }

    /// What the key held before this, or null; for the writer.
    #[inline]
    pub(super) fn prev(&self) -> *mut Self {
        // ORDERING: Relaxed: only the writer stores links.
        self.prev.load(Ordering::Relaxed)
    }

    /// Ends its life, and returns the object's count.
    ///
    /// # Safety
    /// Nobody can reach it any more, and this is called once.
    #[inline]
    pub(super) unsafe fn end(this: NonNull<Self>) -> Option<Arc<T>> {
        // SAFETY: alive until the end of this call.
        let old = unsafe { this.as_ref() };
        old.life.end();
        // SAFETY: it has a count of its object, which nobody else takes.
        unsafe { owned(old.object) }
    }

    /// Takes one out of the chain of its record. Returns whether it was the last there.
    ///
    /// # Safety
    /// The caller is the writer, and it is in the chain.
    #[inline]
    pub(super) unsafe fn unlink(this: NonNull<Self>) -> bool {
        // SAFETY: all that is in a chain is alive, its record too; only the writer accesses `newer`.
        unsafe {
            let old = this.as_ref();
            old.life.visit();
            let (prev, newer) = (old.prev(), old.newer.with(|newer| *newer));
            let link = match newer.as_ref() {
                Some(newer) => {
                    newer.life.visit();
                    &newer.prev
                }
                None => &old.record.cold().old,
            };
            // ORDERING: Relaxed: what it leads to was superseded before this one was. So it was whole before whatever
            // leads here, and before the epoch that each pinned reader has acquired; see `reclaim`.
            link.store(prev, Ordering::Relaxed);
            if let Some(prev) = prev.as_ref() {
                prev.life.visit();
                prev.newer.with_mut(|place| *place = newer);
            }
            prev.is_null() && newer.is_null()
        }
    }

    /// Prefetches what is read and written when this is taken out of its chain and freed.
    ///
    /// # Safety
    /// It is alive.
    #[inline]
    pub(super) unsafe fn prefetch_end(this: NonNull<Self>) {
        // SAFETY: alive.
        let old = unsafe { this.as_ref() };
        old.record.prefetch_chain();
        prefetch_counts(old.object());
    }
}

/// The object of a record at a revision, or null if the key has none then.
///
/// # Safety
/// The record is alive. The caller is pinned since before it learnt the revision or keeps that revision,
/// and is pinned for the call. What is returned is valid as long as that protection.
#[inline]
pub(super) unsafe fn object_at<T>(record: RecordRef<T>, revision: u64) -> *const T {
    // SAFETY: alive.
    let hot: &Hot<T> = unsafe { record.hot() };
    // ORDERING: Acquire pairs with the Release in `Hot::set`: of a later revision's object the birth is seen.
    let object = hot.object.load(Ordering::Acquire);
    // ORDERING: Acquire pairs with the Release in `Hot::bear`: of a later birth the chain is seen.
    if hot.born.load(Ordering::Acquire) <= revision {
        return object;
    }
    // SAFETY: alive, and pinned.
    unsafe { object_before(record, revision) }
}

/// As [`object_at`], of a record that has changed since.
///
/// # Safety
/// As for [`object_at`].
#[cold]
unsafe fn object_before<T>(record: RecordRef<T>, revision: u64) -> *const T {
    // ORDERING: Acquire pairs with the Release in `Cold::push`.
    // SAFETY: alive.
    let mut next = unsafe { record.cold() }.old.load(Ordering::Acquire);
    // SAFETY: a pinned reader reaches none that was freed; see `reclaim`.
    while let Some(old) = unsafe { next.as_ref() } {
        old.life.visit();
        if old.born <= revision {
            return old.object;
        }
        // ORDERING: Relaxed: whatever one leads to was whole before it was linked itself. That it has not been
        // freed since is what the pin is for.
        next = old.prev.load(Ordering::Relaxed);
    }
    ptr::null()
}

/// The count that an address stands for.
///
/// # Safety
/// It is null, or came from [`Arc::into_raw`], and its count is not taken again.
#[inline]
pub(super) unsafe fn owned<T>(object: *const T) -> Option<Arc<T>> {
    // SAFETY: as the caller upholds.
    (!object.is_null()).then(|| unsafe { Arc::from_raw(object) })
}
