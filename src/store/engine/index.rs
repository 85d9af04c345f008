//! Indexes: from a value to the records whose object has it.
//!
//! Persistent trees, rooted in each revision: a clone shares all nodes, so an index is as
//! consistent with its revision as the table is. A tree holds records, not objects, so an update
//! that changes no indexed value touches no tree.

use super::postings::Postings;
use super::slab::RecordRef;
use crate::sync::Arc;

/// The values of one object, for each of the named indexes in order.
pub(crate) type Values = Vec<Vec<Arc<str>>>;

/// One index.
pub(super) struct Index<T>(pub(super) imbl::OrdMap<Arc<str>, Postings<T>>);

impl<T> Clone for Index<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Index<T> {
    pub(super) fn new() -> Self {
        Self(imbl::OrdMap::new())
    }

    /// # Safety
    /// The records are alive, this one too, and the caller is the writer.
    unsafe fn insert(&mut self, value: &str, shared: Option<&Arc<str>>, record: RecordRef<T>) {
        match self.0.get_mut(value) {
            None => {
                let value = shared.map_or_else(|| Arc::from(value), Arc::clone);
                self.0.insert(value, Postings::One(record));
            }
            // SAFETY: alive, and this is the writer.
            Some(postings) => unsafe { postings.insert(record) },
        }
    }

    /// # Safety
    /// As for [`insert`](Self::insert).
    unsafe fn remove(&mut self, value: &str, record: RecordRef<T>) {
        let Some(postings) = self.0.get_mut(value) else { return };
        // SAFETY: alive, and this is the writer.
        unsafe { postings.remove(record) };
        if postings.is_empty() || postings.is_only(record) {
            self.0.remove(value);
        }
    }
}

/// All indexes of a store.
pub(super) struct Indexes<T> {
    /// By namespace, and so, since keys order by namespace first, all keys in order.
    pub(super) namespaces: Index<T>,
    pub(super) named: Vec<(Arc<str>, Index<T>)>,
}

impl<T> Clone for Indexes<T> {
    fn clone(&self) -> Self {
        Self { namespaces: self.namespaces.clone(), named: self.named.clone() }
    }
}

impl<T> Indexes<T> {
    pub(super) fn new() -> Self {
        Self { namespaces: Index::new(), named: Vec::new() }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Index<T>> {
        self.named.iter().find(|(held, _)| &**held == name).map(|(_, index)| index)
    }

    /// Adds a new record.
    ///
    /// # Safety
    /// The record is alive, and stays so until it is removed from every index; the caller is the
    /// writer.
    pub(super) unsafe fn appear(&mut self, record: RecordRef<T>) {
        // SAFETY: alive, and this is the writer.
        unsafe {
            let (namespace, _) = record.key().parts();
            self.namespaces.insert(namespace, None, record);
        }
    }

    /// Removes a record whose object is gone. Its named indexes are the caller's affair.
    ///
    /// # Safety
    /// The record is alive, and the caller is the writer.
    pub(super) unsafe fn disappear(&mut self, record: RecordRef<T>) {
        // SAFETY: alive, and this is the writer.
        unsafe {
            let (namespace, _) = record.key().parts();
            self.namespaces.remove(namespace, record);
        }
    }

    /// Moves a record from its old values to its new ones, which lie in the named indexes' order.
    ///
    /// # Safety
    /// As for [`appear`](Self::appear).
    pub(super) unsafe fn change(&mut self, record: RecordRef<T>, old: &Values, new: &Values) {
        static NONE: Vec<Arc<str>> = Vec::new();
        for (i, (_, index)) in self.named.iter_mut().enumerate() {
            let (old, new) = (old.get(i).unwrap_or(&NONE), new.get(i).unwrap_or(&NONE));
            for value in old.iter().filter(|value| !new.contains(value)) {
                // SAFETY: alive, and this is the writer.
                unsafe { index.remove(value, record) };
            }
            for value in new.iter().filter(|value| !old.contains(value)) {
                // SAFETY: as above.
                unsafe { index.insert(value, Some(value), record) };
            }
        }
    }
}
