//! The store: objects by key, read by many threads while one stream of changes is applied.
//!
//! Readers never wait. Each read works on the state that was published last, which is immutable;
//! a writer builds the next state beside it and publishes it with one atomic store. A batch, and
//! likewise a relist, is one such step, so no reader sees half of it.

mod lookup;
mod report;
mod snapshot;
mod state;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

pub use report::{Applied, Replaced};
pub use snapshot::{Iter, List, Snapshot};
use state::State;

use crate::{
    Batch, Change, Key, KeyError, KeyRef, Listing, Object, ResourceVersion, Revision, Sink,
};

/// A concurrent map from [`Key`] to `Arc<T>` with consistent snapshots.
///
/// Reads take no lock and wait for nobody. Writes take turns with each other.
///
/// ```
/// use watchcache::{Key, KeyError, Object, Store};
///
/// struct Node { name: &'static str, ready: bool }
/// impl Object for Node {
///     fn key(&self) -> Result<Key, KeyError> { Key::cluster_scoped(self.name) }
/// }
///
/// let store = Store::new();
/// store.add(Node { name: "node-1", ready: false })?;
/// let before = store.snapshot();
/// store.update(Node { name: "node-1", ready: true })?;
///
/// assert!(store.get("node-1").is_some_and(|node| node.ready));
/// assert!(before.get("node-1").is_some_and(|node| !node.ready), "a snapshot never changes");
/// assert!(store.get("node-2").is_none());
/// # Ok::<(), KeyError>(())
/// ```
pub struct Store<T> {
    published: ArcSwap<State<T>>,
    writer: Mutex<Writer<T>>,
}

/// What only the writer touches.
struct Writer<T> {
    /// Superseded states that a reader may still hold. The writer drops them once it is the last
    /// holder, so that no reader ever pays for freeing them.
    retired: Vec<Arc<State<T>>>,
}

impl<T: Object> Store<T> {
    /// An empty store at revision 0.
    #[must_use]
    pub fn new() -> Self {
        Self {
            published: ArcSwap::from_pointee(State::new()),
            writer: Mutex::new(Writer { retired: Vec::new() }),
        }
    }

    /// Puts an object under its key, whether or not one is there, and returns the revision at which
    /// it is visible.
    ///
    /// An object whose resource version is the held one's, or older, changes nothing.
    ///
    /// # Errors
    /// If the object has no usable key; the store is unchanged.
    pub fn add(&self, object: impl Into<Arc<T>>) -> Result<Revision, KeyError> {
        let object = object.into();
        let key = object.key()?;
        let mut next = self.begin();
        next.state.put(&key, &object);
        Ok(next.publish().revision)
    }

    /// The same as [`add`](Self::add): a put does not ask what was there before.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn update(&self, object: impl Into<Arc<T>>) -> Result<Revision, KeyError> {
        self.add(object)
    }

    /// Removes a key and returns what it held. Deleting an absent key changes nothing.
    pub fn delete<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Arc<T>> {
        let mut next = self.begin();
        let removed = next.state.remove(key.into());
        next.publish();
        removed
    }

    /// Applies a batch; all of it becomes visible at once.
    ///
    /// Changes apply in order. A put or delete that is older than what is held, by resource
    /// version, changes nothing and is counted as [`stale`](Applied::stale).
    pub fn apply(&self, batch: &Batch<T>) -> Applied {
        let mut next = self.begin();
        for (key, change) in batch.changes() {
            match change {
                Change::Put(object) => next.state.put(key, object),
                Change::Delete(last) => next.state.delete(key, last.as_deref()),
            }
        }
        next.state.advance(batch.resource_version());
        next.publish()
    }

    /// Replaces the whole content; readers see the old one or the new one, nothing between.
    ///
    /// An object whose uid and resource version are unchanged keeps its `Arc`. A listing that is
    /// older than the store does not undo what the store learnt since.
    pub fn replace(&self, listing: &Listing<T>) -> Replaced {
        let mut next = self.begin();
        let deleted = next.state.retain_listed(listing);
        for (key, object) in listing.objects() {
            next.state.put(key, object);
        }
        next.state.advance(listing.resource_version());
        Replaced { applied: next.publish(), deleted }
    }

    /// The object under a key. Allocates nothing.
    pub fn get<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Arc<T>> {
        self.published.load().get(key.into()).cloned()
    }

    /// Whether a key is present.
    pub fn contains<'k>(&self, key: impl Into<KeyRef<'k>>) -> bool {
        self.published.load().get(key.into()).is_some()
    }

    /// All objects at one revision, in no particular order. O(objects); see
    /// [`snapshot`](Self::snapshot) for a view that costs nothing to take.
    #[must_use]
    pub fn list(&self) -> List<T> {
        self.snapshot().list()
    }

    /// All keys at one revision, in no particular order. O(objects).
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        self.snapshot().keys().cloned().collect()
    }

    /// An immutable view of everything as it is now. O(1).
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<T> {
        Snapshot::new(self.published.load_full())
    }

    /// Number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.published.load().len()
    }

    /// Whether there are no objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The store's own sequence number.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.published.load().revision()
    }

    /// The source's version of the content, once the source has told one.
    #[must_use]
    pub fn resource_version(&self) -> Option<ResourceVersion> {
        self.published.load().resource_version().cloned()
    }

    fn begin(&self) -> Next<'_, T> {
        // Nothing of a user's runs while the lock is held except `Object`'s getters; a panic in one
        // of them leaves the published state whole, so the poison carries no meaning.
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let state = state::Draft::of(&self.published.load_full());
        Next { store: self, writer, state }
    }
}

/// A state being built; dropped without [`publish`](Next::publish) it never was.
struct Next<'a, T> {
    store: &'a Store<T>,
    writer: MutexGuard<'a, Writer<T>>,
    state: state::Draft<T>,
}

impl<T: Object> Next<'_, T> {
    fn publish(mut self) -> Applied {
        let (state, applied) = self.state.finish();
        if let Some(state) = state {
            let old = self.store.published.swap(Arc::new(state));
            self.writer.retired.push(old);
        }
        // A count of 1 is final: the state is no longer published, so nobody can find it to clone.
        self.writer.retired.retain(|state| Arc::strong_count(state) > 1);
        applied
    }
}

impl<T: Object> Default for Store<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Object> fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.snapshot();
        f.debug_struct("Store")
            .field("len", &snapshot.len())
            .field("revision", &snapshot.revision())
            .field("resource_version", &snapshot.resource_version())
            .finish()
    }
}

impl<T: Object> Sink<T> for Store<T> {
    fn apply(&self, batch: &Batch<T>) {
        Store::apply(self, batch);
    }

    fn replace(&self, listing: &Listing<T>) {
        Store::replace(self, listing);
    }
}
