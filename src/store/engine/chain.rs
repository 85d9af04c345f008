//! The versions of one key, newest first, and the record that they hang on.
//!
//! ```text
//! Record { head, object } ──> Version 9 ──prev──> Version 4 ──> ...
//!                                       <──newer──
//! ```

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};

use super::prefetch::{prefetch, prefetch_counts};
use super::stamp::Newest;
use crate::KeyRef;
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::{Arc, FREES, Lifetime, UnsafeCell};

/// What the versions of a key share: its place in the indexes. The table leads to the newest version
/// directly, which saves lookups a step.
pub(super) struct Record<T> {
    /// The newest version; never null once the record is in the table.
    pub(super) head: AtomicPtr<Version<T>>,
    /// The head's object.
    pub(super) object: Newest<T>,
    life: Lifetime,
}

impl<T> Record<T> {
    pub(super) fn new() -> Self {
        Self {
            head: AtomicPtr::new(ptr::null_mut()),
            object: Newest::none(),
            life: Lifetime::new(),
        }
    }

    #[inline]
    pub(super) fn visit(&self) {
        self.life.visit();
    }

    /// Begins a new lifetime, with another key.
    pub(super) fn begin(&self) {
        self.life.begin();
    }

    /// Makes it a record without a version again. Call once nothing can reach it any more.
    pub(super) fn end(&self) {
        self.life.end();
        // ORDERING: Relaxed: a reader reaches its next key by way of a later publication.
        self.head.store(ptr::null_mut(), Ordering::Relaxed);
        self.object.clear();
    }
}

/// What a key held from one revision on, until the next version's.
///
/// The key's text, namespace then name, follows in the same allocation: a lookup finds the key to compare
/// and the object to return in one place.
#[repr(C)]
pub(super) struct Version<T> {
    /// The revision at which it became visible.
    pub(super) born: u64,
    /// The version before it. Only the writer changes it, to take a version out of the chain.
    pub(super) prev: AtomicPtr<Version<T>>,
    /// The object, or none where the key was deleted. Written only while no published revision
    /// has reached `born`, and read only at revisions that have.
    value: UnsafeCell<Option<Arc<T>>>,
    pub(super) record: NonNull<Record<T>>,
    /// Only the writer reads and writes it.
    note: UnsafeCell<Note<T>>,
    namespace_len: u32,
    name_len: u32,
    life: Lifetime,
}

/// What the writer keeps with a version. One word, since objects are many.
union Note<T> {
    /// Of a head: the source's version of the object as a number, or 0. Enough to tell newer from older
    /// without reading the object.
    source_version: u64,
    /// Of a superseded version: the one after it, so that it is taken out of the chain in one step.
    newer: *mut Version<T>,
}

impl<T> Version<T> {
    /// # Panics
    /// If the parts are together longer than an allocation can be.
    fn layout(namespace: usize, name: usize) -> Layout {
        let text = namespace.checked_add(name).and_then(|len| Layout::array::<u8>(len).ok());
        let (layout, offset) = text
            .and_then(|text| Layout::new::<Self>().extend(text).ok())
            .expect("a key is smaller than the address space");
        debug_assert_eq!(offset, size_of::<Self>(), "bytes need no padding before them");
        layout
    }

    /// # Panics
    /// If a part of the key is 4 GiB or longer; a [`Key`](crate::Key)'s is far shorter.
    pub(super) fn new(
        born: u64,
        prev: *mut Self,
        (value, source_version): (Option<Arc<T>>, u64),
        record: NonNull<Record<T>>,
        key: KeyRef<'_>,
    ) -> NonNull<Self> {
        let (namespace, name) = key.parts();
        let len = |part: &str| u32::try_from(part.len()).expect("a key's part is below 4 GiB");
        let (namespace_len, name_len) = (len(namespace), len(name));
        let layout = Self::layout(namespace.len(), name.len());
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
                note: UnsafeCell::new(Note { source_version }),
                namespace_len,
                name_len,
                life: Lifetime::new(),
            });
            let text = this.as_ptr().cast::<u8>().add(size_of::<Self>());
            text.copy_from_nonoverlapping(namespace.as_ptr(), namespace.len());
            text.add(namespace.len()).copy_from_nonoverlapping(name.as_ptr(), name.len());
        }
        this
    }

    /// Frees a version, and returns its object, to be dropped when user code may run.
    ///
    /// # Safety
    /// `this` came from `new`, and nobody can reach it any more.
    pub(super) unsafe fn free(this: NonNull<Self>) -> Option<Arc<T>> {
        // SAFETY: alive until the end of this call.
        let version = unsafe { this.as_ref() };
        version.life.end();
        let layout = Self::layout(version.namespace_len as usize, version.name_len as usize);
        // SAFETY: nobody else can reach the value.
        let value = version.value.with_mut(|value| unsafe { (*value).take() });
        if FREES {
            // SAFETY: `new` allocated it by this layout. Its fields have nothing left to drop.
            unsafe { dealloc(this.as_ptr().cast(), layout) };
        }
        value
    }

    /// # Safety
    /// The version came from `new` and outlives `'a`.
    #[inline]
    pub(super) unsafe fn key<'a>(this: *const Self) -> KeyRef<'a> {
        // SAFETY: alive for `'a`, and `new` wrote two valid strs behind it. The pointer is the
        // allocation's own, not one of a reference to its fixed part.
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

    /// Gives a head another object, and returns the one it had.
    ///
    /// # Safety
    /// The caller is the writer, no published revision has reached `born`, and this is a head.
    pub(super) unsafe fn replace(
        &self,
        value: Option<Arc<T>>,
        source_version: u64,
    ) -> Option<Arc<T>> {
        // SAFETY: only the writer reads the note.
        self.note.with_mut(|note| unsafe { *note = Note { source_version } });
        // SAFETY: no reader reads a value before its revision is published.
        self.value.with_mut(|held| unsafe { ptr::replace(held, value) })
    }

    /// # Safety
    /// The caller is the writer, and this is a head.
    pub(super) unsafe fn source_version(&self) -> u64 {
        // SAFETY: a head's note is this; only the writer writes it.
        self.note.with(|note| unsafe { (*note).source_version })
    }

    /// Notes which version comes after this one, and so supersedes it.
    ///
    /// # Safety
    /// The caller is the writer.
    pub(super) unsafe fn set_newer(&self, newer: *mut Self) {
        // SAFETY: only the writer reads and writes the note.
        self.note.with_mut(|note| unsafe { *note = Note { newer } });
    }

    /// The version after this one.
    ///
    /// # Safety
    /// The caller is the writer, and this is a superseded version in its chain.
    pub(super) unsafe fn newer(&self) -> *mut Self {
        self.life.visit();
        // SAFETY: a superseded version's note is this; only the writer writes it.
        self.note.with(|note| unsafe { (*note).newer })
    }

    /// Prefetches what is read and written when this superseded version is taken out of its chain and freed.
    ///
    /// # Safety
    /// As for [`newer`](Self::newer).
    #[inline]
    pub(super) unsafe fn prefetch_end(&self) {
        // SAFETY: as the caller upholds for `newer`; the writer may read any value.
        let (newer, value) = unsafe { (self.newer(), self.value()) };
        prefetch(newer);
        value.into_iter().for_each(prefetch_counts);
    }

    /// Prefetches the object, for a reader that will need it soon.
    ///
    /// # Safety
    /// As for [`value`](Self::value).
    #[inline]
    pub(super) unsafe fn prefetch_value(&self) {
        // SAFETY: as the caller upholds for `value`.
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
        // ORDERING: Relaxed: whatever a version leads to is older than it, and was linked before the
        // head was, which the caller acquired. That the version has not been freed since is what the
        // pin is for.
        next = version.prev.load(Ordering::Relaxed);
    }
}
