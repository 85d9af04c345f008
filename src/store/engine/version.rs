//! One version of one key.

use std::ptr::{self, NonNull};

use super::record::RecordRef;
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::{Arc, FREES, Lifetime, UnsafeCell};

/// What a key held from one revision on, until the next version's.
pub(super) struct Version<T> {
    /// The revision at which it became visible.
    pub(super) born: u64,
    /// The version before it. Only the writer changes it, to take a version out of the chain.
    pub(super) prev: AtomicPtr<Version<T>>,
    /// The object, or none where the key was deleted. Written only while no published revision
    /// has reached `born`, and read only at revisions that have.
    value: UnsafeCell<Option<Arc<T>>>,
    pub(super) record: RecordRef<T>,
    life: Lifetime,
}

impl<T> Version<T> {
    pub(super) fn new(
        born: u64,
        prev: *mut Self,
        value: Option<Arc<T>>,
        record: RecordRef<T>,
    ) -> NonNull<Self> {
        let this = Self {
            born,
            prev: AtomicPtr::new(prev),
            value: UnsafeCell::new(value),
            record,
            life: Lifetime::new(),
        };
        NonNull::from(Box::leak(Box::new(this)))
    }

    /// # Safety
    /// `this` came from `new`, and nobody can reach it any more.
    pub(super) unsafe fn free(this: NonNull<Self>) {
        // SAFETY: the caller's word.
        let version = unsafe { this.as_ref() };
        version.life.end();
        if FREES {
            // SAFETY: the caller's word.
            drop(unsafe { Box::from_raw(this.as_ptr()) });
        } else {
            // SAFETY: the caller's word.
            drop(unsafe { version.replace(None) });
        }
    }

    /// # Safety
    /// A published revision has reached `born`, or the caller is the writer.
    #[inline]
    pub(super) unsafe fn value(&self) -> Option<&Arc<T>> {
        self.life.visit();
        // SAFETY: nobody writes the value once a revision has reached `born`.
        self.value.with(|value| unsafe { (*value).as_ref() })
    }

    /// # Safety
    /// The caller is the writer, and no published revision has reached `born`; or nobody else can
    /// reach the version.
    pub(super) unsafe fn replace(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
        // SAFETY: no reader reads a value before its revision is published.
        self.value.with_mut(|held| unsafe { ptr::replace(held, value) })
    }
}

/// The version that is visible at a revision, if there is one; it may be a deletion.
///
/// # Safety
/// `head` is null or a version that was a head while the caller was pinned; the caller stays pinned
/// for the call, and either is pinned since before it learnt `revision`, or keeps that revision.
/// What is returned lives as long as that protection: `'a` must not exceed it.
#[inline]
pub(super) unsafe fn visible<'a, T>(
    head: *const Version<T>,
    revision: u64,
) -> Option<&'a Version<T>> {
    let mut next = head;
    loop {
        // SAFETY: a pinned reader reaches no freed version; see `reclaim`.
        let version = unsafe { next.as_ref() }?;
        version.life.visit();
        if version.born <= revision {
            return Some(version);
        }
        // ORDERING: Acquire pairs with the Release that linked the version behind it, by way of the
        // head, or that took one out between them (`Reclaim::unlink`).
        next = version.prev.load(Ordering::Acquire);
    }
}
