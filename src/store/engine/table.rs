//! The hash table: from a key to its newest version.
//!
//! Open addressing over buckets of four slots, one cache line each, in shards that grow on their own.
//! A probe compares all tags of a bucket at once, without a branch per slot. A slot has two words:
//!
//! - the head's address, with a tag of the key's hash in its top 16 bits, so that a probe seldom reads
//!   a version of another key;
//! - the address of the head's object, which a lookup prefetches while it compares the key, and which
//!   a walk reads instead of the version where its stamp allows.
//!
//! Only the writer stores to slots.

use std::ptr::{self, NonNull};

use super::chain::Version;
use super::prefetch::prefetch;
use super::reclaim::Owner;
use super::slab::RecordRef;
use super::stamp::{GROUP, Newest, Stamp};
use crate::KeyRef;
use crate::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use crate::sync::{FREES, Lifetime};

/// Slots that are probed at once.
const BUCKET: usize = 4;
const MIN_CAPACITY: usize = 8;

/// Whether the upper 16 bits of addresses are free. Android's allocator puts tags there.
const TAGGED: bool = cfg!(all(target_pointer_width = "64", not(target_os = "android")));
const TAG_SHIFT: u32 = if TAGGED { 48 } else { 0 };
const TAG_MASK: usize = if TAGGED { 0xffff << TAG_SHIFT } else { 0 };

/// What a slot holds: nothing, a mark that a record was here, or a head.
pub(super) struct Word<T>(*mut Version<T>);

impl<T> Clone for Word<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Word<T> {}

impl<T> Word<T> {
    /// Keeps a probe going past the slot of a removed record.
    pub(super) fn deleted() -> Self {
        Self(ptr::without_provenance_mut(1))
    }

    pub(super) fn new(head: *mut Version<T>, hash: u64) -> Self {
        assert_eq!(head.addr() & TAG_MASK, 0, "an address reaches into its upper 16 bits");
        Self(head.map_addr(|addr| addr | tag(hash)))
    }

    fn is_empty(self) -> bool {
        self.0.is_null()
    }

    fn is_deleted(self) -> bool {
        self.0.addr() == 1
    }

    #[inline]
    fn has_tag(self, tag: usize) -> bool {
        self.0.addr() & TAG_MASK == tag && (TAGGED || self.0.addr() > 1)
    }

    /// The head, if there is one.
    #[inline]
    pub(super) fn head(self) -> *mut Version<T> {
        let head = self.0.map_addr(|addr| addr & !TAG_MASK);
        if self.is_deleted() { ptr::null_mut() } else { head }
    }
}

/// The tag that a hash gives a word; never zero, so that no mark has a key's tag.
#[inline]
fn tag(hash: u64) -> usize {
    if TAGGED { ((hash >> 48) as usize | 0x8000) << TAG_SHIFT } else { 0 }
}

/// What a slot leads to.
struct Slot<T> {
    word: AtomicPtr<Version<T>>,
    /// The head's object.
    object: Newest<T>,
}

impl<T> Slot<T> {
    fn empty() -> Self {
        Self { word: AtomicPtr::new(ptr::null_mut()), object: Newest::none() }
    }

    #[inline]
    fn word(&self) -> Word<T> {
        // ORDERING: Acquire pairs with the Release in `Table::set`: the version behind a word is
        // whole.
        Word(self.word.load(Ordering::Acquire))
    }
}

#[repr(align(64))]
struct Bucket<T>([Slot<T>; BUCKET]);

impl<T> Bucket<T> {
    fn empty() -> Self {
        Self(std::array::from_fn(|_| Slot::empty()))
    }

    /// The slots whose words have a given tag, one bit each.
    #[inline]
    fn tagged(&self, tag: usize) -> Bits {
        let bits = self.0.iter().enumerate();
        Bits(bits.fold(0, |bits, (i, slot)| bits | u32::from(slot.word().has_tag(tag)) << i))
    }

    fn has_empty(&self) -> bool {
        self.0.iter().any(|slot| slot.word().is_empty())
    }
}

/// Places in a bucket.
struct Bits(u32);

impl Iterator for Bits {
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

pub(super) struct Table<T> {
    buckets: Box<[Bucket<T>]>,
    /// One for each group of slots.
    stamps: Box<[Stamp]>,
    life: Lifetime,
}

impl<T> Table<T> {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        let capacity = capacity.next_power_of_two().max(MIN_CAPACITY);
        Self {
            buckets: (0..capacity / BUCKET).map(|_| Bucket::empty()).collect(),
            stamps: (0..capacity.div_ceil(GROUP)).map(|_| Stamp::new()).collect(),
            life: Lifetime::new(),
        }
    }

    /// # Safety
    /// The table is a leaked box, and nobody can reach it any more.
    pub(super) unsafe fn free(this: NonNull<Self>) {
        // SAFETY: alive until here, and a leaked box.
        unsafe {
            this.as_ref().life.end();
            if FREES {
                drop(Box::from_raw(this.as_ptr()));
            }
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.buckets.len() * BUCKET
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.buckets) + size_of_val(&*self.stamps)
    }

    #[inline]
    fn slot(&self, slot: usize) -> &Slot<T> {
        &self.buckets[slot / BUCKET].0[slot % BUCKET]
    }

    /// The bucket where a probe begins.
    #[inline]
    fn home(&self, hash: u64) -> &Bucket<T> {
        &self.buckets[hash as usize & (self.buckets.len() - 1)]
    }

    /// The buckets that a key may be in, each with its first slot's number. It is in none after one that
    /// has an empty slot, since slots never become empty again.
    #[inline]
    fn probe(&self, hash: u64) -> impl Iterator<Item = (usize, &Bucket<T>)> {
        let mask = self.buckets.len() - 1;
        let home = hash as usize & mask;
        (home..home + self.buckets.len()).map(move |at| {
            let at = at & mask;
            (at * BUCKET, &self.buckets[at])
        })
    }

    /// The head of a key's chain, or null.
    ///
    /// # Safety
    /// The caller is pinned, since before it found this table, or is the writer.
    #[inline]
    pub(super) unsafe fn find(&self, key: KeyRef<'_>, hash: u64) -> *const Version<T> {
        let tag = tag(hash);
        for (_, bucket) in self.probe(hash) {
            for at in bucket.tagged(tag) {
                let slot = &bucket.0[at];
                prefetch(slot.object.hint());
                let head = slot.word().head();
                // A record may have left the slot since the bucket was read.
                // SAFETY: a pinned reader reaches no freed version or record; see `reclaim`.
                if !head.is_null() && unsafe { Version::key(head) } == key {
                    return head;
                }
            }
            if bucket.has_empty() {
                break;
            }
        }
        ptr::null()
    }

    /// Prefetches the bucket of a hash.
    pub(super) fn prefetch_bucket(&self, hash: u64) {
        prefetch(self.home(hash));
    }

    /// Prefetches the version that the bucket leads to.
    pub(super) fn prefetch_head(&self, hash: u64) {
        let bucket = self.home(hash);
        if let Some(at) = bucket.tagged(tag(hash)).next() {
            prefetch(bucket.0[at].word().head());
        }
    }

    /// The slot of a key, if it is in the table.
    ///
    /// # Safety
    /// The caller is the writer.
    #[inline]
    pub(super) unsafe fn slot_with(&self, key: KeyRef<'_>, hash: u64) -> Option<usize> {
        let tag = tag(hash);
        for (first, bucket) in self.probe(hash) {
            for at in bucket.tagged(tag) {
                // SAFETY: the writer frees no record that a slot leads to.
                if unsafe { Version::key(bucket.0[at].word().head()) } == key {
                    return Some(first + at);
                }
            }
            if bucket.has_empty() {
                break;
            }
        }
        None
    }

    /// Where a key would go that is not in the table, and whether another was there before.
    pub(super) fn free_slot(&self, hash: u64) -> (usize, bool) {
        for (first, bucket) in self.probe(hash) {
            let mut words = bucket.0.iter().map(Slot::word);
            // One that was deleted, or one that was never used. The probe for it ends here either way.
            if let Some(at) = words.position(|word| word.is_empty() || word.is_deleted()) {
                return (first + at, bucket.0[at].word().is_deleted());
            }
        }
        unreachable!("a table has an empty slot")
    }

    /// The slot of a record, if it is in the table.
    ///
    /// # Safety
    /// The caller is the writer.
    pub(super) unsafe fn slot_of(&self, record: RecordRef<T>, hash: u64) -> Option<usize> {
        let tag = tag(hash);
        for (first, bucket) in self.probe(hash) {
            // SAFETY: the writer frees no version that a slot leads to.
            let its =
                |at: &usize| unsafe { (*bucket.0[*at].word().head()).record == record.address() };
            if let Some(at) = bucket.tagged(tag).find(its) {
                return Some(first + at);
            }
            if bucket.has_empty() {
                break;
            }
        }
        None
    }

    /// Makes a version the head of its key's chain, at a revision which is not yet published.
    #[inline]
    pub(super) fn set(&self, slot: usize, word: Word<T>, object: *const T, revision: u64) {
        self.stamps[slot / GROUP].raise(revision);
        let slot = self.slot(slot);
        // ORDERING: Release pairs with the Acquire in `Slot::word`: the version's fields come before
        // it.
        slot.word.store(word.0, Ordering::Release);
        slot.object.set(object);
    }

    /// Gives a head that is not yet published another object.
    #[inline]
    pub(super) fn set_object(&self, slot: usize, object: *const T) {
        self.slot(slot).object.set(object);
    }

    /// Marks a slot whose record was removed, and with it its object.
    pub(super) fn delete(&self, slot: usize) {
        // ORDERING: Release, so that all stores to words are alike; nothing lies behind a mark.
        self.slot(slot).word.store(Word::deleted().0, Ordering::Release);
    }

    /// Fills `found` with the objects at a revision, in slot order. `at` returns the object of each head
    /// in a group of slots that has changed since.
    ///
    /// The objects are valid while the revision is protected.
    #[inline]
    pub(super) fn objects(
        &self,
        revision: u64,
        found: &mut Vec<*const T>,
        at: impl Fn(*const Version<T>) -> *const T,
    ) {
        found.clear();
        found.resize(self.capacity(), ptr::null());
        let mut taken = 0;
        // Occupancy is unpredictable: keep this loop branch-free.
        let mut take = |taken: usize, object: *const T| {
            found[taken] = object;
            taken + usize::from(!object.is_null())
        };
        for (buckets, stamp) in self.buckets.chunks(GROUP / BUCKET).zip(&self.stamps) {
            let slots = || buckets.iter().flat_map(|bucket| &bucket.0);
            let before = taken;
            for slot in slots() {
                taken = take(taken, slot.object.get());
            }
            if stamp.is_after(revision) {
                taken = before;
                for slot in slots() {
                    taken = take(taken, at(slot.word().head()));
                }
            }
        }
        found.truncate(taken);
    }

    /// The head in a slot, or null.
    pub(super) fn head(&self, slot: usize) -> *mut Version<T> {
        self.slot(slot).word().head()
    }

    /// Every head, in slot order; null if there is none. They are valid for the writer, and for a thread
    /// that is pinned since before it found this table.
    pub(super) fn heads(&self) -> impl ExactSizeIterator<Item = *mut Version<T>> {
        (0..self.capacity()).map(|slot| self.slot(slot).word().head())
    }

    /// As [`heads`](Self::heads), in groups of slots that changed after a revision.
    pub(super) fn heads_changed_since(
        &self,
        revision: u64,
    ) -> impl Iterator<Item = *mut Version<T>> {
        self.stamps
            .iter()
            .enumerate()
            .filter(move |(_, stamp)| stamp.is_after(revision))
            .flat_map(|(group, _)| {
                let first = group * GROUP;
                first..(first + GROUP).min(self.capacity())
            })
            .map(|slot| self.slot(slot).word().head())
    }
}

/// A part of the table that grows on its own.
pub(super) struct Shard<T> {
    pub(super) table: AtomicPtr<Table<T>>,
    /// The last revision that changed the shard.
    pub(super) changed: AtomicU64,
}

impl<T> Shard<T> {
    pub(super) fn new() -> Self {
        Self { table: AtomicPtr::new(ptr::null_mut()), changed: AtomicU64::new(0) }
    }

    /// # Safety
    /// The caller is pinned for `'a`, or is the writer and does not replace the table for `'a`.
    #[inline]
    pub(super) unsafe fn table<'a>(&self) -> Option<&'a Table<T>> {
        // ORDERING: Acquire pairs with the Release in `WriteGuard::rebuild`: the table's slots are filled.
        // SAFETY: a replaced table is freed only after those that were pinned then have unpinned.
        let table = unsafe { self.table.load(Ordering::Acquire).as_ref() }?;
        table.life.visit();
        Some(table)
    }

    /// Frees the table and every version and record that it leads to.
    ///
    /// # Safety
    /// There is no reader and no writer left.
    pub(super) unsafe fn free_all(&self, owner: &mut impl Owner<T>) {
        // ORDERING: Relaxed, here and below: there is no other access any more.
        let Some(table) = NonNull::new(self.table.load(Ordering::Relaxed)) else { return };
        // SAFETY: nobody else can reach the table, nor what is in a chain.
        unsafe {
            for head in table.as_ref().heads().filter_map(NonNull::new) {
                let record = RecordRef::of(head.as_ref());
                let mut next = Some(head);
                while let Some(version) = next {
                    next = NonNull::new(version.as_ref().prev.load(Ordering::Relaxed));
                    if let Some(object) = Version::free(version) {
                        owner.garbage().push(object);
                    }
                }
                owner.slabs().give_back(record);
            }
            Table::free(table);
        }
    }
}
