//! The engine: versioned slots under one published revision.
//!
//! ```text
//!  published ──> Revision { number, resource version, length, index roots, holders }
//!
//!  shards ──> Table ──> Bucket { 3 x (record, object), stamp, passed }
//!                                     │
//!                                     v
//!  index pages ──────────────────> Record { key | object, born | old } ──> Old ──prev──> Old ──> ...
//! ```
//!
//! A reader takes the published revision R once. An object in a bucket with a stamp of R or before is the one
//! at R; otherwise the reader steps back, from the record's newest object to the first that was born at R or
//! before. The writer, one at a time, links the objects of a batch with birth R + 1, which no reader reads yet,
//! and publishes revision R + 1 with one store.
//!
//! | file | idea |
//! |---|---|
//! | `table`, `bucket`, `stamp` | from a key to its record, and to its newest object; when that changed |
//! | `record`, `cell`, `chain` | all there is of a key: its text, and its objects |
//! | `slab` | where records lie |
//! | `lent` | a borrowed object |
//! | `index`, `value`, `postings` | from a value to records |
//! | `column`, `held` | an index as the writer has it, and the values of each record |
//! | `revision` | what is published |
//! | `writer`, `slot`, `room` | builds a revision, key by key, and publishes it |
//! | `view`, `entries`, `walk` | read at one revision: by key, by index, and everything |
//! | `changes` | what a publication changed |
//! | `hold` | keeps a revision: for a short read, or a snapshot |
//! | `pin`, `barrier` | keeps memory from being freed under a reader |
//! | `reclaim`, `queue`, `garbage` | frees what no reader can reach; drops its objects |
//! | `pool` | keeps memory for what each write makes |
//! | `gauges` | statistics for observers |
//!
//! This folder is the only one of the crate with unsafe code. What it offers to the rest of the crate
//! is sound for every safe caller: a [`View`] borrows what protects it, and what needs a pinned thread
//! takes the [`Pin`].
#![allow(unsafe_code)]

mod barrier;
mod bucket;
mod cell;
mod chain;
mod changes;
mod column;
mod entries;
mod garbage;
mod gauges;
mod held;
mod hold;
mod index;
mod lent;
mod pin;
mod pool;
mod postings;
mod prefetch;
mod queue;
mod reclaim;
mod record;
mod revision;
mod room;
mod slab;
mod slot;
mod stamp;
mod table;
mod value;
mod view;
mod walk;
mod weight;
mod writer;

use std::mem;
use std::ptr::NonNull;

use crossbeam_utils::CachePadded;
use foldhash::fast::SeedableRandomState;

pub(crate) use changes::{Assumption, Changed, Changes, ChangesIter, Publication};
pub(crate) use column::{Function, NewIndex, Values};
pub(crate) use entries::{Entries, Groups, IndexView};
pub(crate) use gauges::Figures;
use gauges::Gauges;
pub(crate) use hold::{Hold, PinnedRevision};
pub(crate) use index::IndexId;
pub(crate) use lent::Lent;
pub(crate) use pin::Pin;
use reclaim::Measure;
use revision::Revision;
pub(crate) use slot::Slot;
use table::Shard;
pub(crate) use value::Value;
pub(crate) use view::{Entry, View};
pub(crate) use walk::{Cursor, Objects};
use writer::Writer;
pub(crate) use writer::{Hashed, Unindexed, Unlocked, WriteGuard};

use crate::KeyRef;
use crate::panic::let_go;
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// Shards of a store. Enough that growing one of them takes microseconds up to a million objects.
const SHARD_COUNT: usize = 256;

/// The least and the most superseded versions that gather before the writer scans for what it can free. A
/// scan makes every running thread fence, which costs microseconds: done too often, it dominates the
/// slowest reads.
const PATIENCE: (usize, usize) = (16, 4096);

/// A key's hash. The table takes its low half for the bucket and its highest bits for the word.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    #[inline]
    fn shard(self) -> usize {
        (self.0 >> 32) as usize % SHARD_COUNT
    }
}

pub(crate) struct Engine<T> {
    published: CachePadded<AtomicPtr<Revision<T>>>,
    shards: Box<[Shard<T>; SHARD_COUNT]>,
    hasher: SeedableRandomState,
    writer: Mutex<Writer<T>>,
    /// Room for objects to be dropped, kept from one write to the next. Nobody waits for it.
    emptied: Mutex<Vec<Arc<T>>>,
    patience: (usize, usize),
    gauges: CachePadded<Gauges>,
}

// SAFETY: the engine lends and shares `Arc<T>` and drops `Arc<T>` from any thread; everything behind its
// pointers is atomic, immutable while readers can reach it, or behind the mutex.
unsafe impl<T: Send + Sync> Send for Engine<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Engine<T> {}

impl<T> Engine<T> {
    /// `measure` returns an object's bytes; it may be the user's code, but it does not panic.
    pub(crate) fn new(hasher: SeedableRandomState, measure: Measure<T>) -> Self {
        Self::with_patience(hasher, measure, PATIENCE)
    }

    /// With bounds other than [`PATIENCE`] on what gathers before it is freed.
    pub(crate) fn with_patience(
        hasher: SeedableRandomState,
        measure: Measure<T>,
        patience: (usize, usize),
    ) -> Self {
        barrier::prepare();
        let mut writer = Writer::new(measure);
        let first = writer.first();
        Self {
            published: CachePadded::new(AtomicPtr::new(first.as_ptr())),
            shards: Box::new(std::array::from_fn(|_| Shard::new())),
            hasher,
            writer: Mutex::new(writer),
            emptied: Mutex::new(Vec::new()),
            patience,
            gauges: CachePadded::new(Gauges::new()),
        }
    }

    #[inline]
    fn hash(&self, key: KeyRef<'_>) -> Hash {
        Hash(key.hash_with(&self.hasher))
    }

    #[inline]
    fn shard(&self, hash: Hash) -> &Shard<T> {
        &self.shards[hash.shard()]
    }

    /// The revision that is published now.
    #[inline]
    fn published(&self, _pin: &Pin) -> NonNull<Revision<T>> {
        // ORDERING: Acquire pairs with the Release in `WriteGuard::publish`.
        let published = self.published.load(Ordering::Acquire);
        // SAFETY: one is published from the beginning on.
        unsafe { NonNull::new_unchecked(published) }
    }

    /// Orders this thread and a writer: either the writer sees, after publishing, what this thread stored
    /// before, or this thread sees what the writer has published.
    pub(crate) fn meet_writer() {
        pin::advance();
    }

    /// The statistics that the last writers published.
    pub(crate) fn figures(&self) -> Figures {
        self.gauges.read()
    }

    /// The name of a thread that is pinned at an epoch.
    pub(crate) fn thread_pinned_at(epoch: u64) -> Option<String> {
        pin::thread_pinned_at(epoch)
    }
}

impl<T: Send + Sync> Engine<T> {
    /// Waits for the right to write.
    pub(crate) fn write(&self) -> WriteGuard<'_, T> {
        // A writer that panics publishes what it had linked, so the poison carries no meaning.
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        WriteGuard::new(self, writer)
    }

    /// The right to write, if nobody has it.
    pub(crate) fn try_write(&self) -> Option<WriteGuard<'_, T>> {
        self.try_lock().map(|writer| WriteGuard::new(self, writer))
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Writer<T>>> {
        match self.writer.try_lock() {
            Ok(writer) => Some(writer),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl<T> Drop for Engine<T> {
    /// Frees everything, and drops the objects last, as [`garbage`] does.
    fn drop(&mut self) {
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut writer = mem::replace(writer, Writer::new(|_| 0));
        let (reclaim, mut owner) = writer::split(self, &mut writer);
        // SAFETY: readers and snapshots borrow or share the engine, so there are none. Versions are
        // in a chain, or among what `reclaim` frees, never both; records are in the table, or among these.
        unsafe {
            reclaim.free_all(&mut owner);
            for shard in &*self.shards {
                shard.free_all(|record| reclaim.free_record(record, &mut owner));
            }
        }
        // ORDERING: Relaxed: `&mut self` is behind every other access.
        if let Some(last) = NonNull::new(self.published.load(Ordering::Relaxed)) {
            // SAFETY: as above.
            unsafe { reclaim.free_revision(last, &mut owner) };
        }
        drop(owner);
        let garbage = writer.garbage.take(&self.emptied);
        // What index functions have captured.
        let columns = mem::take(&mut writer.columns);
        // The slabs are given back before user code runs.
        drop(writer);
        let_go(columns);
        drop(garbage);
    }
}
