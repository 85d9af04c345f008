//! The store: objects by key, read by many threads while one stream of changes is applied.
//!
//! Readers never wait. Each read works at the revision that was published last; a writer links the next
//! revision's versions where no reader reads yet, and publishes them with one atomic store. A batch, and
//! likewise a relist, is published as one, so no reader sees half of it.
//!
//! Ways to read, from the cheapest to the longest-lived:
//!
//! | | returns | consistent over | cost while held |
//! |---|---|---|---|
//! | [`Store::get`] | `Arc<T>` | one key | nothing |
//! | [`Store::pin`] | a borrow | everything, until it is dropped | no memory is freed: keep it short |
//! | [`Store::snapshot`] | a borrow | everything, for as long as you like | what only it can still see |
//!
//! ```
//! use watchcache::{Key, Store};
//!
//! let store = Store::<Key>::new();
//! store.add("a/web".parse::<Key>()?)?;
//! store.add("a/db".parse::<Key>()?)?;
//! // One object, to keep.
//! let web = store.get("a/web");
//! // Two that belong together, looked at and let go.
//! let both = {
//!     let pin = store.pin();
//!     pin.contains("a/web") && pin.contains("a/db")
//! };
//! // Everything, for as long as it takes.
//! let snapshot = store.snapshot();
//! store.delete("a/db");
//! assert!(web.is_some() && both);
//! assert_eq!((snapshot.len(), store.len()), (2, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assume;
mod builder;
mod combine;
mod diff;
mod engine;
mod entries;
mod error;
pub mod feed;
mod groups;
mod index;
mod lookup;
mod observe;
mod page;
mod pinned;
mod precedence;
mod read;
mod report;
mod select;
mod single;
mod sink;
mod snapshot;
mod write;

use std::borrow::Cow;
use std::fmt;

use assume::Assumed;
pub use builder::StoreBuilder;
use combine::Waiting;
pub use diff::{Diff, Updated};
use engine::Engine;
pub(crate) use engine::Lent;
pub use entries::{Entries, Objects};
pub use error::{DifferentStores, PageError, RejectReason, Rejected, UpdateError, WriteError};
use feed::Feed;
pub use feed::{Delivery, DeliveryKind, FeedLimits, Item, Subscription};
pub use groups::Groups;
pub use index::{Index, IndexValue};
pub use observe::{Observer, OldestPin, StoreStats};
pub use page::{Page, PageToken};
pub use pinned::Pinned;
pub use report::{Applied, Deleted, Outcome, Replaced, Written};
pub use snapshot::Snapshot;

use crate::panic::let_go;
use crate::sync::{Arc, SegQueue};
use crate::{Batch, KeyRef, Listing, Object, Revision};

/// A concurrent map from [`Key`](crate::Key) to `Arc<T>` with consistent snapshots and indexes.
///
/// Reads take no lock, never wait and free nothing. A write blocks its thread for as long as others take that came
/// before. Concurrent ones combine: the thread that holds the writer's lock also does the waiting threads' writes, and
/// publishes all of them at once.
///
/// # User code
///
/// [`Object::key`] runs first, once, under no lock; if it panics, so does the call. The object's other
/// methods and index functions run under the writer's lock: they may read the store, but a write from within
/// one deadlocks. If one panics, the object is rejected with the panic's message. Destructors of objects run
/// once the lock is released, and may use the store in any way; a panic of one is contained.
///
/// ```
/// use watchcache::{KeyRef, Object, Store};
///
/// struct Node { name: &'static str, ready: bool }
/// impl Object for Node {
///     fn key(&self) -> KeyRef<'_> { self.name.into() }
/// }
///
/// let store = Store::new();
/// store.add(Node { name: "node-1", ready: false })?;
/// let before = store.snapshot();
/// store.add(Node { name: "node-1", ready: true })?;
///
/// assert!(store.get("node-1").is_some_and(|node| node.ready));
/// assert!(before.get("node-1").is_some_and(|node| !node.ready), "a snapshot never changes");
/// assert!(store.get("node-2").is_none());
/// # Ok::<(), watchcache::store::WriteError>(())
/// ```
pub struct Store<T: Object> {
    engine: Arc<Engine<T>>,
    /// Writes that wait for the thread that holds the writer's lock.
    waiting: SegQueue<Waiting<T>>,
    observer: Option<Box<dyn Observer>>,
    feed: Arc<Feed<T>>,
    assumed: Arc<Assumed<T>>,
}

impl<T: Object> Store<T> {
    /// An empty store at revision 0. Reading by namespace ([`Snapshot::namespace`]) needs no index of one's
    /// own.
    ///
    /// On Linux the first store of a process registers the process for `membarrier`, which takes some
    /// milliseconds if it has several threads by then.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A builder for a store with indexes, an observer, or limits of its change feed.
    #[must_use]
    pub fn builder() -> StoreBuilder<T> {
        StoreBuilder::new()
    }

    /// Adds an object, or replaces the one under its key, and returns the outcome.
    ///
    /// An object with the uid and resource version of the held one is assumed to be equal to it, and one with
    /// an older resource version is stale: neither is stored. To change a held object but not its version,
    /// use [`compare_and_update`](Self::compare_and_update).
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # use watchcache::store::Outcome;
    /// struct Node { version: &'static str }
    /// impl Object for Node {
    ///     fn key(&self) -> KeyRef<'_> { "node-1".into() }
    ///     fn resource_version(&self) -> Option<&str> { Some(self.version) }
    /// }
    ///
    /// let store = Store::new();
    /// assert_eq!(store.add(Node { version: "7" })?.outcome, Outcome::Added);
    /// assert_eq!(store.add(Node { version: "8" })?.outcome, Outcome::Updated);
    /// assert_eq!(store.add(Node { version: "8" })?.outcome, Outcome::Unchanged);
    /// assert_eq!(store.add(Node { version: "7" })?.outcome, Outcome::Stale);
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    ///
    /// # Errors
    /// If the object's key is invalid, an index function fails on it, or one of its methods panics; the store
    /// is unchanged.
    ///
    /// # Panics
    /// If [`Object::key`] does.
    pub fn add(&self, object: impl Into<Arc<T>>) -> Result<Written, WriteError> {
        let object = object.into();
        self.observed(
            || self.put(object),
            |put| Applied::of_put(put.as_ref(), self.revision()).map(Cow::Owned),
        )
    }

    /// Stores an object only if its key still holds what the caller has seen: that very `Arc`, or nothing.
    ///
    /// The object may have the resource version of the held one, as a copy that was changed locally does. It
    /// then stays until the source sends a newer version. Pass what a snapshot lends by `as_deref`:
    /// `store.compare_and_update(snapshot.get(key).as_deref(), object)`.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Node { ready: bool }
    /// # impl Object for Node {
    /// #     fn key(&self) -> KeyRef<'_> { "node-1".into() }
    /// # }
    /// let store = Store::new();
    /// store.compare_and_update(None, Node { ready: false })?;
    /// let seen = store.get("node-1");
    /// store.compare_and_update(seen.as_ref(), Node { ready: true })?;
    /// let stale = store.compare_and_update(seen.as_ref(), Node { ready: false });
    /// assert!(stale.is_err_and(|error| !error.into_object().ready), "the object comes back");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`UpdateError::Conflict`] with the held object, if that is another one, or one with a newer resource
    /// version; [`UpdateError::Write`] in the cases of [`add`](Self::add). Both return the object.
    ///
    /// # Panics
    /// If [`Object::key`] does.
    pub fn compare_and_update(
        &self,
        seen: Option<&Arc<T>>,
        object: impl Into<Arc<T>>,
    ) -> Result<Written, UpdateError<T>> {
        let object = object.into();
        self.observed(
            || self.update(seen, object),
            |result| {
                let put = match result {
                    Ok(written) => Ok(written),
                    Err(UpdateError::Write { error, .. }) => Err(error),
                    Err(UpdateError::Conflict { .. }) => return None,
                };
                Applied::of_put(put, self.revision()).map(Cow::Owned)
            },
        )
    }

    /// Removes a key and returns the object it held. Deleting an absent key changes nothing.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Node(u32);
    /// # impl Object for Node {
    /// #     fn key(&self) -> KeyRef<'_> { "node-1".into() }
    /// # }
    /// let store = Store::new();
    /// store.add(Node(8))?;
    /// let deleted = store.delete("node-1");
    /// assert!(deleted.object.is_some_and(|node| node.0 == 8));
    /// assert_eq!(deleted.revision, store.revision());
    /// assert!(store.delete("node-1").object.is_none());
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    pub fn delete<'k>(&self, key: impl Into<KeyRef<'k>>) -> Deleted<T> {
        let key = key.into();
        if key.check().is_err() {
            // An invalid key has no object.
            return Deleted { object: None, revision: self.revision() };
        }
        let delete = || match self.try_writing() {
            Some(writing) => self.run(writing, |writing| writing.delete(key)),
            None => {
                let key = key.to_key_unchecked();
                self.combine(move |writing| writing.delete(key.as_ref()))
            }
        };
        self.observed(delete, |deleted| Some(Cow::Owned(Applied::of_delete(deleted))))
    }

    /// Applies a batch, which becomes visible at once. See [`Batch`] for an example.
    ///
    /// Changes apply in order. An add or delete with an older resource version than the held object changes
    /// nothing and counts as [`stale`](Applied::stale). An object that an index function fails on is
    /// [`rejected`](Applied::rejected), and the rest of the batch applies.
    pub fn apply(&self, batch: &Batch<T>) -> Applied {
        let apply = || match self.try_writing() {
            Some(writing) => self.run(writing, |writing| writing.apply(batch)),
            None => {
                let batch = batch.clone();
                self.combine(move |writing| writing.apply(&batch))
            }
        };
        self.observed(apply, |applied| Some(Cow::Borrowed(applied)))
    }

    /// Replaces the whole content, which becomes visible at once. See [`Listing`] for an example.
    ///
    /// An object whose uid and resource version are unchanged keeps its `Arc`. A listing that is older than
    /// the store, by resource version, does not undo what the store has learnt since: newer objects stay, and
    /// deleted keys stay deleted.
    pub fn replace(&self, listing: &Listing<T>) -> Replaced {
        let replace = || {
            let mut writing = self.writing();
            // A relist compares with what is published.
            self.run_waiting(&mut writing);
            writing.publish();
            writing.is_relist = true;
            let (applied, deleted) = self.run(writing, |writing| writing.replace(listing));
            Replaced { applied, deleted }
        };
        self.observed(replace, |replaced| Some(Cow::Borrowed(&replaced.applied)))
    }

    /// Adds an index over the objects that are held and all later ones; it is in every snapshot from the
    /// returned revision on. Takes O(objects · log objects), during which readers go on and writers wait.
    /// Adding an index twice changes nothing.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// use watchcache::store::Index;
    /// # struct Pod { name: &'static str, node: &'static str }
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
    /// # }
    /// let store = Store::new();
    /// store.add(Pod { name: "web-0", node: "n1" })?;
    /// store.add(Pod { name: "web-1", node: "n2" })?;
    /// let by_node = Index::new("node", |pod: &Pod| [pod.node]);
    /// store.add_index(&by_node)?;
    ///
    /// let snapshot = store.snapshot();
    /// let on_n1: Vec<_> = snapshot.by(&by_node, "n1").map(|(key, _)| key.name()).collect();
    /// assert_eq!(on_n1, ["web-0"]);
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    ///
    /// # Errors
    /// If the function fails on a held object, or on what the source said of one that is
    /// [assumed](Self::assume); the store is unchanged.
    pub fn add_index<V>(&self, index: &Index<T, V>) -> Result<Revision, Rejected>
    where
        V: Ord + Send + Sync + ?Sized + 'static,
    {
        let mut writing = self.writing();
        if !writing.guard.has_index(index.id()) {
            let mut index = index.of_a_store(None);
            // What the source said comes back when nothing else is assumed any more.
            for (key, told) in writing.assumed.all_told() {
                let checked = index.check(&told);
                checked.map_err(|unindexed| Rejected::unindexed(key.as_ref(), *unindexed))?;
            }
            let added = writing.guard.add_index(index);
            added.map_err(|(key, unindexed)| Rejected::unindexed(key, *unindexed))?;
        }
        Ok(Revision::new(writing.publish()))
    }
}

impl<T: Object> Drop for Store<T> {
    /// Ends the store's subscriptions.
    fn drop(&mut self) {
        self.assumed.close();
        let_go(self.observer.take());
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
