//! Slabs: records lie side by side, the parts that are used together next to each other.
//!
//! ```text
//! Slab [ Cell | Cell | ... | Hot | Hot | ... | Cold | Cold | ... | marks ]
//! ```
//!
//! A lookup reads a cell, which is a cache line; a walk over an index reads what is hot, four records a line.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::collections::BTreeSet;
use std::mem::offset_of;
use std::ptr::NonNull;

use super::bucket::Word;
use super::cell::Cell;
use super::chain::{Cold, Hot};
use super::record::RecordRef;
use crate::KeyRef;
use crate::sync::FREES;

/// Records of a slab. With what a usual allocator adds, so many are a whole number of cache lines: slabs lie side
/// by side without gaps.
pub(super) const RECORDS: usize = 63;

/// It is reached by its own pointer alone, and no reference leads to more than one part of one record.
#[repr(C)]
pub(super) struct Slab<T> {
    cells: [Cell; RECORDS],
    hot: [Hot<T>; RECORDS],
    cold: [Cold<T>; RECORDS],
    marks: Marks,
}

/// The writer's marks of a slab's records, a bit for each.
struct Marks {
    free: u64,
    /// Those that a relist has seen, and which relist that was.
    seen: u64,
    relist: u64,
}

/// All records are free.
const FREE: u64 = u64::MAX >> (u64::BITS as usize - RECORDS);

impl<T> Slab<T> {
    /// Without the padding that the type has at its end.
    const LAYOUT: Layout = {
        let size = offset_of!(Self, marks) + size_of::<Marks>();
        match Layout::from_size_align(size, align_of::<Self>()) {
            Ok(layout) => layout,
            Err(_) => panic!("a slab is small"),
        }
    };

    /// # Panics
    /// If its records' addresses reach into the bits that a table's words have for something else.
    fn new() -> NonNull<Self> {
        // SAFETY: not of size zero.
        let Some(this) = NonNull::new(unsafe { alloc(Self::LAYOUT) }.cast::<Self>()) else {
            handle_alloc_error(Self::LAYOUT)
        };
        let slab = this.as_ptr();
        // SAFETY: freshly allocated, with room for all of these.
        unsafe {
            let cells = (&raw mut (*slab).cells).cast::<Cell>();
            for place in 0..RECORDS {
                cells.add(place).write(Cell::new());
                Self::hot(slab, place).cast_mut().write(Hot::new());
                Self::cold(slab, place).cast_mut().write(Cold::new());
            }
            (&raw mut (*slab).marks).write(Marks { free: FREE, seen: 0, relist: 0 });
        }
        Word::check(this.as_ptr().wrapping_byte_add(Self::LAYOUT.size()).addr());
        this
    }

    /// # Safety
    /// `new` made it, and nobody can reach it any more.
    unsafe fn free(this: NonNull<Self>) {
        // SAFETY: as the caller upholds. Nothing in it has anything to drop.
        unsafe { dealloc(this.as_ptr().cast(), Self::LAYOUT) };
    }

    #[inline]
    pub(super) fn hot(this: *mut Self, place: usize) -> *const Hot<T> {
        this.wrapping_byte_add(offset_of!(Self, hot)).cast::<Hot<T>>().wrapping_add(place)
    }

    #[inline]
    pub(super) fn cold(this: *mut Self, place: usize) -> *const Cold<T> {
        this.wrapping_byte_add(offset_of!(Self, cold)).cast::<Cold<T>>().wrapping_add(place)
    }

    /// Calls `f` with the marks of the records.
    ///
    /// # Safety
    /// The caller is the writer, and the slab is alive.
    unsafe fn with_marks<R>(this: *mut Self, f: impl FnOnce(&mut Marks) -> R) -> R {
        // SAFETY: the slab is alive, and only the writer accesses the marks.
        f(unsafe { &mut (*this).marks })
    }
}

impl<T> RecordRef<T> {
    /// Marks the record as seen by a relist; the relists of a store have numbers that rise from 1 on.
    ///
    /// # Safety
    /// The record is alive, and the caller is the writer.
    pub(super) unsafe fn see(self, relist: u64) {
        let see = |marks: &mut Marks| {
            if marks.relist != relist {
                (marks.relist, marks.seen) = (relist, 0);
            }
            marks.seen |= 1 << self.place();
        };
        // SAFETY: this is the writer, and a record keeps its slab alive.
        unsafe { Slab::with_marks(self.slab(), see) };
    }

    /// Whether a relist has seen the record.
    ///
    /// # Safety
    /// As for [`see`](Self::see).
    pub(super) unsafe fn was_seen(self, relist: u64) -> bool {
        let was_seen =
            |marks: &mut Marks| marks.relist == relist && marks.seen & 1 << self.place() != 0;
        // SAFETY: this is the writer, and a record keeps its slab alive.
        unsafe { Slab::with_marks(self.slab(), was_seen) }
    }
}

/// All records of a store; the writer's.
pub(super) struct Slabs<T> {
    /// Those with a free record.
    open: BTreeSet<NonNull<Slab<T>>>,
    /// Bytes of all slabs, and of the texts that cells have no room for.
    bytes: usize,
}

impl<T> Slabs<T> {
    pub(super) fn new() -> Self {
        Self { open: BTreeSet::new(), bytes: 0 }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A record of a key, deleted as it were since ever. Nothing has changed if this panics.
    pub(super) fn take(&mut self, key: KeyRef<'_>) -> RecordRef<T> {
        let slab = self.open.last().copied().unwrap_or_else(|| {
            let new = Slab::new();
            self.open.insert(new);
            self.bytes += Slab::<T>::LAYOUT.size();
            new
        });
        // SAFETY: this is the writer, and open slabs are alive and have a free record, in which nobody reads.
        let (record, full) = unsafe {
            let place = Slab::with_marks(slab.as_ptr(), |marks| marks.free.trailing_zeros());
            let record = RecordRef::new(slab, place as usize);
            Cell::begin(record.cell(), key);
            let full = Slab::with_marks(slab.as_ptr(), |marks| {
                marks.free &= marks.free - 1;
                marks.free == 0
            });
            self.bytes += Cell::beyond(Cell::len(record.cell()));
            (record, full)
        };
        if full {
            self.open.remove(&slab);
        }
        record
    }

    /// Takes a record back.
    ///
    /// # Safety
    /// It is these slabs', has no object, and nobody can reach it any more.
    pub(super) unsafe fn give_back(&mut self, record: RecordRef<T>) {
        let slab = record.slab();
        // SAFETY: nobody else accesses the record, and it keeps its slab alive until here; this is the writer.
        let (was_full, empty) = unsafe {
            self.bytes -= Cell::beyond(Cell::len(record.cell()));
            record.hot().clear();
            Cell::end(record.cell());
            Slab::with_marks(slab, |marks| {
                let was_full = marks.free == 0;
                marks.free |= 1 << record.place();
                (was_full, marks.free == FREE)
            })
        };
        let Some(slab) = NonNull::new(slab) else { return };
        if was_full {
            self.open.insert(slab);
        }
        // One stays, so that a key that comes and goes allocates nothing.
        if FREES && empty && self.open.len() > 1 {
            self.open.remove(&slab);
            self.bytes -= Slab::<T>::LAYOUT.size();
            // SAFETY: none of its records is in use, and readers reach a slab only through a record.
            unsafe { Slab::free(slab) };
        }
    }
}

impl<T> Drop for Slabs<T> {
    fn drop(&mut self) {
        for slab in &self.open {
            // SAFETY: the store is gone, and an open slab that still has records in use has none
            // that anybody can reach.
            unsafe { Slab::free(*slab) };
        }
    }
}
