//! The engine: versioned slots under one published revision.
//!
//! ```text
//!  published ──> Revision { number, resource version, length, index roots, holders }
//!
//!  shards ──> Table: [ word | word | word | ... ]       word = hash bits + address of the head
//!                       │
//!                       v
//!                    Version 9 ──prev──> Version 4 ──> ...       newest first
//!                       │ record
//!                       v
//!                    Record { head, object } <── index pages
//! ```
//!
//! A reader takes the published revision R once, and steps past every version born after it. The
//! writer, one at a time, links the versions of a batch with birth R + 1, where no reader looks at
//! them, and publishes revision R + 1 with one store.
//!
//! | file | idea |
//! |---|---|
//! | `table` | from a key to the head of its versions |
//! | `record`, `version` | what the table leads to |
//! | `slab` | where records lie |
//! | `index`, `postings` | from a value to records |
//! | `revision` | what is published |
//! | `writer` | builds and publishes |
//! | `read`, `walk` | read at one revision: by key or index, and everything |
//! | `pin`, `barrier` | keeps memory from being freed under a reader |
//! | `reclaim` | frees what nobody can see |
//!
//! This folder is the only one of the crate with unsafe code.
#![allow(unsafe_code)]

mod barrier;
mod index;
mod pin;
mod postings;
mod prefetch;
mod read;
mod reclaim;
mod record;
mod revision;
mod slab;
mod table;
mod version;
mod walk;
mod writer;

use std::hash::{BuildHasher, Hasher};
use std::ptr::NonNull;

use foldhash::fast::FixedState;

pub(super) use index::Values;
pub(super) use pin::Pin;
pub(super) use read::{Entries, Entry, Hold, IndexView, PinnedRevision, View};
use revision::Revision;
use table::Shard;
pub(super) use walk::{Cursor, Objects};
pub(super) use writer::WriteGuard;
use writer::Writer;

use crate::KeyRef;
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::{Arc, Mutex, PoisonError, TryLockError};

/// Shards of a store. Enough that growing one of them takes microseconds up to a million objects.
pub(super) const DEFAULT_SHARDS: usize = 256;

/// The least and the most superseded versions that gather before the writer looks for what it can
/// free. A look costs every running thread microseconds, since it makes them fence: too often, and it
/// is what the slowest reads wait for.
const PATIENCE: (usize, usize) = (16, 4096);

/// A key's hash. The table takes its lowest bits for the slot and its highest for the word.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    #[inline]
    fn shard<const SHARDS: usize>(self) -> usize {
        (self.0 >> 32) as usize % SHARDS
    }
}

pub(super) struct Engine<T, const SHARDS: usize = DEFAULT_SHARDS> {
    published: Line<AtomicPtr<Revision<T>>>,
    shards: Box<[Shard<T>]>,
    hasher: FixedState,
    writer: Mutex<Writer<T>>,
    patience: (usize, usize),
}

/// A cache line pair of its own, so that nothing a writer stores beside it disturbs readers.
#[repr(align(128))]
struct Line<T>(T);

impl<T> std::ops::Deref for Line<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

// SAFETY: the engine hands out `&Arc<T>` and drops `Arc<T>` from any thread; everything behind its
// pointers is atomic, immutable while readers can reach it, or behind the mutex.
unsafe impl<T: Send + Sync, const SHARDS: usize> Send for Engine<T, SHARDS> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync, const SHARDS: usize> Sync for Engine<T, SHARDS> {}

impl<T, const SHARDS: usize> Engine<T, SHARDS> {
    pub(super) fn new(seed: u64) -> Self {
        Self::with_patience(seed, PATIENCE)
    }

    /// With other bounds than [`PATIENCE`] on what gathers before it is freed.
    pub(super) fn with_patience(seed: u64, patience: (usize, usize)) -> Self {
        barrier::prepare();
        let first = Revision::new(0, None, 0, Arc::new(index::Indexes::new()));
        Self {
            published: Line(AtomicPtr::new(first.as_ptr())),
            shards: (0..SHARDS).map(|_| Shard::new()).collect(),
            hasher: FixedState::with_seed(seed),
            writer: Mutex::new(Writer::new(SHARDS)),
            patience,
        }
    }

    #[inline]
    fn hash(&self, key: KeyRef<'_>) -> Hash {
        let (namespace, name) = key.parts();
        let mut hasher = self.hasher.build_hasher();
        hasher.write(namespace.as_bytes());
        hasher.write(name.as_bytes());
        Hash(hasher.finish())
    }

    #[inline]
    fn shard(&self, hash: Hash) -> &Shard<T> {
        &self.shards[hash.shard::<SHARDS>()]
    }

    /// The revision that is published now.
    #[inline]
    fn published(&self, _pin: &Pin) -> NonNull<Revision<T>> {
        // ORDERING: Acquire pairs with the Release in `WriteGuard::publish`.
        let published = self.published.load(Ordering::Acquire);
        // SAFETY: one is published from the beginning on.
        unsafe { NonNull::new_unchecked(published) }
    }
}

impl<T: Send + Sync, const SHARDS: usize> Engine<T, SHARDS> {
    /// Waits for the right to write.
    pub(super) fn write(&self) -> WriteGuard<'_, T, SHARDS> {
        // A writer that panics publishes what it had linked, so the poison carries no meaning.
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        WriteGuard { engine: self, writer }
    }

    /// The right to write, if nobody has it.
    pub(super) fn try_write(&self) -> Option<WriteGuard<'_, T, SHARDS>> {
        let writer = match self.writer.try_lock() {
            Ok(writer) => writer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(WriteGuard { engine: self, writer })
    }
}

impl<T, const SHARDS: usize> Drop for Engine<T, SHARDS> {
    fn drop(&mut self) {
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: readers and snapshots borrow or share the engine, so there are none. Versions
        // are in a chain, or among what `free_all` frees, never both.
        unsafe {
            let (reclaim, slabs) = writer.memory();
            reclaim.free_all(slabs);
            for shard in &self.shards {
                // ORDERING: Relaxed, here and below: `&mut self` is behind every other access.
                let Some(table) = NonNull::new(shard.table.load(Ordering::Relaxed)) else {
                    continue;
                };
                for head in table.as_ref().heads() {
                    let Some(head) = NonNull::new(head) else { continue };
                    let record = head.as_ref().record;
                    let mut next = Some(head);
                    while let Some(version) = next {
                        next = NonNull::new(version.as_ref().prev.load(Ordering::Relaxed));
                        version::Version::free(version);
                    }
                    slabs.give_back(record);
                }
                table::Table::free(table);
            }
            if let Some(last) = NonNull::new(self.published.load(Ordering::Relaxed)) {
                Revision::free(last);
            }
        }
    }
}
