//! How far a store is behind the server: from a change's commit to its visibility.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use watchcache::{Batch, Change, Listing, Object, Sink};
use watchcache_embedded_server::EmbeddedServer;

use crate::latency::Latency;
use crate::mirrored::Mirrored;

/// How many seconds count as the last ones.
pub(crate) const LAST: usize = 10;

/// A sink placed after the store: readers of the store can already see what it receives.
#[derive(Debug)]
pub(crate) struct Staleness {
    /// Knows when each change was committed. A real cluster does not report that.
    server: Option<Arc<EmbeddedServer>>,
    /// When the first list was in the store. An earlier change would measure that list, not the stream.
    first_list: OnceLock<Instant>,
    measured: Mutex<Measured>,
}

/// Of the whole run, and of each of the last seconds. The changes that come at once behind the first list
/// are in the former for good, and soon no longer in the latter.
#[derive(Debug)]
struct Measured {
    whole: Latency,
    seconds: [Latency; LAST],
    /// The second, from the first list on, that is being measured.
    second: u64,
}

/// The last seconds, and the whole run.
#[derive(Clone, Debug)]
pub(crate) struct Stale {
    pub(crate) last: Latency,
    pub(crate) whole: Latency,
}

impl Staleness {
    pub(crate) fn new(server: Option<Arc<EmbeddedServer>>) -> Self {
        Self { server, first_list: OnceLock::new(), measured: Mutex::new(Measured::new()) }
    }

    /// When the first list was in the store, if it is.
    pub(crate) fn first_list(&self) -> Option<Instant> {
        self.first_list.get().copied()
    }

    pub(crate) fn measured(&self) -> Stale {
        let mut measured = self.lock();
        if let Some(first_list) = self.first_list.get() {
            measured.advance(first_list.elapsed().as_secs());
        }
        measured.stale()
    }

    fn lock(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Measured {
    fn new() -> Self {
        Self { whole: Latency::new(), seconds: [(); LAST].map(|()| Latency::coarse()), second: 0 }
    }

    /// It is this second now: those that are no longer among the last are forgotten.
    fn advance(&mut self, second: u64) {
        let passed = second.saturating_sub(self.second).min(LAST as u64);
        for second in (self.second + 1..).take(passed as usize) {
            self.seconds[second as usize % LAST].clear();
        }
        self.second = self.second.max(second);
    }

    fn record(&mut self, took: Duration) {
        self.whole.record(took);
        self.seconds[self.second as usize % LAST].record(took);
    }

    fn stale(&self) -> Stale {
        Stale { last: Latency::of_all(&self.seconds), whole: self.whole.clone() }
    }
}

impl Stale {
    /// Of several kinds together.
    pub(crate) fn of_all<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let last = Latency::of_all(all.clone().map(|stale| &stale.last));
        Self { last, whole: Latency::of_all(all.map(|stale| &stale.whole)) }
    }
}

impl Sink<Mirrored> for Staleness {
    fn apply(&self, batch: &Batch<Mirrored>) {
        let (Some(server), Some(first_list)) = (&self.server, self.first_list.get()) else {
            return;
        };
        let visible = Instant::now();
        let mut measured = self.lock();
        measured.advance(visible.saturating_duration_since(*first_list).as_secs());
        for (_, change) in batch.changes() {
            // A deleted object's last state carries the version of the deletion.
            let (Change::Add(object) | Change::Delete(Some(object))) = change else { continue };
            let version = object.resource_version().and_then(|version| version.parse().ok());
            let committed = version.and_then(|version| server.committed_at(version));
            if let Some(committed) = committed.filter(|committed| committed > first_list) {
                measured.record(visible.saturating_duration_since(committed));
            }
        }
    }

    fn replace(&self, _: &Listing<Mirrored>) {
        // Only the first call counts. A listed object may have been committed long ago.
        let _ = self.first_list.set(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_seconds_forget_what_the_whole_run_does_not() {
        let mut measured = Measured::new();
        let max = |latency: &Latency| latency.micros().map(|micros| micros.max.round());
        measured.record(Duration::from_secs(1));
        measured.advance(9);
        measured.record(Duration::from_millis(1));
        assert!(max(&measured.stale().last).is_some_and(|max| max > 900_000.0));
        measured.advance(10);
        let stale = measured.stale();
        assert!(max(&stale.last).is_some_and(|max| max < 1_100.0), "{stale:?}");
        assert!(max(&stale.whole).is_some_and(|max| max > 900_000.0), "{stale:?}");
        measured.advance(1_000);
        assert_eq!(max(&measured.stale().last), None);
    }
}
