//! Room in the tables: a shard that is full, in disorder, or far too large, gets another table.

use std::ptr::NonNull;

use super::Hash;
use super::bucket::{SLOTS, Tag};
use super::record::RecordRef;
use super::table::{Place, Table};
use super::writer::WriteGuard;
use crate::sync::atomic::Ordering;

/// Sixteenths of a table that may be in use, and that are when it is new.
const FULL: usize = 12;
const NEW: usize = 10;

/// A table of more slots for each record is replaced by a smaller one. Two buckets: so the smallest never is, and
/// most of its records have to leave before one is replaced again.
const SPARSE: usize = 2 * SLOTS;

/// How many records of a shard are ahead when one is prefetched.
const AHEAD: usize = 8;

/// What the writer counts of a shard's table.
#[derive(Clone, Copy, Default)]
pub(super) struct Room {
    /// Records.
    live: usize,
    /// How many buckets they are from their homes, all together.
    displaced: usize,
    /// How many they were when the table was new.
    at_first: usize,
}

impl Room {
    fn place(&mut self, distance: usize) {
        self.live += 1;
        self.displaced += distance;
    }

    /// A record left, from so far from its home.
    pub(super) fn leave(&mut self, distance: usize) {
        self.live -= 1;
        self.displaced -= distance;
    }

    /// Whether another record has room in so many slots. Where keys come and go, those that found their home full
    /// gather in other places, which lengthens all probes: more than one bucket for each key is too much. As a rule a
    /// new table has less than a fifth of that. Where it has more, because the hash does not tell its keys apart,
    /// another would be no better, and so it is kept until it is twice as bad: either way whatever a table costs has
    /// been passed step by step before.
    fn fits(self, capacity: usize) -> bool {
        let live = self.live + 1;
        let is_in_order = self.displaced <= live.max(2 * self.at_first);
        live * 16 <= capacity * FULL && is_in_order
    }

    /// Whether so many slots are far too many.
    pub(super) fn is_sparse(self, capacity: usize) -> bool {
        (self.live + 1) * SPARSE < capacity
    }
}

impl<T: Send + Sync> WriteGuard<'_, T> {
    /// Ensures that a shard has a table with a free slot.
    pub(super) fn make_room(&mut self, hash: Hash) {
        let room = self.writer.rooms[hash.shard()];
        // SAFETY: this is the writer.
        let table = unsafe { self.engine.shard(hash).table() };
        if !table.is_some_and(|table| room.fits(table.capacity())) {
            self.rebuild(hash.shard());
        }
    }

    /// Replaces a table that is far too large, if there is one: a part of what a mass delete leaves to the
    /// publications after it.
    pub(super) fn shrink(&mut self) {
        let Some(shard) = self.writer.sparse.pop_first() else { return };
        // SAFETY: this is the writer.
        let table = unsafe { self.engine.shards[shard].table() };
        // Keys may have come since it was noted.
        if table.is_some_and(|table| self.writer.rooms[shard].is_sparse(table.capacity())) {
            self.rebuild(shard);
        }
    }

    /// Gives a record a free slot of a shard that has one, as a part of a revision that is not yet published.
    pub(super) fn place<'t>(
        &mut self,
        record: RecordRef<T>,
        hash: Hash,
        table: &'t Table<T>,
    ) -> Place<'t, T> {
        let (place, distance) = table.take(hash.0);
        self.writer.rooms[hash.shard()].place(distance);
        self.engine.shard(hash).raise(place.bucket, self.writer.published + 1);
        place.bucket.fill(place.at, record, Tag::of(hash.0));
        place
    }

    /// Gives a shard a new table, of a size that its records ask for.
    fn rebuild(&mut self, number: usize) {
        let shard = &self.engine.shards[number];
        // ORDERING: Relaxed: only the writer stores tables.
        let old = NonNull::new(shard.table.load(Ordering::Relaxed));
        // SAFETY: this is the writer, and a table is freed after it was replaced.
        let records = old.into_iter().flat_map(|old| unsafe { old.as_ref() }.records());
        let records: Vec<_> = records.collect();
        let new = Table::with_capacity(((records.len() + 1) * 16).div_ceil(NEW));
        let mut room = Room::default();
        for (i, &record) in records.iter().enumerate() {
            if let Some(ahead) = records.get(i + AHEAD) {
                ahead.prefetch_key();
                ahead.prefetch_chain();
            }
            // SAFETY: records in slots are alive.
            let (key, hot) = unsafe { (record.key(), record.hot()) };
            let hash = self.engine.hash(key);
            let (Place { bucket, at }, distance) = new.take(hash.0);
            room.place(distance);
            // Of keys that have left the table nobody needs a stamp.
            new.include(bucket, hot.born());
            bucket.fill(at, record, Tag::of(hash.0));
            bucket.set(at, hot.newest());
        }
        room.at_first = room.displaced;
        let writer = &mut **self.writer;
        writer.rooms[number] = room;
        writer.table_bytes += new.bytes();
        // ORDERING: Release pairs with the Acquire in `Shard::table`.
        shard.table.store(Box::into_raw(Box::new(new)), Ordering::Release);
        if let Some(old) = old {
            // SAFETY: not freed yet.
            writer.table_bytes -= unsafe { old.as_ref() }.bytes();
            writer.reclaim.table(old);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NEW, Room, SLOTS};

    /// So many keys of one home in an endless table: how often it is rebuilt.
    fn rebuilds_of_one_home(keys: usize) -> usize {
        let (mut room, mut rebuilds, mut capacity) = (Room::default(), 0, 0);
        for live in 0..keys {
            if !room.fits(capacity) {
                rebuilds += 1;
                capacity = ((live + 1) * 16).div_ceil(NEW);
                room = Room::default();
                (0..live).for_each(|i| room.place(i / SLOTS));
                room.at_first = room.displaced;
            }
            room.place(live / SLOTS);
        }
        rebuilds
    }

    #[test]
    fn keys_that_the_hash_does_not_tell_apart_cost_no_table_each() {
        let rebuilds = rebuilds_of_one_home(10_000);
        assert!(rebuilds < 60, "{rebuilds} tables for 10,000 keys");
    }
}
