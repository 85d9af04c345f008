//! Selecting objects by their labels.

use std::ops::Bound;

use super::Snapshot;
use super::engine::IndexView;
use crate::selector::{Operator, Requirement};
use crate::{ArcRef, KeyRef, LabelSelector, Object};

impl<T: Object> Snapshot<T> {
    /// The objects that match a selector, in no particular order.
    ///
    /// If the selector asks for values of an [indexed](super::StoreBuilder::label_index) label, only the
    /// objects with such a value are tested; of several such labels the one with the fewest objects is used.
    /// Otherwise O(objects).
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Pod(&'static str, &'static [(&'static str, &'static str)]);
    /// impl Object for Pod {
    ///     fn key(&self) -> KeyRef<'_> { ("default", self.0).into() }
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
    pub fn select<'a>(
        &'a self,
        selector: &'a LabelSelector,
    ) -> impl Iterator<Item = (KeyRef<'a>, ArcRef<'a, T>)> {
        let indexed = selector.requirements().iter().filter_map(|requirement| {
            let index = self.index_for(requirement)?;
            let objects = requirement.values().iter().map(|value| index.count(value)).sum();
            Some((objects, index, requirement))
        });
        let fewest = indexed.min_by_key(|(objects, ..): &(usize, _, _)| *objects);
        // An object has at most one value of a label, so it occurs once.
        let by_index = fewest.map(|(_, index, requirement)| {
            let values = requirement.values().iter();
            values.flat_map(move |value| index.entries(value, Bound::Unbounded))
        });
        let everything = by_index.is_none().then(|| self.iter());
        let candidates = everything.into_iter().flatten().chain(by_index.into_iter().flatten());
        candidates.filter(|(_, object)| selector.matches(|name| object.label(name)))
    }

    fn index_for(&self, requirement: &Requirement) -> Option<IndexView<'_, T>> {
        let fits = requirement.operator() == Operator::In;
        fits.then(|| self.view().label_index(requirement.label()))?
    }
}
