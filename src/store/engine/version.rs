//! One version of one key.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};

use super::prefetch::prefetch;
use super::record::RecordRef;
use crate::KeyRef;
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::{Arc, FREES, Lifetime, UnsafeCell};

/// What a key held from one revision on, until the next version's.
///
/// The key's text, namespace then name, follows in the same allocation: a lookup that has come here
/// has the key to compare and the object to return in one place.
#[repr(C)]
pub(super) struct Version<T> {
    /// The revision at which it became visible.
    pub(super) born: u64,
    /// The version before it. Only the writer changes it, to take a version out of the chain.
    pub(super) prev: AtomicPtr<Version<T>>,
    /// The object, or none where the key was deleted. Written only while no published revision
    /// has reached `born`, and read only at revisions that have.
    value: UnsafeCell<Option<Arc<T>>>,
    pub(super) record: RecordRef<T>,
    /// The source's version of the object as a number, or 0: enough to tell newer from older without
    /// a look at the object. Changed only by the writer, along with the value, which alone reads it.
    number: UnsafeCell<u64>,
    namespace_len: u32,
    name_len: u32,
    life: Lifetime,
}

impl<T> Version<T> {
    fn layout(len: usize) -> Layout {
        let text = Layout::array::<u8>(len).expect("a str is never larger than isize::MAX");
        let (layout, offset) =
            Layout::new::<Self>().extend(text).expect("a key is smaller than 4 GiB");
        debug_assert_eq!(offset, size_of::<Self>(), "bytes need no padding before them");
        layout
    }

    /// # Panics
    /// If a part of the key is longer than 4 GiB.
    pub(super) fn new(
        born: u64,
        prev: *mut Self,
        (value, number): (Option<Arc<T>>, u64),
        record: RecordRef<T>,
        key: KeyRef<'_>,
    ) -> NonNull<Self> {
        let (namespace, name) = key.parts();
        let len = |part: &str| u32::try_from(part.len()).expect("a key is smaller than 4 GiB");
        let layout = Self::layout(namespace.len() + name.len());
        // SAFETY: the layout has the size of a version at least.
        let Some(this) = NonNull::new(unsafe { alloc(layout) }.cast::<Self>()) else {
            handle_alloc_error(layout)
        };
        // SAFETY: freshly allocated with room for the version, and behind it for the key.
        unsafe {
            this.write(Self {
                born,
                prev: AtomicPtr::new(prev),
                value: UnsafeCell::new(value),
                record,
                number: UnsafeCell::new(number),
                namespace_len: len(namespace),
                name_len: len(name),
                life: Lifetime::new(),
            });
            let text = this.as_ptr().cast::<u8>().add(size_of::<Self>());
            text.copy_from_nonoverlapping(namespace.as_ptr(), namespace.len());
            text.add(namespace.len()).copy_from_nonoverlapping(name.as_ptr(), name.len());
        }
        this
    }

    /// # Safety
    /// `this` came from `new`, and nobody can reach it any more.
    pub(super) unsafe fn free(this: NonNull<Self>) {
        // SAFETY: the caller's word.
        let version = unsafe { this.as_ref() };
        version.life.end();
        let layout = Self::layout((version.namespace_len + version.name_len) as usize);
        // SAFETY: the caller's word. The other fields have nothing to drop.
        unsafe {
            drop(version.replace(None, 0));
            if FREES {
                dealloc(this.as_ptr().cast(), layout);
            }
        }
    }

    /// # Safety
    /// The version came from `new` and outlives `'a`.
    #[inline]
    pub(super) unsafe fn key<'a>(this: *const Self) -> KeyRef<'a> {
        // SAFETY: the caller's word; `new` wrote two valid strs behind the version. The pointer is
        // the allocation's own, not one of a reference to its fixed part.
        unsafe {
            (*this).life.visit();
            let text = this.cast::<u8>().add(size_of::<Self>());
            let namespace_len = (*this).namespace_len as usize;
            let namespace = std::slice::from_raw_parts(text, namespace_len);
            let name =
                std::slice::from_raw_parts(text.add(namespace_len), (*this).name_len as usize);
            KeyRef::from((
                std::str::from_utf8_unchecked(namespace),
                std::str::from_utf8_unchecked(name),
            ))
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
    pub(super) unsafe fn replace(&self, value: Option<Arc<T>>, number: u64) -> Option<Arc<T>> {
        // SAFETY: only the writer reads the number.
        self.number.with_mut(|held| unsafe { *held = number });
        // SAFETY: no reader reads a value before its revision is published.
        self.value.with_mut(|held| unsafe { ptr::replace(held, value) })
    }

    /// # Safety
    /// The caller is the writer.
    pub(super) unsafe fn number(&self) -> u64 {
        // SAFETY: the caller's word.
        self.number.with(|number| unsafe { *number })
    }
}

impl<T> Version<T> {
    /// Begins to load the object, for a reader that will come to it soon.
    ///
    /// # Safety
    /// As for [`value`](Self::value).
    #[inline]
    pub(super) unsafe fn prefetch_value(&self) {
        // SAFETY: the caller's word.
        if let Some(value) = unsafe { self.value() } {
            prefetch(Arc::as_ptr(value));
        }
    }
}

/// The version that is visible at a revision, if there is one; it may be a deletion.
///
/// # Safety
/// `head` is null or a version that was a head while the caller was pinned; the caller stays pinned
/// for the call, and either is pinned since before it learnt `revision`, or keeps that revision.
/// What is returned lives as long as that protection.
#[inline]
pub(super) unsafe fn visible<T>(
    head: *const Version<T>,
    revision: u64,
) -> Option<NonNull<Version<T>>> {
    let mut next = head;
    loop {
        let this = NonNull::new(next.cast_mut())?;
        // SAFETY: a pinned reader reaches no freed version; see `reclaim`.
        let version = unsafe { this.as_ref() };
        version.life.visit();
        if version.born <= revision {
            return Some(this);
        }
        // ORDERING: Acquire pairs with the Release that linked the version behind it, by way of the
        // head, or that took one out between them (`Reclaim::unlink`).
        next = version.prev.load(Ordering::Acquire);
    }
}
