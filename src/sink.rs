//! The `Sink` trait: where a reflector's stream ends.

use std::sync::Arc;

use crate::{Batch, Key, KeyRef, Listing, ResourceVersion};

/// An object that a sink did not take. Other sinks may have taken it.
///
/// ```
/// use watchcache::{Key, Refused};
///
/// let refused = Refused::new(Key::cluster_scoped("node-1")?, Some("7".into()), "it has no address");
/// assert_eq!((refused.key.name(), &*refused.error), ("node-1", "it has no address"));
/// # Ok::<(), watchcache::KeyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// Its key. Under it the sink holds what it held before, or nothing.
    pub key: Key,
    /// Its version, if it has one.
    pub resource_version: Option<ResourceVersion>,
    /// Why, in a sentence.
    pub error: String,
}

impl Refused {
    /// The object of this key and version, if it has one, was refused for this reason.
    #[must_use]
    pub fn new(
        key: Key,
        resource_version: Option<ResourceVersion>,
        error: impl Into<String>,
    ) -> Self {
        Self { key, resource_version, error: error.into() }
    }
}

/// Where a reflector's stream ends. [`Store`](crate::Store) and [`Fifo`](crate::Fifo) are sinks;
/// one reflector feeds any number of them in one pass.
///
/// The methods that tell a sink something ([`apply`](Self::apply) and [`replace`](Self::replace), both also
/// as `_reporting`, [`resync`](Self::resync), [`failed`](Self::failed), [`ended`](Self::ended)) are called by
/// one thread at a time, in the source's order, and should not block for long: the stream waits for them.
/// Between them, by the thread that tells, come [`is_held`](Self::is_held) and [`current`](Self::current).
/// The other queries ([`held`](Self::held), [`is_current`](Self::is_current)) may be called from any number
/// of threads at any time, because objects are decoded on several.
///
/// ```
/// use std::sync::Mutex;
/// use watchcache::{Batch, Key, Listing, Sink};
///
/// /// What it was told, in words.
/// #[derive(Default)]
/// struct Told(Mutex<Vec<String>>);
///
/// impl Sink<Key> for Told {
///     fn apply(&self, batch: &Batch<Key>) {
///         self.0.lock().unwrap().push(format!("{} changes", batch.len()));
///     }
///
///     fn replace(&self, listing: &Listing<Key>) {
///         self.0.lock().unwrap().push(format!("{} in all", listing.len()));
///     }
/// }
///
/// let told = Told::default();
/// told.replace(&Listing::new(["a/web".parse::<Key>()?], None)?);
/// let mut batch = Batch::new();
/// batch.delete("a/web");
/// told.apply(&batch);
/// assert_eq!(*told.0.lock().unwrap(), ["1 in all", "1 changes"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Sink<T>: Send + Sync {
    /// Applies a batch of changes.
    fn apply(&self, batch: &Batch<T>);

    /// Replaces the whole content, after a list.
    fn replace(&self, listing: &Listing<T>);

    /// As [`apply`](Self::apply), but returns the objects that were refused; this is what a reflector
    /// calls, and it lists them as quarantined. A store refuses objects that an index function fails on.
    /// Default: `apply`, which refuses none.
    fn apply_reporting(&self, batch: &Batch<T>) -> Vec<Refused> {
        self.apply(batch);
        Vec::new()
    }

    /// As [`replace`](Self::replace), but returns the objects that were refused, as
    /// [`apply_reporting`](Self::apply_reporting) does. Default: `replace`, which refuses none.
    fn replace_reporting(&self, listing: &Listing<T>) -> Vec<Refused> {
        self.replace(listing);
        Vec::new()
    }

    /// Takes the mirrored objects once more, as adds of which none is new. Default:
    /// [`apply`](Self::apply). A store does nothing: it has them.
    ///
    /// They are to be what the source said, as [`Store::list_confirmed`](crate::Store::list_confirmed) has it:
    /// a store's [`list`](crate::Store::list) has what is [assumed](crate::Store::assume), too.
    fn resync(&self, batch: &Batch<T>) {
        self.apply(batch);
    }

    /// The object held under this key, if it has this uid and resource version: a relist then drops its
    /// own copy as it arrives. Default: none.
    fn held(&self, key: KeyRef<'_>, uid: Option<&str>, resource_version: &str) -> Option<Arc<T>> {
        let _ = (key, uid, resource_version);
        None
    }

    /// Returns whether the key holds this version now; `None` if the sink does not know. An object that
    /// turns out late to be undecodable is listed as such only while it is current. A sink that leaves objects
    /// out does not know of those: a list would seem to show what watches kept back.
    fn is_current(&self, key: KeyRef<'_>, resource_version: &str) -> Option<bool> {
        let _ = (key, resource_version);
        None
    }

    /// As [`is_current`](Self::is_current), asked between two changes by the thread that makes them, so
    /// that it may wait for others that make some. Default: the same.
    fn is_held(&self, key: KeyRef<'_>, resource_version: &str) -> Option<bool> {
        self.is_current(key, resource_version)
    }

    /// The object held under this key, in whatever version; asked as [`is_held`](Self::is_held) is. An event
    /// that is newer than this, and not newer than the list before it, leads to another list. Default: none.
    fn current(&self, key: KeyRef<'_>) -> Option<Arc<T>> {
        let _ = key;
        None
    }

    /// A list or a watch failed, and is tried again: why. Comes from the same thread as the changes.
    /// Default: nothing.
    ///
    /// A store keeps the error for those whose wait for the first list times out.
    fn failed(&self, error: &(dyn std::error::Error + 'static)) {
        let _ = error;
    }

    /// The reflector has ended, and nothing more comes from it. There is an error if the source refused
    /// it for good or a sink panicked; there is none if it was stopped, or dropped, even before it ran.
    /// Called once, as the last call. Default: nothing.
    ///
    /// A queue passes the end on to its consumers, and a store to those who wait for its first list: they
    /// would otherwise wait forever. A store keeps its content.
    fn ended(&self, error: Option<&(dyn std::error::Error + 'static)>) {
        let _ = error;
    }
}

impl<T, S: Sink<T> + ?Sized> Sink<T> for Arc<S> {
    fn apply(&self, batch: &Batch<T>) {
        (**self).apply(batch);
    }

    fn replace(&self, listing: &Listing<T>) {
        (**self).replace(listing);
    }

    fn apply_reporting(&self, batch: &Batch<T>) -> Vec<Refused> {
        (**self).apply_reporting(batch)
    }

    fn replace_reporting(&self, listing: &Listing<T>) -> Vec<Refused> {
        (**self).replace_reporting(listing)
    }

    fn resync(&self, batch: &Batch<T>) {
        (**self).resync(batch);
    }

    fn held(&self, key: KeyRef<'_>, uid: Option<&str>, resource_version: &str) -> Option<Arc<T>> {
        (**self).held(key, uid, resource_version)
    }

    fn is_current(&self, key: KeyRef<'_>, resource_version: &str) -> Option<bool> {
        (**self).is_current(key, resource_version)
    }

    fn is_held(&self, key: KeyRef<'_>, resource_version: &str) -> Option<bool> {
        (**self).is_held(key, resource_version)
    }

    fn current(&self, key: KeyRef<'_>) -> Option<Arc<T>> {
        (**self).current(key)
    }

    fn failed(&self, error: &(dyn std::error::Error + 'static)) {
        (**self).failed(error);
    }

    fn ended(&self, error: Option<&(dyn std::error::Error + 'static)>) {
        (**self).ended(error);
    }
}
