//! Walking over everything at one revision.
//!
//! A walk reads shard by shard, each under one short pin, so a slow walk retains only the memory of its
//! own revision.

use std::ops::Range;
use std::ptr::{self, NonNull};

use super::SHARD_COUNT;
use super::chain::{Version, visible};
use super::entries::AT_ONCE;
use super::pin::Pin;
use super::postings::Records;
use super::prefetch::prefetch;
use super::view::{Entry, View, entry};
use crate::sync::Arc;

/// How many entries ahead a version, or an object, is prefetched.
const AHEAD: usize = 16;

impl<'a, T> View<'a, T> {
    /// All shards, for [`cursor`](Self::cursor).
    pub(crate) fn shards(self) -> Range<usize> {
        0..SHARD_COUNT
    }

    /// A walk over the keys and objects of a range of the shards.
    pub(crate) fn cursor(self, shards: Range<usize>) -> Cursor<'a, T> {
        Cursor { view: self, shards, buffer: Vec::new(), position: 0, heads: Vec::new() }
    }
}

/// A walk over keys and objects.
pub(crate) struct Cursor<'a, T> {
    view: View<'a, T>,
    shards: Range<usize>,
    /// What is visible in the shard read last.
    buffer: Vec<NonNull<Version<T>>>,
    position: usize,
    /// Room for the heads of a shard, kept from one to the next.
    heads: Vec<*const Version<T>>,
}

// SAFETY: the versions in it are shared, and give out `&Arc<T>` only.
unsafe impl<T: Send + Sync> Send for Cursor<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Cursor<'_, T> {}

impl<'a, T> Cursor<'a, T> {
    /// What remains, without keys.
    pub(crate) fn objects(self) -> Objects<'a, T> {
        let read = self.buffer[self.position..].iter().filter_map(|version| {
            // SAFETY: found visible at the view's revision, which is protected for `'a`.
            unsafe { version.as_ref().value() }.map(Arc::as_ptr)
        });
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
        // Heads first, versions then, objects last: no loop waits for one miss after the other.
        // Occupancy is unpredictable: keep this loop branch-free.
        self.heads.clear();
        self.heads.resize(table.capacity(), ptr::null());
        let mut taken = 0;
        for head in table.heads() {
            self.heads[taken] = head;
            taken += usize::from(!head.is_null());
        }
        self.heads.truncate(taken);
        let visible = self.heads.iter().enumerate().filter_map(|(i, &head)| {
            if let Some(ahead) = self.heads.get(i + AHEAD) {
                prefetch(*ahead);
            }
            // SAFETY: pinned; the view's revision is protected, and with it what is visible.
            let version = unsafe { visible(head, number) }?;
            // SAFETY: as above.
            unsafe { version.as_ref().value() }.map(|_| version)
        });
        self.buffer.extend(visible);
    }
}

impl<'a, T> Iterator for Cursor<'a, T> {
    type Item = Entry<'a, T>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a, T>> {
        loop {
            if let Some(version) = self.buffer.get(self.position) {
                self.position += 1;
                if let Some(ahead) = self.buffer.get(self.position + AHEAD) {
                    // SAFETY: as below.
                    unsafe { ahead.as_ref().prefetch_value() };
                }
                // SAFETY: found visible at the view's revision, which is protected for `'a`.
                return unsafe { entry(*version) };
            }
            let shard = self.shards.next()?;
            self.fill(shard);
        }
    }
}

/// A walk over objects alone: where nothing has changed since its revision it reads no version, which
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
                    table.objects(revision, &mut self.buffer, |head| {
                        // SAFETY: pinned; the view's revision is protected, and with it what is
                        // visible.
                        let object =
                            unsafe { visible(head, revision).and_then(|at| at.as_ref().value()) };
                        object.map_or(ptr::null(), Arc::as_ptr)
                    });
                }
                true
            }
            Source::Records(records) => {
                // SAFETY: alive, as the index of a protected revision holds them; pinned.
                let objects = records.by_ref().map(|record| unsafe { record.object(revision) });
                self.buffer.extend(objects.filter(|object| !object.is_null()).take(AT_ONCE));
                !self.buffer.is_empty()
            }
        }
    }

    /// What remains, as shared objects.
    pub(crate) fn list(mut self, at_most: usize) -> Vec<Arc<T>> {
        /// The counts lie before the object.
        const COUNTS: usize = 2 * size_of::<usize>();
        let mut list = Vec::with_capacity(at_most);
        loop {
            let rest = &self.buffer[self.position..];
            for (i, &object) in rest.iter().enumerate() {
                if let Some(ahead) = rest.get(i + AHEAD) {
                    prefetch(ahead.wrapping_byte_sub(COUNTS));
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
