//! One key of the table: its text, and the newest of its versions.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};

use super::index::Values;
use super::version::Version;
use crate::KeyRef;
use crate::sync::atomic::AtomicPtr;
use crate::sync::{FREES, Lifetime, UnsafeCell};

/// The fixed part of a record. The key's text, namespace then name, follows it in the same
/// allocation, so that a lookup finds both in one place.
pub(super) struct Record<T> {
    /// The newest version; never null once the record is in the table.
    pub(super) head: AtomicPtr<Version<T>>,
    /// What the head's object is indexed under; only the writer touches it.
    pub(super) indexed: UnsafeCell<Option<Box<Values>>>,
    namespace_len: u32,
    len: u32,
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

// SAFETY: a record is shared by design: its text is immutable, its head atomic, and `indexed` is the
// writer's alone. Versions behind it hold `Arc<T>`.
unsafe impl<T: Send + Sync> Send for RecordRef<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for RecordRef<T> {}

impl<T> RecordRef<T> {
    fn layout(len: usize) -> (Layout, usize) {
        let text = Layout::array::<u8>(len).expect("a str is never larger than isize::MAX");
        let (layout, offset) =
            Layout::new::<Record<T>>().extend(text).expect("a key is smaller than 4 GiB");
        (layout.pad_to_align(), offset)
    }

    /// # Panics
    /// If the key is longer than 4 GiB.
    pub(super) fn new(key: KeyRef<'_>) -> Self {
        let (namespace, name) = key.parts();
        let len = namespace.len() + name.len();
        let len32 = u32::try_from(len).expect("a key is smaller than 4 GiB");
        let (layout, offset) = Self::layout(len);
        // SAFETY: the layout has the size of a `Record` at least.
        let Some(this) = NonNull::new(unsafe { alloc(layout) }.cast::<Record<T>>()) else {
            handle_alloc_error(layout)
        };
        // SAFETY: freshly allocated with room for the record and, at `offset`, for `len` bytes.
        unsafe {
            this.as_ptr().write(Record {
                head: AtomicPtr::new(ptr::null_mut()),
                indexed: UnsafeCell::new(None),
                namespace_len: namespace.len() as u32,
                len: len32,
                life: Lifetime::new(),
            });
            let text = this.as_ptr().cast::<u8>().add(offset);
            text.copy_from_nonoverlapping(namespace.as_ptr(), namespace.len());
            text.add(namespace.len()).copy_from_nonoverlapping(name.as_ptr(), name.len());
        }
        Self(this)
    }

    /// # Safety
    /// Nobody can reach the record any more.
    pub(super) unsafe fn free(self) {
        // SAFETY: alive until here, and by the caller's word nobody else's.
        let record = unsafe { self.0.as_ref() };
        record.life.end();
        record.indexed.with_mut(|indexed| {
            // SAFETY: as above.
            unsafe { *indexed = None };
        });
        if FREES {
            let (layout, _) = Self::layout(record.len as usize);
            // SAFETY: allocated by `new` with this layout. Its fields have nothing left to drop.
            unsafe { dealloc(self.0.as_ptr().cast(), layout) };
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

    /// # Safety
    /// The record outlives `'a`.
    #[inline]
    pub(super) unsafe fn key<'a>(self) -> KeyRef<'a> {
        // SAFETY: the caller's word; `new` wrote `len` bytes of two valid strs at the offset. The
        // pointer is the allocation's own, not one of a reference to its fixed part.
        unsafe {
            let record = self.get();
            let text = self.0.as_ptr().cast::<u8>().add(size_of::<Record<T>>());
            let namespace = std::slice::from_raw_parts(text, record.namespace_len as usize);
            let name = std::slice::from_raw_parts(
                text.add(record.namespace_len as usize),
                (record.len - record.namespace_len) as usize,
            );
            KeyRef::from((
                std::str::from_utf8_unchecked(namespace),
                std::str::from_utf8_unchecked(name),
            ))
        }
    }
}

impl<T> PartialEq for RecordRef<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for RecordRef<T> {}
