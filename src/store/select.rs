//! Objects by their labels.

use std::fmt;
use std::ops::Bound;
use std::slice;

use super::engine::{self, Entry, IndexView};
use super::snapshot::{Iter, Snapshot};
use crate::selector::{Operator, Requirement};
use crate::{LabelSelector, Object};

/// The name of the index that [`StoreBuilder::label_index`](super::StoreBuilder::label_index) adds.
pub(super) fn index_name(label: &str) -> String {
    format!("label:{label}")
}

impl<T: Object> Snapshot<T> {
    /// The objects that a selector selects, in no particular order.
    ///
    /// Where the selector asks for values of a label that is
    /// [indexed](super::StoreBuilder::label_index), only the objects with such a value are looked
    /// at, by the index that leaves the fewest. Otherwise O(objects).
    ///
    /// ```
    /// # use watchcache::{Key, KeyError, Object, Store};
    /// # struct Pod(&'static str, &'static [(&'static str, &'static str)]);
    /// impl Object for Pod {
    ///     fn key(&self) -> Result<Key, KeyError> { Key::namespaced("default", self.0) }
    ///     fn label(&self, name: &str) -> Option<&str> {
    ///         self.1.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    ///     }
    /// }
    ///
    /// let store = Store::builder().label_index("app").build();
    /// store.add(Pod("web-0", &[("app", "web"), ("tier", "front")]))?;
    /// store.add(Pod("web-1", &[("app", "web"), ("tier", "test")]))?;
    /// store.add(Pod("db-0", &[("app", "db")]))?;
    ///
    /// let selector = "app in (web, api), tier != test".parse()?;
    /// let snapshot = store.snapshot();
    /// let names: Vec<_> = snapshot.select(&selector).map(|(key, _)| key.name()).collect();
    /// assert_eq!(names, ["web-0"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn select<'a>(&'a self, selector: &'a LabelSelector) -> Selected<'a, T> {
        let indexed = selector.requirements().iter().filter_map(|requirement| {
            let index = self.index_for(requirement)?;
            let objects = requirement.values().iter().map(|value| index.count(value)).sum();
            Some((objects, index, requirement))
        });
        let from = match indexed.min_by_key(|(objects, ..): &(usize, _, _)| *objects) {
            Some((_, index, requirement)) => {
                From::Index { index, values: requirement.values().iter(), entries: None }
            }
            None => From::Everything(self.iter()),
        };
        Selected { from, selector }
    }

    fn index_for(&self, requirement: &Requirement) -> Option<IndexView<'_, T>> {
        let fits = requirement.operator() == Operator::In;
        fits.then(|| self.view().index(&index_name(requirement.label())))?
    }
}

/// Iterator over what a [`LabelSelector`] selects; see [`Snapshot::select`].
pub struct Selected<'a, T> {
    from: From<'a, T>,
    selector: &'a LabelSelector,
}

enum From<'a, T> {
    Everything(Iter<'a, T>),
    /// An object has one value of a label at most, so it occurs once.
    Index {
        index: IndexView<'a, T>,
        values: slice::Iter<'a, String>,
        entries: Option<engine::Entries<'a, T>>,
    },
}

impl<'a, T: Object> Iterator for From<'a, T> {
    type Item = Entry<'a, T>;

    fn next(&mut self) -> Option<Entry<'a, T>> {
        match self {
            Self::Everything(iter) => iter.next(),
            Self::Index { index, values, entries } => loop {
                if let Some(entry) = entries.as_mut().and_then(Iterator::next) {
                    return Some(entry);
                }
                *entries = Some(index.entries(values.next()?, Bound::Unbounded));
            },
        }
    }
}

impl<'a, T: Object> Iterator for Selected<'a, T> {
    type Item = Entry<'a, T>;

    fn next(&mut self) -> Option<Entry<'a, T>> {
        let selector = self.selector;
        self.from.find(|(_, object)| selector.matches(|name| object.label(name)))
    }
}

impl<T> fmt::Debug for Selected<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selected").field("selector", self.selector).finish_non_exhaustive()
    }
}
