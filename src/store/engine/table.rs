//! The hash table: from a key to its record, and to its newest object.
//!
//! Open addressing over buckets of a cache line each, in shards that grow on their own. A key that does not fit
//! into its home is in the bucket beside that, or in one of the next pairs, and each bucket counts the keys that
//! have passed it by: a probe ends at one that none has. So a slot is free again as soon as its key is gone, and
//! no mark has to stay. But a key stays where it is: how far keys are from home is counted too, and a shard in
//! which that has become much is rebuilt; see `room`.

use std::ptr::{self, NonNull};

use super::bucket::{Bucket, SLOTS, Tag};
use super::prefetch::prefetch;
use super::record::RecordRef;
use super::stamp::Stamp;
use crate::KeyRef;
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::{FREES, Lifetime};

const MIN_BUCKETS: usize = 2;

/// Buckets that have a stamp together, by which a difference passes over them: as many as are a kilobyte.
const GROUP: usize = 16;

pub(super) struct Table<T> {
    /// An even number of them.
    buckets: Box<[Bucket<T>]>,
    /// For each group of buckets.
    stamps: Box<[Stamp]>,
    life: Lifetime,
}

/// A slot: its bucket, and its number there.
pub(super) struct Place<'t, T> {
    pub(super) bucket: &'t Bucket<T>,
    pub(super) at: usize,
}

impl<T> Clone for Place<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Place<'_, T> {}

impl<T> Table<T> {
    /// A table of so many slots at least.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        let buckets = capacity.div_ceil(SLOTS).next_multiple_of(2).max(MIN_BUCKETS);
        Self {
            buckets: (0..buckets).map(|_| Bucket::new()).collect(),
            stamps: (0..buckets.div_ceil(GROUP)).map(|_| Stamp::new()).collect(),
            life: Lifetime::new(),
        }
    }

    /// # Safety
    /// The pointer is that of [`Box::into_raw`], and nobody can reach the table any more.
    pub(super) unsafe fn free(this: NonNull<Self>) {
        // SAFETY: alive until here, and by the pointer that the box gave.
        unsafe {
            (*this.as_ptr()).life.end();
            if FREES {
                drop(Box::from_raw(this.as_ptr()));
            }
        }
    }

    /// Slots.
    pub(super) fn capacity(&self) -> usize {
        self.buckets.len() * SLOTS
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.buckets) + size_of_val(&*self.stamps)
    }

    /// The stamp of a bucket's group.
    #[inline]
    fn group(&self, bucket: &Bucket<T>) -> &Stamp {
        let offset = ptr::from_ref(bucket).addr() - self.buckets.as_ptr().addr();
        &self.stamps[offset / (GROUP * size_of::<Bucket<T>>())]
    }

    /// Counts the birth of what a new table has in a bucket; for the writer, before anybody knows the table.
    pub(super) fn include(&self, bucket: &Bucket<T>, born: u64) {
        bucket.stamp.include(born);
        self.group(bucket).include(born);
    }

    /// The bucket where a probe begins: the low half of the hash, scaled.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        ((u64::from(hash as u32) * self.buckets.len() as u64) >> 32) as usize
    }

    #[inline]
    fn home_bucket(&self, hash: u64) -> &Bucket<T> {
        let home = self.home(hash);
        debug_assert!(home < self.buckets.len());
        // SAFETY: a number below 2^32, times the number of buckets, over 2^32.
        unsafe { self.buckets.get_unchecked(home) }
    }

    /// The buckets that a key may be in, its home first. It is in none after one that no key has passed.
    #[inline]
    fn probe(&self, hash: u64) -> impl Iterator<Item = &Bucket<T>> {
        let (home, len) = (self.home(hash), self.buckets.len());
        (0..len).map(move |i| {
            // The two of a pair, then the next pair's.
            let bucket = (home + i / 2 * 2) ^ (i % 2);
            let bucket = if bucket < len { bucket } else { bucket - len };
            &self.buckets[bucket]
        })
    }

    /// The object of a key at a revision, or null. One that the caller will `SHARE` is prefetched with its counts.
    ///
    /// # Safety
    /// The caller is pinned, since before it found this table and learnt the revision, or keeps that revision.
    #[inline]
    pub(super) unsafe fn find<const SHARE: bool>(
        &self,
        key: KeyRef<'_>,
        hash: u64,
        revision: u64,
    ) -> *const T {
        let home = self.home_bucket(hash);
        // SAFETY: as the caller upholds.
        match unsafe { home.find::<SHARE>(key, Tag::of(hash), revision) } {
            Some(object) => object,
            None if !home.is_passed() => ptr::null(),
            // SAFETY: as the caller upholds.
            None => unsafe { self.find_beyond::<SHARE>(key, hash, revision) },
        }
    }

    /// As [`find`](Self::find), beyond the key's home.
    ///
    /// # Safety
    /// As for [`find`](Self::find).
    #[inline(never)]
    unsafe fn find_beyond<const SHARE: bool>(
        &self,
        key: KeyRef<'_>,
        hash: u64,
        revision: u64,
    ) -> *const T {
        for bucket in self.probe(hash).skip(1) {
            // SAFETY: as the caller upholds.
            let found = unsafe { bucket.find::<SHARE>(key, Tag::of(hash), revision) };
            if let Some(object) = found {
                return object;
            }
            if !bucket.is_passed() {
                break;
            }
        }
        ptr::null()
    }

    /// Prefetches the bucket where a probe begins, and returns it.
    #[inline]
    pub(super) fn prefetch_home(&self, hash: u64) -> &Bucket<T> {
        let home = self.home_bucket(hash);
        prefetch(home);
        home
    }

    /// The slot of a key and its record, if it is in the table.
    ///
    /// # Safety
    /// The caller is the writer.
    #[inline]
    pub(super) unsafe fn slot_of(
        &self,
        key: KeyRef<'_>,
        hash: u64,
    ) -> Option<(Place<'_, T>, RecordRef<T>)> {
        let home = self.home_bucket(hash);
        // SAFETY: this is the writer.
        match unsafe { home.slot_of(key, Tag::of(hash)) } {
            Some((at, record)) => Some((Place { bucket: home, at }, record)),
            None if !home.is_passed() => None,
            // SAFETY: this is the writer.
            None => unsafe { self.slot_beyond(key, hash) },
        }
    }

    /// As [`slot_of`](Self::slot_of), beyond the key's home.
    ///
    /// # Safety
    /// The caller is the writer.
    #[inline(never)]
    unsafe fn slot_beyond(
        &self,
        key: KeyRef<'_>,
        hash: u64,
    ) -> Option<(Place<'_, T>, RecordRef<T>)> {
        for bucket in self.probe(hash).skip(1) {
            // SAFETY: this is the writer.
            if let Some((at, record)) = unsafe { bucket.slot_of(key, Tag::of(hash)) } {
                return Some((Place { bucket, at }, record));
            }
            if !bucket.is_passed() {
                break;
            }
        }
        None
    }

    /// A free slot for a key that is not in the table, and how far from its home that is; the buckets on the way
    /// count the key. For the writer.
    pub(super) fn take(&self, hash: u64) -> (Place<'_, T>, usize) {
        for (distance, bucket) in self.probe(hash).enumerate() {
            if let Some(at) = bucket.free_slot() {
                return (Place { bucket, at }, distance);
            }
            bucket.pass();
        }
        unreachable!("a table has a free slot")
    }

    /// Frees the slot of a record, and returns how far from its home that was. For the writer.
    pub(super) fn give_back(&self, record: RecordRef<T>, hash: u64) -> usize {
        for (distance, bucket) in self.probe(hash).enumerate() {
            if let Some(at) = bucket.position(record) {
                bucket.empty(at);
                return distance;
            }
            bucket.unpass();
        }
        unreachable!("the record is in the table")
    }

    /// As [`records`](Self::records), in buckets that changed after a revision. Reads the stamp of each group, and
    /// the buckets of those that changed.
    pub(super) fn records_changed_since(
        &self,
        revision: u64,
    ) -> impl Iterator<Item = RecordRef<T>> {
        let groups = self.stamps.iter().zip(self.buckets.chunks(GROUP));
        let changed = groups.filter(move |(stamp, _)| stamp.is_after(revision));
        let buckets = changed.flat_map(|(_, buckets)| buckets);
        buckets.flat_map(move |bucket| bucket.records_changed_since(revision))
    }

    #[inline]
    pub(super) fn buckets(&self) -> &[Bucket<T>] {
        &self.buckets
    }

    /// Every record, those of deleted keys too. They are valid for the writer, and for a thread that is pinned
    /// since before it found this table.
    pub(super) fn records(&self) -> impl Iterator<Item = RecordRef<T>> {
        self.buckets.iter().flat_map(Bucket::records)
    }
}

/// A part of the table that grows on its own.
pub(super) struct Shard<T> {
    /// By the pointer of [`Box::into_raw`], by which it is freed.
    pub(super) table: AtomicPtr<Table<T>>,
    pub(super) stamp: Stamp,
}

impl<T> Shard<T> {
    pub(super) fn new() -> Self {
        Self { table: AtomicPtr::new(ptr::null_mut()), stamp: Stamp::new() }
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

    /// Raises the stamps of a bucket of the shard's table, of its group and of the shard to a revision that is not
    /// yet published; for the writer, before a slot of the bucket changes.
    #[inline]
    pub(super) fn raise(&self, bucket: &Bucket<T>, revision: u64) {
        bucket.stamp.raise(revision);
        // SAFETY: this is the writer, and it replaces no table here.
        if let Some(table) = unsafe { self.table() } {
            table.group(bucket).raise(revision);
        }
        self.stamp.raise(revision);
    }

    /// Frees the table, and passes on every record that it leads to.
    ///
    /// # Safety
    /// There is no reader and no writer left.
    pub(super) unsafe fn free_all(&self, each: impl FnMut(RecordRef<T>)) {
        // ORDERING: Relaxed: there is no other access any more.
        let Some(table) = NonNull::new(self.table.load(Ordering::Relaxed)) else { return };
        // SAFETY: nobody else can reach the table, and the pointer is the box's.
        unsafe {
            (*table.as_ptr()).records().for_each(each);
            Table::free(table);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::slab::Slabs;
    use super::*;

    const HASH: u64 = 0x8000_0000_0000_0000;

    #[test]
    fn a_bucket_counts_the_keys_that_have_passed_it_while_they_are_there() {
        let mut slabs = Slabs::<u8>::new();
        let table = Table::with_capacity(2 * SLOTS);
        let home = table.home_bucket(HASH);
        let mut records = Vec::new();
        for i in 0..2 * SLOTS {
            let record = slabs.take((&*i.to_string(), "name").into());
            let (place, distance) = table.take(HASH);
            place.bucket.fill(place.at, record, Tag::of(HASH));
            assert_eq!(distance, i / SLOTS);
            assert_eq!(home.is_passed(), i >= SLOTS);
            records.push(record);
        }
        // One that is at home has passed nothing.
        assert_eq!(table.give_back(records[0], HASH), 0);
        assert!(home.is_passed());
        for &record in &records[SLOTS..] {
            assert!(home.is_passed());
            assert_eq!(table.give_back(record, HASH), 1);
        }
        assert!(!home.is_passed());
        // The slot at home is free again.
        assert_eq!(table.take(HASH).1, 0);
        for record in records {
            // SAFETY: nobody else knows it.
            unsafe { slabs.give_back(record) };
        }
    }
}
