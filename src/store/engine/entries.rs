//! Reading an index at one revision.

use std::ops::Bound;

use imbl::ordmap::RangedIter;
use imbl::shared_ptr::DefaultSharedPtr;

use super::chain::object_at;
use super::index::{IndexId, Named, Tree};
use super::pin::Pin;
use super::postings::{Postings, Records};
use super::record::RecordRef;
use super::value::Value;
use super::view::{Entry, View};
use super::walk::Objects;
use crate::sync::Arc;
use crate::{ArcRef, KeyRef};

/// How many records are read under one pin.
pub(super) const AT_ONCE: usize = 64;

impl<'a, T> View<'a, T> {
    pub(crate) fn namespaces(self) -> IndexView<'a, T> {
        IndexView { view: self, tree: &self.revision.indexes.namespaces }
    }

    /// A user's index, if this revision has it.
    pub(crate) fn index<V>(self, id: IndexId) -> Option<IndexView<'a, T, V>>
    where
        T: 'static,
        V: ?Sized + 'static,
    {
        self.named(|named| named.id == id)
    }

    /// The index by a label's values.
    pub(crate) fn label_index(self, label: &str) -> Option<IndexView<'a, T>>
    where
        T: 'static,
    {
        self.named(|named| named.label.as_deref() == Some(label))
    }

    fn named<V>(self, is: impl Fn(&Named) -> bool) -> Option<IndexView<'a, T, V>>
    where
        T: 'static,
        V: ?Sized + 'static,
    {
        let named = self.revision.indexes.named.iter().find(|named| is(named))?;
        Some(IndexView { view: self, tree: named.tree.downcast_ref::<Tree<T, V>>()? })
    }

    /// The entry of a record that an index of this revision holds.
    ///
    /// # Safety
    /// The record comes from an index of this revision, and the caller is pinned.
    unsafe fn resolve(self, record: RecordRef<T>) -> Option<Entry<'a, T>> {
        // SAFETY: the record has an object that is visible at this revision, and lives as long.
        unsafe {
            let object = ArcRef::at(object_at(record, self.revision.number))?;
            Some((record.key(), object))
        }
    }
}

/// One index of a view.
pub(crate) struct IndexView<'a, T, V: ?Sized = str> {
    view: View<'a, T>,
    tree: &'a Tree<T, V>,
}

impl<T, V: ?Sized> Clone for IndexView<'_, T, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, V: ?Sized> Copy for IndexView<'_, T, V> {}

impl<'a, T: Send + Sync, V: Ord + ?Sized + 'static> IndexView<'a, T, V> {
    /// Its values in a range, in order, each with how many objects have it.
    pub(crate) fn values(
        self,
        range: (Bound<&V>, Bound<&V>),
    ) -> impl Iterator<Item = (&'a V, usize)> + use<'a, T, V> {
        let values = self.tree.0.range::<_, V>(range);
        values.map(|(value, postings)| (&**value.shared(), postings.len()))
    }

    /// Its values in a range, in order, each with its entries.
    pub(crate) fn groups(self, range: (Bound<&V>, Bound<&V>)) -> Groups<'a, T, V> {
        Groups { index: self, values: self.tree.0.range::<_, V>(range) }
    }

    pub(crate) fn count(self, value: &V) -> usize {
        self.tree.0.get(value).map_or(0, Postings::len)
    }

    /// The entries that have a value, in key order.
    pub(crate) fn entries(self, value: &V, from: Bound<KeyRef<'_>>) -> Entries<'a, T> {
        self.entries_of(self.tree.0.get(value), from)
    }

    fn entries_of(
        self,
        postings: Option<&'a Postings<T>>,
        from: Bound<KeyRef<'_>>,
    ) -> Entries<'a, T> {
        // Finding the bound compares keys.
        let _pin = Pin::new();
        let (records, at_most) = match postings {
            // SAFETY: the index of a protected revision holds live records; pinned.
            Some(postings) => (unsafe { postings.from(from) }, postings.len()),
            None => (Records::empty(), 0),
        };
        Entries { view: self.view, records, at_most, buffer: Vec::new().into_iter() }
    }
}

/// The values of an index in order, each with its entries in key order.
pub(crate) struct Groups<'a, T, V: ?Sized> {
    index: IndexView<'a, T, V>,
    values: RangedIter<'a, Value<V>, Postings<T>, DefaultSharedPtr>,
}

impl<'a, T, V> Iterator for Groups<'a, T, V>
where
    T: Send + Sync,
    V: Ord + ?Sized + 'static,
{
    type Item = (&'a Arc<V>, Entries<'a, T>);

    fn next(&mut self) -> Option<Self::Item> {
        let (value, postings) = self.values.next()?;
        Some((value.shared(), self.index.entries_of(Some(postings), Bound::Unbounded)))
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
    /// Upper bound on how many there are; exact without a bound.
    pub(crate) fn at_most(&self) -> usize {
        self.at_most
    }

    /// What remains, without keys.
    pub(crate) fn objects(self) -> Objects<'a, T> {
        let read = self.buffer.map(|(_, object)| Arc::as_ptr(&object)).collect();
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
            record.prefetch_key();
            record.prefetch_hot();
        }
        // SAFETY: the records come from an index of the view's revision; pinned.
        let entries = records.into_iter().filter_map(|record| unsafe { self.view.resolve(record) });
        self.buffer = entries.collect::<Vec<_>>().into_iter();
        self.buffer.next()
    }
}
