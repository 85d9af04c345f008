//! Metric callbacks and statistics of a store.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::engine::{Engine, PinnedRevision};
use super::feed::{Feed, FeedStats};
use super::{Applied, Store};
use crate::panic::contain;
use crate::sync::Arc;
use crate::{Object, Revision};

/// Called after each write: each batch, each relist, and each single put and delete, as a batch of
/// one. What was refused before it could change anything is no write: an object without a usable key,
/// and a [`compare_and_update`](super::Store::compare_and_update) that finds something else. A store without
/// one measures nothing.
///
/// Calls come from the thread whose write it is, after the write is visible, under no lock; several threads
/// may call at once. An observer may write to the store, and is called for that, too. A panic in one is
/// contained: the panic hook reports it, and whoever wrote does not notice.
pub trait Observer: Send + Sync {
    /// A write is visible. It took this long, waiting for other writers included. What it changed
    /// nothing of is told as well: see the counts.
    fn applied(&self, applied: &Applied, took: Duration);
}

impl<F: Fn(&Applied, Duration) + Send + Sync> Observer for F {
    fn applied(&self, applied: &Applied, took: Duration) {
        self(applied, took);
    }
}

impl<T: Object> Store<T> {
    /// Writes, and tells the observer, if there is one, what that `Applied` is of.
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
}

/// What a store holds, and what it cannot free.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreStats {
    /// Objects at the newest revision.
    pub objects: usize,
    /// The newest revision.
    pub revision: Revision,
    /// Snapshots that are alive, of whatever revision; the feed's, one for each segment of its log, among
    /// them.
    pub live_snapshots: usize,
    /// Age of the oldest snapshot of a superseded revision, measured from the first reclamation pass
    /// that found it superseded.
    pub oldest_snapshot_age: Option<Duration>,
    /// Superseded versions that are not freed.
    pub retained_versions: usize,
    /// Bytes of their objects, by [`Object::size`].
    pub retained_bytes: usize,
    /// Those of them that no snapshot is known to need: they wait for a reclamation pass, or for a
    /// pinned thread.
    pub waiting_versions: usize,
    /// The oldest pin that is holding memory back, if one is. A pin of any store of the process
    /// does: see [`Store::pin`](super::Store::pin).
    pub oldest_pin: Option<OldestPin>,
    /// Whether nothing can be freed at present, since the system refuses the call (`membarrier`) that
    /// freeing needs until every thread that has read before has read again, or ended.
    pub reclamation_refused: bool,
    /// Bytes of the table and of each object's place in it, without keys, objects and indexes.
    pub table_bytes: usize,
    /// Who follows the store, and what is kept for them.
    pub feed: FeedStats,
}

/// The pin that has kept memory from being freed for the longest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OldestPin {
    /// Since a reclamation pass first found it. A healthy one is gone by the next pass.
    pub age: Duration,
    /// The name of its thread, or its id where it has none. Of a pin that was forgotten by a thread
    /// that has ended, that thread's.
    pub thread: Option<String>,
}

impl StoreStats {
    pub(super) fn of<T: Object>(engine: &Arc<Engine<T>>, feed: &Feed<T>) -> Self {
        /// Some milliseconds of work at most.
        const STEPS: usize = 4096;
        if let Some(mut guard) = engine.try_write() {
            guard.collect(STEPS);
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
