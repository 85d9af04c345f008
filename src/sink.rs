//! What flows from a reflector into a cache: batches of changes, and whole lists.

use std::sync::Arc;

use crate::keyed::Keyed;
use crate::{Key, KeyError, KeyRef, Object, ResourceVersion};

/// One change of one key.
pub enum Change<T> {
    /// The object exists, in this version.
    Add(Arc<T>),
    /// The object is gone. Its last state is given where the source sent it.
    Delete(Option<Arc<T>>),
}

// Not derived: an `Arc<T>` is cloned, so `T` need not be `Clone`.
impl<T> Clone for Change<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Add(object) => Self::Add(Arc::clone(object)),
            Self::Delete(last) => Self::Delete(last.clone()),
        }
    }
}

impl<T> std::fmt::Debug for Change<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Add(_) => "Add",
            Self::Delete(_) => "Delete",
        })
    }
}

/// Changes that become visible together, in order, and the source's version after them.
///
/// A batch has its own copy of each change's key, all in one allocation, which
/// [`clear`](Self::clear) keeps.
///
/// ```
/// use watchcache::{Batch, KeyError, KeyRef, Object, Store};
/// # struct Pod(&'static str);
/// # impl Object for Pod {
/// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
/// # }
/// let store = Store::new();
/// let mut batch = Batch::new();
/// batch.add(Pod("default/web-0"))?;
/// batch.add(Pod("default/web-1"))?;
/// batch.delete("default/web-2");
/// let applied = store.apply(&batch);
/// assert_eq!((applied.added, applied.deleted), (2, 0));
/// # Ok::<(), KeyError>(())
/// ```
pub struct Batch<T> {
    changes: Keyed<Change<T>>,
    resource_version: Option<ResourceVersion>,
    unordered: bool,
}

impl<T> Clone for Batch<T> {
    fn clone(&self) -> Self {
        Self {
            changes: self.changes.clone(),
            resource_version: self.resource_version.clone(),
            unordered: self.unordered,
        }
    }
}

impl<T> Batch<T> {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self { changes: Keyed::new(), resource_version: None, unordered: false }
    }

    /// Appends an object that was added or changed.
    ///
    /// # Errors
    /// If the object has no usable key; the batch is unchanged.
    ///
    /// # Panics
    /// If [`Object::key`] does; the batch is unchanged.
    pub fn add(&mut self, object: impl Into<Arc<T>>) -> Result<(), KeyError>
    where
        T: Object,
    {
        let object = object.into();
        let key = object.key();
        key.check()?;
        self.changes.key(key).push(Change::Add(object));
        Ok(())
    }

    /// Appends a delete. What is no valid key names nothing, and is left out.
    pub fn delete<'k>(&mut self, key: impl Into<KeyRef<'k>>) {
        let key = key.into();
        if key.check().is_ok() {
            self.changes.push(key, Change::Delete(None));
        }
    }

    /// Appends a change of a key that is known without asking the object.
    ///
    /// # Errors
    /// If it is no valid key; the batch is unchanged.
    pub fn push<'k>(
        &mut self,
        key: impl Into<KeyRef<'k>>,
        change: Change<T>,
    ) -> Result<(), KeyError> {
        let key = key.into();
        key.check()?;
        self.changes.push(key, change);
        Ok(())
    }

    /// The changes, to be appended to with keys that were checked.
    #[cfg(feature = "reflector")]
    pub(crate) fn changes_mut(&mut self) -> &mut Keyed<Change<T>> {
        &mut self.changes
    }

    /// Sets the source's version that holds once the batch is applied.
    pub fn set_resource_version(&mut self, version: ResourceVersion) {
        self.resource_version = Some(version);
    }

    /// Declares that the versions in this batch have no order: each change counts as it comes,
    /// even if a number in it is smaller than one that is held. Sources that join several others
    /// write such versions.
    pub fn set_unordered(&mut self) {
        self.unordered = true;
    }

    /// Whether a sink must not compare this batch's versions with those it holds.
    #[must_use]
    pub fn is_unordered(&self) -> bool {
        self.unordered
    }

    /// The changes with their keys, oldest first.
    #[must_use]
    pub fn changes(&self) -> impl ExactSizeIterator<Item = (KeyRef<'_>, &Change<T>)> + Clone {
        self.changes.iter()
    }

    /// The source's version after this batch, if it is known.
    #[must_use]
    pub fn resource_version(&self) -> Option<&ResourceVersion> {
        self.resource_version.as_ref()
    }

    /// Number of changes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether there are no changes. (A batch without changes may still carry a version: a bookmark.)
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Leaves out the changes of other keys than these.
    #[cfg(feature = "reflector")]
    pub(crate) fn retain(&mut self, keep: impl Fn(KeyRef<'_>) -> bool) {
        self.changes.retain(keep);
    }

    /// Empties the batch and keeps its memory for the next one.
    pub fn clear(&mut self) {
        self.changes.clear();
        self.resource_version = None;
        self.unordered = false;
    }
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> std::fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("changes", &self.changes)
            .field("resource_version", &self.resource_version)
            .finish()
    }
}

/// The whole content of a source at one version: what a relist brings.
///
/// Each key occurs once; where a list names a key twice, the later object counts and the earlier
/// place is kept. As a [`Batch`], a listing has its own copy of each key.
pub struct Listing<T> {
    objects: Keyed<Arc<T>>,
    resource_version: Option<ResourceVersion>,
    unordered: bool,
}

impl<T: Object> Listing<T> {
    /// A listing of these objects at this version.
    ///
    /// # Errors
    /// If an object has no usable key.
    pub fn new<O: Into<Arc<T>>>(
        objects: impl IntoIterator<Item = O>,
        resource_version: Option<ResourceVersion>,
    ) -> Result<Self, KeyError> {
        let mut keyed = Keyed::new();
        for object in objects {
            let object = object.into();
            let key = object.key();
            key.check()?;
            keyed.key(key).push(object);
        }
        Ok(Self::from_list(keyed, resource_version))
    }
}

impl<T> Listing<T> {
    /// As [`Listing::new`], with keys that are known without asking the objects.
    ///
    /// # Errors
    /// If one is no valid key.
    pub fn from_keyed<'k, K: Into<KeyRef<'k>>>(
        objects: impl IntoIterator<Item = (K, Arc<T>)>,
        resource_version: Option<ResourceVersion>,
    ) -> Result<Self, KeyError> {
        let mut keyed = Keyed::new();
        for (key, object) in objects {
            let key = key.into();
            key.check()?;
            keyed.push(key, object);
        }
        Ok(Self::from_list(keyed, resource_version))
    }

    pub(crate) fn from_list(
        mut objects: Keyed<Arc<T>>,
        resource_version: Option<ResourceVersion>,
    ) -> Self {
        objects.keep_last();
        Self { objects, resource_version, unordered: false }
    }

    /// Declares that this listing's versions cannot be compared with those that are held: what it
    /// says counts as it stands, and what it does not list is gone. So it is where a source's
    /// versions have no order, or where its history began anew.
    #[must_use]
    pub fn unordered(mut self) -> Self {
        self.unordered = true;
        self
    }

    /// Whether a sink must not compare this listing's versions with those it holds.
    #[must_use]
    pub fn is_unordered(&self) -> bool {
        self.unordered
    }

    /// The objects with their keys, in the source's order.
    #[must_use]
    pub fn objects(&self) -> impl ExactSizeIterator<Item = (KeyRef<'_>, &Arc<T>)> + Clone {
        self.objects.iter()
    }

    /// The source's version of this listing.
    #[must_use]
    pub fn resource_version(&self) -> Option<&ResourceVersion> {
        self.resource_version.as_ref()
    }

    /// Number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are no objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

impl<T> std::fmt::Debug for Listing<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listing")
            .field("len", &self.len())
            .field("resource_version", &self.resource_version)
            .finish()
    }
}

/// An object that a sink did not take, though others may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its key. The sink holds what it held before, or nothing.
    pub key: Key,
    /// Its version, if it has one.
    pub resource_version: Option<ResourceVersion>,
    /// Why, in a sentence.
    pub error: String,
}

/// Where a reflector's stream ends up. [`Store`](crate::Store) and [`Fifo`](crate::Fifo) are sinks;
/// one reflector feeds any number of them in one pass.
///
/// What changes a sink ([`apply`](Self::apply), [`replace`](Self::replace), [`resync`](Self::resync),
/// [`ended`](Self::ended)) is called by one thread at a time, in the source's order, and must not
/// block for long: the stream waits for it. The questions ([`held`](Self::held),
/// [`is_current`](Self::is_current)) may come from any number of threads at any time, because objects
/// decode on several.
pub trait Sink<T>: Send + Sync {
    /// Applies a batch of changes.
    fn apply(&self, batch: &Batch<T>);

    /// Replaces the whole content (a relist).
    fn replace(&self, listing: &Listing<T>);

    /// As [`apply`](Self::apply), and tells which objects could not be taken; a reflector calls this
    /// one, and lists them as quarantined. A store refuses what an index function fails on. Default:
    /// `apply`, which takes all.
    fn apply_reporting(&self, batch: &Batch<T>) -> Vec<Refused> {
        self.apply(batch);
        Vec::new()
    }

    /// As [`replace`](Self::replace), and tells which objects could not be taken, as
    /// [`apply_reporting`](Self::apply_reporting) does. Default: `replace`, which takes all.
    fn replace_reporting(&self, listing: &Listing<T>) -> Vec<Refused> {
        self.replace(listing);
        Vec::new()
    }

    /// Takes what is already mirrored once more, as adds: nothing in it is new. Default:
    /// [`apply`](Self::apply).
    fn resync(&self, batch: &Batch<T>) {
        self.apply(batch);
    }

    /// The object that is held under this key, if its uid and resource version are these: what a
    /// relist then brings again is dropped as it comes. Default: none.
    fn held(&self, key: KeyRef<'_>, uid: Option<&str>, resource_version: &str) -> Option<Arc<T>> {
        let _ = (key, uid, resource_version);
        None
    }

    /// Whether this version is what the key holds now; `None` where the sink does not know. An
    /// object that is found to be undecodable late is only listed as such while it is current.
    fn is_current(&self, key: KeyRef<'_>, resource_version: &str) -> Option<bool> {
        let _ = (key, resource_version);
        None
    }

    /// A list or a watch failed, and is tried again: why. Comes from the same thread as the changes.
    /// Default: nothing.
    ///
    /// A store tells whoever waits for its first list in vain.
    fn failed(&self, error: &(dyn std::error::Error + 'static)) {
        let _ = error;
    }

    /// The reflector has ended, and nothing more will come from it: with an error if the source
    /// refused it for good, or if a sink panicked, without one if it was stopped or dropped, even
    /// before it ran. Called once, last. Default: nothing.
    ///
    /// A queue tells its consumers, and a store whoever waits for its first list: they would wait for ever.
    /// A store keeps what it holds.
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

    fn failed(&self, error: &(dyn std::error::Error + 'static)) {
        (**self).failed(error);
    }

    fn ended(&self, error: Option<&(dyn std::error::Error + 'static)>) {
        (**self).ended(error);
    }
}
