//! The `Object` trait: what a cache needs to know of an object.

use crate::{Key, KeyRef};

/// An object that can be cached: it has a key and, if the source gives them, an identity and a version.
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
    /// The key that the object is cached under, borrowed from the object: a type that computes its key
    /// has to store it. It must never change.
    ///
    /// Whatever takes the object [checks](KeyRef::check) the key. An object without a name returns an
    /// empty key, and is refused.
    fn key(&self) -> KeyRef<'_>;

    /// Tells the object from an earlier one with the same key.
    fn uid(&self) -> Option<&str> {
        None
    }

    /// The source's version of this object. Two objects with the same key, uid and version are
    /// assumed to be equal; without a version nothing is assumed.
    fn resource_version(&self) -> Option<&str> {
        None
    }

    /// The value of a label, for [label selectors](crate::LabelSelector).
    fn label(&self, name: &str) -> Option<&str> {
        let _ = name;
        None
    }

    /// How many bytes of memory the object takes, for the store's count of what snapshots retain.
    /// The default does not follow pointers.
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

/// Returns whether both are the same version of one object, so that the old `Arc` can stay. An empty
/// version counts as none.
pub(crate) fn same_version<T: Object>(old: &T, new: &T) -> bool {
    new.resource_version().is_some_and(|version| !version.is_empty())
        && old.resource_version() == new.resource_version()
        && old.uid() == new.uid()
}
