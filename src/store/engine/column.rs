//! An index as the writer has it: its function, its tree, and the values of each object.

use std::any::Any;
use std::collections::HashMap;
use std::convert::identity;

use super::index::{IndexId, Tree};
use super::record::RecordRef;
use super::value::{Value, is_text};
use super::writer::{Unindexed, prepare};
use crate::panic::{catch, contain};
use crate::sync::Arc;

/// Finds an object's values and passes them on, or returns why it cannot be indexed.
pub(crate) type Function<T, V> =
    dyn Fn(&T, &mut dyn FnMut(Arc<V>)) -> Result<(), String> + Send + Sync;

/// A named index, of whatever values.
///
/// An object is indexed in two steps. [`prepare`](Self::prepare) runs the user's function, before anything
/// changes, so that an object on which it fails is not stored. [`commit`](Self::commit) changes the
/// tree, if the values are not those of before.
pub(super) trait Column<T>: Send + Sync {
    fn id(&self) -> IndexId;
    fn name(&self) -> &Arc<str>;
    fn label(&self) -> Option<&Arc<str>>;

    /// Finds an object's values.
    ///
    /// # Errors
    /// If the function fails, or panics: its text.
    fn prepare(&mut self, object: &T) -> Result<(), String>;

    /// Indexes a record under what was found last.
    ///
    /// # Safety
    /// The record is alive, and stays so until it is withdrawn; so are all others that were indexed and
    /// not withdrawn. The caller is the writer.
    unsafe fn commit(&mut self, record: RecordRef<T>);

    /// Takes a record out.
    ///
    /// # Safety
    /// As for [`commit`](Self::commit).
    unsafe fn withdraw(&mut self, record: RecordRef<T>);

    /// The tree, if it has changed since this was last asked.
    fn changed_tree(&mut self) -> Option<Arc<dyn Any + Send + Sync>>;
}

/// An index that does not belong to a store yet.
pub(crate) struct NewIndex<T>(pub(super) Box<dyn Column<T>>);

impl<T: Send + Sync + 'static> NewIndex<T> {
    /// By a label's values, if there is a `label`.
    pub(crate) fn new<V: Ord + Send + Sync + ?Sized + 'static>(
        name: Arc<str>,
        label: Option<Arc<str>>,
        function: Arc<Function<T, V>>,
    ) -> Self {
        let (tree, held, found) = (Tree::new(), HashMap::default(), Vec::new());
        let changed = true;
        Self(Box::new(TypedColumn { name, label, function, tree, changed, held, found }))
    }
}

impl<T> NewIndex<T> {
    pub(crate) fn id(&self) -> IndexId {
        self.0.id()
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        self.0.name()
    }

    pub(crate) fn label(&self) -> Option<&Arc<str>> {
        self.0.label()
    }

    /// Whether it takes an object.
    ///
    /// # Errors
    /// If its function fails.
    pub(crate) fn check(&mut self, object: &T) -> Result<(), Box<Unindexed>> {
        prepare(&mut *self.0, object)
    }
}

/// A [`Column`] of values of one type.
struct TypedColumn<T, V: ?Sized> {
    name: Arc<str>,
    label: Option<Arc<str>>,
    function: Arc<Function<T, V>>,
    tree: Tree<T, V>,
    changed: bool,
    /// The values that each record is in the tree under: inserted for it and not yet removed. So it can
    /// be taken out again even if the function returns other values the next time.
    held: HashMap<RecordRef<T>, Held<V>, foldhash::fast::RandomState>,
    /// What [`Column::prepare`] found, in order and without repetition.
    found: Vec<Value<V>>,
}

/// One value needs no allocation.
enum Held<V: ?Sized> {
    One(Value<V>),
    Many(Box<[Value<V>]>),
}

impl<V: ?Sized> Held<V> {
    fn values(&self) -> &[Value<V>] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }

    fn new(mut values: Vec<Value<V>>) -> Option<Self> {
        match values.len() {
            0 => None,
            1 => values.pop().map(Self::One),
            _ => Some(Self::Many(values.into())),
        }
    }
}

impl<T, V: Ord + ?Sized + 'static> TypedColumn<T, V> {
    /// Indexes a record under what was found, and under nothing else.
    ///
    /// # Safety
    /// As for [`Column::commit`].
    unsafe fn change(&mut self, record: RecordRef<T>) {
        let old = self.held.remove(&record);
        let old = old.as_ref().map_or(&[][..], Held::values);
        let (tree, found) = (&mut self.tree, &mut self.found);
        // SAFETY: alive, and this is the writer.
        let held = contain(|| unsafe { move_record(tree, record, old, found) });
        self.changed = true;
        match held {
            Some(held) => {
                Held::new(held).into_iter().for_each(|held| _ = self.held.insert(record, held))
            }
            // A tree may panic over values that have no order. Its state is unknown then, so it has to be
            // emptied.
            None => {
                self.tree = Tree::new();
                self.held.clear();
                self.found.clear();
            }
        }
    }
}

/// Moves a record from its old values to new ones, and returns the values that it is under now. Both
/// are in order; where there is no order, a value may be removed and inserted again.
///
/// # Safety
/// As for [`Tree::insert`].
unsafe fn move_record<T, V: Ord + ?Sized + 'static>(
    tree: &mut Tree<T, V>,
    record: RecordRef<T>,
    old: &[Value<V>],
    new: &mut Vec<Value<V>>,
) -> Vec<Value<V>> {
    let mut held = Vec::with_capacity(new.len());
    let mut old = old.iter().peekable();
    for new in new.drain(..) {
        while let Some(less) = old.next_if(|old| **old < new) {
            // SAFETY: alive, and this is the writer.
            unsafe { tree.remove(less, record) };
        }
        // The very value that was inserted is the one to be removed.
        if let Some(same) = old.next_if(|old| **old == new) {
            held.push(same.clone());
        } else {
            // SAFETY: as above.
            unsafe { tree.insert(&new, record) };
            held.push(new);
        }
    }
    for gone in old {
        // SAFETY: as above.
        unsafe { tree.remove(gone, record) };
    }
    held
}

impl<T, V> Column<T> for TypedColumn<T, V>
where
    T: Send + Sync + 'static,
    V: Ord + Send + Sync + ?Sized + 'static,
{
    fn id(&self) -> IndexId {
        IndexId::of(&self.function)
    }

    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn label(&self) -> Option<&Arc<str>> {
        self.label.as_ref()
    }

    fn prepare(&mut self, object: &T) -> Result<(), String> {
        let Self { function, found, .. } = self;
        found.clear();
        let find = || {
            function(object, &mut |value| found.push(Value::new(value)))?;
            // One that has no order even beside itself would be looked for in vain at each change.
            let has_order = |value: &Value<V>| value.shared().cmp(value.shared()).is_eq();
            if !is_text::<V>() && !found.iter().all(has_order) {
                return Err("a value is not equal to itself".to_owned());
            }
            if found.len() > 1 {
                found.sort_unstable_by(|one, other| one.shared().cmp(other.shared()));
                found.dedup_by(|one, other| one.shared() == other.shared());
            }
            Ok(())
        };
        catch(find).and_then(identity)
    }

    unsafe fn commit(&mut self, record: RecordRef<T>) {
        let held = self.held.get(&record).map_or(&[][..], Held::values);
        if held == self.found {
            self.found.clear();
            return;
        }
        // SAFETY: as the caller says.
        unsafe { self.change(record) };
    }

    unsafe fn withdraw(&mut self, record: RecordRef<T>) {
        self.found.clear();
        if self.held.contains_key(&record) {
            // SAFETY: as the caller says.
            unsafe { self.change(record) };
            // After a mass delete.
            let enough = 2 * self.held.len().max(8);
            if self.held.capacity() > 4 * enough {
                self.held.shrink_to(enough);
            }
        }
    }

    fn changed_tree(&mut self) -> Option<Arc<dyn Any + Send + Sync>> {
        let changed = std::mem::take(&mut self.changed);
        changed.then(|| Arc::new(self.tree.clone()) as Arc<dyn Any + Send + Sync>)
    }
}
