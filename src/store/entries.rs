//! Iterators over objects, with their keys and without.

use std::fmt;
use std::iter::FusedIterator;

use super::engine::{self, Cursor, Entry, View};
use crate::KeyRef;
use crate::sync::Arc;

/// Objects with their keys: of a [`Snapshot`](super::Snapshot), of a namespace, or of an index value.
///
/// The keys cost a look at each object's place. If you need only the objects,
/// [`objects`](Self::objects) or [`list`](Self::list) is cheaper.
///
/// It borrows the snapshot, and so does all that it gives:
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
}

impl<'a, T> Entries<'a, T> {
    /// Everything.
    pub(super) fn all(view: View<'a, T>) -> Self {
        Self { source: Source::Walk(view.cursor(view.shards())), left: view.len() }
    }

    /// All of an index value.
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
            Source::Walk(cursor) => cursor.objects(),
            Source::Index(entries) => entries.objects(),
        })
    }

    /// The objects alone, shared, in the same order.
    #[must_use]
    pub fn list(self) -> Vec<Arc<T>> {
        let left = self.left;
        self.objects().0.list(left)
    }
}

impl<'a, T> Iterator for Entries<'a, T> {
    type Item = (KeyRef<'a>, &'a Arc<T>);

    #[inline]
    fn next(&mut self) -> Option<Entry<'a, T>> {
        let next = match &mut self.source {
            Source::Walk(cursor) => cursor.next(),
            Source::Index(entries) => entries.next(),
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

/// Objects alone. The cheapest walk: as a rule it reads nothing but the objects.
pub struct Objects<'a, T>(engine::Objects<'a, T>);

impl<'a, T> Iterator for Objects<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        self.0.next()
    }

    fn fold<B, F: FnMut(B, &'a T) -> B>(self, start: B, f: F) -> B {
        self.0.fold(start, f)
    }
}

impl<T> FusedIterator for Objects<'_, T> {}

impl<T> fmt::Debug for Objects<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").finish_non_exhaustive()
    }
}
