//! A bucket of the hash table: three slots, the last revision that changed one of them, and how many keys have
//! passed it by.
//!
//! A slot has two words: the record's, with a tag of the key's hash in its top 16 bits, so that a probe seldom
//! reads another key; and the address of the record's newest object. The writer raises the stamp before it
//! stores either; a reader loads both, then the stamp. If that is not later than the reader's revision, no later
//! object was seen, and this is the object at that revision: all that it has was stored before it was
//! published. No record is read but for its key.
//!
//! Only the writer stores to buckets.

use std::ptr;

use super::cell::Cell;
use super::chain::object_at;
use super::prefetch::prefetch_counts;
use super::record::RecordRef;
use super::stamp::Stamp;
use crate::KeyRef;
use crate::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// Slots of a bucket.
pub(super) const SLOTS: usize = 3;

/// Whether the upper 16 bits of addresses are free. Android's allocator puts tags there.
const TAGGED: bool = cfg!(all(target_pointer_width = "64", not(target_os = "android")));
const TAG_SHIFT: u32 = if TAGGED { 48 } else { 0 };
const TAG_MASK: usize = if TAGGED { 0xffff << TAG_SHIFT } else { 0 };

/// The part of a hash that a word has.
#[derive(Clone, Copy)]
pub(super) struct Tag(usize);

impl Tag {
    /// Never zero, so that an empty slot has no key's tag.
    #[inline]
    pub(super) fn of(hash: u64) -> Self {
        Self(if TAGGED { ((hash >> 48) as usize | 0x8000) << TAG_SHIFT } else { 0 })
    }
}

/// What a slot holds: nothing, or a record.
#[derive(Clone, Copy)]
pub(super) struct Word(*mut Cell);

impl Word {
    const EMPTY: Self = Self(ptr::null_mut());

    #[inline]
    fn new<T>(record: RecordRef<T>, tag: Tag) -> Self {
        Self(record.word().map_addr(|addr| addr | tag.0))
    }

    /// # Panics
    /// If a word has no room for an address.
    pub(super) fn check(addr: usize) {
        assert_eq!(addr & TAG_MASK, 0, "an address reaches into its upper 16 bits");
    }

    #[inline]
    fn is_empty(self) -> bool {
        self.0.is_null()
    }

    #[inline]
    fn has_tag(self, tag: Tag) -> bool {
        self.0.addr() & TAG_MASK == tag.0 && (TAGGED || !self.is_empty())
    }

    #[inline]
    fn record<T>(self) -> Option<RecordRef<T>> {
        RecordRef::of_word(self.0.map_addr(|addr| addr & !TAG_MASK))
    }
}

#[repr(align(64))]
pub(super) struct Bucket<T> {
    words: [AtomicPtr<Cell>; SLOTS],
    objects: [AtomicPtr<T>; SLOTS],
    /// Raised before a slot changes.
    pub(super) stamp: Stamp,
    /// Keys that are further on in their probe, as this bucket was full.
    passed: AtomicUsize,
}

impl<T> Bucket<T> {
    pub(super) fn new() -> Self {
        Self {
            words: std::array::from_fn(|_| AtomicPtr::new(Word::EMPTY.0)),
            objects: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            stamp: Stamp::new(),
            passed: AtomicUsize::new(0),
        }
    }

    #[inline]
    fn word(&self, at: usize) -> Word {
        // ORDERING: Acquire pairs with the Release in `fill`: the record behind a word is whole, and of one of
        // a later revision the stamp is seen.
        Word(self.words[at].load(Ordering::Acquire))
    }

    #[inline]
    fn object(&self, at: usize) -> *const T {
        // ORDERING: Acquire pairs with the Release in `set`: of a later revision's object the stamp is seen.
        self.objects[at].load(Ordering::Acquire)
    }

    /// Returns whether keys have passed this bucket that may be further on.
    #[inline]
    pub(super) fn is_passed(&self) -> bool {
        // ORDERING: Relaxed: a key that a reader's revision has was counted before that was published, and is
        // counted until no reader needs it.
        self.passed.load(Ordering::Relaxed) > 0
    }

    /// Gives a free slot a record; for the writer, once the stamp is raised.
    pub(super) fn fill(&self, at: usize, record: RecordRef<T>, tag: Tag) {
        // ORDERING: Release pairs with the Acquire in `word`: the record and the stamp come before it.
        self.words[at].store(Word::new(record, tag).0, Ordering::Release);
    }

    /// Gives a slot its record's newest object; for the writer, once the stamp is raised.
    #[inline]
    pub(super) fn set(&self, at: usize, object: *const T) {
        // ORDERING: Release pairs with the Acquire in `object`: the stamp comes before it.
        self.objects[at].store(object.cast_mut(), Ordering::Release);
    }

    /// Frees the slot of a record whose key is deleted for every reader; for the writer.
    pub(super) fn empty(&self, at: usize) {
        // ORDERING: Relaxed: nothing lies behind it. The slot has no object since the key was deleted.
        self.words[at].store(Word::EMPTY.0, Ordering::Relaxed);
    }

    /// Counts a key that passes; for the writer.
    pub(super) fn pass(&self) {
        // ORDERING: Relaxed, also below: only the writer stores it; for readers see `is_passed`.
        self.passed.store(self.passed.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Counts a key no more that had passed; for the writer.
    pub(super) fn unpass(&self) {
        // ORDERING: as in `pass`.
        self.passed.store(self.passed.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }

    /// The slots whose words have a given tag.
    #[inline]
    fn tagged(&self, tag: Tag) -> Places {
        // All at once, without a branch for each.
        Places((0..SLOTS).fold(0, |bits, at| bits | u32::from(self.word(at).has_tag(tag)) << at))
    }

    /// The object of a key at a revision, null if the key has none then, or nothing if the key is not here.
    /// One that the caller will `SHARE` is prefetched with its counts.
    ///
    /// # Safety
    /// The caller is pinned, since before it found the table and learnt the revision, or keeps that revision.
    #[inline]
    pub(super) unsafe fn find<const SHARE: bool>(
        &self,
        key: KeyRef<'_>,
        tag: Tag,
        revision: u64,
    ) -> Option<*const T> {
        for at in self.tagged(tag) {
            // ORDERING: the object before the word would do as well: whichever is of a later revision, its stamp
            // is seen.
            let (word, object) = (self.word(at), self.object(at));
            // The record may have left the slot since, and another come.
            let Some(record) = word.record::<T>() else { continue };
            if SHARE {
                // A locked instruction begins no miss before it is certain. What only reads the object does.
                prefetch_counts(object);
            }
            // SAFETY: a pinned reader reaches no freed record; see `reclaim`.
            if unsafe { record.has_key(key) } {
                if !self.stamp.is_after(revision) {
                    return Some(object);
                }
                // SAFETY: as above, and as the caller upholds.
                return Some(unsafe { object_at(record, revision) });
            }
        }
        None
    }

    /// The slot of a key and its record, if it is here.
    ///
    /// # Safety
    /// The caller is the writer.
    #[inline]
    pub(super) unsafe fn slot_of(
        &self,
        key: KeyRef<'_>,
        tag: Tag,
    ) -> Option<(usize, RecordRef<T>)> {
        self.tagged(tag).find_map(|at| {
            let record = self.word(at).record()?;
            // SAFETY: the writer frees no record that a slot leads to.
            unsafe { record.has_key(key) }.then_some((at, record))
        })
    }

    /// The slot that has a record, if one has.
    pub(super) fn position(&self, record: RecordRef<T>) -> Option<usize> {
        (0..SLOTS).find(|&at| self.word(at).record() == Some(record))
    }

    /// A slot that has none.
    pub(super) fn free_slot(&self) -> Option<usize> {
        (0..SLOTS).find(|&at| self.word(at).is_empty())
    }

    /// The first record whose word has a tag, to prefetch, and its object.
    #[inline]
    pub(super) fn hint(&self, tag: Tag) -> Option<(RecordRef<T>, *const T)> {
        let at = self.tagged(tag).next()?;
        Some((self.word(at).record()?, self.object(at)))
    }

    /// All records, those of deleted keys too.
    pub(super) fn records(&self) -> impl Iterator<Item = RecordRef<T>> {
        (0..SLOTS).filter_map(|at| self.word(at).record())
    }

    /// The records, if one has changed after a revision.
    pub(super) fn records_changed_since(
        &self,
        revision: u64,
    ) -> impl Iterator<Item = RecordRef<T>> {
        self.stamp.is_after(revision).then(|| self.records()).into_iter().flatten()
    }

    /// The object in each slot at a revision, null where there is none.
    ///
    /// # Safety
    /// As for [`find`](Self::find).
    #[inline]
    pub(super) unsafe fn objects(&self, revision: u64) -> [*const T; SLOTS] {
        let objects = std::array::from_fn(|at| self.object(at));
        if !self.stamp.is_after(revision) {
            return objects;
        }
        // SAFETY: as the caller upholds.
        unsafe { self.entries(revision) }.map(|(_, object)| object)
    }

    /// The record in each slot with its object at a revision, null where there is none.
    ///
    /// # Safety
    /// As for [`find`](Self::find).
    #[inline]
    pub(super) unsafe fn entries(
        &self,
        revision: u64,
    ) -> [(Option<RecordRef<T>>, *const T); SLOTS] {
        let entries = std::array::from_fn(|at| (self.word(at).record(), self.object(at)));
        if !self.stamp.is_after(revision) {
            return entries;
        }
        entries.map(|(record, _): (Option<RecordRef<T>>, _)| {
            // SAFETY: a pinned reader reaches no freed record; see `reclaim`.
            let object =
                record.map_or(ptr::null(), |record| unsafe { object_at(record, revision) });
            (record, object)
        })
    }
}

/// Places in a bucket, a bit each.
struct Places(u32);

impl Iterator for Places {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let first = self.0.trailing_zeros() as usize;
        (self.0 != 0).then(|| {
            self.0 &= self.0 - 1;
            first
        })
    }
}
