//! Building the next revision, and publishing it with one store.

use std::collections::BTreeSet;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

use super::bucket::Tag;
use super::changes::{Publication, Recorder};
use super::column::{Column, NewIndex};
use super::garbage::{Disposal, Garbage};
use super::index::{IndexId, Indexes, Named};
use super::pin;
use super::prefetch::prefetch_counts;
use super::reclaim::{self, Measure, Reclaim, Retained};
use super::record::RecordRef;
use super::revision::Revision;
use super::room::Room;
use super::slab::Slabs;
use super::slot::Slot;
use super::table::Table;
use super::{Engine, Hash, SHARD_COUNT};
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, MutexGuard};
use crate::{ArcRef, KeyRef, ResourceVersion};

/// What only the writer touches.
pub(super) struct Writer<T> {
    /// For each shard.
    pub(super) rooms: Box<[Room]>,
    /// Shards whose tables have become far too large.
    pub(super) sparse: BTreeSet<usize>,
    /// Bytes of all tables.
    pub(super) table_bytes: usize,
    /// The published revision.
    pub(super) published: u64,
    /// How many publications there were before that one.
    sequence: u64,
    /// Of the revision that is being built.
    pub(super) len: usize,
    resource_version: Option<ResourceVersion>,
    /// Whether the whole content has been delivered once.
    synced: bool,
    /// How many relists were begun.
    pub(super) relists: u64,
    pub(super) indexes: Arc<Indexes<T>>,
    /// The named indexes, in the order in which a revision has them.
    pub(super) columns: Vec<Box<dyn Column<T>>>,
    /// Versions superseded by the batch that is being built.
    pub(super) superseded: usize,
    /// Changes since the last publication.
    pub(super) changes: usize,
    /// Whether the batch changed an object, so that the next revision gets a new number.
    pub(super) changed: bool,
    /// Whether something else changed: the source's version, or the set of indexes.
    republish: bool,
    pub(super) recorder: Recorder<T>,
    pub(super) slabs: Slabs<T>,
    pub(super) reclaim: Reclaim<T>,
    /// Dropped once the guard has released the lock.
    pub(super) garbage: Garbage<T>,
}

// SAFETY: the raw pointers in it are to objects, records, revisions and tables, which are
// shared between threads anyway; the mutex around the writer hands them from one to the next.
unsafe impl<T: Send + Sync> Send for Writer<T> {}

impl<T> Writer<T> {
    pub(super) fn new(measure: Measure<T>) -> Self {
        Self {
            rooms: [Room::default(); SHARD_COUNT].into(),
            sparse: BTreeSet::new(),
            table_bytes: 0,
            published: 0,
            sequence: 0,
            len: 0,
            resource_version: None,
            synced: false,
            relists: 0,
            indexes: Arc::new(Indexes::new()),
            columns: Vec::new(),
            superseded: 0,
            changes: 0,
            changed: false,
            republish: false,
            recorder: Recorder::new(),
            slabs: Slabs::new(),
            reclaim: Reclaim::new(measure),
            garbage: Garbage::new(),
        }
    }

    /// The revision that is published first.
    pub(super) fn first(&mut self) -> NonNull<Revision<T>> {
        let indexes = Arc::clone(&self.indexes);
        self.reclaim.revision(Revision::new(0, 0, None, false, 0, indexes))
    }

    /// Returns whether something was linked, or set, that is not published yet.
    fn is_unpublished(&self) -> bool {
        self.changed || self.republish || self.changes > 0
    }

    /// Finds an object's index values, for its key's record if there is one.
    ///
    /// # Errors
    /// If the function of an index fails.
    #[inline]
    pub(super) fn prepare(
        &mut self,
        object: &T,
        record: Option<RecordRef<T>>,
    ) -> Result<(), Box<Unindexed>> {
        self.columns.iter_mut().try_for_each(|column| prepare(&mut **column, object, record))
    }
}

/// Why an object cannot be indexed.
pub(crate) struct Unindexed {
    pub(crate) index: Arc<str>,
    pub(crate) message: String,
}

pub(super) fn prepare<T>(
    column: &mut dyn Column<T>,
    object: &T,
    record: Option<RecordRef<T>>,
) -> Result<(), Box<Unindexed>> {
    let failed = column.prepare(object, record);
    failed.map_err(|message| Box::new(Unindexed { index: Arc::clone(column.name()), message }))
}

/// A key and its hash in one engine.
#[derive(Clone, Copy)]
pub(crate) struct Hashed<'k> {
    pub(super) key: KeyRef<'k>,
    pub(super) hash: Hash,
    /// Whose hash it is. Not followed.
    engine: *const (),
}

impl<'k> Hashed<'k> {
    pub(crate) fn key(self) -> KeyRef<'k> {
        self.key
    }
}

/// The right to write. What is linked becomes visible with [`publish`](Self::publish), all at once;
/// dropping the guard publishes too, so that an unwinding writer leaves no half-linked batch for the next
/// one to publish.
///
/// Objects that are no longer needed are dropped when the guard is, after the lock.
pub(crate) struct WriteGuard<'e, T: Send + Sync> {
    pub(super) engine: &'e Engine<T>,
    pub(super) writer: ManuallyDrop<MutexGuard<'e, Writer<T>>>,
    unlocked: Option<&'e dyn Unlocked>,
}

/// Runs after the lock is released, and before objects are dropped.
pub(crate) trait Unlocked {
    /// Does not panic.
    fn unlocked(&self);
}

impl<'e, T: Send + Sync> WriteGuard<'e, T> {
    pub(super) fn new(engine: &'e Engine<T>, writer: MutexGuard<'e, Writer<T>>) -> Self {
        Self { engine, writer: ManuallyDrop::new(writer), unlocked: None }
    }

    pub(crate) fn hash<'k>(&self, key: KeyRef<'k>) -> Hashed<'k> {
        let engine = ptr::from_ref(self.engine).cast();
        Hashed { key, hash: self.engine.hash(key), engine }
    }

    /// The slot of a key that was hashed by [`hash`](Self::hash) of this engine's guard.
    ///
    /// # Panics
    /// If it was hashed by another engine's.
    pub(crate) fn slot<'g, 'k>(&'g mut self, key: Hashed<'k>) -> Slot<'g, 'e, 'k, T> {
        assert!(ptr::eq(key.engine, ptr::from_ref(self.engine).cast()), "hashed by another engine");
        Slot::new(self, key)
    }

    /// Prefetches what changes to these keys, at most so many, will read, so that the misses overlap.
    pub(crate) fn prefetch<'k: 'h, 'h, const AT_MOST: usize>(
        &self,
        keys: impl Iterator<Item = &'h Hashed<'k>>,
    ) {
        let mut homes = [None; AT_MOST];
        for (home, key) in homes.iter_mut().zip(keys) {
            // SAFETY: this is the writer, and it replaces no table here.
            let table = unsafe { self.engine.shard(key.hash).table() };
            *home = table.map(|table: &Table<T>| (table.prefetch_home(key.hash.0), key.hash));
        }
        for (home, hash) in homes.into_iter().flatten() {
            if let Some((record, _)) = home.hint(Tag::of(hash.0)) {
                record.prefetch_key();
                record.prefetch_chain();
            }
        }
    }

    /// Prefetches an object that is about to be put, and counted.
    #[inline]
    pub(crate) fn prefetch_object(object: &Arc<T>) {
        prefetch_counts(Arc::as_ptr(object));
    }

    /// Begins a relist, which notes by [`Slot::see`] which keys it has.
    pub(crate) fn begin_relist(&mut self) {
        self.writer.relists += 1;
    }

    /// What was published before this batch, and was not seen by the relist that was begun last.
    pub(crate) fn unseen(&self) -> impl Iterator<Item = (KeyRef<'_>, ArcRef<'_, T>)> {
        let (published, relist) = (self.writer.published, self.writer.relists);
        // SAFETY: records in slots are alive, and this is the writer, which changes nothing meanwhile.
        self.records().filter_map(move |record| unsafe {
            if record.hot().born() > published || record.was_seen(relist) {
                return None;
            }
            Some((record.key(), ArcRef::at(record.hot().newest())?))
        })
    }

    /// The records in the tables; alive while nothing is changed.
    fn records(&self) -> impl Iterator<Item = RecordRef<T>> {
        // SAFETY: this is the writer, and it replaces no table here.
        let tables = self.engine.shards.iter().filter_map(|shard| unsafe { shard.table() });
        tables.flat_map(Table::records)
    }

    /// The number of the revision at which what is linked will be visible.
    pub(crate) fn next(&self) -> u64 {
        self.writer.published + u64::from(self.writer.changed)
    }

    /// Number of objects, counting the batch so far.
    pub(crate) fn len(&self) -> usize {
        self.writer.len
    }

    pub(crate) fn resource_version(&self) -> Option<&ResourceVersion> {
        self.writer.resource_version.as_ref()
    }

    /// Sets the source's version for the next revision.
    pub(crate) fn set_resource_version(&mut self, version: ResourceVersion) {
        self.writer.resource_version = Some(version);
        self.writer.republish = true;
    }

    /// The next revision, and all later ones, follow a complete list.
    pub(crate) fn set_synced(&mut self) {
        self.writer.republish |= !std::mem::replace(&mut self.writer.synced, true);
    }

    /// Has the next publication made even if nothing that readers see has changed.
    pub(crate) fn republish(&mut self) {
        self.writer.republish = true;
    }

    pub(crate) fn has_index(&self, id: IndexId) -> bool {
        self.writer.columns.iter().any(|column| column.id() == id)
    }

    /// Has an object dropped once the lock is released.
    pub(crate) fn discard(&mut self, object: Arc<T>) {
        self.writer.garbage.push(object);
    }

    /// Whether an object could be put, as far as the indexes go.
    ///
    /// # Errors
    /// If the function of an index fails.
    pub(crate) fn check(&mut self, object: &T) -> Result<(), Box<Unindexed>> {
        self.writer.prepare(object, None)
    }

    /// Adds an index over every object. The next revision has it, earlier ones do not. Its function is
    /// user code, and runs under the lock.
    ///
    /// # Errors
    /// The first failure of the function, with the key it was met at. Nothing has changed then.
    pub(crate) fn add_index(
        &mut self,
        NewIndex(mut column): NewIndex<T>,
    ) -> Result<(), (KeyRef<'_>, Box<Unindexed>)> {
        for record in self.records() {
            // SAFETY: records in slots are alive, and this is the writer.
            let (key, object) = unsafe { (record.key(), ArcRef::at(record.hot().newest())) };
            let Some(object) = object else { continue };
            if let Err(unindexed) = prepare(&mut *column, &object, None) {
                return Err((key, unindexed));
            }
            // SAFETY: alive, and this is the writer. It is withdrawn when it is deleted, since the
            // index is either one of the writer's by then, or gone.
            unsafe { column.commit(record) };
        }
        let writer = &mut **self.writer;
        let tree = column.changed_tree().expect("a new index has a tree that nobody has seen");
        let named = Named { id: column.id(), label: column.label().cloned(), tree };
        Arc::make_mut(&mut writer.indexes).named.push(named);
        writer.columns.push(column);
        writer.republish = true;
        Ok(())
    }

    /// Makes everything linked since the last publication visible at once, and returns the
    /// revision at which it is. Frees some of what no reader can reach any more.
    pub(crate) fn publish(&mut self) -> u64 {
        let next = self.next();
        let writer = &mut **self.writer;
        if writer.changed || writer.republish {
            writer.published = next;
            for (i, column) in writer.columns.iter_mut().enumerate() {
                if let Some(tree) = column.changed_tree() {
                    Arc::make_mut(&mut writer.indexes).named[i].tree = tree;
                }
            }
            writer.sequence += 1;
            let revision = writer.reclaim.revision(Revision::new(
                next,
                writer.sequence,
                writer.resource_version.clone(),
                writer.synced,
                writer.len,
                Arc::clone(&writer.indexes),
            ));
            // ORDERING: Relaxed: only the writer stores it.
            let old = self.engine.published.load(Ordering::Relaxed);
            // ORDERING: Release pairs with the Acquire in `Engine::published`: a reader that sees the
            // revision sees every object, record and table that it leads to.
            self.engine.published.store(revision.as_ptr(), Ordering::Release);
            let epoch = pin::advance();
            if writer.recorder.is_on {
                let Writer {
                    recorder, reclaim, resource_version, synced, sequence, indexes, ..
                } = &mut *writer;
                // With that of the namespaces.
                let indexes = indexes.named.len() + 1;
                let version = resource_version.clone();
                // SAFETY: this is the writer, the batch is published, and what it superseded is freed
                // below at the earliest.
                unsafe {
                    recorder.publish(*sequence, next, version, *synced, indexes, reclaim);
                }
            }
            let versions = std::mem::take(&mut writer.superseded);
            if let Some(old) = NonNull::new(old) {
                writer.reclaim.supersede_revision(old, epoch, versions);
            }
            (writer.changed, writer.republish) = (false, false);
        }
        self.shrink();
        let writer = &mut **self.writer;
        // A store may retain a sixteenth of its size in superseded versions before it frees some.
        let (least, most) = self.engine.patience;
        let threshold = (writer.len / 16).clamp(least, most);
        let changes = std::mem::take(&mut writer.changes);
        let (reclaim, mut owner) = split(self.engine, writer);
        reclaim.advance(changes, threshold, &mut owner);
        next
    }

    /// Returns whether something was linked, or set, that is not published yet.
    pub(crate) fn is_unpublished(&self) -> bool {
        self.writer.is_unpublished()
    }

    /// The number of publications.
    #[inline]
    pub(crate) fn sequence(&self) -> u64 {
        self.writer.sequence
    }

    /// Returns whether publications are recorded.
    #[inline]
    pub(crate) fn is_recording(&self) -> bool {
        self.writer.recorder.is_on
    }

    /// Turns recording on or off, from the next publication on. Call while nothing is linked but not yet
    /// published.
    pub(crate) fn record(&mut self, on: bool) {
        debug_assert!(!self.writer.is_unpublished(), "half a publication would be recorded");
        self.writer.recorder.is_on = on;
    }

    /// What was published last, if it was recorded.
    pub(crate) fn take_publication(&mut self) -> Option<Publication<T>> {
        self.writer.recorder.published.take()
    }

    /// Registers what runs after the lock is released.
    pub(crate) fn when_unlocked(&mut self, unlocked: &'e dyn Unlocked) {
        self.unlocked = Some(unlocked);
    }

    /// The size of an object, by the user's `Measure`.
    pub(crate) fn measure(&self, object: &Arc<T>) -> usize {
        self.writer.reclaim.measure(Some(object))
    }

    /// Superseded versions that are not freed, and the bytes that they take, with those of deletions.
    pub(crate) fn retained(&self) -> (usize, usize) {
        let Retained { versions, bytes, overhead, .. } = self.writer.reclaim.retained();
        (versions, bytes.saturating_add(overhead))
    }

    /// Scans for what no reader can reach any more, and frees some of it, in at most so many steps.
    pub(crate) fn collect(&mut self, steps: usize) {
        self.publish();
        let (reclaim, mut owner) = split(self.engine, &mut self.writer);
        // A version between two held ones is freed one scan after it was unlinked.
        let left = reclaim.collect(steps, &mut owner);
        reclaim.collect(left, &mut owner);
    }
}

impl<T: Send + Sync> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        if self.writer.is_unpublished() {
            self.publish();
        }
        let structure_bytes = self.writer.table_bytes + self.writer.slabs.bytes();
        self.engine.gauges.set(&self.writer.reclaim, structure_bytes);
        // A destructor that writes leaves the freed objects to the call that runs it, so that a long
        // backlog does not recurse deeply.
        let is_needed = !self.writer.garbage.is_empty() || self.unlocked.is_some();
        let mut disposal = is_needed.then(|| Disposal::begin(self.engine)).flatten();
        let emptied = &self.engine.emptied;
        let garbage = disposal.as_ref().map(|_| self.writer.garbage.take(emptied));
        // SAFETY: dropped here alone, and not used after this.
        unsafe { ManuallyDrop::drop(&mut self.writer) };
        if let Some(unlocked) = self.unlocked {
            match &mut disposal {
                Some(disposal) => disposal.pause(|| unlocked.unlocked()),
                None => unlocked.unlocked(),
            }
        }
        garbage.into_iter().for_each(|garbage| garbage.dispose(emptied));
        while let Some(disposal) = &mut disposal
            && disposal.take_left()
            // Otherwise the holder of the lock has it dropped.
            && let Some(mut writer) = self.engine.try_lock()
        {
            let garbage = writer.garbage.take(emptied);
            drop(writer);
            garbage.dispose(emptied);
        }
    }
}

/// The reclamation of a writer, and what it works on.
pub(super) fn split<'w, T>(
    engine: &'w Engine<T>,
    writer: &'w mut Writer<T>,
) -> (&'w mut Reclaim<T>, impl reclaim::Owner<T>) {
    let Writer { reclaim, slabs, garbage, rooms, sparse, .. } = writer;
    (reclaim, Memory { engine, rooms, sparse, slabs, garbage })
}

struct Memory<'w, T> {
    engine: &'w Engine<T>,
    rooms: &'w mut [Room],
    sparse: &'w mut BTreeSet<usize>,
    slabs: &'w mut Slabs<T>,
    garbage: &'w mut Garbage<T>,
}

impl<T> reclaim::Owner<T> for Memory<'_, T> {
    fn unlist(&mut self, record: RecordRef<T>) {
        // SAFETY: alive until it is freed, which comes after this; this is the writer, and it
        // replaces no table here.
        unsafe {
            let hash = self.engine.hash(record.key());
            let Some(table) = self.engine.shard(hash).table() else { return };
            let room = &mut self.rooms[hash.shard()];
            room.leave(table.give_back(record, hash.0));
            if room.is_sparse(table.capacity()) {
                self.sparse.insert(hash.shard());
            }
        }
    }

    fn slabs(&mut self) -> &mut Slabs<T> {
        self.slabs
    }

    fn garbage(&mut self) -> &mut Garbage<T> {
        self.garbage
    }
}
