//! Iterating over the values of an index.

use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::iter::FusedIterator;

use super::Entries;
use super::engine::{self, Entry, Value};
use crate::sync::Arc;

/// An iterator over the values of an [`Index`](super::Index) in order, each with its objects in key order;
/// made by [`Snapshot::groups`](super::Snapshot::groups).
///
/// ```
/// # use watchcache::{KeyRef, Object, Store};
/// use watchcache::store::{Groups, Index};
/// # struct Pod { name: &'static str, node: &'static str }
/// # impl Object for Pod {
/// #     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
/// # }
///
/// fn fullest<T: Object>(groups: Groups<'_, T, str>) -> Option<String> {
///     groups.max_by_key(|(_, objects)| objects.len()).map(|(value, _)| value.to_string())
/// }
/// let by_node = Index::new("node", |pod: &Pod| [pod.node]);
/// let store = Store::builder().index(&by_node).build();
/// for (name, node) in [("web-0", "n1"), ("web-1", "n2"), ("web-2", "n2")] {
///     store.add(Pod { name, node })?;
/// }
/// assert_eq!(fullest(store.snapshot().groups(&by_node, ..)).as_deref(), Some("n2"));
/// # Ok::<(), watchcache::store::WriteError>(())
/// ```
pub struct Groups<'a, T, V: ?Sized>(Source<'a, T, V>);

enum Source<'a, T, V: ?Sized> {
    Index(engine::Groups<'a, T, V>),
    Found(btree_map::IntoIter<Value<V>, Vec<Entry<'a, T>>>),
}

impl<'a, T, V: ?Sized> Groups<'a, T, V> {
    pub(super) fn of(groups: engine::Groups<'a, T, V>) -> Self {
        Self(Source::Index(groups))
    }

    /// What a scan found.
    pub(super) fn found(groups: BTreeMap<Value<V>, Vec<Entry<'a, T>>>) -> Self {
        Self(Source::Found(groups.into_iter()))
    }
}

impl<'a, T, V> Iterator for Groups<'a, T, V>
where
    T: Send + Sync,
    V: Ord + ?Sized + 'static,
{
    type Item = (Arc<V>, Entries<'a, T>);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Source::Index(groups) => {
                let (value, entries) = groups.next()?;
                Some((Arc::clone(value), Entries::of(entries)))
            }
            Source::Found(groups) => {
                let (value, found) = groups.next()?;
                Some((Arc::clone(value.shared()), Entries::found(found)))
            }
        }
    }
}

impl<T: Send + Sync, V: Ord + ?Sized + 'static> FusedIterator for Groups<'_, T, V> {}

impl<T, V: ?Sized> fmt::Debug for Groups<'_, T, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").finish_non_exhaustive()
    }
}
