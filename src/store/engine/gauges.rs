//! Gauges that the writer publishes, so that reading statistics never waits for it.

use std::time::{Duration, Instant};

use super::reclaim::Reclaim;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Each value is exact by itself; together they may be of different moments.
// ORDERING: Relaxed throughout: statistics; no ordering needed.
pub(super) struct Gauges {
    /// What the times below count from.
    start: Instant,
    retained_versions: AtomicUsize,
    retained_bytes: AtomicUsize,
    waiting_versions: AtomicUsize,
    structure_bytes: AtomicUsize,
    /// Nanoseconds since the start, or 0 for never; likewise below.
    oldest_held: AtomicU64,
    oldest_pin: AtomicU64,
    pinned_epoch: AtomicU64,
    refused: AtomicBool,
}

/// A copy of the gauges.
pub(crate) struct Figures {
    /// Superseded versions that are not freed, and their objects' bytes.
    pub(crate) retained_versions: usize,
    pub(crate) retained_bytes: usize,
    /// Those that no snapshot is known to need.
    pub(crate) waiting_versions: usize,
    /// Bytes of tables and of records, with their keys.
    pub(crate) structure_bytes: usize,
    /// How long the oldest superseded snapshot has been known.
    pub(crate) oldest_held: Option<Duration>,
    /// How long one pin has been known to keep memory from being freed, and its epoch.
    pub(crate) oldest_pin: Option<(Duration, u64)>,
    /// Whether the system refuses what freeing needs.
    pub(crate) refused: bool,
}

impl Gauges {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            retained_versions: AtomicUsize::new(0),
            retained_bytes: AtomicUsize::new(0),
            waiting_versions: AtomicUsize::new(0),
            structure_bytes: AtomicUsize::new(0),
            oldest_held: AtomicU64::new(0),
            oldest_pin: AtomicU64::new(0),
            pinned_epoch: AtomicU64::new(0),
            refused: AtomicBool::new(false),
        }
    }

    pub(super) fn set<T>(&self, reclaim: &Reclaim<T>, structure_bytes: usize) {
        let retained = reclaim.retained();
        self.retained_versions.store(retained.versions, Ordering::Relaxed);
        self.retained_bytes.store(retained.bytes, Ordering::Relaxed);
        self.waiting_versions.store(retained.waiting, Ordering::Relaxed);
        self.structure_bytes.store(structure_bytes, Ordering::Relaxed);
        self.oldest_held.store(self.nanos(reclaim.oldest_held_since()), Ordering::Relaxed);
        let pinned = reclaim.pinned();
        self.oldest_pin.store(self.nanos(pinned.map(|pinned| pinned.since)), Ordering::Relaxed);
        let epoch = pinned.map_or(0, |pinned| pinned.epoch);
        self.pinned_epoch.store(epoch, Ordering::Relaxed);
        self.refused.store(reclaim.is_refused(), Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Figures {
        let pin = self.age(self.oldest_pin.load(Ordering::Relaxed));
        Figures {
            retained_versions: self.retained_versions.load(Ordering::Relaxed),
            retained_bytes: self.retained_bytes.load(Ordering::Relaxed),
            waiting_versions: self.waiting_versions.load(Ordering::Relaxed),
            structure_bytes: self.structure_bytes.load(Ordering::Relaxed),
            oldest_held: self.age(self.oldest_held.load(Ordering::Relaxed)),
            oldest_pin: pin.map(|age| (age, self.pinned_epoch.load(Ordering::Relaxed))),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    fn nanos(&self, at: Option<Instant>) -> u64 {
        let Some(at) = at else { return 0 };
        u64::try_from(at.saturating_duration_since(self.start).as_nanos())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    fn age(&self, nanos: u64) -> Option<Duration> {
        (nanos > 0).then(|| self.start.elapsed().saturating_sub(Duration::from_nanos(nanos)))
    }
}
