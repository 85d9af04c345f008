//! Snapshots: immutable views of the store.

use std::fmt;
use std::ops::Bound;

use super::engine::{Engine, Hold, IndexView, Pin, View};
use super::error::{DifferentStores, PageError};
use super::{Diff, Entries, Objects, Page, PageToken};
use crate::sync::Arc;
use crate::{ArcRef, KeyRef, Object, ResourceVersion, Revision};

/// The store's whole content at one revision.
///
/// Taking and cloning one is O(1). It never changes, so all reads through it are consistent. While it is
/// held, the store keeps the superseded objects that it can see, and nothing that came later. Dropping it
/// frees nothing at once: the store's next writes do, or [`Store::stats`](super::Store::stats).
///
/// A snapshot may outlive its store.
///
/// ```
/// use watchcache::{Key, Store};
///
/// let store = Store::<Key>::new();
/// store.add("a/web".parse::<Key>()?)?;
/// let before = store.snapshot();
/// store.add("a/db".parse::<Key>()?)?;
/// let after = store.snapshot();
/// assert_eq!((before.len(), after.len()), (1, 2));
/// assert!(before.revision() < after.revision());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Snapshot<T>(Hold<T>);

impl<T> Snapshot<T> {
    pub(super) fn new(engine: &Arc<Engine<T>>) -> Self {
        Self(Hold::new(engine))
    }

    /// The object under a key. Allocates nothing, except sometimes for a thread's first read.
    #[inline]
    pub fn get<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<ArcRef<'_, T>> {
        self.0.view().get(key.into(), &Pin::new())
    }

    /// Returns whether a key is present.
    pub fn contains<'k>(&self, key: impl Into<KeyRef<'k>>) -> bool {
        self.get(key).is_some()
    }

    /// Every key with its object, in no particular order.
    ///
    /// ```
    /// use watchcache::{Key, Store};
    ///
    /// let store = Store::<Key>::new();
    /// for key in ["a/web", "a/db"] {
    ///     store.add(key.parse::<Key>()?)?;
    /// }
    /// let snapshot = store.snapshot();
    /// let mut found: Vec<_> = snapshot.iter().map(|(key, _)| key.name()).collect();
    /// found.sort();
    /// assert_eq!(found, ["db", "web"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn iter(&self) -> Entries<'_, T> {
        Entries::all(self.0.view())
    }

    /// Every object, in no particular order. This is the cheapest walk: as a rule it reads nothing but the
    /// objects.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Node { name: &'static str, cores: u32 }
    /// # impl Object for Node {
    /// #     fn key(&self) -> KeyRef<'_> { self.name.into() }
    /// # }
    /// let store = Store::new();
    /// store.add(Node { name: "a", cores: 8 })?;
    /// store.add(Node { name: "b", cores: 16 })?;
    /// assert_eq!(store.snapshot().objects().map(|node| node.cores).sum::<u32>(), 24);
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    #[must_use]
    pub fn objects(&self) -> Objects<'_, T> {
        self.iter().objects()
    }

    /// Every key, in no particular order.
    pub fn keys(&self) -> impl Iterator<Item = KeyRef<'_>> {
        self.iter().map(|(key, _)| key)
    }

    /// Splits the snapshot into at most `parts` disjoint parts of about the same size, one for each thread.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Pod(String);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { ("default", &*self.0).into() }
    /// # }
    /// let store = Store::new();
    /// for i in 0..1000 {
    ///     store.add(Pod(format!("web-{i}")))?;
    /// }
    /// let snapshot = store.snapshot();
    /// let counts: Vec<usize> = std::thread::scope(|scope| {
    ///     let threads: Vec<_> = snapshot
    ///         .partitions(4)
    ///         .into_iter()
    ///         .map(|part| scope.spawn(move || part.count()))
    ///         .collect();
    ///     threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    /// });
    /// assert_eq!(counts.len(), 4);
    /// assert_eq!(counts.iter().sum::<usize>(), 1000);
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    #[must_use]
    pub fn partitions(
        &self,
        parts: usize,
    ) -> Vec<impl Iterator<Item = (KeyRef<'_>, ArcRef<'_, T>)> + use<'_, T>> {
        let view = self.0.view();
        let shards = view.shards();
        let parts = parts.clamp(1, shards.len());
        let bound = |i| shards.len() * i / parts;
        (0..parts).map(|i| view.cursor(bound(i)..bound(i + 1))).collect()
    }

    /// Every object, as an `Arc`, in no particular order. O(objects).
    #[must_use]
    pub fn list(&self) -> Vec<Arc<T>> {
        self.iter().list()
    }

    /// The number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.view().len()
    }

    /// Returns whether there are no objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The store's revision that this is a view of.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision::new(self.0.view().number())
    }

    /// The source's version of this view, if the source has sent one.
    #[must_use]
    pub fn resource_version(&self) -> Option<&ResourceVersion> {
        self.0.view().resource_version()
    }

    /// Returns whether the source's whole content was complete by then: by a first
    /// [`replace`](super::Store::replace), such as a reflector's first list, or by
    /// [`mark_synced`](super::Store::mark_synced). Once true, it is true of every later view.
    ///
    /// Only if this is true is an object that the snapshot lacks really missing.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Listing, Object, Store};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let store = Store::new();
    /// let before = store.snapshot();
    /// store.replace(&Listing::new([Pod("a/web")], Some("7".into()))?);
    /// assert!(!before.is_synced() && store.snapshot().is_synced());
    /// # Ok::<(), watchcache::KeyError>(())
    /// ```
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.0.view().is_synced()
    }

    pub(super) fn view(&self) -> View<'_, T> {
        self.0.view()
    }

    pub(super) fn is_of(&self, engine: &Arc<Engine<T>>) -> bool {
        self.0.view().is_of(engine)
    }
}

impl<T: Object> Snapshot<T> {
    /// The objects of a namespace, ordered by name; `None` means the cluster-scoped ones. O(log namespaces),
    /// and O(1) per object.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Thing(&'static str);
    /// # impl Object for Thing {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let store = Store::new();
    /// store.add(Thing("default/web-0"))?;
    /// store.add(Thing("node-1"))?;
    /// let snapshot = store.snapshot();
    /// assert_eq!(snapshot.namespace("default").len(), 1);
    /// assert_eq!(snapshot.namespace(None).len(), 1);
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    #[must_use]
    pub fn namespace<'n>(&self, namespace: impl Into<Option<&'n str>>) -> Entries<'_, T> {
        let namespace = namespace.into().unwrap_or_default();
        Entries::of(self.by_namespace().entries(namespace, Bound::Unbounded))
    }

    /// The namespaces in order, each with its number of objects. `None` comes first, if there are
    /// cluster-scoped objects.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Thing(&'static str);
    /// # impl Object for Thing {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let store = Store::new();
    /// for key in ["default/web-0", "node-1", "default/web-1"] {
    ///     store.add(Thing(key))?;
    /// }
    /// let snapshot = store.snapshot();
    /// let namespaces: Vec<_> = snapshot.namespaces().collect();
    /// assert_eq!(namespaces, [(None, 1), (Some("default"), 2)]);
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    pub fn namespaces(&self) -> impl Iterator<Item = (Option<&str>, usize)> {
        let named = |namespace| Some(namespace).filter(|namespace: &&str| !namespace.is_empty());
        self.by_namespace()
            .values((Bound::Unbounded, Bound::Unbounded))
            .map(move |(text, count)| (named(text), count))
    }

    /// The number of objects of a namespace. O(log namespaces).
    #[must_use]
    pub fn namespace_count<'n>(&self, namespace: impl Into<Option<&'n str>>) -> usize {
        self.by_namespace().count(namespace.into().unwrap_or_default())
    }

    /// Every object whose key, as a text, begins with `prefix`, in key order: cluster-scoped ones first, then by
    /// namespace and name. O(log objects) per namespace, and O(1) per object; of cluster-scoped ones also per
    /// object that is passed over because its name has a `/` and the prefix does not begin with one, or the
    /// other way round.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let store = Store::new();
    /// for key in ["b/web-1", "b/web-0", "a/web-0", "b/db-0"] {
    ///     store.add(Pod(key))?;
    /// }
    /// let snapshot = store.snapshot();
    /// let keys: Vec<_> = snapshot.prefix("b/web").map(|(key, _)| key.to_string()).collect();
    /// assert_eq!(keys, ["b/web-0", "b/web-1"]);
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    pub fn prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (KeyRef<'a>, ArcRef<'a, T>)> {
        super::page::ordered(self.by_namespace(), prefix, None)
    }

    /// A page of [`prefix`](Self::prefix): at most `limit` objects, after the last one of the page that
    /// `token` came with. As in the Kubernetes API, a limit of 0 means no limit.
    ///
    /// O(log objects + objects from the page on), since those after it are counted.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Pod(String);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { ("default", &*self.0).into() }
    /// # }
    /// let store = Store::new();
    /// for i in 0..5 {
    ///     store.add(Pod(format!("web-{i}")))?;
    /// }
    /// let snapshot = store.snapshot();
    /// let first = snapshot.page("", 3, None)?;
    /// assert_eq!((first.entries.len(), first.remaining), (3, 2));
    /// let second = snapshot.page("", 3, first.next.as_ref())?;
    /// assert_eq!((second.entries.len(), second.next), (2, None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PageError::Expired`] if the token is of another revision; [`PageToken::at`] makes one that
    /// continues on this one nevertheless.
    pub fn page(
        &self,
        prefix: &str,
        limit: usize,
        token: Option<&PageToken>,
    ) -> Result<Page<'_, T>, PageError> {
        super::page::page(self, prefix, limit, token)
    }

    /// The difference between an older snapshot of the same store and this one. The cost is proportional to
    /// what changed between the older one and now, not to the number of objects.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let store = Store::new();
    /// store.add(Pod("a/old"))?;
    /// store.add(Pod("a/same"))?;
    /// let before = store.snapshot();
    /// store.delete("a/old");
    /// store.add(Pod("a/new"))?;
    ///
    /// let after = store.snapshot();
    /// let diff = after.diff(&before)?;
    /// assert_eq!(diff.added[0].0.to_string(), "a/new");
    /// assert_eq!(diff.deleted[0].0.to_string(), "a/old");
    /// assert!(diff.updated.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the snapshots are of different stores.
    pub fn diff<'a>(&'a self, older: &'a Self) -> Result<Diff<'a, T>, DifferentStores> {
        Diff::between(older.view(), self.view())
    }

    pub(super) fn by_namespace(&self) -> IndexView<'_, T> {
        self.0.view().namespaces()
    }
}

impl<T> Clone for Snapshot<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Snapshot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("len", &self.len())
            .field("revision", &self.revision())
            .field("resource_version", &self.resource_version())
            .finish()
    }
}

impl<'a, T> IntoIterator for &'a Snapshot<T> {
    type Item = (KeyRef<'a>, ArcRef<'a, T>);
    type IntoIter = Entries<'a, T>;

    fn into_iter(self) -> Entries<'a, T> {
        self.iter()
    }
}
