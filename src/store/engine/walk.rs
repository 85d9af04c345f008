//! Walking over everything at one revision.
//!
//! A walk reads shard by shard, each under one short pin, so a slow one keeps no memory from being
//! freed but its revision's own.

use std::ops::Range;
use std::ptr::{self, NonNull};

use super::pin::Pin;
use super::postings::Records;
use super::prefetch::prefetch;
use super::read::{Entry, View, entry};
use super::version::{Version, visible};
use crate::sync::Arc;

/// How many entries before its turn a version, or an object, begins to load.
const AHEAD: usize = 16;

/// How many records are read under one pin.
pub(super) const AT_ONCE: usize = 64;

impl<'a, T, const SHARDS: usize> View<'a, T, SHARDS> {
    /// All shards, for [`cursor`](Self::cursor) and [`objects`](Self::objects).
    pub(in super::super) fn shards(self) -> Range<usize> {
        0..SHARDS
    }

    /// A walk over the keys and objects of a range of the shards.
    pub(in super::super) fn cursor(self, shards: Range<usize>) -> Cursor<T> {
        Cursor { shards, buffer: Vec::new(), position: 0, heads: Vec::new() }
    }

    /// The next entry of a cursor that this view, or one of the same revision, made.
    #[inline]
    pub(in super::super) fn advance(self, cursor: &mut Cursor<T>) -> Option<Entry<'a, T>> {
        loop {
            if let Some(version) = cursor.buffer.get(cursor.position) {
                cursor.position += 1;
                if let Some(ahead) = cursor.buffer.get(cursor.position + AHEAD) {
                    // SAFETY: as below.
                    unsafe { ahead.as_ref().prefetch_value() };
                }
                // SAFETY: found visible at this revision, which is protected for `'a`.
                return unsafe { entry(*version) };
            }
            let shard = cursor.shards.next()?;
            cursor.fill(self, shard);
        }
    }

    /// A walk over the objects alone.
    pub(in super::super) fn objects(self, shards: Range<usize>) -> Objects<'a, T, SHARDS> {
        Objects { view: self, from: From::Shards(shards), buffer: Vec::new(), position: 0 }
    }
}

/// A walk over keys and objects; see [`View::advance`].
pub(in super::super) struct Cursor<T> {
    shards: Range<usize>,
    /// What is visible in the shard read last.
    buffer: Vec<NonNull<Version<T>>>,
    position: usize,
    /// Room for the heads of a shard, kept from one to the next.
    heads: Vec<*const Version<T>>,
}

// SAFETY: the versions in it are shared, and give out `&Arc<T>` only.
unsafe impl<T: Send + Sync> Send for Cursor<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Cursor<T> {}

impl<T> Cursor<T> {
    fn fill<const SHARDS: usize>(&mut self, view: View<'_, T, SHARDS>, shard: usize) {
        self.buffer.clear();
        self.position = 0;
        let _pin = Pin::new();
        // SAFETY: pinned.
        let Some(table) = (unsafe { view.engine.shards[shard].table() }) else { return };
        // Heads first, versions then, objects last: no loop waits for one miss after the other.
        // Whether a slot is taken is as good as chance, so nothing branches on it.
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
            let version = unsafe { visible(head, view.number()) }?;
            // SAFETY: as above.
            unsafe { version.as_ref().value() }.map(|_| version)
        });
        self.buffer.extend(visible);
    }
}

/// A walk over objects alone: it visits no version, and so has half the misses, where nothing has
/// changed since its revision.
pub(in super::super) struct Objects<'a, T, const SHARDS: usize = { super::DEFAULT_SHARDS }> {
    view: View<'a, T, SHARDS>,
    from: From<'a, T>,
    /// The objects read last: of a shard, or of some records.
    buffer: Vec<*const T>,
    position: usize,
}

enum From<'a, T> {
    Shards(Range<usize>),
    Records(Records<'a, T>),
}

// SAFETY: it gives out `&T` only, of objects that are shared, and `Arc<T>`.
unsafe impl<T: Send + Sync, const SHARDS: usize> Send for Objects<'_, T, SHARDS> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync, const SHARDS: usize> Sync for Objects<'_, T, SHARDS> {}

impl<'a, T, const SHARDS: usize> Objects<'a, T, SHARDS> {
    /// A walk over some objects, and then over records that an index of the view's revision holds.
    pub(super) fn of(
        view: View<'a, T, SHARDS>,
        first: Vec<*const T>,
        records: Records<'a, T>,
    ) -> Self {
        Self { view, from: From::Records(records), buffer: first, position: 0 }
    }

    /// Reads on; whether there is more.
    fn fill(&mut self) -> bool {
        self.buffer.clear();
        self.position = 0;
        let revision = self.view.number();
        let _pin = Pin::new();
        match &mut self.from {
            From::Shards(shards) => {
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
            From::Records(records) => {
                // SAFETY: alive, as the index of a protected revision holds them; pinned.
                let objects = records.by_ref().map(|record| unsafe { record.object(revision) });
                self.buffer.extend(objects.take(AT_ONCE));
                !self.buffer.is_empty()
            }
        }
    }

    /// What is left of it, shared.
    pub(in super::super) fn list(mut self, at_most: usize) -> Vec<Arc<T>> {
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

impl<'a, T, const SHARDS: usize> Iterator for Objects<'a, T, SHARDS> {
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
