//! Reading an index at one revision.

use std::ops::Bound;

use super::chain::visible;
use super::index::Index;
use super::pin::Pin;
use super::postings::{Postings, Records};
use super::slab::RecordRef;
use super::view::{Entry, View, entry};
use super::walk::Objects;
use crate::KeyRef;
use crate::sync::Arc;

/// How many records are read under one pin.
pub(super) const AT_ONCE: usize = 64;

impl<'a, T> View<'a, T> {
    pub(crate) fn namespaces(self) -> IndexView<'a, T> {
        IndexView { view: self, index: &self.revision.indexes.namespaces }
    }

    pub(crate) fn index(self, name: &str) -> Option<IndexView<'a, T>> {
        self.revision.indexes.get(name).map(|index| IndexView { view: self, index })
    }

    pub(crate) fn index_names(self) -> impl Iterator<Item = &'a str> {
        self.revision.indexes.named.iter().map(|(name, _)| &**name)
    }

    /// The entry of a record that an index of this revision holds.
    ///
    /// # Safety
    /// The record comes from an index of this revision, and the caller is pinned.
    unsafe fn resolve(self, record: RecordRef<T>) -> Option<Entry<'a, T>> {
        // SAFETY: the record has a version that is visible at this revision, and lives as long.
        unsafe { entry(visible(record.head(), self.revision.number)?) }
    }
}

/// One index of a view.
pub(crate) struct IndexView<'a, T> {
    view: View<'a, T>,
    index: &'a Index<T>,
}

impl<T> Clone for IndexView<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for IndexView<'_, T> {}

impl<'a, T: Send + Sync> IndexView<'a, T> {
    /// Its values in order, from a bound on, each with how many objects have it.
    pub(crate) fn values(self, from: Bound<&str>) -> impl Iterator<Item = (&'a str, usize)> + 'a {
        self.index
            .0
            .range::<_, str>((from, Bound::Unbounded))
            .map(|(value, postings)| (&**value, postings.len()))
    }

    pub(crate) fn count(self, value: &str) -> usize {
        self.index.0.get(value).map_or(0, Postings::len)
    }

    /// The entries that have a value, in key order.
    pub(crate) fn entries(self, value: &str, from: Bound<KeyRef<'_>>) -> Entries<'a, T> {
        // Finding the bound compares keys.
        let _pin = Pin::new();
        let (records, at_most) = match self.index.0.get(value) {
            // SAFETY: the index of a protected revision holds live records; pinned.
            Some(postings) => (unsafe { postings.from(from) }, postings.len()),
            None => (Records::empty(), 0),
        };
        Entries { view: self.view, records, at_most, buffer: Vec::new().into_iter() }
    }
}

/// The entries of one value of an index, in key order, resolved a few at a time under one pin.
pub(crate) struct Entries<'a, T> {
    view: View<'a, T>,
    records: Records<'a, T>,
    /// All that have the value.
    at_most: usize,
    buffer: std::vec::IntoIter<Entry<'a, T>>,
}

impl<'a, T> Entries<'a, T> {
    /// How many there are at most; without a bound, exactly.
    pub(crate) fn at_most(&self) -> usize {
        self.at_most
    }

    /// What is left of it, without keys.
    pub(crate) fn objects(self) -> Objects<'a, T> {
        let read = self.buffer.map(|(_, object)| Arc::as_ptr(object)).collect();
        Objects::of(self.view, read, self.records)
    }
}

impl<'a, T> Iterator for Entries<'a, T> {
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
