//! Walking over everything at one revision.
//!
//! A walk reads shard by shard, each under one short pin, so a slow walk retains only the memory of its
//! own revision.

use std::ops::Range;
use std::ptr;

use super::SHARD_COUNT;
use super::bucket::SLOTS;
use super::chain::object_at;
use super::entries::AT_ONCE;
use super::pin::Pin;
use super::postings::Records;
use super::prefetch::{prefetch, prefetch_counts};
use super::record::RecordRef;
use super::view::{Entry, View};
use crate::ArcRef;
use crate::sync::Arc;

/// How many entries ahead a key, or an object, is prefetched.
const AHEAD: usize = 16;

impl<'a, T> View<'a, T> {
    /// All shards, for [`cursor`](Self::cursor).
    pub(crate) fn shards(self) -> Range<usize> {
        0..SHARD_COUNT
    }

    /// A walk over the keys and objects of a range of the shards.
    pub(crate) fn cursor(self, shards: Range<usize>) -> Cursor<'a, T> {
        Cursor { view: self, shards, buffer: Vec::new(), position: 0 }
    }
}

/// A walk over keys and objects.
pub(crate) struct Cursor<'a, T> {
    view: View<'a, T>,
    shards: Range<usize>,
    /// What is visible in the shard read last.
    buffer: Vec<(RecordRef<T>, *const T)>,
    position: usize,
}

// SAFETY: records and objects are shared, and it gives out `ArcRef` only.
unsafe impl<T: Send + Sync> Send for Cursor<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Cursor<'_, T> {}

impl<'a, T> Cursor<'a, T> {
    /// What remains, without keys.
    pub(crate) fn objects(self) -> Objects<'a, T> {
        let read = self.buffer[self.position..].iter().map(|(_, object)| *object);
        Objects {
            view: self.view,
            buffer: read.collect(),
            source: Source::Shards(self.shards),
            position: 0,
        }
    }

    fn fill(&mut self, shard: usize) {
        self.buffer.clear();
        self.position = 0;
        let number = self.view.number();
        let _pin = Pin::new();
        // SAFETY: pinned.
        let Some(table) = (unsafe { self.view.engine.shards[shard].table() }) else { return };
        for bucket in table.buckets() {
            // SAFETY: pinned; the view's revision is protected, and with it what is visible.
            for (record, object) in unsafe { bucket.entries(number) } {
                if let Some(record) = record.filter(|_| !object.is_null()) {
                    self.buffer.push((record, object));
                }
            }
        }
    }
}

impl<'a, T> Iterator for Cursor<'a, T> {
    type Item = Entry<'a, T>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a, T>> {
        loop {
            if let Some(&(record, object)) = self.buffer.get(self.position) {
                self.position += 1;
                if let Some((record, object)) = self.buffer.get(self.position + AHEAD) {
                    record.prefetch_key();
                    prefetch(*object);
                }
                // SAFETY: found visible at the view's revision, which is protected for `'a`, and so is its key.
                return unsafe { ArcRef::at(object).map(|object| (record.key(), object)) };
            }
            let shard = self.shards.next()?;
            self.fill(shard);
        }
    }
}

/// A walk over objects alone: where nothing has changed since its revision it reads no record, which
/// halves the cache misses.
pub(crate) struct Objects<'a, T> {
    view: View<'a, T>,
    source: Source<'a, T>,
    /// The objects read last: of a shard, or of some records.
    buffer: Vec<*const T>,
    position: usize,
}

enum Source<'a, T> {
    Shards(Range<usize>),
    Records(Records<'a, T>),
}

// SAFETY: it gives out `&T` only, of objects that are shared, and `Arc<T>`.
unsafe impl<T: Send + Sync> Send for Objects<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Objects<'_, T> {}

impl<'a, T> Objects<'a, T> {
    /// A walk over some objects, and then over records that an index of the view's revision holds.
    pub(super) fn of(view: View<'a, T>, first: Vec<*const T>, records: Records<'a, T>) -> Self {
        Self { view, source: Source::Records(records), buffer: first, position: 0 }
    }

    /// Reads on; returns whether there is more.
    fn fill(&mut self) -> bool {
        self.buffer.clear();
        self.position = 0;
        let revision = self.view.number();
        let _pin = Pin::new();
        match &mut self.source {
            Source::Shards(shards) => {
                let Some(shard) = shards.next() else { return false };
                // SAFETY: pinned.
                if let Some(table) = unsafe { self.view.engine.shards[shard].table() } {
                    self.buffer.resize(table.buckets().len() * SLOTS, ptr::null());
                    let mut taken = 0;
                    for bucket in table.buckets() {
                        // SAFETY: pinned; the view's revision is protected, and with it what is visible.
                        for object in unsafe { bucket.objects(revision) } {
                            // Occupancy is unpredictable: keep this loop branch-free.
                            self.buffer[taken] = object;
                            taken += usize::from(!object.is_null());
                        }
                    }
                    self.buffer.truncate(taken);
                }
                true
            }
            Source::Records(records) => {
                // SAFETY: alive, as the index of a protected revision holds them; pinned.
                let objects = records.by_ref().map(|record| unsafe { object_at(record, revision) });
                self.buffer.extend(objects.filter(|object| !object.is_null()).take(AT_ONCE));
                !self.buffer.is_empty()
            }
        }
    }

    /// What remains, as shared objects.
    pub(crate) fn list(mut self, at_most: usize) -> Vec<Arc<T>> {
        let mut list = Vec::with_capacity(at_most);
        loop {
            let rest = &self.buffer[self.position..];
            for (i, &object) in rest.iter().enumerate() {
                if let Some(ahead) = rest.get(i + AHEAD) {
                    prefetch_counts(*ahead);
                }
                // SAFETY: objects that are visible at a protected revision are alive, and their
                // addresses came from the `Arc`s that hold them.
                list.push(unsafe {
                    Arc::increment_strong_count(object);
                    Arc::from_raw(object)
                });
            }
            if !self.fill() {
                return list;
            }
        }
    }
}

impl<'a, T> Iterator for Objects<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        loop {
            if let Some(&object) = self.buffer.get(self.position) {
                self.position += 1;
                // SAFETY: visible at the view's revision, which is protected for `'a`.
                return unsafe { object.as_ref() };
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// As by `next`, in one tight loop for each part.
    fn fold<B, F: FnMut(B, &'a T) -> B>(mut self, start: B, mut f: F) -> B {
        let mut result = start;
        loop {
            for &object in &self.buffer[self.position..] {
                // SAFETY: as in `next`.
                if let Some(object) = unsafe { object.as_ref() } {
                    result = f(result, object);
                }
            }
            if !self.fill() {
                return result;
            }
        }
    }
}
