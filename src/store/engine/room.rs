//! Room in the tables: a shard that is full, or far too large, gets another table.

use std::ptr::{self, NonNull};

use super::Hash;
use super::chain::Version;
use super::table::{Table, Word};
use super::writer::WriteGuard;
use crate::sync::Arc;
use crate::sync::atomic::Ordering;

/// Sixteenths of a table that may be in use. Probes compare words that lie side by side, so a table
/// may be rather full.
const FULL: usize = 14;

/// A table has at most so many slots for each record before it is replaced by a smaller one.
const SPARSE: usize = 16;

impl<T: Send + Sync> WriteGuard<'_, T> {
    /// Ensures that a shard has a table with a free slot that is not far too large.
    pub(super) fn make_room(&mut self, hash: Hash) {
        let (used, live) = (self.writer.used[hash.shard()], self.writer.live[hash.shard()]);
        // SAFETY: this is the writer.
        let fits = unsafe { self.engine.shard(hash).table() }.is_some_and(|table| {
            let capacity = table.capacity();
            (used + 1) * 16 <= capacity * FULL && (live + 1) * SPARSE >= capacity
        });
        if !fits {
            self.rebuild(hash);
        }
    }

    /// Counts a slot of a shard as taken; another key may have had it before.
    pub(super) fn use_slot(&mut self, hash: Hash, reused: bool) {
        self.writer.used[hash.shard()] += usize::from(!reused);
        self.writer.live[hash.shard()] += 1;
    }

    /// Gives a shard a new table, twice as large as its records need.
    fn rebuild(&mut self, hash: Hash) {
        let shard = self.engine.shard(hash);
        // ORDERING: Relaxed: only the writer stores tables.
        let old = NonNull::new(shard.table.load(Ordering::Relaxed));
        // SAFETY: this is the writer, and a table is freed after it was replaced.
        let heads = old.into_iter().flat_map(|old| unsafe { old.as_ref() }.heads());
        let heads: Vec<_> = heads.filter_map(NonNull::new).collect();
        let new = Table::with_capacity((heads.len() + 1) * 16 / FULL * 5 / 4);
        for head in &heads {
            // SAFETY: heads in slots are alive.
            let (key, version) = unsafe { (Version::key(head.as_ptr()), head.as_ref()) };
            // SAFETY: this is the writer.
            let object = unsafe { version.value() }.map_or(ptr::null(), Arc::as_ptr);
            let hash = self.engine.hash(key);
            let (slot, _) = new.free_slot(hash.0);
            new.set(slot, Word::new(head.as_ptr(), hash.0), object, version.born);
        }
        let writer = &mut **self.writer;
        writer.used[hash.shard()] = heads.len();
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
