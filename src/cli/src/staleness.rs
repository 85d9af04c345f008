//! How far the store is behind the server: from a change's commit to its visibility.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use watchcache::{Batch, Change, Listing, Object, Sink};
use watchcache_embedded_server::EmbeddedServer;

use crate::latency::{Latency, Quantiles};
use crate::mirrored::Mirrored;

/// A sink placed after the store: readers of the store can already see what it receives.
#[derive(Debug)]
pub(crate) struct Staleness {
    /// Knows when each change was committed. A real cluster does not report that.
    server: Option<Arc<EmbeddedServer>>,
    /// When the first list was in the store. An earlier change would measure that list, not the stream.
    first_list: OnceLock<Instant>,
    latency: Mutex<Latency>,
}

impl Staleness {
    pub(crate) fn new(server: Option<Arc<EmbeddedServer>>) -> Self {
        Self { server, first_list: OnceLock::new(), latency: Mutex::new(Latency::new()) }
    }

    /// In microseconds; `None` where there is nothing to measure against.
    pub(crate) fn quantiles(&self) -> Option<Quantiles> {
        self.lock().micros()
    }

    fn lock(&self) -> MutexGuard<'_, Latency> {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink<Mirrored> for Staleness {
    fn apply(&self, batch: &Batch<Mirrored>) {
        let (Some(server), Some(first_list)) = (&self.server, self.first_list.get()) else {
            return;
        };
        let visible = Instant::now();
        let mut latency = self.lock();
        for (_, change) in batch.changes() {
            // A deleted object's last state carries the version of the deletion.
            let (Change::Add(object) | Change::Delete(Some(object))) = change else { continue };
            let version = object.resource_version().and_then(|version| version.parse().ok());
            let committed = version.and_then(|version| server.committed_at(version));
            if let Some(committed) = committed.filter(|committed| committed > first_list) {
                latency.record(visible.saturating_duration_since(committed));
            }
        }
    }

    fn replace(&self, _: &Listing<Mirrored>) {
        // Only the first call counts. A listed object may have been committed long ago.
        let _ = self.first_list.set(Instant::now());
    }
}
