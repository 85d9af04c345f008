//! The store: objects by key, read by many threads while one stream of changes is applied.
//!
//! Readers never wait. Each read works at the revision that was published last; a writer links the
//! next revision's versions beside what readers look at, and publishes them with one atomic store.
//! A batch, and likewise a relist, is one such step, so no reader sees half of it.
//!
//! Ways to read, from the cheapest to the most lasting:
//!
//! | | returns | consistent over | costs while it is held |
//! |---|---|---|---|
//! | [`Store::get`] | `Arc<T>` | one key | nothing |
//! | [`Store::pin`] | borrows | everything, until it is dropped | no memory is freed: keep it short |
//! | [`Store::snapshot`] | borrows | everything, for as long as you like | what it alone still sees |

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
mod report;
mod select;
mod single;
mod sink;
mod snapshot;
mod write;

use std::borrow::Cow;
use std::fmt;

pub use builder::StoreBuilder;
use combine::Waiting;
pub use diff::{Diff, Updated};
use engine::{Engine, PinnedRevision};
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

use crate::sync::{Arc, SegQueue};
use crate::{Batch, Key, KeyRef, Listing, Object, ResourceVersion, Revision};

/// A concurrent map from [`Key`] to `Arc<T>` with consistent snapshots and indexes.
///
/// Reads take no lock, wait for nobody and free nothing. Writes of several threads combine: whoever
/// gets to write writes for those that wait, and publishes once.
///
/// # User code
///
/// [`Object::key`] runs first, once, under no lock, and its panic is the caller's. The other methods and index
/// functions run while a write holds the writer's lock. They may read the store; a write from within one
/// deadlocks. If one panics, the object is rejected with the panic's text.
/// An object's destructor runs after the lock, and may use the store in any way; its panic ends there.
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
    /// Writes that wait for whoever writes now.
    waiting: SegQueue<Waiting<T>>,
    observer: Option<Box<dyn Observer>>,
    feed: Arc<Feed<T>>,
}

impl<T: Object> Store<T> {
    /// An empty store at revision 0. Every store can be read by namespace ([`Snapshot::namespace`])
    /// without an index of that name.
    ///
    /// On Linux the first store of a process registers it for `membarrier`. If it has several threads by
    /// then, that takes the kernel some milliseconds.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A store with indexes or an observer.
    #[must_use]
    pub fn builder() -> StoreBuilder<T> {
        StoreBuilder::new()
    }

    /// Puts an object under its key, whether or not one is there, and tells what became of it.
    ///
    /// An object whose uid and resource version are the held one's is taken to be equal to it, and
    /// one with an older resource version is stale: neither is stored. A program that changes an
    /// object it holds, and leaves its version, wants [`compare_and_update`](Self::compare_and_update).
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
    /// If the object has no usable key, an index function fails on it, or one of its methods
    /// panics while it is compared; the store is unchanged.
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

    /// Puts an object only if its key still holds what the caller saw: that very `Arc`, or nothing.
    ///
    /// The object may have the held one's resource version: a copy that was changed locally. It
    /// stays until the source tells of a newer version.
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
    /// [`UpdateError::Conflict`] with what is held, if it is something else, or newer by resource
    /// version; [`UpdateError::Write`] as [`add`](Self::add). The object comes back with either.
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

    /// Removes a key and returns what it held. Deleting an absent key changes nothing.
    pub fn delete<'k>(&self, key: impl Into<KeyRef<'k>>) -> Deleted<T> {
        let key = key.into();
        if key.check().is_err() {
            // What is no valid key names nothing.
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

    /// Applies a batch; all of it becomes visible at once.
    ///
    /// Changes apply in order. An add or delete that is older than what is held, by resource
    /// version, changes nothing and is counted as [`stale`](Applied::stale). An object that an index
    /// function fails on is [`rejected`](Applied::rejected), and the rest applies.
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

    /// Replaces the whole content; readers see the old one or the new one, nothing between.
    ///
    /// An object whose uid and resource version are unchanged keeps its `Arc`. A listing that is
    /// older than the store, by resource version, does not undo what the store learnt since: newer
    /// objects stay, and keys that were deleted stay away.
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

    /// Adds an index over everything that is held and everything to come. Readers go on meanwhile;
    /// writers wait, O(objects · log objects). It is in every snapshot from the returned revision on.
    /// Adding one that is there changes nothing.
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
    /// If the function fails on an object that is held; the store is unchanged.
    pub fn add_index<V>(&self, index: &Index<T, V>) -> Result<Revision, Rejected>
    where
        V: Ord + Send + Sync + ?Sized + 'static,
    {
        let mut writing = self.writing();
        if !writing.guard.has_index(index.id()) {
            let added = writing.guard.add_index(index.of_a_store(None));
            added.map_err(|(key, unindexed)| Rejected::unindexed(key, *unindexed))?;
        }
        Ok(Revision::new(writing.publish()))
    }

    /// The object under a key. Allocates nothing but, at times, for a thread's first read.
    #[inline]
    pub fn get<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Arc<T>> {
        PinnedRevision::new(&self.engine).get(key.into()).cloned()
    }

    /// Whether a key is present.
    #[inline]
    pub fn contains<'k>(&self, key: impl Into<KeyRef<'k>>) -> bool {
        PinnedRevision::new(&self.engine).get(key.into()).is_some()
    }

    /// The objects under several keys, in the keys' order, all at one revision. Faster for many keys than
    /// as many calls of [`get`](Self::get), since what they read is loaded together. The iterator is run
    /// to its end before the store is read.
    pub fn get_many<'k, K: Into<KeyRef<'k>>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Vec<Option<Arc<T>>> {
        let keys: Vec<KeyRef<'k>> = keys.into_iter().map(Into::into).collect();
        let mut objects = Vec::with_capacity(keys.len());
        PinnedRevision::new(&self.engine).get_each(&keys, |object| objects.push(object.cloned()));
        objects
    }

    /// A short look at everything as it is now, which borrows instead of cloning and writes to no
    /// shared memory. Nothing that any store of the process supersedes is freed while it lives: hold it
    /// over a few reads, and use a [`snapshot`](Self::snapshot) for what takes longer. One that is
    /// forgotten (`std::mem::forget`) stops freeing for good, also when its thread has ended; see
    /// [`StoreStats::oldest_pin`]. Pins of one thread that overlap count as one, from the first one's
    /// beginning: drop one before the next is taken, or nothing is freed in between.
    #[inline]
    #[must_use]
    pub fn pin(&self) -> Pinned<'_, T> {
        Pinned::new(&self.engine)
    }

    /// All objects at one revision, in no particular order. O(objects); see
    /// [`snapshot`](Self::snapshot) for a view that costs nothing to take.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<T>> {
        self.snapshot().list()
    }

    /// All keys at one revision, in no particular order. O(objects).
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        self.snapshot().keys().map(KeyRef::to_key_unchecked).collect()
    }

    /// An immutable view of everything as it is now. O(1).
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<T> {
        Snapshot::new(&self.engine)
    }

    /// Number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        PinnedRevision::new(&self.engine).view().len()
    }

    /// Whether there are no objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The store's own sequence number.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision::new(PinnedRevision::new(&self.engine).view().number())
    }

    /// The source's version of the content, once the source has told one.
    #[must_use]
    pub fn resource_version(&self) -> Option<ResourceVersion> {
        PinnedRevision::new(&self.engine).view().resource_version().cloned()
    }

    /// Figures for observation. Waits for no writer.
    ///
    /// If no writer is writing, this frees some of what can be freed (a bounded part), so its figures are
    /// of now; objects that are freed are dropped by this thread. Beside a writer they are of the end
    /// of the last write.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        StoreStats::of(&self.engine)
    }
}

impl<T: Object> Drop for Store<T> {
    /// Subscriptions end.
    fn drop(&mut self) {
        self.feed.close();
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
