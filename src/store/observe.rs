//! Figures about a store.

use std::time::Duration;

use super::Applied;
use super::engine::WriteGuard;
use crate::{Object, Revision};

/// Is told of each batch and each relist. A store without one measures nothing.
///
/// Calls come from the writing thread, after the write is visible.
pub trait Observer: Send + Sync {
    /// A batch or a relist was applied, in this time (waiting for other writers included).
    fn applied(&self, applied: &Applied, took: Duration);
}

impl<F: Fn(&Applied, Duration) + Send + Sync> Observer for F {
    fn applied(&self, applied: &Applied, took: Duration) {
        self(applied, took);
    }
}

/// What a store holds.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct StoreStats {
    /// Objects at the newest revision.
    pub objects: usize,
    /// The newest revision, which is also the number of batches that changed something.
    pub revision: Revision,
    /// Snapshots of superseded revisions.
    pub live_snapshots: usize,
    /// For how long the oldest of those has been known to lag behind: since the store first looked
    /// for what it can free after the revision was superseded, which each call of
    /// [`Store::stats`](super::Store::stats) is an occasion of.
    pub oldest_snapshot_age: Option<Duration>,
    /// Superseded versions that are not freed.
    pub retained_versions: usize,
    /// What these hold, in bytes, by [`Object::size`].
    pub retained_bytes: usize,
    /// Bytes of the table and of each object's place in it, without keys, objects and indexes.
    pub table_bytes: usize,
}

impl StoreStats {
    pub(super) fn of<T: Object>(guard: &mut WriteGuard<'_, T>) -> Self {
        let revision = guard.publish();
        let retained = guard.collect();
        Self {
            objects: guard.len(),
            revision: Revision::new(revision),
            live_snapshots: retained.snapshots,
            oldest_snapshot_age: retained.oldest_since.map(|since| since.elapsed()),
            retained_versions: retained.versions,
            retained_bytes: guard.retained_objects().map(|object| object.size()).sum(),
            table_bytes: guard.structure_bytes(),
        }
    }
}
