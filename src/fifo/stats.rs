//! Counters of a queue.

use std::time::Duration;

use super::state::tally::Tally;

/// Statistics of a [`Fifo`](crate::Fifo), consistent with each other but for the last three.
///
/// `depth`, `delayed` and `processing` are gauges; the rest only grows. What came in equals what went out and
/// what is there: `adds + requeued = popped + coalesced + deleted + depth + delayed`.
///
/// ```
/// use watchcache::{Fifo, Key};
///
/// let fifo = Fifo::<Key>::new();
/// for key in ["a/web", "a/web", "a/db"] {
///     fifo.add(key.parse::<Key>()?)?;
/// }
/// fifo.lease()?.done();
/// let stats = fifo.stats();
/// assert_eq!((stats.adds, stats.coalesced, stats.popped, stats.depth), (3, 1, 1, 1));
/// let out = stats.popped + stats.coalesced + stats.deleted;
/// assert_eq!(stats.adds + stats.requeued, out + stats.depth + stats.delayed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FifoStats {
    /// Values in line now, including those whose key is leased.
    pub depth: u64,
    /// Values that are delayed now.
    pub delayed: u64,
    /// Keys that are leased now.
    pub processing: u64,
    /// Values accepted, queued or coalesced.
    pub adds: u64,
    /// Waiting values that were replaced by a newer one of the same key.
    pub coalesced: u64,
    /// Values handed out, for good or on a lease.
    pub popped: u64,
    /// Waiting values that were removed by a delete, or by a replace without their key, or returned by
    /// [`Fifo::close_now`](crate::Fifo::close_now) or [`Fifo::drain`](crate::Fifo::drain).
    pub deleted: u64,
    /// Leases ended with [`Lease::retry`](super::Lease::retry) or [`retry_after`](super::Lease::retry_after).
    pub retries: u64,
    /// Leased values that were put back, since there was no newer one.
    pub requeued: u64,
    /// Leases that were dropped without an outcome, for example by a panic.
    pub abandoned: u64,
    /// Calls (not values) refused because the queue is closed or full.
    pub refused: u64,
    /// The total age of all leases now. Zero unless the queue [keeps times](super::FifoBuilder::timed).
    pub unfinished_work: Duration,
    /// The age of the oldest lease now. Zero unless the queue keeps times.
    pub longest_running: Duration,
}

impl FifoStats {
    pub(super) fn add(&mut self, tally: &Tally) {
        self.depth += tally.depth();
        self.delayed += tally.delayed.get();
        self.processing += tally.processing.get();
        self.adds += tally.adds.get();
        self.coalesced += tally.coalesced.get();
        self.popped += tally.popped.get();
        self.deleted += tally.deleted.get();
        self.retries += tally.retries.get();
        self.requeued += tally.requeued.get();
        self.abandoned += tally.abandoned.get();
    }

    pub(super) fn add_unfinished(&mut self, work: Duration) {
        self.unfinished_work = self.unfinished_work.saturating_add(work);
        self.longest_running = self.longest_running.max(work);
    }
}
