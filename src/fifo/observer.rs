//! Metric callbacks.

use std::time::Duration;

use crate::Key;

/// Called for what happens in a queue, which is what client-go's `workqueue` metrics need. The gauges among
/// those (depth, unfinished work, longest running) are in [`FifoStats`](super::FifoStats).
///
/// The thread that caused an event makes the call, under no lock; calls come in any order, and may call
/// back into the queue. A panic in one is contained, and all other calls are made. Without an observer a
/// queue does not read the clock for it.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use watchcache::fifo::Observer;
/// use watchcache::{Fifo, Key};
///
/// struct Coalesced(Arc<AtomicUsize>);
///
/// impl Observer for Coalesced {
///     fn coalesced(&self) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
/// }
///
/// let count = Arc::new(AtomicUsize::new(0));
/// let fifo = Fifo::<Key>::builder().observer(Coalesced(Arc::clone(&count))).build()?;
/// fifo.add("a/web".parse::<Key>()?)?;
/// fifo.add("a/web".parse::<Key>()?)?;
/// assert_eq!(count.load(Ordering::Relaxed), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Observer: Send + Sync {
    /// A value was accepted for a key that was not waiting (*adds*, together with `coalesced`).
    fn added(&self) {}
    /// A value was accepted, and replaced a waiting one.
    fn coalesced(&self) {}
    /// A key was handed out, after this time in line (*queue latency*).
    fn handed_out(&self, queue_latency: Duration) {
        let _ = queue_latency;
    }
    /// A lease ended, however it ended (*work duration*).
    fn finished(&self, work_duration: Duration) {
        let _ = work_duration;
    }
    /// A lease ended with a retry; its value is back in line after this delay, unless there is a newer one
    /// (*retries*).
    fn retried(&self, delay: Duration) {
        let _ = delay;
    }
    /// A lease was dropped without an outcome, for example by a panic.
    fn abandoned(&self, key: &Key) {
        let _ = key;
    }
}
