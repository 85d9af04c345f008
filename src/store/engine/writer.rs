//! Building the next revision, and publishing it with one store.

use std::collections::HashMap;
use std::ptr::{self, NonNull};

use super::index::{Index, Indexes, Values};
use super::pin;
use super::read::View;
use super::reclaim::{Owner, Reclaim, Retained};
use super::record::RecordRef;
use super::revision::Revision;
use super::slab::Slabs;
use super::table::{Place, Table, Word};
use super::version::Version;
use super::{DEFAULT_SHARDS, Engine, Hash, Pin};
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, MutexGuard};
use crate::{KeyRef, ResourceVersion};

/// Sixteenths of a table that may be in use. Probes compare words that lie side by side, so a table
/// may be rather full.
const FULL: usize = 14;

/// What only the writer touches.
pub(super) struct Writer<T> {
    /// For each shard, the slots in use, those marked deleted among them.
    used: Box<[usize]>,
    /// The revision that is published.
    published: u64,
    /// Of the revision that is being built.
    len: usize,
    resource_version: Option<ResourceVersion>,
    indexes: Arc<Indexes<T>>,
    /// What each record's object is indexed under by name, so that it can be taken out again even if
    /// an index function gives other values the next time. Empty without named indexes.
    indexed: HashMap<RecordRef<T>, Values, foldhash::fast::RandomState>,
    /// Versions superseded by the batch that is being built.
    superseded: usize,
    /// Whether the batch changed an object, which makes a revision of a new number.
    changed: bool,
    /// Whether something else changed: the source's version, or the set of indexes.
    republish: bool,
    slabs: Slabs<T>,
    reclaim: Reclaim<T>,
}

// SAFETY: the raw pointers in it are to versions, records, revisions and tables, which are
// shared between threads anyway; the mutex around the writer hands them from one to the next.
unsafe impl<T: Send + Sync> Send for Writer<T> {}

impl<T> Writer<T> {
    pub(super) fn new(shards: usize) -> Self {
        Self {
            used: (0..shards).map(|_| 0).collect(),
            published: 0,
            len: 0,
            resource_version: None,
            indexes: Arc::new(Indexes::new()),
            indexed: HashMap::default(),
            superseded: 0,
            changed: false,
            republish: false,
            slabs: Slabs::new(),
            reclaim: Reclaim::new(),
        }
    }

    /// What waits to be freed, and where its records lie.
    pub(super) fn memory(&mut self) -> (&mut Reclaim<T>, &mut Slabs<T>) {
        (&mut self.reclaim, &mut self.slabs)
    }
}

/// The right to write. What is linked becomes visible with [`publish`](Self::publish), all at once;
/// dropping the guard publishes too, so that an unwinding writer leaves no half-linked batch for
/// the next one to publish.
pub(in super::super) struct WriteGuard<'e, T: Send + Sync, const SHARDS: usize = DEFAULT_SHARDS> {
    pub(super) engine: &'e Engine<T, SHARDS>,
    pub(super) writer: MutexGuard<'e, Writer<T>>,
}

impl<T: Send + Sync, const SHARDS: usize> WriteGuard<'_, T, SHARDS> {
    /// The object under a key, as the batch has left it so far.
    pub(in super::super) fn get(&self, key: KeyRef<'_>) -> Option<&Arc<T>> {
        self.get_numbered(key).map(|(object, _)| object)
    }

    /// The same, with the number that the object was put with.
    pub(in super::super) fn get_numbered(&self, key: KeyRef<'_>) -> Option<(&Arc<T>, u64)> {
        let hash = self.engine.hash(key);
        // SAFETY: this is the writer, and the borrow of it keeps the table and the head in place.
        unsafe {
            let head = self.engine.shard(hash).table()?.find(key, hash.0).as_ref()?;
            Some((head.value()?, head.number()))
        }
    }

    /// Begins to load what changes of these keys will look at, so that the misses overlap.
    pub(in super::super) fn prefetch<'k>(&self, keys: impl Iterator<Item = KeyRef<'k>> + Clone) {
        let each = |f: fn(&Table<T>, u64)| {
            for key in keys.clone() {
                let hash = self.engine.hash(key);
                // SAFETY: this is the writer, and it replaces no table here.
                if let Some(table) = unsafe { self.engine.shard(hash).table() } {
                    f(table, hash.0);
                }
            }
        };
        each(Table::prefetch_bucket);
        each(Table::prefetch_head);
    }

    /// What is published, without what this guard has linked since.
    pub(in super::super) fn published<'a>(&'a self, pin: &'a Pin) -> View<'a, T, SHARDS> {
        self.engine.view(pin)
    }

    /// The number of the revision at which what is linked will be visible.
    pub(in super::super) fn next(&self) -> u64 {
        self.writer.published + u64::from(self.writer.changed)
    }

    /// Objects, as the batch has left them so far.
    pub(in super::super) fn len(&self) -> usize {
        self.writer.len
    }

    pub(in super::super) fn resource_version(&self) -> Option<&ResourceVersion> {
        self.writer.resource_version.as_ref()
    }

    /// Sets the version that the source gives the next revision.
    pub(in super::super) fn set_resource_version(&mut self, version: ResourceVersion) {
        self.writer.resource_version = Some(version);
        self.writer.republish = true;
    }

    /// Whether objects have values to be indexed under.
    pub(in super::super) fn has_named_indexes(&self) -> bool {
        !self.writer.indexes.named.is_empty()
    }

    /// Puts an object under a key, with the source's version of it as a number, or 0, and with its
    /// values for the named indexes in their order.
    pub(in super::super) fn put(
        &mut self,
        key: KeyRef<'_>,
        object: Arc<T>,
        number: u64,
        values: Values,
    ) {
        let hash = self.engine.hash(key);
        self.make_room(hash);
        let shard = self.engine.shard(hash);
        // SAFETY: this is the writer; the table is not replaced before this call ends.
        let Some(table) = (unsafe { shard.table() }) else { return };
        let (slot, record, lived) = match table.place(key, hash.0) {
            Place::Found(slot) => {
                // SAFETY: a slot's head and record are alive, and this is the writer.
                let (record, lived) = unsafe { head_of(table, slot) };
                (slot, record, lived)
            }
            Place::Free { slot, reused } => {
                self.writer.used[hash.shard::<SHARDS>()] += usize::from(!reused);
                (slot, self.writer.slabs.take(), false)
            }
        };
        // SAFETY: `record` is alive, and in this slot or new.
        unsafe { self.link((key, hash), table, slot, record, (Some(object), number)) };
        if !lived {
            self.writer.len += 1;
            // SAFETY: alive until it is deleted, and for its readers beyond that.
            unsafe { Arc::make_mut(&mut self.writer.indexes).appear(record) };
        }
        self.index(record, values);
    }

    /// Deletes a key and returns what it held.
    pub(in super::super) fn delete(&mut self, key: KeyRef<'_>) -> Option<Arc<T>> {
        let hash = self.engine.hash(key);
        let shard = self.engine.shard(hash);
        // SAFETY: this is the writer; the table is not replaced before this call ends.
        let table = unsafe { shard.table() }?;
        let Place::Found(slot) = table.place(key, hash.0) else { return None };
        // SAFETY: a slot's head and record are alive, and this is the writer.
        let (record, head) = unsafe {
            let head = record_head(table, slot);
            (head.record, head)
        };
        // SAFETY: this is the writer.
        let held = unsafe { head.value() }.map(Arc::clone)?;
        self.writer.len -= 1;
        self.index(record, Values::new());
        // SAFETY: alive.
        unsafe { Arc::make_mut(&mut self.writer.indexes).disappear(record) };
        // SAFETY: alive, and in this slot.
        unsafe { self.link((key, hash), table, slot, record, (None, 0)) };
        // ORDERING: Relaxed: only the writer stores links.
        // SAFETY: the head just linked, or changed, is alive.
        let last = unsafe { record_head(table, slot).prev.load(Ordering::Relaxed) };
        if last.is_null() {
            // The key came and went within this batch: nobody ever saw it.
            self.unlist(record);
            self.writer.reclaim.record(record);
        }
        Some(held)
    }

    /// Adds an index over every object, which the next revision has and those before have not.
    ///
    /// # Errors
    /// The first error of `values`, with the key it was met at. Nothing has changed then.
    pub(in super::super) fn add_index<E>(
        &mut self,
        name: Arc<str>,
        mut values: impl FnMut(KeyRef<'_>, &Arc<T>) -> Result<Vec<Arc<str>>, E>,
    ) -> Result<(), E> {
        let mut found = Vec::with_capacity(self.writer.len);
        for shard in &self.engine.shards {
            // SAFETY: this is the writer, and it replaces no table here.
            let heads = unsafe { shard.table() }.into_iter().flat_map(Table::heads);
            for head in heads {
                let Some(head) = NonNull::new(head) else { continue };
                // SAFETY: heads in slots are alive, and this is the writer.
                let (head, key) = unsafe { (head.as_ref(), Version::key(head.as_ptr())) };
                // SAFETY: as above.
                let Some(object) = (unsafe { head.value() }) else { continue };
                found.push((head.record, values(key, object)?));
            }
        }
        let writer = &mut *self.writer;
        let indexes = Arc::make_mut(&mut writer.indexes);
        let position = indexes.named.len();
        indexes.named.push((name, Index::new()));
        for (record, new) in found {
            let values = writer.indexed.entry(record).or_default();
            let old = values.clone();
            values.resize(position, Vec::new());
            values.push(new);
            indexes.change(record, &old, values);
        }
        writer.republish = true;
        Ok(())
    }

    /// Makes everything linked since the last publication visible at once, and returns the
    /// revision at which it is.
    pub(in super::super) fn publish(&mut self) -> u64 {
        if self.writer.changed || self.writer.republish {
            self.writer.published = self.next();
            let revision = Revision::new(
                self.writer.published,
                self.writer.resource_version.clone(),
                self.writer.len,
                Arc::clone(&self.writer.indexes),
            );
            // ORDERING: Relaxed: only the writer stores it.
            let old = self.engine.published.load(Ordering::Relaxed);
            // ORDERING: Release pairs with the Acquire in `Engine::published`: whoever sees the
            // revision sees every version, record and table that it leads to.
            self.engine.published.store(revision.as_ptr(), Ordering::Release);
            let epoch = pin::advance();
            let versions = std::mem::take(&mut self.writer.superseded);
            if let Some(old) = NonNull::new(old) {
                self.writer.reclaim.supersede_revision(old, epoch, versions);
            }
            (self.writer.changed, self.writer.republish) = (false, false);
        }
        // A store may retain a sixteenth of its size in superseded versions before it frees some.
        let (least, most) = self.engine.patience;
        let threshold = (self.writer.len / 16).clamp(least, most);
        if self.writer.reclaim.is_due(threshold) {
            self.collect();
        }
        self.writer.published
    }

    /// Frees what nobody can see any more, and returns what is retained after that.
    pub(in super::super) fn collect(&mut self) -> Retained {
        let mut reclaim = std::mem::replace(&mut self.writer.reclaim, Reclaim::new());
        reclaim.collect(self);
        let retained = reclaim.retained();
        debug_assert_eq!(
            self.writer.reclaim.retained().versions,
            0,
            "nothing was retired meanwhile"
        );
        self.writer.reclaim = reclaim;
        retained
    }

    /// Superseded objects that are retained.
    pub(in super::super) fn retained_objects(&self) -> impl Iterator<Item = &Arc<T>> {
        // SAFETY: this is the writer.
        self.writer.reclaim.versions().filter_map(|version| unsafe { version.value() })
    }

    /// Bytes of the table, the records and the versions of live objects, keys and objects not
    /// counted.
    pub(in super::super) fn structure_bytes(&self) -> usize {
        let tables = self.engine.shards.iter().filter_map(|shard| {
            // SAFETY: this is the writer, and it replaces no table here.
            unsafe { shard.table() }.map(Table::bytes)
        });
        tables.sum::<usize>()
            + self.writer.len * (size_of::<Version<T>>() + size_of::<super::record::Record<T>>())
    }

    /// Makes a version with this value the head of the record's chain.
    ///
    /// # Safety
    /// The record is alive; the slot is its own, or a free one that becomes its own.
    unsafe fn link(
        &mut self,
        (key, hash): (KeyRef<'_>, Hash),
        table: &Table<T>,
        slot: usize,
        record: RecordRef<T>,
        (value, number): (Option<Arc<T>>, u64),
    ) {
        let next = self.writer.published + 1;
        let object = value.as_ref().map_or(ptr::null(), Arc::as_ptr);
        let head = table.head(slot);
        // SAFETY: a head is alive.
        match unsafe { head.as_ref() } {
            Some(head) if head.born == next => {
                // SAFETY: its revision is not published yet.
                drop(unsafe { head.replace(value, number) });
                table.set_object(slot, object);
                // SAFETY: alive, and this is the writer.
                unsafe { record.set_object(object) };
            }
            _ => {
                let version = Version::new(next, head, (value, number), record, key);
                // SAFETY: alive, and this is the writer.
                unsafe { record.set_head(version.as_ptr(), object, next) };
                table.set(slot, Word::new(version.as_ptr(), hash.0), object, next);
                // ORDERING: Relaxed, as for the stamps in `Table::set`.
                self.engine.shard(hash).changed.store(next, Ordering::Relaxed);
                if let Some(head) = NonNull::new(head) {
                    self.writer.reclaim.supersede(head);
                    self.writer.superseded += 1;
                }
            }
        }
        self.writer.changed = true;
    }

    /// Replaces what a record is indexed under.
    fn index(&mut self, record: RecordRef<T>, new: Values) {
        if self.writer.indexes.named.is_empty() {
            return;
        }
        let writer = &mut *self.writer;
        let old = writer.indexed.remove(&record).unwrap_or_default();
        if old != new {
            Arc::make_mut(&mut writer.indexes).change(record, &old, &new);
        }
        if !new.is_empty() {
            writer.indexed.insert(record, new);
        }
    }

    /// Sees to it that a shard has a table with a free slot.
    fn make_room(&mut self, hash: Hash) {
        let shard = self.engine.shard(hash);
        let used = self.writer.used[hash.shard::<SHARDS>()];
        // SAFETY: this is the writer.
        match unsafe { shard.table() } {
            Some(table) if (used + 1) * 16 <= table.capacity() * FULL => {}
            table => self.grow(hash, table),
        }
    }

    /// Gives a shard a new table, twice as large as its records need.
    fn grow(&mut self, hash: Hash, old: Option<&Table<T>>) {
        let shard = self.engine.shard(hash);
        let heads: Vec<_> =
            old.into_iter().flat_map(Table::heads).filter_map(NonNull::new).collect();
        let new = Table::with_capacity((heads.len() + 1) * 16 / FULL * 5 / 4);
        for head in &heads {
            // SAFETY: heads in slots are alive.
            let (key, version) = unsafe { (Version::key(head.as_ptr()), head.as_ref()) };
            // SAFETY: this is the writer.
            let object = unsafe { version.value() }.map_or(ptr::null(), Arc::as_ptr);
            let hash = self.engine.hash(key);
            if let Place::Free { slot, .. } = new.place(key, hash.0) {
                new.set(slot, Word::new(head.as_ptr(), hash.0), object, version.born);
            }
        }
        self.writer.used[hash.shard::<SHARDS>()] = heads.len();
        let new = Box::leak(Box::new(new));
        // ORDERING: Release pairs with the Acquire in `Shard::table`.
        shard.table.store(new, Ordering::Release);
        if let Some(old) = old {
            self.writer.reclaim.table(NonNull::from(old));
        }
    }
}

impl<T: Send + Sync, const SHARDS: usize> Owner<T> for WriteGuard<'_, T, SHARDS> {
    fn unlist(&mut self, record: RecordRef<T>) {
        // SAFETY: alive until it is freed, which comes after this.
        let hash = self.engine.hash(unsafe { record.key() });
        // SAFETY: this is the writer, and it replaces no table here.
        if let Some(table) = unsafe { self.engine.shard(hash).table() } {
            table.delete(table.slot_of(record, hash.0));
        }
    }

    fn slabs(&mut self) -> &mut Slabs<T> {
        &mut self.writer.slabs
    }
}

impl<T: Send + Sync, const SHARDS: usize> Drop for WriteGuard<'_, T, SHARDS> {
    fn drop(&mut self) {
        self.publish();
    }
}

/// The head in a slot that has one.
///
/// # Safety
/// The caller is the writer, and the slot is not free.
unsafe fn record_head<T>(table: &Table<T>, slot: usize) -> &Version<T> {
    // SAFETY: the caller's word; heads in slots are alive.
    unsafe { &*table.head(slot) }
}

/// The record in a slot that has one, and whether its object is there.
///
/// # Safety
/// As for [`record_head`].
unsafe fn head_of<T>(table: &Table<T>, slot: usize) -> (RecordRef<T>, bool) {
    // SAFETY: the caller's word.
    unsafe {
        let head = record_head(table, slot);
        (head.record, head.value().is_some())
    }
}
