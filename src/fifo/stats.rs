//! Counters of a queue.

use std::time::Duration;

use super::state::tally::Tally;

/// Counters of a [`Fifo`](crate::Fifo), all read at one moment but for the last three.
///
/// `depth`, `delayed` and `processing` are levels; the counters only grow. What came in is what went
/// out and what is there: `adds + requeued = popped + coalesced + deleted + depth + delayed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FifoStats {
    /// Values in line now, those behind a lease of their key included.
    pub depth: u64,
    /// Values that wait for their time.
    pub delayed: u64,
    /// Leases out now.
    pub processing: u64,
    /// Values accepted, whether they took a place of their own or coalesced.
    pub adds: u64,
    /// Waiting values that a newer one of the same key replaced.
    pub coalesced: u64,
    /// Values handed out, for good or on a lease.
    pub popped: u64,
    /// Waiting values dropped by a delete or by a replace that no longer lists their key, or handed
    /// back by [`Fifo::close_now`](crate::Fifo::close_now) or [`Fifo::drain`](crate::Fifo::drain).
    pub deleted: u64,
    /// Leases ended with [`Lease::retry`](super::Lease::retry).
    pub retries: u64,
    /// Leased values that were put back, since nothing newer was there.
    pub requeued: u64,
    /// Leases dropped without an outcome, as by a panic.
    pub abandoned: u64,
    /// Calls (not values) refused because the queue is closed or full.
    pub refused: u64,
    /// For how long the leases now out have been out, all together. Zero unless the queue
    /// [keeps times](super::FifoBuilder::timed).
    pub unfinished_work: Duration,
    /// For how long the oldest of them has been out. Zero unless the queue keeps times.
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
