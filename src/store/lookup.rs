//! Lookups by an index, and scans where a snapshot does not have it.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};

use super::{Entries, Groups, Index, Snapshot};
use crate::Object;

impl<T: Object> Snapshot<T> {
    /// The objects with a value of an [`Index`], in key order: O(log values), and O(1) per object, if the
    /// snapshot [has the index](Self::has_index), and without a word a scan in O(objects) if it does not.
    /// Their number is known from the start ([`len`](ExactSizeIterator::len)).
    ///
    /// A snapshot does not have the index if it is older than that, or if its store was not given this
    /// handle or a clone of it. In a scan the index's function runs on each object, on the calling thread.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # use watchcache::store::Index;
    /// # struct Pod { name: &'static str, node: &'static str }
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
    /// # }
    /// let by_node = Index::new("node", |pod: &Pod| [pod.node]);
    /// let store = Store::builder().index(&by_node).build();
    /// store.add(Pod { name: "web-1", node: "n1" })?;
    /// store.add(Pod { name: "web-0", node: "n1" })?;
    /// let snapshot = store.snapshot();
    /// let on_n1: Vec<_> = snapshot.by(&by_node, "n1").map(|(key, _)| key.name()).collect();
    /// assert_eq!(on_n1, ["web-0", "web-1"]);
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    ///
    /// # Panics
    /// If a comparison of values panics.
    #[must_use]
    pub fn by<V>(&self, index: &Index<T, V>, value: &V) -> Entries<'_, T>
    where
        V: Ord + Send + Sync + ?Sized + 'static,
    {
        match self.view().index(index.id()) {
            Some(view) => Entries::of(view.entries(value, Bound::Unbounded)),
            None => scan(self, index, value),
        }
    }

    /// Whether this snapshot has an index, so that [`by`](Self::by) and [`groups`](Self::groups) find by it
    /// instead of scanning. O(indexes of the store).
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # use watchcache::store::Index;
    /// # struct Pod { node: &'static str }
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { "default/web-0".into() }
    /// # }
    /// let by_node = || Index::new("node", |pod: &Pod| [pod.node]);
    /// let (given, another) = (by_node(), by_node());
    /// let snapshot = Store::builder().index(&given).build().snapshot();
    /// assert!(snapshot.has_index(&given.clone()));
    /// assert!(!snapshot.has_index(&another), "it is the handle that counts, not the name");
    /// ```
    #[must_use]
    pub fn has_index<V>(&self, index: &Index<T, V>) -> bool
    where
        V: Ord + Send + Sync + ?Sized + 'static,
    {
        self.view().index::<V>(index.id()).is_some()
    }

    /// The values of an [`Index`] within a range (`..` for all), in order, each with its objects in key
    /// order. O(log values), and O(1) per value and object. Without the index it is a scan, as for
    /// [`by`](Self::by).
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # use watchcache::store::Index;
    /// # struct Pod { name: &'static str, port: u16 }
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
    /// # }
    /// let by_port = Index::new("port", |pod: &Pod| [pod.port]);
    /// let store = Store::builder().index(&by_port).build();
    /// store.add(Pod { name: "web-0", port: 80 })?;
    /// store.add(Pod { name: "web-1", port: 80 })?;
    /// store.add(Pod { name: "db-0", port: 5432 })?;
    /// let snapshot = store.snapshot();
    /// let counts = |range| -> Vec<_> {
    ///     snapshot.groups(&by_port, range).map(|(port, pods)| (*port, pods.len())).collect()
    /// };
    /// assert_eq!(counts(0..1024), [(80, 2)]);
    /// assert_eq!(snapshot.groups(&by_port, ..).count(), 2);
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    ///
    /// # Panics
    /// If a comparison of values panics.
    pub fn groups<V>(&self, index: &Index<T, V>, range: impl RangeBounds<V>) -> Groups<'_, T, V>
    where
        V: Ord + Send + Sync + ?Sized + 'static,
    {
        match self.view().index(index.id()) {
            Some(view) => Groups::of(view.groups((range.start_bound(), range.end_bound()))),
            None => scan_groups(self, index, range),
        }
    }
}

/// [`Snapshot::by`] without the index.
fn scan<'a, T, V>(snapshot: &'a Snapshot<T>, index: &Index<T, V>, value: &V) -> Entries<'a, T>
where
    T: Object,
    V: Ord + Send + Sync + ?Sized + 'static,
{
    let has = |object: &T| index.values(object).iter().any(|held| **held.shared() == *value);
    Entries::found(snapshot.iter().filter(|(_, object)| has(object.object())).collect())
}

/// [`Snapshot::groups`] without the index.
fn scan_groups<'a, T, V>(
    snapshot: &'a Snapshot<T>,
    index: &Index<T, V>,
    range: impl RangeBounds<V>,
) -> Groups<'a, T, V>
where
    T: Object,
    V: Ord + Send + Sync + ?Sized + 'static,
{
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for (key, object) in snapshot {
        let mut values = index.values(object.object());
        values.sort_unstable();
        values.dedup();
        for value in values.into_iter().filter(|value| range.contains(&**value.shared())) {
            groups.entry(value).or_default().push((key, object));
        }
    }
    Groups::found(groups)
}
