//! Closing: to be drained by consumers, at once, or drained up to a deadline.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Fifo;
use crate::Object;

/// What [`Fifo::drain`] has left unprocessed.
///
/// ```
/// use std::time::Duration;
/// use watchcache::{Fifo, Key};
///
/// let fifo = Fifo::<Key>::new();
/// fifo.add("a/web".parse::<Key>()?)?;
/// fifo.add("a/db".parse::<Key>()?)?;
/// let lease = fifo.lease()?;
/// let report = fifo.drain(Duration::ZERO);
/// assert!(!report.is_complete());
/// // To be logged, or kept for the next process.
/// let left: Vec<_> = report.unprocessed.iter().map(|key| key.as_str()).collect();
/// assert_eq!((left, report.leased), (vec!["a/db"], 1));
/// # lease.done();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "unprocessed values are processed by nobody else"]
#[non_exhaustive]
pub struct DrainReport<T> {
    /// Values that were accepted and not handed out, in queue order.
    pub unprocessed: Vec<Arc<T>>,
    /// The number of leases that have not ended. They go on.
    pub leased: u64,
}

/// Closing. What was accepted is handed out, returned, or still leased.
impl<T: Object> Fifo<T> {
    /// Closes the queue: later adds, batches and replaces are refused, and consumers get what is queued
    /// and then [`Closed`](super::Closed). Closing again changes nothing.
    ///
    /// Delayed keys become due at once. A later retry still waits for its back-off, and consumers wait
    /// with it. A lease that ends with [`after`](super::Lease::after) is done for good.
    ///
    /// A consumer gets `Closed` as soon as nothing can be handed out any more, even if there are still
    /// leases. If one of them puts its key back, the next consumer to ask gets the key: that includes
    /// the worker that held the lease, if it goes on until it gets `Closed` itself.
    ///
    /// ```
    /// use std::time::Duration;
    /// use watchcache::fifo::{AddError, Closed};
    /// use watchcache::{Fifo, Key};
    ///
    /// let fifo = Fifo::<Key>::new();
    /// fifo.add_after("a/web".parse::<Key>()?, Duration::from_secs(3600))?;
    /// fifo.close();
    /// assert!(matches!(fifo.add("a/db".parse::<Key>()?), Err(AddError::Closed(_))));
    /// assert_eq!(fifo.pop()?.name(), "web", "it is due at once");
    /// assert_eq!(fifo.pop(), Err(Closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.shared.close();
    }

    /// Closes the queue and returns what waits, in queue order, instead of handing it out. These values
    /// count as [`deleted`](super::FifoStats::deleted). For a [deletion](super::FifoBuilder::deletions)
    /// it is the last state, which looks like any other value here.
    ///
    /// Leases go on. If a leased key's newer value is returned here, the lease does not put its key
    /// back; any other lease may still [`retry`](super::Lease::retry), as after [`Fifo::close`]. A
    /// waiting [`Fifo::drain`] or [`Fifo::wait_drained`] ends at once, and so does any later one, whatever
    /// is leased: call this from another thread to cut a drain short, for example at a second SIGTERM.
    ///
    /// O(n log n) for n waiting values, during which no other call on the queue makes progress.
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
        self.shared.close_now()
    }

    /// Closes the queue and waits, for at most `timeout`, until everything that was accepted has been
    /// processed: nothing waits and nothing is leased. Then it returns what still waits, as
    /// [`Fifo::close_now`] does. If another thread calls `close_now`, the wait ends early; if it was
    /// called before, there is no wait. Blocks the thread; the consumers are other threads or tasks.
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
    pub fn drain(&self, timeout: Duration) -> DrainReport<T> {
        self.shared.close();
        if self.shared.wait_drained(Instant::now().checked_add(timeout)) {
            return DrainReport { unprocessed: Vec::new(), leased: 0 };
        }
        let unprocessed = self.shared.take_waiting();
        DrainReport { unprocessed, leased: self.shared.stats().processing }
    }

    /// Waits until the queue is closed and everything that was accepted has been processed, or until
    /// [`Fifo::close_now`] has taken out what waits. It does not close the queue. For a deadline, drop the
    /// future and call `close_now`.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    ///
    /// ```
    /// # use watchcache::{Fifo, KeyRef, Object};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// let fifo = Fifo::new();
    /// fifo.add(Pod("a"))?;
    /// fifo.close();
    /// fifo.lease()?.done();
    /// # runtime.block_on(async {
    /// fifo.wait_drained().await;
    /// # });
    /// assert!(fifo.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn wait_drained(&self) {
        self.shared.wait_drained_async().await;
    }
}

impl<T> DrainReport<T> {
    /// Returns whether everything that was accepted has been processed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unprocessed.is_empty() && self.leased == 0
    }
}

impl<T> fmt::Debug for DrainReport<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrainReport")
            .field("unprocessed", &self.unprocessed.len())
            .field("leased", &self.leased)
            .finish()
    }
}
