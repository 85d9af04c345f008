//! Reading a store: a key, several keys, or views of everything.

use super::engine::PinnedRevision;
use super::{Pinned, Snapshot, Store};
use crate::sync::Arc;
use crate::{ArcRef, Key, KeyRef, Object, ResourceVersion, Revision};

impl<T: Object> Store<T> {
    /// The object under a key. Allocates nothing, except sometimes for a thread's first read.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Node(&'static str);
    /// # impl Object for Node {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let store = Store::new();
    /// store.add(Node("node-1"))?;
    /// assert!(store.get("node-1").is_some_and(|node| node.0 == "node-1"));
    /// assert!(store.get("node-2").is_none());
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    #[inline]
    pub fn get<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Arc<T>> {
        // Before the revision: it may be the caller's code.
        let key = key.into();
        PinnedRevision::new(&self.engine).share(key)
    }

    /// Returns whether a key is present.
    #[inline]
    pub fn contains<'k>(&self, key: impl Into<KeyRef<'k>>) -> bool {
        let key = key.into();
        PinnedRevision::new(&self.engine).get(key).is_some()
    }

    /// The objects under several keys, in the order of the keys, all of one revision. For many keys it is
    /// faster than as many calls of [`get`](Self::get), since what they read is loaded together. The iterator is
    /// run to its end before the store is read.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Node(&'static str);
    /// # impl Object for Node {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let store = Store::new();
    /// store.add(Node("node-1"))?;
    /// let found = store.get_many(["node-1", "node-2"]);
    /// assert!(found[0].is_some() && found[1].is_none());
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    pub fn get_many<'k, K: Into<KeyRef<'k>>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Vec<Option<Arc<T>>> {
        let keys: Vec<KeyRef<'k>> = keys.into_iter().map(Into::into).collect();
        let mut objects = Vec::with_capacity(keys.len());
        let pinned = PinnedRevision::new(&self.engine);
        pinned.get_each(&keys, |object| objects.push(object.map(ArcRef::to_arc)));
        objects
    }

    /// A short-lived view of everything as it is now. It lends objects instead of cloning them, and writes to
    /// no shared memory.
    ///
    /// While it lives, no store of the process frees what it supersedes: hold it for a few reads, and
    /// use a [`snapshot`](Self::snapshot) for anything longer. Overlapping pins of one thread count as
    /// one that began with the first: drop one before taking the next. A forgotten one
    /// (`std::mem::forget`) stops freeing for good, even once its thread has ended; see
    /// [`StoreStats::oldest_pin`](super::StoreStats::oldest_pin).
    #[inline]
    #[must_use]
    pub fn pin(&self) -> Pinned<'_, T> {
        Pinned::new(&self.engine)
    }

    /// All objects of one revision, in no particular order. O(objects); a [`snapshot`](Self::snapshot) is
    /// O(1).
    #[must_use]
    pub fn list(&self) -> Vec<Arc<T>> {
        self.snapshot().list()
    }

    /// All keys of one revision, in no particular order. O(objects).
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Node(&'static str);
    /// # impl Object for Node {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let store = Store::new();
    /// store.add(Node("node-1"))?;
    /// assert_eq!(store.keys(), ["node-1".parse()?]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        self.snapshot().keys().map(KeyRef::to_key_unchecked).collect()
    }

    /// An immutable view of everything as it is now. O(1).
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Node(&'static str);
    /// # impl Object for Node {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let store = Store::new();
    /// store.add(Node("node-1"))?;
    /// let snapshot = store.snapshot();
    /// store.delete("node-1");
    /// assert_eq!((snapshot.len(), store.len()), (1, 0));
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<T> {
        Snapshot::new(&self.engine)
    }

    /// The number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        PinnedRevision::new(&self.engine).view().len()
    }

    /// Returns whether there are no objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The current revision: the store's own sequence number.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision::new(PinnedRevision::new(&self.engine).view().number())
    }

    /// The source's version of the content, once the source has sent one.
    ///
    /// ```
    /// # use watchcache::{Batch, KeyRef, Object, Store};
    /// # struct Node;
    /// # impl Object for Node {
    /// #     fn key(&self) -> KeyRef<'_> { "node-1".into() }
    /// # }
    /// let store = Store::<Node>::new();
    /// let mut bookmark = Batch::new();
    /// bookmark.set_resource_version("41".into());
    /// store.apply(&bookmark);
    /// assert_eq!(store.resource_version(), Some("41".into()));
    /// ```
    #[must_use]
    pub fn resource_version(&self) -> Option<ResourceVersion> {
        PinnedRevision::new(&self.engine).view().resource_version().cloned()
    }
}
