//! Closing: to be drained by consumers, at once, or drained up to a deadline.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Fifo;
use crate::Object;

/// What [`Fifo::drain`] came to: what was not processed.
#[must_use = "unprocessed values are processed by nobody else"]
pub struct Drained<T> {
    /// What was accepted and not handed out, in queue order.
    pub unprocessed: Vec<Arc<T>>,
    /// Leases that were still out. They run on.
    pub leased: u64,
}

/// Closing. What was accepted is handed out, handed back, or still in a worker's hands.
impl<T: Object> Fifo<T> {
    /// Closes the queue: later adds, batches and replaces are refused, and consumers get what is
    /// queued and then [`Closed`](super::Closed). Closing again changes nothing.
    ///
    /// What is delayed comes due at once; a retry after this waits for its back-off all the same, and
    /// consumers with it. A lease that ends by [`after`](super::Lease::after) is done for good.
    ///
    /// A consumer gets `Closed` as soon as nothing can be handed out any more, even if leases are still
    /// out.
    /// Should one of those put its key back, the key is there for whoever asks next, and so for the
    /// worker that held the lease if it takes until it gets `Closed` itself.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Closes the queue at once: what waits is handed back, in queue order, instead of to consumers.
    /// It is counted as [`deleted`](super::FifoStats::deleted).
    ///
    /// Leases run on. A key that is handed back here is not put back by its lease, since the lease has
    /// an older value; any other lease may still [`retry`](super::Lease::retry), as after [`Fifo::close`].
    /// A [`Fifo::drain`] that waits ends at once, whatever leases are out, and so does each later one: call
    /// this from another thread where draining is to be cut short, as at a second SIGTERM.
    ///
    /// O(n log n) for n waiting values; nothing else moves meanwhile.
    ///
    /// ```
    /// # use watchcache::{Fifo, KeyRef, Object};
    /// # use watchcache::fifo::Closed;
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let fifo = Fifo::new();
    /// fifo.add(Pod("a"))?;
    /// fifo.add(Pod("b"))?;
    /// let unprocessed = fifo.close_now();
    /// assert_eq!(unprocessed.iter().map(|pod| pod.0).collect::<Vec<_>>(), ["a", "b"]);
    /// assert_eq!(fifo.pop().err(), Some(Closed));
    /// # Ok::<(), watchcache::fifo::AddError<Pod>>(())
    /// ```
    #[must_use = "these values were accepted and are processed by nobody else"]
    pub fn close_now(&self) -> Vec<Arc<T>> {
        self.shared.close();
        let unprocessed = self.shared.take_waiting();
        self.shared.abandon_drain();
        unprocessed
    }

    /// Closes the queue and waits, for at most `timeout`, until all that was accepted is processed:
    /// nothing waits and no lease is out. What waits after that is handed back, in queue order, as by
    /// [`Fifo::close_now`], which ends the wait early when somebody else calls it; after it there is no
    /// wait. Blocks the thread; the consumers are other threads or tasks.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use watchcache::{Fifo, KeyRef, Object};
    /// # #[derive(Debug)]
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let fifo = Fifo::new();
    /// for name in ["a", "b", "c"] {
    ///     fifo.add(Pod(name))?;
    /// }
    /// fifo.lease()?.done();
    /// let stuck = fifo.lease()?;
    /// let drained = fifo.drain(Duration::from_millis(1));
    /// assert!(!drained.is_complete());
    /// assert_eq!(drained.unprocessed[0].0, "c");
    /// assert_eq!(drained.leased, 1, "b is in our hands");
    /// # stuck.done();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "unprocessed values are processed by nobody else"]
    pub fn drain(&self, timeout: Duration) -> Drained<T> {
        self.shared.close();
        if self.shared.wait_drained(Instant::now().checked_add(timeout)) {
            return Drained { unprocessed: Vec::new(), leased: 0 };
        }
        let unprocessed = self.shared.take_waiting();
        Drained { unprocessed, leased: self.shared.stats().processing }
    }

    /// Waits until the queue is closed and all that was accepted is processed. It does not close the
    /// queue; for a deadline, drop the future and call [`Fifo::close_now`].
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn drained(&self) {
        self.shared.wait_drained_async().await;
    }
}

impl<T> Drained<T> {
    /// Whether all that was accepted was processed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unprocessed.is_empty() && self.leased == 0
    }
}

impl<T> fmt::Debug for Drained<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drained")
            .field("unprocessed", &self.unprocessed.len())
            .field("leased", &self.leased)
            .finish()
    }
}
