//! Metric callbacks.

use std::time::Duration;

use crate::Key;

/// Is told what happens in a queue: what client-go's `workqueue` metrics are made of. Its levels
/// (depth, unfinished work, longest running) are in [`FifoStats`](super::FifoStats).
///
/// Calls come from the thread that did it, with no lock held, and in any order; they may call back into
/// the queue. A panic in one is contained: the panic hook reports it, all other calls are made, and
/// whoever used the queue does not notice. A queue without an observer does not look at the clock for it.
pub trait Observer: Send + Sync {
    /// A value was accepted for a key of which none was waiting (*adds*, together with `coalesced`).
    fn added(&self) {}
    /// A value was accepted in the place of one that was waiting.
    fn coalesced(&self) {}
    /// A key was handed out, after so long in line (*queue latency*).
    fn handed_out(&self, queue_latency: Duration) {
        let _ = queue_latency;
    }
    /// A lease ended, however it ended (*work duration*).
    fn finished(&self, work_duration: Duration) {
        let _ = work_duration;
    }
    /// A lease ended with a retry; its value is back in line after this delay, unless a newer one was
    /// there (*retries*).
    fn retried(&self, delay: Duration) {
        let _ = delay;
    }
    /// A lease was dropped without an outcome, as by a panic.
    fn abandoned(&self, key: &Key) {
        let _ = key;
    }
}
