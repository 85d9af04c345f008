//! What the cache asks of an object.

use crate::{Key, KeyRef};

/// An object that can be cached: it knows its key and, where the source gives them, its identity
/// and version.
///
/// With the feature `kube`, every `kube::Resource` is an `Object`.
///
/// ```
/// use watchcache::{KeyRef, Object};
///
/// struct Endpoint { service: String, address: String }
///
/// impl Object for Endpoint {
///     fn key(&self) -> KeyRef<'_> {
///         KeyRef::from((&*self.service, &*self.address))
///     }
/// }
///
/// let endpoint = Endpoint { service: "web".into(), address: "10.0.0.1".into() };
/// assert_eq!(endpoint.key().to_string(), "web/10.0.0.1");
/// ```
pub trait Object: Send + Sync + 'static {
    /// The key under which the object is cached, borrowed from the object: a type whose key is computed
    /// stores its text, or a [`Key`](crate::Key). It must not change over the object's life.
    ///
    /// Whoever takes the object [checks](KeyRef::check) the key: an object without a name returns an
    /// empty one, and is refused.
    fn key(&self) -> KeyRef<'_>;

    /// Distinguishes an object from an earlier one of the same key.
    fn uid(&self) -> Option<&str> {
        None
    }

    /// The source's version of this object. Two objects of the same key, uid and version are
    /// taken to be equal; without a version nothing is assumed.
    fn resource_version(&self) -> Option<&str> {
        None
    }

    /// The value of a label, for [label selectors](crate::LabelSelector).
    fn label(&self, name: &str) -> Option<&str> {
        let _ = name;
        None
    }

    /// Bytes that the object keeps in memory, for the store's accounting of what snapshots retain.
    /// The default counts what does not lie behind pointers.
    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// A key alone, for what is only to be named: a queue of keys is a [`Fifo<Key>`](crate::Fifo).
impl Object for Key {
    fn key(&self) -> KeyRef<'_> {
        self.as_ref()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.as_str().len()
    }
}

/// Whether `new` is the very version that `old` is, so that the older `Arc` can stay. An empty
/// version is none.
pub(crate) fn same_version<T: Object>(old: &T, new: &T) -> bool {
    new.resource_version().is_some_and(|version| !version.is_empty())
        && old.resource_version() == new.resource_version()
        && old.uid() == new.uid()
}
