//! Where records live: some hundreds side by side, so that a walk over an index finds several in one
//! cache line, and finds what their objects are without a look at a version.

use std::ptr::NonNull;

use super::record::{Record, RecordRef};
use crate::sync::atomic::AtomicU64;
use crate::sync::{FREES, UnsafeCell};

/// Records of a slab.
const RECORDS: usize = 246;
/// Records that share one change stamp.
const GROUP: usize = 16;
/// Bytes of a slab, and its alignment: a record's address tells its slab's.
const SIZE: usize = 4096;

#[repr(C, align(4096))]
pub(super) struct Slab<T> {
    /// For each group of records, the last revision that changed the object of one of them.
    changed: [AtomicU64; RECORDS.div_ceil(GROUP)],
    free: UnsafeCell<FreeBits>,
    records: [Record<T>; RECORDS],
}

impl<T> Slab<T> {
    const FITS: () = assert!(size_of::<Self>() == SIZE);

    fn new() -> NonNull<Self> {
        let () = Self::FITS;
        NonNull::from(Box::leak(Box::new(Self {
            changed: std::array::from_fn(|_| AtomicU64::new(0)),
            free: UnsafeCell::new(FreeBits::all()),
            records: std::array::from_fn(|_| Record::new()),
        })))
    }

    /// # Safety
    /// `new` made it, and nobody can reach it any more.
    unsafe fn free(this: NonNull<Self>) {
        // SAFETY: the caller's word.
        drop(unsafe { Box::from_raw(this.as_ptr()) });
    }

    /// The slab that a record lies in.
    fn of(record: NonNull<Record<T>>) -> *const Self {
        record.as_ptr().map_addr(|addr| addr & !(SIZE - 1)).cast()
    }

    /// # Safety
    /// The record is alive.
    unsafe fn place_of(record: NonNull<Record<T>>) -> usize {
        let slab = Self::of(record);
        // SAFETY: both lie in the slab's allocation.
        unsafe {
            record.as_ptr().cast_const().offset_from_unsigned((&raw const (*slab).records).cast())
        }
    }

    /// The stamp of a record.
    ///
    /// # Safety
    /// The record is alive, and with it its slab, for `'a`.
    #[inline]
    pub(super) unsafe fn changed<'a>(record: NonNull<Record<T>>) -> &'a AtomicU64 {
        // SAFETY: the caller's word.
        unsafe { &(&(*Self::of(record)).changed)[Self::place_of(record) / GROUP] }
    }

    /// Calls `f` with the marks of the free records.
    ///
    /// # Safety
    /// The caller is the writer, and the slab is alive.
    unsafe fn with_free<R>(this: *const Self, f: impl FnOnce(&mut FreeBits) -> R) -> R {
        // SAFETY: the caller's word; nobody but the writer looks at the marks.
        unsafe { (*this).free.with_mut(|free| f(&mut *free)) }
    }
}

/// A bit for each record that is free.
#[derive(PartialEq)]
struct FreeBits([u64; RECORDS.div_ceil(64)]);

impl FreeBits {
    const NONE: Self = Self([0; RECORDS.div_ceil(64)]);

    fn all() -> Self {
        let mut bits = Self::NONE;
        (0..RECORDS).for_each(|place| bits.insert(place));
        bits
    }

    fn insert(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    fn remove_first(&mut self) -> Option<usize> {
        let (i, word) = self.0.iter_mut().enumerate().find(|(_, word)| **word != 0)?;
        let bit = word.trailing_zeros() as usize;
        *word &= *word - 1;
        Some(i * 64 + bit)
    }
}

/// All records of a store; the writer's.
pub(super) struct Slabs<T> {
    /// Those with a free record.
    open: Vec<NonNull<Slab<T>>>,
}

impl<T> Slabs<T> {
    pub(super) fn new() -> Self {
        Self { open: Vec::new() }
    }

    /// A record without a version.
    pub(super) fn take(&mut self) -> RecordRef<T> {
        let slab = self.open.last().copied().unwrap_or_else(|| {
            let new = Slab::new();
            self.open.push(new);
            new
        });
        // SAFETY: this is the writer, and open slabs are alive.
        let (place, full) = unsafe {
            Slab::with_free(slab.as_ptr(), |free| (free.remove_first(), *free == FreeBits::NONE))
        };
        if full {
            self.open.pop();
        }
        let place = place.expect("an open slab has a free record");
        // SAFETY: within the slab. Not by a reference to the record, which would lead to it alone.
        unsafe {
            let records = (&raw mut (*slab.as_ptr()).records).cast::<Record<T>>();
            RecordRef::new(NonNull::new_unchecked(records.add(place)))
        }
    }

    /// Takes a record back.
    ///
    /// # Safety
    /// It is these slabs', and nobody can reach it any more.
    pub(super) unsafe fn give_back(&mut self, record: RecordRef<T>) {
        // SAFETY: the caller's word.
        unsafe { record.end() };
        if !FREES {
            return;
        }
        let slab = Slab::of(record.address()).cast_mut();
        // SAFETY: the caller's word; the record keeps its slab alive until here.
        let (was_full, empty) = unsafe {
            let place = Slab::place_of(record.address());
            Slab::with_free(slab, |free| {
                let was_full = *free == FreeBits::NONE;
                free.insert(place);
                (was_full, *free == FreeBits::all())
            })
        };
        let Some(slab) = NonNull::new(slab) else { return };
        if was_full {
            self.open.push(slab);
        }
        // One stays, so that a key that comes and goes allocates nothing.
        if empty && self.open.len() > 1 {
            self.open.retain(|open| *open != slab);
            // SAFETY: none of its records is in use, and no reader comes to a slab but by a record.
            unsafe { Slab::free(slab) };
        }
    }
}

impl<T> Drop for Slabs<T> {
    fn drop(&mut self) {
        // SAFETY: the store is gone and has given every record back.
        self.open.drain(..).for_each(|slab| unsafe { Slab::free(slab) });
    }
}
