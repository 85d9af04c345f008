//! Indexes: from a value to the records whose object has it.
//!
//! Persistent trees, rooted in each revision: a clone shares all nodes, so an index is as
//! consistent with its revision as the table is. A tree holds records, not objects, so an update
//! that changes no indexed value touches no tree.

use std::any::Any;

use super::column::Function;
use super::postings::{Postings, Removed};
use super::record::RecordRef;
use super::value::Value;
use crate::sync::Arc;

/// The tree of one index.
///
/// Values compare as their type defines, which may be user code and need not be an order at all. A reader
/// then finds too little. But a record is freed once it was removed, so removal does not rely on the
/// order: a record that is not where it should be is searched for everywhere.
pub(super) struct Tree<T, V: ?Sized>(pub(super) imbl::OrdMap<Value<V>, Postings<T>>);

impl<T, V: ?Sized> Clone for Tree<T, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T, V: Ord + ?Sized + 'static> Tree<T, V> {
    pub(super) fn new() -> Self {
        Self(imbl::OrdMap::new())
    }

    /// Adds a record to at most one value's postings. The value becomes the tree's own, if it has it already: so
    /// those that are equal are one allocation.
    ///
    /// # Safety
    /// The records are alive, this one too, and the caller is the writer.
    pub(super) unsafe fn insert(&mut self, value: &mut Value<V>, record: RecordRef<T>) {
        match self.0.get_key_value_mut(value) {
            None => _ = self.0.insert(value.clone(), Postings::One(record)),
            Some((own, postings)) => {
                // SAFETY: alive, and this is the writer.
                unsafe { postings.insert(record) };
                *value = own.clone();
            }
        }
    }

    /// Removes a record from one value's postings, or from all there are.
    ///
    /// So after as many removals as insertions of a record no postings hold it, whatever values they
    /// were of and however these compare: each insertion added it to one at most. A second search for the same
    /// value may find another one's postings; whatever it takes out, the record is in none, and none stay empty.
    ///
    /// # Safety
    /// As for [`insert`](Self::insert).
    pub(super) unsafe fn remove(&mut self, value: &Value<V>, record: RecordRef<T>) {
        let removed = match self.0.get_mut(value) {
            // SAFETY: alive, and this is the writer.
            Some(postings) => unsafe { postings.remove(record) },
            None => Removed::No,
        };
        let removed = match removed {
            Removed::Yes => true,
            Removed::No => false,
            Removed::Last => self.0.remove(value).is_some_and(|last| last.len() == 0),
            Removed::Only => self.0.remove(value).is_some_and(|only| only.is_one(record)),
        };
        if !removed {
            // SAFETY: alive, and this is the writer.
            unsafe { self.purge(record) };
        }
    }

    /// Removes a record from all postings, in whatever order these are.
    ///
    /// # Safety
    /// As for [`insert`](Self::insert).
    #[cold]
    unsafe fn purge(&mut self, record: RecordRef<T>) {
        for (value, mut postings) in std::mem::take(&mut self.0) {
            // SAFETY: alive, and this is the writer.
            let is_only = matches!(unsafe { postings.remove(record) }, Removed::Only);
            if !is_only && postings.len() > 0 {
                self.0.insert(value, postings);
            }
        }
    }
}

/// By namespace, whose records have one each.
impl<T> Tree<T, str> {
    /// # Safety
    /// As for [`Tree::insert`].
    unsafe fn appear(&mut self, namespace: &str, record: RecordRef<T>) {
        match self.0.get_mut(namespace) {
            None => {
                let value = Value::new(Arc::from(namespace));
                self.0.insert(value, Postings::One(record));
            }
            // SAFETY: alive, and this is the writer.
            Some(postings) => unsafe { postings.insert(record) },
        }
    }

    /// # Safety
    /// As for [`Tree::insert`].
    unsafe fn disappear(&mut self, namespace: &str, record: RecordRef<T>) {
        let Some(postings) = self.0.get_mut(namespace) else { return };
        // SAFETY: alive, and this is the writer.
        if let Removed::Last | Removed::Only = unsafe { postings.remove(record) } {
            self.0.remove(namespace);
        }
    }
}

/// Which index a handle is of: the address of its function, which handle and index keep.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexId(usize);

impl IndexId {
    pub(crate) fn of<T, V: ?Sized>(function: &Arc<Function<T, V>>) -> Self {
        Self(Arc::as_ptr(function).cast::<()>().addr())
    }
}

/// A named index of a revision.
pub(super) struct Named {
    pub(super) id: IndexId,
    /// The label that it is by, if it was made for label selectors.
    pub(super) label: Option<Arc<str>>,
    /// A [`Tree`].
    pub(super) tree: Arc<dyn Any + Send + Sync>,
}

impl Clone for Named {
    fn clone(&self) -> Self {
        let Self { id, label, tree } = self;
        Self { id: *id, label: label.clone(), tree: Arc::clone(tree) }
    }
}

/// All indexes of a revision.
pub(super) struct Indexes<T> {
    /// By namespace, and so, since keys order by namespace first, all keys in order.
    pub(super) namespaces: Tree<T, str>,
    pub(super) named: Vec<Named>,
}

impl<T> Clone for Indexes<T> {
    fn clone(&self) -> Self {
        Self { namespaces: self.namespaces.clone(), named: self.named.clone() }
    }
}

impl<T> Indexes<T> {
    pub(super) fn new() -> Self {
        Self { namespaces: Tree::new(), named: Vec::new() }
    }

    /// Adds a new record.
    ///
    /// # Safety
    /// The record is alive, and stays so until it is removed; the caller is the writer.
    pub(super) unsafe fn appear(&mut self, record: RecordRef<T>) {
        // SAFETY: alive, and this is the writer.
        unsafe {
            let (namespace, _) = record.key().parts();
            self.namespaces.appear(namespace, record);
        }
    }

    /// Removes a record whose object is gone. The caller removes it from its named indexes.
    ///
    /// # Safety
    /// The record is alive, and the caller is the writer.
    pub(super) unsafe fn disappear(&mut self, record: RecordRef<T>) {
        // SAFETY: alive, and this is the writer.
        unsafe {
            let (namespace, _) = record.key().parts();
            self.namespaces.disappear(namespace, record);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::cmp::Ordering;
    use std::ops::Bound;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use proptest::prelude::*;

    use super::super::slab::Slabs;
    use super::*;

    thread_local! {
        /// What the next comparisons answer, if not the truth.
        static LIES: RefCell<Vec<Option<Ordering>>> = const { RefCell::new(Vec::new()) };
    }

    #[derive(PartialEq, Eq)]
    struct Liar(u8);

    impl Ord for Liar {
        fn cmp(&self, other: &Self) -> Ordering {
            let lie = LIES.with_borrow_mut(Vec::pop).flatten();
            lie.unwrap_or_else(|| self.0.cmp(&other.0))
        }
    }

    impl PartialOrd for Liar {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    fn holds(tree: &Tree<u8, Liar>, record: RecordRef<u8>) -> bool {
        tree.0.values().any(|postings| {
            // SAFETY: the records are alive.
            unsafe { postings.from(Bound::Unbounded) }.any(|held| held == record)
        })
    }

    /// Puts records under values and takes them out in turn.
    fn check(turns: &[(usize, u8)], mut lies: Vec<Option<Ordering>>) {
        let mut slabs = Slabs::<u8>::new();
        let records: [_; 6] = std::array::from_fn(|i| slabs.take((&*i.to_string(), "name").into()));
        let (mut tree, mut held) = (Tree::new(), [const { None }; 6]);
        for &(record, value) in turns {
            LIES.set(std::mem::take(&mut lies));
            let turn = catch_unwind(AssertUnwindSafe(|| match held[record].take() {
                // SAFETY: the records are alive.
                Some(value) => unsafe { tree.remove(&value, records[record]) },
                None => {
                    let mut value = Value::new(Arc::new(Liar(value)));
                    // SAFETY: as above.
                    unsafe { tree.insert(&mut value, records[record]) };
                    held[record] = Some(value);
                }
            }));
            lies = LIES.take();
            if turn.is_err() {
                // As a column does.
                (tree, held) = (Tree::new(), [const { None }; 6]);
            }
            for (record, held) in records.iter().zip(&held) {
                assert!(held.is_some() || !holds(&tree, *record), "a record that is gone");
            }
            assert!(tree.0.values().all(|postings| postings.len() > 0), "a value of nothing");
        }
        for record in records {
            // SAFETY: nobody else knows it.
            unsafe { slabs.give_back(record) };
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 8 } else { 2_000 }))]

        /// What is removed may be freed, whatever its values answered.
        #[test]
        fn no_record_that_was_removed_is_found(
            turns in prop::collection::vec((0..6_usize, 0..3_u8), 1..24),
            lies in prop::collection::vec(
                prop_oneof![
                    2 => Just(None),
                    1 => Just(Some(Ordering::Less)),
                    1 => Just(Some(Ordering::Equal)),
                    1 => Just(Some(Ordering::Greater)),
                ],
                0..80,
            ),
        ) {
            check(&turns, lies);
        }
    }
}
