//! A key's slot in the table, for the writer: found once, then read and changed.

use std::ptr::{self, NonNull};

use super::chain::Version;
use super::slab::RecordRef;
use super::table::{Table, Word};
use super::writer::{Hashed, Unindexed, WriteGuard};
use crate::KeyRef;
use crate::sync::Arc;
use crate::sync::atomic::Ordering;

/// A key's slot. The write guard is borrowed for as long as it is in use, so nothing moves.
pub(crate) struct Slot<'g, 'e, 'k, T: Send + Sync> {
    guard: &'g mut WriteGuard<'e, T>,
    hashed: Hashed<'k>,
    /// The shard's table, if there is one. Only `take_place` replaces it;
    /// it is freed no earlier than when the guard publishes.
    table: Option<&'e Table<T>>,
    /// The slot in it, if the key has one.
    found: Option<usize>,
}

impl<'g, 'e, 'k, T: Send + Sync> Slot<'g, 'e, 'k, T> {
    #[inline]
    pub(super) fn new(guard: &'g mut WriteGuard<'e, T>, hashed: Hashed<'k>) -> Self {
        let Hashed { key, hash, .. } = hashed;
        // SAFETY: this is the writer, and the table stays while this is in use.
        let table = unsafe { guard.engine.shard(hash).table() };
        // SAFETY: this is the writer, as the guard shows.
        let found = table.and_then(|table| unsafe { table.slot_with(key, hash.0) });
        Self { guard, hashed, table, found }
    }

    #[inline]
    fn head(&self) -> Option<&Version<T>> {
        let (table, slot) = (self.table?, self.found?);
        // SAFETY: heads in slots are alive, and this is the writer.
        unsafe { table.head(slot).as_ref() }
    }

    pub(crate) fn key(&self) -> KeyRef<'k> {
        self.hashed.key
    }

    /// Notes that the relist which was begun last has the key.
    pub(crate) fn see(&self) {
        if let Some(head) = self.head() {
            // SAFETY: a record in a slot is alive, and this is the writer.
            unsafe { RecordRef::of(head).see(self.guard.writer.relists) };
        }
    }

    /// The object as the batch has left it so far, and the source's version it was put with.
    #[inline]
    pub(crate) fn held(&self) -> Option<(&Arc<T>, u64)> {
        let head = self.head()?;
        // SAFETY: this is the writer, and a head.
        unsafe { Some((head.value()?, head.source_version())) }
    }

    /// Puts an object here, with the source's version of it as a number, or 0.
    ///
    /// # Errors
    /// If an index function fails on it. Nothing is changed then.
    pub(crate) fn put(
        mut self,
        object: &Arc<T>,
        source_version: u64,
    ) -> Result<(), Box<Unindexed>> {
        self.guard.writer.prepare(object)?;
        let lived = self.held().is_some();
        let record = match self.head() {
            Some(head) => RecordRef::of(head),
            None => self.take_place(),
        };
        // SAFETY: the record is alive, and in this slot or new.
        unsafe { self.link(record, Some(Arc::clone(object)), source_version) };
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

    /// Finds room for a key that has no slot.
    fn take_place(&mut self) -> RecordRef<T> {
        let hash = self.hashed.hash;
        self.guard.make_room(hash);
        // SAFETY: this is the writer, and the table stays while this is in use.
        self.table = unsafe { self.guard.engine.shard(hash).table() };
        if let Some(table) = self.table {
            let (slot, reused) = table.free_slot(hash.0);
            self.guard.use_slot(hash, reused);
            self.found = Some(slot);
        }
        self.guard.writer.slabs.take()
    }

    /// Deletes the key's object and returns it.
    pub(crate) fn delete(mut self) -> Option<Arc<T>> {
        let head = self.head()?;
        let record = RecordRef::of(head);
        // SAFETY: this is the writer.
        let held = unsafe { head.value() }.map(Arc::clone)?;
        // SAFETY: alive, and in this slot.
        unsafe { self.link(record, None, 0) };
        let writer = &mut *self.guard.writer;
        writer.len -= 1;
        // SAFETY: alive, and this is the writer.
        unsafe {
            writer.columns.iter_mut().for_each(|column| column.withdraw(record));
            Arc::make_mut(&mut writer.indexes).disappear(record);
        }
        // ORDERING: Relaxed: only the writer stores links.
        let is_last = self.head().is_some_and(|head| head.prev.load(Ordering::Relaxed).is_null());
        if is_last && let (Some(table), Some(slot)) = (self.table, self.found) {
            // The key came and went within this batch: no reader ever saw it.
            table.delete(slot);
            self.guard.writer.live[self.hashed.hash.shard()] -= 1;
            self.guard.writer.reclaim.record(record);
        }
        Some(held)
    }

    /// Makes a version with this value the head of the record's chain.
    ///
    /// # Safety
    /// The record is alive; the slot that was found is its own, or a free one that becomes its own.
    unsafe fn link(&mut self, record: RecordRef<T>, value: Option<Arc<T>>, source_version: u64) {
        let (Some(table), Some(slot)) = (self.table, self.found) else { return };
        let Hashed { key, hash, .. } = self.hashed;
        let shard = self.guard.engine.shard(hash);
        let writer = &mut *self.guard.writer;
        let next = writer.published + 1;
        let object = value.as_ref().map_or(ptr::null(), Arc::as_ptr);
        let head = table.head(slot);
        // SAFETY: a head is alive, and this is the writer. User code runs before anything is changed.
        let bytes = unsafe { head.as_ref().map(|head| writer.reclaim.measure(head.value())) };
        writer.changes += 1;
        // SAFETY: a head is alive.
        match unsafe { head.as_ref() } {
            Some(current) if current.born == next => {
                // The allocation's own pointer: behind the version lies its key.
                let this = NonNull::new(head);
                // SAFETY: a head, and this is the writer.
                let was_deletion = unsafe { current.value() }.is_none();
                if let Some(this) = this.filter(|_| was_deletion) {
                    // SAFETY: as above.
                    unsafe { writer.reclaim.uncount_deletion(this) };
                }
                // SAFETY: its revision is not published yet; this is the writer, and a head.
                if let Some(replaced) = unsafe { current.replace(value, source_version) } {
                    writer.garbage.push(replaced);
                }
                if let Some(this) = this.filter(|_| object.is_null()) {
                    // SAFETY: as above.
                    unsafe { writer.reclaim.count_deletion(this) };
                }
                table.set_object(slot, object);
                // SAFETY: alive, and this is the writer.
                unsafe { record.set_object(object) };
            }
            _ => {
                let version =
                    Version::new(next, head, (value, source_version), record.address(), key);
                writer.recorder.linked(version);
                if object.is_null() {
                    // SAFETY: it has just been made, and this is the writer.
                    unsafe { writer.reclaim.count_deletion(version) };
                }
                let word = Word::new(version.as_ptr(), hash.0);
                // SAFETY: alive, and this is the writer.
                unsafe { record.set_head(version.as_ptr(), object, next) };
                table.set(slot, word, object, next);
                // ORDERING: Relaxed, as for stamps: see `Stamp::raise`.
                shard.changed.store(next, Ordering::Relaxed);
                if let Some(head) = NonNull::new(head) {
                    // SAFETY: alive, and this is the writer.
                    unsafe { head.as_ref().set_newer(version.as_ptr()) };
                    writer.reclaim.supersede(head, bytes.unwrap_or(0));
                    writer.superseded += 1;
                }
            }
        }
        writer.changed = true;
    }
}
