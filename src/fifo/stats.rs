//! Counters of a queue.

/// Counters of a [`Fifo`](crate::Fifo), all read at one moment.
///
/// `depth` and `processing` are levels; the others only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FifoStats {
    /// Values waiting now, those behind a lease of their key included.
    pub depth: u64,
    /// Leases out now.
    pub processing: u64,
    /// Values accepted, whether they took a place of their own or coalesced.
    pub adds: u64,
    /// Of `adds`, those that replaced a waiting value of the same key.
    pub coalesced: u64,
    /// Values handed out, by pop or by take.
    pub popped: u64,
    /// Waiting values dropped by a delete or by a replace that no longer lists their key.
    pub deleted: u64,
    /// Leases ended with [`Lease::retry`](super::Lease::retry).
    pub retries: u64,
    /// Leases dropped without an outcome, as by a panic.
    pub abandoned: u64,
    /// Calls (not values) refused because the queue is closed.
    pub refused: u64,
}
