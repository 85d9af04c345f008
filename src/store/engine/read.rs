//! Reading at one revision.

use std::ops::Bound;
use std::ptr::NonNull;

use super::index::Index;
use super::pin::Pin;
use super::postings::{Postings, Records};
use super::record::RecordRef;
use super::revision::Revision;
use super::version::{Version, visible};
use super::walk::{AT_ONCE, Objects};
use super::{DEFAULT_SHARDS, Engine};
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::{KeyRef, ResourceVersion};

/// A key and its object.
pub(in super::super) type Entry<'a, T> = (KeyRef<'a>, &'a Arc<T>);

/// An engine's content at one revision, which something else protects for `'a`: a pin since before
/// the revision was learnt, or a hold on it.
pub(in super::super) struct View<'a, T, const SHARDS: usize = DEFAULT_SHARDS> {
    pub(super) engine: &'a Engine<T, SHARDS>,
    pub(super) revision: &'a Revision<T>,
}

impl<T, const SHARDS: usize> Clone for View<'_, T, SHARDS> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, const SHARDS: usize> Copy for View<'_, T, SHARDS> {}

impl<T, const SHARDS: usize> Engine<T, SHARDS> {
    /// The newest content, for as long as a pin lasts.
    #[inline]
    pub(in super::super) fn view<'a>(&'a self, pin: &'a Pin) -> View<'a, T, SHARDS> {
        // SAFETY: a revision that was published while this thread was pinned is not freed before
        // the thread unpins.
        View { engine: self, revision: unsafe { Revision::get(self.published(pin)) } }
    }
}

impl<'a, T, const SHARDS: usize> View<'a, T, SHARDS> {
    #[inline]
    pub(in super::super) fn number(self) -> u64 {
        self.revision.number
    }

    pub(in super::super) fn len(self) -> usize {
        self.revision.len
    }

    pub(in super::super) fn resource_version(self) -> Option<&'a ResourceVersion> {
        self.revision.resource_version.as_ref()
    }

    /// The object under a key.
    #[inline]
    pub(in super::super) fn get(self, key: KeyRef<'_>) -> Option<&'a Arc<T>> {
        let _pin = Pin::new();
        self.get_pinned(key)
    }

    /// As [`get`](Self::get), for a caller that is pinned already.
    #[inline]
    pub(in super::super) fn get_pinned(self, key: KeyRef<'_>) -> Option<&'a Arc<T>> {
        let hash = self.engine.hash(key);
        // SAFETY: the caller is pinned; this view's revision is protected for `'a`.
        unsafe {
            let head = self.engine.shard(hash).table()?.find(key, hash.0);
            visible(head, self.revision.number)?.as_ref().value()
        }
    }

    pub(in super::super) fn namespaces(self) -> IndexView<'a, T, SHARDS> {
        IndexView { view: self, index: &self.revision.indexes.namespaces }
    }

    pub(in super::super) fn index(self, name: &str) -> Option<IndexView<'a, T, SHARDS>> {
        self.revision.indexes.get(name).map(|index| IndexView { view: self, index })
    }

    pub(in super::super) fn index_names(self) -> impl Iterator<Item = &'a str> {
        self.revision.indexes.named.iter().map(|(name, _)| &**name)
    }

    /// The entry of a record that an index of this revision holds.
    ///
    /// # Safety
    /// The record comes from an index of this revision, and the caller is pinned.
    unsafe fn resolve(self, record: RecordRef<T>) -> Option<Entry<'a, T>> {
        // SAFETY: the record has a version that is visible at this revision, and lives as long.
        unsafe {
            // ORDERING: Acquire pairs with the Release in `RecordRef::set_head`.
            let head = record.get().head.load(Ordering::Acquire);
            entry(visible(head, self.revision.number)?)
        }
    }

    /// Calls `changed` with the entries before and after, for every key that differs between this
    /// view and another of the same engine. Costs a look at each shard and at each group of slots
    /// in the shards that changed.
    pub(in super::super) fn changes<'b>(
        self,
        other: View<'b, T, SHARDS>,
        mut changed: impl FnMut(Option<Entry<'a, T>>, Option<Entry<'b, T>>),
    ) {
        let since = self.number().min(other.number());
        for shard in &self.engine.shards {
            // ORDERING: Relaxed, as in `Table::stamp`: whoever knows a revision is ordered behind
            // the stamps of it.
            if shard.changed.load(Ordering::Relaxed) <= since {
                continue;
            }
            let _pin = Pin::new();
            // SAFETY: pinned; both views are protected for their lifetimes.
            unsafe {
                let Some(table) = shard.table() else { continue };
                for head in table.heads_changed_since(since) {
                    let (mine, others) =
                        (visible(head, self.number()), visible(head, other.number()));
                    if mine != others {
                        changed(
                            mine.and_then(|mine| entry(mine)),
                            others.and_then(|others| entry(others)),
                        );
                    }
                }
            }
        }
    }

    pub(in super::super) fn same_engine(self, other: View<'_, T, SHARDS>) -> bool {
        std::ptr::eq(self.engine, other.engine)
    }
}

/// The entry of a visible version, unless it is a deletion.
///
/// # Safety
/// The version is visible at a revision that is protected for `'a`.
#[inline]
pub(super) unsafe fn entry<'a, T>(version: NonNull<Version<T>>) -> Option<Entry<'a, T>> {
    // SAFETY: the caller's word.
    unsafe { Some((Version::key(version.as_ptr()), version.as_ref().value()?)) }
}

/// One index of a view.
pub(in super::super) struct IndexView<'a, T, const SHARDS: usize = DEFAULT_SHARDS> {
    view: View<'a, T, SHARDS>,
    index: &'a Index<T>,
}

impl<T, const SHARDS: usize> Clone for IndexView<'_, T, SHARDS> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, const SHARDS: usize> Copy for IndexView<'_, T, SHARDS> {}

impl<'a, T: Send + Sync, const SHARDS: usize> IndexView<'a, T, SHARDS> {
    /// Its values in order, from a bound on, each with how many objects have it.
    pub(in super::super) fn values(
        self,
        from: Bound<&str>,
    ) -> impl Iterator<Item = (&'a str, usize)> + 'a {
        self.index
            .0
            .range::<_, str>((from, Bound::Unbounded))
            .map(|(value, postings)| (&**value, postings.len()))
    }

    pub(in super::super) fn count(self, value: &str) -> usize {
        self.index.0.get(value).map_or(0, Postings::len)
    }

    /// The entries that have a value, in key order.
    pub(in super::super) fn entries(
        self,
        value: &str,
        from: Bound<KeyRef<'_>>,
    ) -> Entries<'a, T, SHARDS> {
        // Finding the bound compares keys.
        let _pin = Pin::new();
        let (records, at_most) = match self.index.0.get(value) {
            Some(postings) => (postings.from(from), postings.len()),
            None => (Records::empty(), 0),
        };
        Entries { view: self.view, records, at_most, buffer: Vec::new().into_iter() }
    }
}

/// The entries of one value of an index, in key order, resolved a few at a time under one pin.
pub(in super::super) struct Entries<'a, T, const SHARDS: usize = DEFAULT_SHARDS> {
    view: View<'a, T, SHARDS>,
    records: Records<'a, T>,
    /// All that have the value.
    at_most: usize,
    buffer: std::vec::IntoIter<Entry<'a, T>>,
}

impl<'a, T, const SHARDS: usize> Entries<'a, T, SHARDS> {
    /// How many there are at most; without a bound, exactly.
    pub(in super::super) fn at_most(&self) -> usize {
        self.at_most
    }

    /// What is left of it, without keys.
    pub(in super::super) fn objects(self) -> Objects<'a, T, SHARDS> {
        let read = self.buffer.map(|(_, object)| Arc::as_ptr(object)).collect();
        Objects::of(self.view, read, self.records)
    }
}

impl<'a, T, const SHARDS: usize> Iterator for Entries<'a, T, SHARDS> {
    type Item = Entry<'a, T>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a, T>> {
        if let Some(entry) = self.buffer.next() {
            return Some(entry);
        }
        let _pin = Pin::new();
        let records: Vec<_> = self.records.by_ref().take(AT_ONCE).collect();
        for record in &records {
            // SAFETY: alive, as the index of a protected revision holds it.
            unsafe { record.prefetch_head() };
        }
        // SAFETY: the records come from an index of the view's revision; pinned.
        let entries = records.into_iter().filter_map(|record| unsafe { self.view.resolve(record) });
        self.buffer = entries.collect::<Vec<_>>().into_iter();
        self.buffer.next()
    }
}

/// A thread's short hold on the revision that was published when it pinned.
pub(in super::super) struct PinnedRevision<'e, T, const SHARDS: usize = DEFAULT_SHARDS> {
    engine: &'e Engine<T, SHARDS>,
    revision: NonNull<Revision<T>>,
    _pin: Pin,
}

impl<'e, T, const SHARDS: usize> PinnedRevision<'e, T, SHARDS> {
    #[inline]
    pub(in super::super) fn new(engine: &'e Engine<T, SHARDS>) -> Self {
        let pin = Pin::new();
        Self { engine, revision: engine.published(&pin), _pin: pin }
    }

    #[inline]
    pub(in super::super) fn view(&self) -> View<'_, T, SHARDS> {
        // SAFETY: pinned since before the revision was learnt.
        View { engine: self.engine, revision: unsafe { Revision::get(self.revision) } }
    }
}

/// A snapshot's hold on a revision.
pub(in super::super) struct Hold<T, const SHARDS: usize = DEFAULT_SHARDS> {
    engine: Arc<Engine<T, SHARDS>>,
    revision: NonNull<Revision<T>>,
}

// SAFETY: a revision is immutable but for its count, which is atomic.
unsafe impl<T: Send + Sync, const SHARDS: usize> Send for Hold<T, SHARDS> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync, const SHARDS: usize> Sync for Hold<T, SHARDS> {}

impl<T, const SHARDS: usize> Hold<T, SHARDS> {
    /// Takes hold of the published revision.
    pub(in super::super) fn new(engine: &Arc<Engine<T, SHARDS>>) -> Self {
        let pin = Pin::new();
        let revision = engine.published(&pin);
        // ORDERING: Relaxed. While this thread is pinned the writer does not look at the count to
        // free by it; when it has seen the thread unpin (Release in `Pin::drop`), it sees this too.
        // SAFETY: pinned since before the revision was learnt.
        unsafe { Revision::get(revision) }.holders.fetch_add(1, Ordering::Relaxed);
        Self { engine: Arc::clone(engine), revision }
    }

    #[inline]
    pub(in super::super) fn view(&self) -> View<'_, T, SHARDS> {
        // SAFETY: held.
        View { engine: &self.engine, revision: unsafe { Revision::get(self.revision) } }
    }
}

impl<T, const SHARDS: usize> Clone for Hold<T, SHARDS> {
    fn clone(&self) -> Self {
        // ORDERING: Relaxed: this hold keeps the count above zero meanwhile.
        // SAFETY: held.
        unsafe { Revision::get(self.revision) }.holders.fetch_add(1, Ordering::Relaxed);
        Self { engine: Arc::clone(&self.engine), revision: self.revision }
    }
}

impl<T, const SHARDS: usize> Drop for Hold<T, SHARDS> {
    fn drop(&mut self) {
        // ORDERING: Release pairs with the Acquire in `reclaim::holders`.
        // SAFETY: held until here.
        unsafe { Revision::get(self.revision) }.holders.fetch_sub(1, Ordering::Release);
    }
}
