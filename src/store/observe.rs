//! Metric callbacks, and statistics.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::engine::{Engine, PinnedRevision};
use super::feed::{Feed, FeedStats};
use super::{Applied, Store};
use crate::panic::contain;
use crate::sync::Arc;
use crate::{Object, Revision};

/// Called after each write: after each batch, each relist, and each single add or delete, as a batch of one.
/// It is not called for what could not change anything: an object with an invalid key, or a
/// [`compare_and_update`](super::Store::compare_and_update) that conflicts. Without an observer a store
/// measures nothing.
///
/// The thread that wrote makes the call, once the write is visible, under no lock; several threads may do so
/// at once. An observer may write to the store, which calls it again. A panic in one is contained: the panic
/// hook reports it, and the write succeeds.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use std::time::Duration;
/// use watchcache::store::Applied;
/// use watchcache::{Key, Store};
///
/// let added = Arc::new(AtomicUsize::new(0));
/// let count = Arc::clone(&added);
/// let observer = move |applied: &Applied, _took: Duration| {
///     count.fetch_add(applied.added, Ordering::Relaxed);
/// };
/// let store = Store::<Key>::builder().observer(observer).build();
/// store.add("a/web".parse::<Key>()?)?;
/// assert_eq!(added.load(Ordering::Relaxed), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Observer: Send + Sync {
    /// A write is visible, and it took this long, waiting for other writers included. See the counts for how
    /// much of it changed nothing.
    fn applied(&self, applied: &Applied, took: Duration);
}

impl<F: Fn(&Applied, Duration) + Send + Sync> Observer for F {
    fn applied(&self, applied: &Applied, took: Duration) {
        self(applied, took);
    }
}

impl<T: Object> Store<T> {
    /// Writes, and calls the observer, if there is one.
    #[inline]
    pub(super) fn observed<R>(
        &self,
        write: impl FnOnce() -> R,
        applied: impl FnOnce(&R) -> Option<Cow<'_, Applied>>,
    ) -> R {
        let Some(observer) = &self.observer else { return write() };
        let began = Instant::now();
        let result = write();
        let took = began.elapsed();
        if let Some(applied) = applied(&result) {
            contain(|| observer.applied(&applied, took));
        }
        result
    }

    /// Statistics: what the store holds, and what it cannot free. Never waits for a writer.
    ///
    /// If nobody is writing, this first frees a bounded part of what can be freed, and the calling thread
    /// drops those objects. Otherwise the statistics are as of the end of the last write.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Node;
    /// # impl Object for Node {
    /// #     fn key(&self) -> KeyRef<'_> { "node-1".into() }
    /// # }
    /// let store = Store::new();
    /// store.add(Node)?;
    /// let snapshot = store.snapshot();
    /// store.add(Node)?;
    /// let stats = store.stats();
    /// assert_eq!((stats.objects, stats.retained_versions), (1, 1));
    /// # drop(snapshot);
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        StoreStats::of(&self.engine, &self.feed)
    }
}

/// What a store holds, and what it cannot free.
///
/// A snapshot that somebody has forgotten:
///
/// ```
/// # use watchcache::{KeyRef, Object, Store};
/// # struct Node;
/// # impl Object for Node {
/// #     fn key(&self) -> KeyRef<'_> { "node-1".into() }
/// #     fn size(&self) -> usize { 1000 }
/// # }
/// let store = Store::new();
/// store.add(Node)?;
/// let forgotten = store.snapshot();
/// store.add(Node)?;
///
/// let stats = store.stats();
/// assert_eq!((stats.objects, stats.live_snapshots, stats.retained_bytes), (1, 1, 1000));
/// assert!(stats.oldest_snapshot_age.is_some(), "worth an alarm if it is of hours");
/// drop(forgotten);
/// assert_eq!(store.stats().live_snapshots, 0);
/// # Ok::<(), watchcache::store::WriteError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreStats {
    /// Objects at the newest revision.
    pub objects: usize,
    /// The newest revision.
    pub revision: Revision,
    /// Live snapshots, of any revision, including the change feed's: one for each segment of its log, and one
    /// for each subscription that stands outside of it.
    pub live_snapshots: usize,
    /// Age of the oldest snapshot of a superseded revision, measured from the first reclamation pass
    /// that found it superseded.
    pub oldest_snapshot_age: Option<Duration>,
    /// Superseded versions that are not yet freed.
    pub retained_versions: usize,
    /// The size of their objects in bytes, by [`Object::size`].
    pub retained_bytes: usize,
    /// How many of them no snapshot is known to need: they wait for a reclamation pass, or for a pinned
    /// thread.
    pub waiting_versions: usize,
    /// The oldest pin that keeps memory from being freed, if there is one. It may be a pin of any store of
    /// the process: see [`Store::pin`](super::Store::pin).
    pub oldest_pin: Option<OldestPin>,
    /// Whether nothing can be freed at present: the system refuses `membarrier`, and without it freeing has
    /// to wait until every thread that has read before has read again, or ended.
    pub reclamation_refused: bool,
    /// The size in bytes of the hash table and its records, which have the keys' text, without objects and indexes.
    pub table_bytes: usize,
    /// The subscriptions, and what is kept for them.
    pub feed: FeedStats,
}

/// The pin that has kept memory from being freed for the longest time.
///
/// ```
/// # use watchcache::{KeyRef, Object, Store};
/// # struct Node;
/// # impl Object for Node {
/// #     fn key(&self) -> KeyRef<'_> { "node-1".into() }
/// # }
/// # std::thread::Builder::new().name("reports".into()).spawn(|| {
/// let store = Store::new();
/// store.add(Node)?;
/// let pin = store.pin();
/// store.add(Node)?;
/// // In the thread "reports", which holds it for too long.
/// let oldest = store.stats().oldest_pin.expect("nothing is freed");
/// assert_eq!(oldest.thread.as_deref(), Some("reports"));
/// # drop(pin);
/// # Ok::<(), watchcache::store::WriteError>(())
/// # })?.join().expect("it does not panic")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OldestPin {
    /// The time since a reclamation pass first found it. Usually a pin is gone by the next pass.
    pub age: Duration,
    /// The name of its thread, or the thread's id if it has no name. The thread may have ended, if the pin
    /// was forgotten.
    pub thread: Option<String>,
}

impl StoreStats {
    pub(super) fn of<T: Object>(engine: &Arc<Engine<T>>, feed: &Feed<T>) -> Self {
        /// At most some milliseconds of work.
        const STEPS: usize = 4096;
        if let Some(mut guard) = engine.try_write() {
            guard.collect(STEPS);
            feed.let_leave(&mut guard, STEPS);
        }
        let figures = engine.figures();
        let pinned = PinnedRevision::new(engine);
        Self {
            objects: pinned.view().len(),
            revision: Revision::new(pinned.view().number()),
            // The store, its feed and what it assumes count too.
            live_snapshots: Arc::strong_count(engine) - 3,
            oldest_snapshot_age: figures.oldest_held,
            retained_versions: figures.retained_versions,
            retained_bytes: figures.retained_bytes,
            waiting_versions: figures.waiting_versions,
            oldest_pin: figures.oldest_pin.map(|(age, epoch)| OldestPin {
                age,
                thread: Engine::<T>::thread_pinned_at(epoch),
            }),
            reclamation_refused: figures.refused,
            table_bytes: figures.structure_bytes,
            feed: feed.stats(),
        }
    }
}
