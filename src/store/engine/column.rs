//! An index as the writer has it: its function, its tree, and the values of each object.

use std::any::Any;
use std::convert::identity;

use super::held::Held;
use super::index::{IndexId, Tree};
use super::record::RecordRef;
use super::value::{Value, is_text};
use super::writer::{Unindexed, prepare};
use crate::panic::{catch, contain};
use crate::sync::Arc;

/// Finds an object's values and passes them on, or returns why it cannot be indexed.
pub(crate) type Function<T, V> = dyn Fn(&T, &mut dyn Values<V>) -> Result<(), String> + Send + Sync;

/// Takes the values that a function finds. No panic comes from it: the function may hold values whose destructors
/// panic, too.
pub(crate) trait Values<V: ?Sized> {
    /// Takes a value at a look, if it is known. Otherwise it has to be [added](Self::add).
    fn knows(&mut self, value: &V) -> bool;

    fn add(&mut self, value: Arc<V>);
}

impl<V: ?Sized> Values<V> for Vec<Value<V>> {
    fn knows(&mut self, _: &V) -> bool {
        false
    }

    fn add(&mut self, value: Arc<V>) {
        self.push(Value::new(value));
    }
}

/// A named index, of whatever values.
///
/// An object is indexed in two steps. [`prepare`](Self::prepare) runs the user's function, before anything
/// changes, so that an object on which it fails is not stored. [`commit`](Self::commit) changes the
/// tree, if the values are not those of before.
pub(super) trait Column<T>: Send + Sync {
    fn id(&self) -> IndexId;
    fn name(&self) -> &Arc<str>;
    fn label(&self) -> Option<&Arc<str>>;

    /// Finds an object's values, and compares them with those of its key's record, if there is one.
    ///
    /// # Errors
    /// If the function fails, or panics: its text.
    fn prepare(&mut self, object: &T, record: Option<RecordRef<T>>) -> Result<(), String>;

    /// Indexes a record under what was found last, which was found for this record, or for none if it has just
    /// been made.
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
        let (tree, held, found) = (Tree::new(), Held::new(), Vec::new());
        let (changed, is_held) = (true, false);
        Self(Box::new(TypedColumn { name, label, function, tree, changed, held, found, is_held }))
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
        prepare(&mut *self.0, object, None)
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
    held: Held<V>,
    /// What [`Column::prepare`] found, in order and without repetition, unless the record is held under just that.
    found: Vec<Value<V>>,
    is_held: bool,
}

/// What is found, as long as it is what the record is held under; and all that is found after that.
struct Finding<'c, V: ?Sized> {
    held: &'c [Value<V>],
    /// How many of those, from the first, were found.
    again: usize,
    others: &'c mut Vec<Value<V>>,
}

impl<V: Ord + ?Sized + 'static> Values<V> for Finding<'_, V> {
    #[inline]
    fn knows(&mut self, value: &V) -> bool {
        let next = if self.others.is_empty() { self.held.get(self.again) } else { None };
        if next.is_some_and(|next| next.compare(value).is_eq()) {
            self.again += 1;
            return true;
        }
        let at = self.held.binary_search_by(|held| held.compare(value));
        at.inspect(|at| self.others.push(self.held[*at].clone())).is_ok()
    }

    fn add(&mut self, value: Arc<V>) {
        self.others.push(Value::new(value));
    }
}

impl<T, V: Ord + ?Sized + 'static> TypedColumn<T, V> {
    /// Indexes a record under what was found, and under nothing else.
    ///
    /// # Safety
    /// As for [`Column::commit`].
    unsafe fn change(&mut self, record: RecordRef<T>) {
        let Self { tree, held, found, .. } = self;
        // SAFETY: alive, and this is the writer.
        let moved = contain(|| unsafe { move_record(tree, record, held.of(record), found) });
        self.changed = true;
        match moved {
            Some(()) => self.held.set(record, &mut self.found),
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

/// Moves a record from its old values to new ones, of which each becomes the very value that it is under now. Both
/// are in order; where there is no order, a value may be removed and inserted again.
///
/// # Safety
/// As for [`Tree::insert`].
unsafe fn move_record<T, V: Ord + ?Sized + 'static>(
    tree: &mut Tree<T, V>,
    record: RecordRef<T>,
    old: &[Value<V>],
    new: &mut [Value<V>],
) {
    let mut old = old.iter().peekable();
    for new in new {
        while let Some(less) = old.next_if(|old| *old < new) {
            // SAFETY: alive, and this is the writer.
            unsafe { tree.remove(less, record) };
        }
        if let Some(same) = old.next_if(|old| *old == new) {
            *new = same.clone();
        } else {
            // SAFETY: as above.
            unsafe { tree.insert(new, record) };
        }
    }
    for gone in old {
        // SAFETY: as above.
        unsafe { tree.remove(gone, record) };
    }
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

    fn prepare(&mut self, object: &T, record: Option<RecordRef<T>>) -> Result<(), String> {
        let Self { function, held, found, .. } = self;
        found.clear();
        let held = record.map_or(&[][..], |record| held.of(record));
        let find = || {
            let mut finding = Finding { held, again: 0, others: found };
            function(object, &mut finding)?;
            let again = finding.again;
            if found.is_empty() && again == held.len() {
                return Ok(true);
            }
            // One that has no order even beside itself would be looked for in vain at each change.
            let has_order = |value: &Value<V>| value.shared().cmp(value.shared()).is_eq();
            if !is_text::<V>() && !found.iter().all(has_order) {
                return Err("a value is not equal to itself".to_owned());
            }
            found.extend_from_slice(&held[..again]);
            if found.len() > 1 {
                found.sort_unstable_by(|one, other| one.shared().cmp(other.shared()));
                found.dedup_by(|one, other| one.shared().cmp(other.shared()).is_eq());
            }
            Ok(held == found)
        };
        self.is_held = catch(find).and_then(identity)?;
        Ok(())
    }

    unsafe fn commit(&mut self, record: RecordRef<T>) {
        if self.is_held {
            self.found.clear();
            return;
        }
        // SAFETY: as the caller says.
        unsafe { self.change(record) };
    }

    unsafe fn withdraw(&mut self, record: RecordRef<T>) {
        self.found.clear();
        if !self.held.of(record).is_empty() {
            // SAFETY: as the caller says.
            unsafe { self.change(record) };
        }
    }

    fn changed_tree(&mut self) -> Option<Arc<dyn Any + Send + Sync>> {
        let changed = std::mem::take(&mut self.changed);
        changed.then(|| Arc::new(self.tree.clone()) as Arc<dyn Any + Send + Sync>)
    }
}
