//! Iterators over objects, with their keys or without.

use std::fmt;
use std::iter::FusedIterator;

use super::engine::{self, Cursor, Entry, View};
use crate::sync::Arc;
use crate::{ArcRef, KeyRef};

/// An iterator over objects with their keys: of a [`Snapshot`](super::Snapshot), of a namespace, or of an
/// index value.
///
/// Reading the key costs another memory access for each object. If you need only the objects,
/// [`objects`](Self::objects) or [`list`](Self::list) is cheaper.
///
/// It borrows the snapshot, and so do its items:
///
/// ```compile_fail,E0716
/// # use watchcache::{KeyRef, Object, Store};
/// # struct Node(u32);
/// # impl Object for Node {
/// #     fn key(&self) -> KeyRef<'_> { "node-1".into() }
/// # }
/// let store = Store::<Node>::new();
/// let mut entries = store.snapshot().iter();
/// assert!(entries.next().is_none());
/// ```
pub struct Entries<'a, T> {
    source: Source<'a, T>,
    left: usize,
}

enum Source<'a, T> {
    Walk(Cursor<'a, T>),
    Index(engine::Entries<'a, T>),
    Found(std::vec::IntoIter<Entry<'a, T>>),
}

impl<'a, T> Entries<'a, T> {
    /// Everything, in no particular order.
    pub(super) fn all(view: View<'a, T>) -> Self {
        Self { source: Source::Walk(view.cursor(view.shards())), left: view.len() }
    }

    /// What a scan found; sorted by key, as an index has it.
    pub(super) fn found(mut found: Vec<Entry<'a, T>>) -> Self {
        found.sort_unstable_by_key(|(key, _)| *key);
        Self { left: found.len(), source: Source::Found(found.into_iter()) }
    }

    /// Everything under an index value.
    pub(super) fn of(entries: engine::Entries<'a, T>) -> Self {
        let left = entries.at_most();
        Self { source: Source::Index(entries), left }
    }

    /// The objects alone, in the same order.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Pod { name: &'static str, cpu: u32 }
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
    /// # }
    /// let store = Store::new();
    /// store.add(Pod { name: "web-0", cpu: 2 })?;
    /// store.add(Pod { name: "web-1", cpu: 3 })?;
    /// let snapshot = store.snapshot();
    /// assert_eq!(snapshot.namespace("default").objects().map(|pod| pod.cpu).sum::<u32>(), 5);
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    #[must_use]
    pub fn objects(self) -> Objects<'a, T> {
        Objects(match self.source {
            Source::Walk(cursor) => Walk::Read(cursor.objects()),
            Source::Index(entries) => Walk::Read(entries.objects()),
            Source::Found(entries) => Walk::Found(entries),
        })
    }

    /// The objects alone, as `Arc`s, in the same order.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let store = Store::new();
    /// store.add(Pod("a/web-0"))?;
    /// store.add(Pod("b/web-0"))?;
    /// let list = store.snapshot().namespace("a").list();
    /// assert_eq!(list.len(), 1);
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    #[must_use]
    pub fn list(self) -> Vec<Arc<T>> {
        let left = self.left;
        match self.objects().0 {
            Walk::Read(objects) => objects.list(left),
            Walk::Found(entries) => entries.map(|(_, object)| object.to_arc()).collect(),
        }
    }
}

impl<'a, T> Iterator for Entries<'a, T> {
    type Item = (KeyRef<'a>, ArcRef<'a, T>);

    #[inline]
    fn next(&mut self) -> Option<Entry<'a, T>> {
        let next = match &mut self.source {
            Source::Walk(cursor) => cursor.next(),
            Source::Index(entries) => entries.next(),
            Source::Found(entries) => entries.next(),
        }?;
        self.left -= 1;
        Some(next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }

    fn fold<B, F: FnMut(B, Entry<'a, T>) -> B>(self, start: B, f: F) -> B {
        match self.source {
            Source::Walk(cursor) => cursor.fold(start, f),
            Source::Index(entries) => entries.fold(start, f),
            Source::Found(entries) => entries.fold(start, f),
        }
    }
}

impl<T> ExactSizeIterator for Entries<'_, T> {}

impl<T> FusedIterator for Entries<'_, T> {}

impl<T> fmt::Debug for Entries<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").field("left", &self.left).finish_non_exhaustive()
    }
}

/// An iterator over objects alone. This is the cheapest walk: as a rule it reads nothing but the objects.
///
/// ```
/// # use watchcache::{KeyRef, Object, Store};
/// use watchcache::store::Objects;
/// # struct Pod { key: &'static str, cpu: u32 }
/// # impl Object for Pod {
/// #     fn key(&self) -> KeyRef<'_> { self.key.into() }
/// # }
///
/// /// Of a snapshot, a namespace or an index's value.
/// fn cpu(pods: Objects<'_, Pod>) -> u32 {
///     pods.map(|pod| pod.cpu).sum()
/// }
/// let store = Store::new();
/// store.add(Pod { key: "a/web", cpu: 2 })?;
/// store.add(Pod { key: "b/web", cpu: 3 })?;
/// let snapshot = store.snapshot();
/// assert_eq!((cpu(snapshot.objects()), cpu(snapshot.namespace("b").objects())), (5, 3));
/// # Ok::<(), watchcache::store::WriteError>(())
/// ```
pub struct Objects<'a, T>(Walk<'a, T>);

enum Walk<'a, T> {
    Read(engine::Objects<'a, T>),
    Found(std::vec::IntoIter<Entry<'a, T>>),
}

impl<'a, T> Iterator for Objects<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        match &mut self.0 {
            Walk::Read(objects) => objects.next(),
            Walk::Found(entries) => entries.next().map(|(_, object)| object.object()),
        }
    }

    fn fold<B, F: FnMut(B, &'a T) -> B>(self, start: B, f: F) -> B {
        match self.0 {
            Walk::Read(objects) => objects.fold(start, f),
            Walk::Found(entries) => entries.map(|(_, object)| object.object()).fold(start, f),
        }
    }
}

impl<T> FusedIterator for Objects<'_, T> {}

impl<T> fmt::Debug for Objects<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").finish_non_exhaustive()
    }
}
