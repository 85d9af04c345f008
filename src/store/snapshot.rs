//! Immutable views of the store.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use imbl::shared_ptr::DefaultSharedPtr;

use super::state::State;
use crate::{Key, KeyRef, ResourceVersion, Revision};

/// The store's whole content at one revision.
///
/// Cheap to clone and to hold; it never changes, and every read through it agrees with every other.
pub struct Snapshot<T> {
    state: Arc<State<T>>,
}

impl<T> Snapshot<T> {
    pub(super) fn new(state: Arc<State<T>>) -> Self {
        Self { state }
    }

    /// The object under a key. Allocates nothing.
    pub fn get<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<&Arc<T>> {
        self.state.get(key.into())
    }

    /// Whether a key is present.
    pub fn contains<'k>(&self, key: impl Into<KeyRef<'k>>) -> bool {
        self.get(key).is_some()
    }

    /// Every key with its object, in no particular order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { inner: self.state.objects().iter() }
    }

    /// Every key, in no particular order.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.iter().map(|(key, _)| key)
    }

    /// The objects as a slice of their own. O(objects).
    #[must_use]
    pub fn list(&self) -> List<T> {
        List {
            objects: self.iter().map(|(_, object)| Arc::clone(object)).collect(),
            revision: self.revision(),
            resource_version: self.resource_version().cloned(),
        }
    }

    /// Number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.len()
    }

    /// Whether there are no objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The store's sequence number of this view.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.state.revision()
    }

    /// The source's version of this view, if the source has told one.
    #[must_use]
    pub fn resource_version(&self) -> Option<&ResourceVersion> {
        self.state.resource_version()
    }
}

impl<T> Clone for Snapshot<T> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state) }
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
    type Item = (&'a Key, &'a Arc<T>);
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// Iterator over a [`Snapshot`].
pub struct Iter<'a, T> {
    inner: imbl::hashmap::Iter<'a, Key, Arc<T>, DefaultSharedPtr>,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = (&'a Key, &'a Arc<T>);

    fn next(&mut self) -> Option<Self::Item> {
        self.inner.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("remaining", &self.len()).finish()
    }
}

/// All objects at one revision, as a slice.
pub struct List<T> {
    objects: Box<[Arc<T>]>,
    revision: Revision,
    resource_version: Option<ResourceVersion>,
}

impl<T> List<T> {
    /// The store's sequence number of this list.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The source's version of this list, if the source has told one.
    #[must_use]
    pub fn resource_version(&self) -> Option<&ResourceVersion> {
        self.resource_version.as_ref()
    }
}

impl<T> Deref for List<T> {
    type Target = [Arc<T>];

    fn deref(&self) -> &[Arc<T>] {
        &self.objects
    }
}

impl<T> IntoIterator for List<T> {
    type Item = Arc<T>;
    type IntoIter = std::vec::IntoIter<Arc<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.objects.into_vec().into_iter()
    }
}

impl<T> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List")
            .field("len", &self.len())
            .field("revision", &self.revision)
            .field("resource_version", &self.resource_version)
            .finish()
    }
}
