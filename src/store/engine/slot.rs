//! A key's slot in the table, for the writer: found once, then read and changed.

use std::ptr;

use super::chain::{Old, owned};
use super::reclaim::Owner;
use super::record::RecordRef;
use super::table::Place;
use super::writer::{Hashed, Unindexed, WriteGuard, split};
use crate::sync::Arc;
use crate::{ArcRef, KeyRef};

/// A key's slot. The write guard is borrowed for as long as it is in use, so nothing moves.
pub(crate) struct Slot<'g, 'e, 'k, T: Send + Sync> {
    guard: &'g mut WriteGuard<'e, T>,
    hashed: Hashed<'k>,
    /// The slot and its record, if the key has one. Only another key's put replaces the table that it is in.
    found: Option<(Place<'e, T>, RecordRef<T>)>,
}

impl<'g, 'e, 'k, T: Send + Sync> Slot<'g, 'e, 'k, T> {
    #[inline]
    pub(super) fn new(guard: &'g mut WriteGuard<'e, T>, hashed: Hashed<'k>) -> Self {
        let Hashed { key, hash, .. } = hashed;
        // SAFETY: this is the writer, and the table stays while this is in use.
        let table = unsafe { guard.engine.shard(hash).table() };
        // SAFETY: this is the writer, as the guard shows.
        let found = table.and_then(|table| unsafe { table.slot_of(key, hash.0) });
        Self { guard, hashed, found }
    }

    pub(crate) fn key(&self) -> KeyRef<'k> {
        self.hashed.key
    }

    /// Notes that the relist which was begun last has the key.
    pub(crate) fn see(&self) {
        if let Some((_, record)) = self.found {
            // SAFETY: a record in a slot is alive, and this is the writer.
            unsafe { record.see(self.guard.writer.relists) };
        }
    }

    /// The object as the batch has left it so far, and the source's version it was put with.
    #[inline]
    pub(crate) fn held(&self) -> Option<(ArcRef<'_, T>, u64)> {
        let (_, record) = self.found?;
        // SAFETY: a record in a slot is alive, and this is the writer.
        let (hot, cold) = unsafe { (record.hot(), record.cold()) };
        // SAFETY: the record has a count of its newest object, until this slot is changed.
        let object = unsafe { ArcRef::at(hot.newest()) }?;
        // SAFETY: this is the writer.
        Some((object, unsafe { cold.number() }))
    }

    /// Puts an object here, with the source's version of it as a number, or 0.
    ///
    /// # Errors
    /// If an index function fails on it. Nothing is changed then.
    #[inline]
    pub(crate) fn put(
        mut self,
        object: &Arc<T>,
        source_version: u64,
    ) -> Result<(), Box<Unindexed>> {
        self.guard.writer.prepare(object, self.found.map(|(_, record)| record))?;
        let lived = self.held().is_some();
        let (place, record) = match self.found {
            Some((place, record)) => {
                if !lived {
                    // SAFETY: in its slot, and so alive.
                    unsafe { self.guard.writer.reclaim.uncount_deletion(record) };
                }
                (place, record)
            }
            None => self.take_place(),
        };
        // SAFETY: the record is alive, and in this slot.
        unsafe { self.change(place, record, Some(Arc::clone(object)), source_version) };
        let writer = &mut *self.guard.writer;
        if !lived {
            writer.len += 1;
            // SAFETY: alive until it is deleted, and for its readers beyond that; this is the writer.
            unsafe { Arc::make_mut(&mut writer.indexes).appear(record) };
        }
        // SAFETY: alive, as above, and withdrawn when it is deleted; this is the writer.
        unsafe { writer.columns.iter_mut().for_each(|column| column.commit(record)) };
        Ok(())
    }

    /// Gives a key that has no slot one, with a record that has no object and was born at the next revision.
    fn take_place(&mut self) -> (Place<'e, T>, RecordRef<T>) {
        let Hashed { key, hash, .. } = self.hashed;
        self.guard.make_room(hash);
        // Nothing has changed for this key if either panics.
        let record = self.guard.writer.slabs.take(key);
        // SAFETY: this is the writer, and the table stays while this is in use.
        let table = unsafe { self.guard.engine.shard(hash).table() };
        let table = table.expect("a shard has a table once room was made");
        // SAFETY: alive, and nobody else knows it yet.
        unsafe { record.hot() }.bear(self.guard.writer.published + 1);
        self.guard.writer.recorder.changed(record);
        (self.guard.place(record, hash, table), record)
    }

    /// Deletes the key's object and returns it.
    pub(crate) fn delete(mut self) -> Option<Arc<T>> {
        let held = self.held()?.0.to_arc();
        let (place, record) = self.found?;
        // SAFETY: alive, and in this slot.
        unsafe {
            self.change(place, record, None, 0);
            self.guard.writer.reclaim.count_deletion(record);
        }
        let writer = &mut *self.guard.writer;
        writer.len -= 1;
        // SAFETY: alive, and this is the writer.
        unsafe {
            writer.columns.iter_mut().for_each(|column| column.withdraw(record));
            Arc::make_mut(&mut writer.indexes).disappear(record);
        }
        // SAFETY: alive.
        if unsafe { record.cold() }.old().is_null() {
            // The key came and went within this batch: no reader ever saw it.
            let (reclaim, mut owner) = split(self.guard.engine, writer);
            owner.unlist(record);
            reclaim.record(record);
        }
        Some(held)
    }

    /// Makes this what the key has from the next revision on.
    ///
    /// # Safety
    /// The record is alive, and in this slot of the table.
    #[inline]
    unsafe fn change(
        &mut self,
        Place { bucket, at }: Place<'_, T>,
        record: RecordRef<T>,
        object: Option<Arc<T>>,
        source_version: u64,
    ) {
        // SAFETY: alive.
        let (hot, cold) = unsafe { (record.hot(), record.cold()) };
        let writer = &mut *self.guard.writer;
        let next = writer.published + 1;
        let held = hot.newest();
        let superseded = hot.born() != next;
        if superseded {
            // SAFETY: the record has a count of its newest object. User code runs before anything is changed.
            let measured = unsafe { ArcRef::at(held) };
            let bytes = writer.reclaim.measure(measured.as_deref());
            let old = writer.reclaim.supersede(Old::of(record, hot, cold), bytes);
            writer.superseded += 1;
            writer.recorder.changed(record);
            // SAFETY: this is the writer, and it has just been made, of what the record has.
            unsafe { cold.push(old) };
            self.guard.engine.shard(self.hashed.hash).raise(bucket, next);
            hot.bear(next);
        }
        let object = object.map_or(ptr::null(), Arc::into_raw);
        bucket.set(at, object);
        hot.set(object);
        // SAFETY: this is the writer.
        unsafe { cold.set_number(source_version) };
        writer.changes += 1;
        writer.changed = true;
        if !superseded {
            // SAFETY: its count is the record's no more. No reader uses it, as its revision is not published.
            unsafe { owned(held) }.into_iter().for_each(|object| writer.garbage.push(object));
        }
    }
}
