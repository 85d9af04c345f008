//! What flows from a reflector into a cache: batches of changes, and whole lists.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::{Key, KeyError, KeyRef, Object, ResourceVersion};

/// One change of one key.
pub enum Change<T> {
    /// The object exists, in this version.
    Put(Arc<T>),
    /// The object is gone. Its last state is given where the source sent it.
    Delete(Option<Arc<T>>),
}

// Not derived: an `Arc<T>` is cloned, so `T` need not be `Clone`.
impl<T> Clone for Change<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Put(object) => Self::Put(Arc::clone(object)),
            Self::Delete(last) => Self::Delete(last.clone()),
        }
    }
}

impl<T> std::fmt::Debug for Change<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Put(_) => "Put",
            Self::Delete(_) => "Delete",
        })
    }
}

/// Changes that become visible together, in order, and the source's version after them.
///
/// ```
/// use watchcache::{Batch, Key, KeyError, Object, Store};
/// # struct Pod(&'static str);
/// # impl Object for Pod {
/// #     fn key(&self) -> Result<Key, KeyError> { self.0.parse() }
/// # }
/// let store = Store::new();
/// let mut batch = Batch::new();
/// batch.put(Pod("default/web-0"))?;
/// batch.put(Pod("default/web-1"))?;
/// batch.delete("default/web-2".parse()?);
/// let applied = store.apply(&batch);
/// assert_eq!((applied.added, applied.deleted), (2, 0));
/// # Ok::<(), KeyError>(())
/// ```
pub struct Batch<T> {
    changes: Vec<(Key, Change<T>)>,
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
        Self { changes: Vec::new(), resource_version: None, unordered: false }
    }

    /// Appends a put.
    ///
    /// # Errors
    /// If the object has no usable key; the batch is unchanged.
    pub fn put(&mut self, object: impl Into<Arc<T>>) -> Result<(), KeyError>
    where
        T: Object,
    {
        let object = object.into();
        self.changes.push((object.key()?, Change::Put(object)));
        Ok(())
    }

    /// Appends a delete.
    pub fn delete(&mut self, key: Key) {
        self.changes.push((key, Change::Delete(None)));
    }

    /// Appends a change whose key is already known.
    pub fn push(&mut self, key: Key, change: Change<T>) {
        self.changes.push((key, change));
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

    /// The changes, oldest first.
    #[must_use]
    pub fn changes(&self) -> &[(Key, Change<T>)] {
        &self.changes
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
    pub(crate) fn retain(&mut self, keep: impl Fn(&Key) -> bool) {
        self.changes.retain(|(key, _)| keep(key));
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
/// place is kept.
pub struct Listing<T> {
    objects: Vec<(Key, Arc<T>)>,
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
        let keyed = objects
            .into_iter()
            .map(|object| {
                let object = object.into();
                object.key().map(|key| (key, object))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self::from_keyed(keyed, resource_version))
    }

    /// As [`Listing::new`], for objects whose keys are already known.
    #[must_use]
    pub fn from_keyed(
        mut objects: Vec<(Key, Arc<T>)>,
        resource_version: Option<ResourceVersion>,
    ) -> Self {
        if !are_distinct(&objects) {
            keep_last(&mut objects);
        }
        Self { objects, resource_version, unordered: false }
    }
}

pub(crate) fn are_distinct<V>(objects: &[(Key, V)]) -> bool {
    // The API server lists in this order.
    objects.is_sorted_by(|(one, _), (next, _)| one.as_str() < next.as_str()) || {
        let mut seen: HashSet<&str, foldhash::fast::RandomState> =
            HashSet::with_capacity_and_hasher(objects.len(), Default::default());
        objects.iter().all(|(key, _)| seen.insert(key.as_str()))
    }
}

/// Keeps the last object of each key, in the place of the first.
pub(crate) fn keep_last<V>(objects: &mut Vec<(Key, V)>) {
    let mut place = HashMap::with_capacity(objects.len());
    let mut kept = 0;
    for i in 0..objects.len() {
        match place.entry(objects[i].0.clone()) {
            Entry::Occupied(first) => objects.swap(*first.get(), i),
            Entry::Vacant(vacant) => {
                vacant.insert(kept);
                objects.swap(kept, i);
                kept += 1;
            }
        }
    }
    objects.truncate(kept);
}

impl<T> Listing<T> {
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
    pub fn objects(&self) -> &[(Key, Arc<T>)] {
        &self.objects
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

    /// Takes what is already mirrored once more, as puts: nothing in it is new. Default:
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

    /// The reflector has ended, and nothing more will come from it: with an error if the source
    /// refused it for good, or if a sink panicked, without one if it was stopped or dropped, even
    /// before it ran. Called once, last. Default: nothing.
    ///
    /// A queue tells its consumers, who would wait for ever; a store keeps what it holds.
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

    fn ended(&self, error: Option<&(dyn std::error::Error + 'static)>) {
        (**self).ended(error);
    }
}
