//! Slabs: records lie side by side, so that a walk over an index finds several of them in one cache line,
//! and their objects without reading a version.

use std::cmp;
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::ptr::NonNull;

use super::chain::{Record, Version, visible};
use super::prefetch::prefetch;
use super::stamp::{GROUP, Stamp};
use crate::KeyRef;
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, FREES, UnsafeCell};

/// Records of a slab.
const RECORDS: usize = 243;
/// Bytes of a slab, and its alignment, so that a record's address yields its slab's.
const SIZE: usize = 4096;

#[repr(C, align(4096))]
struct Slab<T> {
    /// One for each group of records.
    stamps: [Stamp; RECORDS.div_ceil(GROUP)],
    marks: UnsafeCell<Marks>,
    records: [Record<T>; RECORDS],
}

impl<T> Slab<T> {
    const FITS: () = assert!(size_of::<Self>() == SIZE);

    fn new() -> NonNull<Self> {
        let () = Self::FITS;
        NonNull::from(Box::leak(Box::new(Self {
            stamps: std::array::from_fn(|_| Stamp::new()),
            marks: UnsafeCell::new(Marks { free: Bits::all(), seen: Bits::NONE, relist: 0 }),
            records: std::array::from_fn(|_| Record::new()),
        })))
    }

    /// # Safety
    /// `new` made it, and nobody can reach it any more.
    unsafe fn free(this: NonNull<Self>) {
        // SAFETY: `new` leaked a box, and nobody can reach it any more.
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

    /// # Safety
    /// The record is alive, and with it its slab, for `'a`.
    #[inline]
    unsafe fn stamp_of<'a>(record: NonNull<Record<T>>) -> &'a Stamp {
        // SAFETY: the slab is alive for `'a`, and its stamps are shared.
        unsafe { &(&(*Self::of(record)).stamps)[Self::place_of(record) / GROUP] }
    }

    /// Calls `f` with the marks of the records.
    ///
    /// # Safety
    /// The caller is the writer, and the slab is alive.
    unsafe fn with_marks<R>(this: *const Self, f: impl FnOnce(&mut Marks) -> R) -> R {
        // SAFETY: the slab is alive, and only the writer accesses the marks.
        unsafe { (*this).marks.with_mut(|marks| f(&mut *marks)) }
    }
}

/// A record in the table, or on its way out of it.
///
/// A holder may rely on the record being alive: it is in the table (the writer), or a version of it is
/// visible at a revision that the holder keeps, or the holder was pinned when it found it.
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
    /// The record of a version.
    pub(super) fn of(version: &Version<T>) -> Self {
        Self(version.record)
    }

    pub(super) fn address(self) -> NonNull<Record<T>> {
        self.0
    }

    /// # Safety
    /// The record outlives `'a`.
    #[inline]
    pub(super) unsafe fn get<'a>(self) -> &'a Record<T> {
        // SAFETY: alive for `'a`.
        let record = unsafe { self.0.as_ref() };
        record.visit();
        record
    }

    /// The newest version.
    ///
    /// # Safety
    /// The record is alive.
    #[inline]
    pub(super) unsafe fn head(self) -> *mut Version<T> {
        // ORDERING: Acquire pairs with the Release in `set_head`.
        // SAFETY: alive.
        unsafe { self.get() }.head.load(Ordering::Acquire)
    }

    /// Makes a version the newest, at a revision which is not yet published.
    ///
    /// # Safety
    /// The record is alive, and the caller is the writer.
    pub(super) unsafe fn set_head(self, head: *mut Version<T>, object: *const T, revision: u64) {
        // SAFETY: alive.
        let (record, stamp) = unsafe { (self.get(), Slab::stamp_of(self.0)) };
        stamp.raise(revision);
        // ORDERING: Release pairs with the Acquire in `head`, for readers that come through an index.
        record.head.store(head, Ordering::Release);
        record.object.set(object);
    }

    /// Gives a head that is not yet published another object.
    ///
    /// # Safety
    /// As for [`set_head`](Self::set_head).
    pub(super) unsafe fn set_object(self, object: *const T) {
        // SAFETY: alive.
        unsafe { self.get() }.object.set(object);
    }

    /// The object at a revision, or null if the key is deleted then; usually without reading a version.
    /// It is valid while the revision is protected.
    ///
    /// # Safety
    /// The record is alive, the revision is protected, and the caller is pinned.
    #[inline]
    pub(super) unsafe fn object(self, revision: u64) -> *const T {
        // SAFETY: alive.
        let (record, stamp) = unsafe { (self.get(), Slab::stamp_of(self.0)) };
        let object = record.object.get();
        if !stamp.is_after(revision) {
            return object;
        }
        // SAFETY: the record is alive, the revision protected, and the caller pinned.
        let version = unsafe { visible(self.head(), revision) };
        // SAFETY: visible at that revision.
        let object = version.and_then(|version| unsafe { version.as_ref().value() });
        object.map_or(std::ptr::null(), Arc::as_ptr)
    }

    /// Prefetches the newest version.
    ///
    /// # Safety
    /// The record is alive.
    pub(super) unsafe fn prefetch_head(self) {
        // ORDERING: Relaxed: the version is not read.
        // SAFETY: alive.
        prefetch(unsafe { self.get() }.head.load(Ordering::Relaxed));
    }

    /// # Safety
    /// The record is alive, and the caller is the writer, or pinned for `'a`.
    pub(super) unsafe fn key<'a>(self) -> KeyRef<'a> {
        // SAFETY: a head is not freed while a thread is pinned that found it, nor by the writer while
        // its record is alive.
        unsafe { Version::key(self.head()) }
    }

    /// Marks the record as seen by a relist; the relists of a store have numbers that rise from 1 on.
    ///
    /// # Safety
    /// The record is alive, and the caller is the writer.
    pub(super) unsafe fn see(self, relist: u64) {
        // SAFETY: alive, and this is the writer.
        unsafe {
            let place = Slab::place_of(self.0);
            Slab::with_marks(Slab::of(self.0), |marks| {
                if marks.relist != relist {
                    (marks.relist, marks.seen) = (relist, Bits::NONE);
                }
                marks.seen.insert(place);
            });
        }
    }

    /// Whether a relist has seen the record.
    ///
    /// # Safety
    /// As for [`see`](Self::see).
    pub(super) unsafe fn was_seen(self, relist: u64) -> bool {
        // SAFETY: alive, and this is the writer.
        unsafe {
            let place = Slab::place_of(self.0);
            Slab::with_marks(Slab::of(self.0), |marks| {
                marks.relist == relist && marks.seen.contains(place)
            })
        }
    }

    /// The order of keys. Two records of one key are never in one index, so this agrees with `Eq`.
    ///
    /// # Safety
    /// As for [`key`](Self::key), for both.
    pub(super) unsafe fn compare(self, other: Self) -> cmp::Ordering {
        if self == other {
            return cmp::Ordering::Equal;
        }
        // SAFETY: both are alive, and the caller is the writer or pinned.
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

/// The writer's marks of a slab's records.
struct Marks {
    free: Bits,
    /// Those that a relist has seen, and which relist that was.
    seen: Bits,
    relist: u64,
}

/// A bit for each record.
#[derive(PartialEq)]
struct Bits([u64; RECORDS.div_ceil(64)]);

impl Bits {
    const NONE: Self = Self([0; RECORDS.div_ceil(64)]);

    fn all() -> Self {
        let mut bits = Self::NONE;
        (0..RECORDS).for_each(|place| bits.insert(place));
        bits
    }

    fn insert(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    fn contains(&self, place: usize) -> bool {
        self.0[place / 64] & 1 << (place % 64) != 0
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
    open: BTreeSet<NonNull<Slab<T>>>,
}

impl<T> Slabs<T> {
    pub(super) fn new() -> Self {
        Self { open: BTreeSet::new() }
    }

    /// A record without a version.
    pub(super) fn take(&mut self) -> RecordRef<T> {
        let slab = self.open.last().copied().unwrap_or_else(|| {
            let new = Slab::new();
            self.open.insert(new);
            new
        });
        // SAFETY: this is the writer, and open slabs are alive.
        let (place, full) = unsafe {
            Slab::with_marks(slab.as_ptr(), |Marks { free, .. }| {
                (free.remove_first(), *free == Bits::NONE)
            })
        };
        if full {
            self.open.remove(&slab);
        }
        let place = place.expect("an open slab has a free record");
        // SAFETY: within the slab. Not by a reference to the record, which would lead to it alone.
        let record = unsafe {
            let records = (&raw mut (*slab.as_ptr()).records).cast::<Record<T>>();
            RecordRef(NonNull::new_unchecked(records.add(place)))
        };
        // SAFETY: its slab is alive.
        unsafe { record.0.as_ref() }.begin();
        record
    }

    /// Takes a record back.
    ///
    /// # Safety
    /// It is these slabs', and nobody can reach it any more.
    pub(super) unsafe fn give_back(&mut self, record: RecordRef<T>) {
        // SAFETY: its slab is alive until here.
        unsafe { record.get() }.end();
        let slab = Slab::of(record.address()).cast_mut();
        // SAFETY: this is the writer, and the record keeps its slab alive until here.
        let (was_full, empty) = unsafe {
            let place = Slab::place_of(record.address());
            Slab::with_marks(slab, |Marks { free, .. }| {
                let was_full = *free == Bits::NONE;
                free.insert(place);
                (was_full, *free == Bits::all())
            })
        };
        let Some(slab) = NonNull::new(slab) else { return };
        if was_full {
            self.open.insert(slab);
        }
        // One stays, so that a key that comes and goes allocates nothing.
        if FREES && empty && self.open.len() > 1 {
            self.open.remove(&slab);
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
