//! A record: all there is of one key, by one address.

use std::cmp;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::cell::Cell;
use super::chain::{Cold, Hot};
use super::prefetch::prefetch;
use super::slab::{RECORDS, Slab};
use crate::KeyRef;

/// The bits of a cell's address that are zero, in which a record has its place in the slab.
const PLACE: usize = align_of::<Cell>() - 1;
const _: () = assert!(RECORDS <= align_of::<Cell>());

/// A record in the table, or on its way out of it: the address of its cell, with its place in the slab. So the
/// parts that lie elsewhere in the slab are found without reading anything.
///
/// A holder may rely on the record being alive: it is in the table (the writer), or an object of it is
/// visible at a revision that the holder keeps, or the holder was pinned when it found it.
pub(super) struct RecordRef<T>(NonNull<Cell>, PhantomData<*const T>);

impl<T> Clone for RecordRef<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for RecordRef<T> {}

// SAFETY: a record is shared by design: what changes in it is atomic, or the writer's. It holds `Arc<T>`.
unsafe impl<T: Send + Sync> Send for RecordRef<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for RecordRef<T> {}

impl<T> RecordRef<T> {
    /// # Safety
    /// The slab is alive.
    pub(super) unsafe fn new(slab: NonNull<Slab<T>>, place: usize) -> Self {
        // SAFETY: within the slab. By the slab's own pointer, which leads to all of it.
        let cell = unsafe { slab.cast::<Cell>().add(place) };
        Self(cell.map_addr(|addr| addr | place), PhantomData)
    }

    /// As one word, of which the uppermost bits are an address's.
    #[inline]
    pub(super) fn word(self) -> *mut Cell {
        self.0.as_ptr()
    }

    /// From such a word, or nothing from a null one.
    #[inline]
    pub(super) fn of_word(word: *mut Cell) -> Option<Self> {
        NonNull::new(word).map(|word| Self(word, PhantomData))
    }

    #[inline]
    pub(super) fn place(self) -> usize {
        self.0.as_ptr().addr() & PLACE
    }

    #[inline]
    pub(super) fn cell(self) -> *mut Cell {
        self.0.as_ptr().map_addr(|addr| addr & !PLACE)
    }

    #[inline]
    pub(super) fn slab(self) -> *mut Slab<T> {
        let place = self.place();
        self.0.as_ptr().wrapping_byte_sub(place * (size_of::<Cell>() + 1)).cast()
    }

    /// # Safety
    /// The record outlives `'a`.
    #[inline]
    pub(super) unsafe fn hot<'a>(self) -> &'a Hot<T> {
        // SAFETY: alive for `'a`, and shared.
        unsafe {
            Cell::visit(self.cell());
            &*Slab::hot(self.slab(), self.place())
        }
    }

    /// # Safety
    /// The record outlives `'a`.
    #[inline]
    pub(super) unsafe fn cold<'a>(self) -> &'a Cold<T> {
        // SAFETY: alive for `'a`, and shared.
        unsafe {
            Cell::visit(self.cell());
            &*Slab::cold(self.slab(), self.place())
        }
    }

    /// # Safety
    /// The record outlives `'a`.
    #[inline]
    pub(super) unsafe fn key<'a>(self) -> KeyRef<'a> {
        // SAFETY: a cell keeps its key while its record is alive.
        unsafe { Cell::key(self.cell()) }
    }

    /// # Safety
    /// The record is alive.
    #[inline]
    pub(super) unsafe fn has_key(self, key: KeyRef<'_>) -> bool {
        // SAFETY: as for `key`.
        unsafe { Cell::has(self.cell(), key) }
    }

    /// Prefetches the key.
    #[inline]
    pub(super) fn prefetch_key(self) {
        prefetch(self.cell());
    }

    /// Prefetches the newest object's address.
    #[inline]
    pub(super) fn prefetch_hot(self) {
        prefetch(Slab::hot(self.slab(), self.place()));
    }

    /// Prefetches what a change reads and writes.
    #[inline]
    pub(super) fn prefetch_chain(self) {
        self.prefetch_hot();
        prefetch(Slab::cold(self.slab(), self.place()));
    }

    /// The order of keys. Two records of one key are never in one index, so this agrees with `Eq`.
    ///
    /// # Safety
    /// Both are alive.
    pub(super) unsafe fn compare(self, other: Self) -> cmp::Ordering {
        if self == other {
            return cmp::Ordering::Equal;
        }
        // SAFETY: both are alive.
        unsafe { self.key().cmp(&other.key()) }
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
