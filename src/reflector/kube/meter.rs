//! Counts what comes over the wire.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(super) struct Meter(AtomicU64);

impl Meter {
    pub(super) fn add(&self, bytes: usize) {
        // ORDERING: Relaxed, with `total`: a counter that publishes nothing else.
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn total(&self) -> u64 {
        // ORDERING: Relaxed, with `add`.
        self.0.load(Ordering::Relaxed)
    }
}
