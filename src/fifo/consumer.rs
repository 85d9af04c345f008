//! Consumers: for good or on a lease, blocking, with a time limit, at once, or as a future.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Closed, Fifo, Lease, PopError, TryPopError};
use crate::Object;
use crate::waiters::{Owes, Wait};

/// Consumers.
impl<T: Object> Fifo<T> {
    /// Removes and returns the object at the head; blocks the thread while there is none. If the queue
    /// hands out [deletions](super::FifoBuilder::deletions), use leases: for a deletion this returns the
    /// last state.
    ///
    /// # Errors
    /// If the queue is closed and nothing can be handed out.
    pub fn pop(&self) -> Result<Arc<T>, Closed> {
        self.wait(None, |owes| self.shared.pop(owes)).unwrap_or(Err(Closed))
    }

    /// As [`Fifo::pop`], but blocks for at most `timeout`.
    ///
    /// # Errors
    /// If the time runs out, or the queue is closed and nothing can be handed out.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use watchcache::{Fifo, KeyRef, Object};
    /// # use watchcache::fifo::PopError;
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let fifo = Fifo::<Pod>::new();
    /// assert_eq!(fifo.pop_timeout(Duration::from_millis(1)).err(), Some(PopError::Timeout));
    /// ```
    pub fn pop_timeout(&self, timeout: Duration) -> Result<Arc<T>, PopError> {
        let popped = self.wait(Instant::now().checked_add(timeout), |owes| self.shared.pop(owes));
        Ok(popped.ok_or(PopError::Timeout)??)
    }

    /// As [`Fifo::pop`], but never waits for an object.
    ///
    /// # Errors
    /// If nothing can be handed out.
    pub fn try_pop(&self) -> Result<Arc<T>, TryPopError> {
        Ok(self.shared.pop(Owes::Nothing).ok_or(TryPopError::Empty)??)
    }

    /// As [`Fifo::pop`], for async tasks on any runtime.
    ///
    /// # Cancel safety
    /// Dropping the future loses no object, and passes on a wakeup that it has received to another
    /// consumer. A future that was woken must be polled or dropped: if it is kept without, or forgotten
    /// ([`mem::forget`](std::mem::forget)), it keeps the wakeup, and another consumer may sleep although
    /// there is an object, until the next add. This holds for all futures and streams of the queue.
    ///
    /// # Errors
    /// If the queue is closed and nothing can be handed out.
    ///
    /// ```
    /// use watchcache::{Fifo, Key};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let fifo = Fifo::<Key>::new();
    /// let task = tokio::spawn({
    ///     let fifo = fifo.clone();
    ///     async move { fifo.pop_async().await }
    /// });
    /// fifo.add("a/web".parse::<Key>()?)?;
    /// assert_eq!(task.await??.name(), "web");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn pop_async(&self) -> Result<Arc<T>, Closed> {
        self.wait_async(|| self.shared.pop(Owes::Nothing)).await
    }

    /// Removes and returns up to `max` objects from the head, in order; blocks the thread while there is
    /// none. It does not wait for the batch to fill, but returns at least one object. With a `max` of
    /// zero it returns an empty batch at once, and so do its variants.
    ///
    /// # Errors
    /// If the queue is closed and nothing can be handed out.
    ///
    /// ```
    /// # use watchcache::{Fifo, KeyRef, Object};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let fifo = Fifo::new();
    /// for name in ["a", "b", "c"] {
    ///     fifo.add(Pod(name))?;
    /// }
    /// assert_eq!(fifo.pop_batch(2)?.len(), 2);
    /// assert_eq!(fifo.pop_batch(2)?.len(), 1);
    /// assert_eq!(fifo.pop_batch(0)?.len(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop_batch(&self, max: usize) -> Result<Vec<Arc<T>>, Closed> {
        if max == 0 {
            return Ok(Vec::new());
        }
        self.wait(None, |owes| self.shared.pop_batch(max, owes)).unwrap_or(Err(Closed))
    }

    /// As [`Fifo::pop_batch`], but never waits for an object.
    ///
    /// # Errors
    /// If nothing can be handed out.
    pub fn try_pop_batch(&self, max: usize) -> Result<Vec<Arc<T>>, TryPopError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        Ok(self.shared.pop_batch(max, Owes::Nothing).ok_or(TryPopError::Empty)??)
    }

    /// As [`Fifo::pop_batch`], for async tasks on any runtime.
    ///
    /// # Cancel safety
    /// Dropping the future loses no object, and passes on a wakeup that it has received to another consumer.
    ///
    /// # Errors
    /// If the queue is closed and nothing can be handed out.
    pub async fn pop_batch_async(&self, max: usize) -> Result<Vec<Arc<T>>, Closed> {
        if max == 0 {
            return Ok(Vec::new());
        }
        self.wait_async(|| self.shared.pop_batch(max, Owes::Nothing)).await
    }

    /// Leases the key at the head; blocks the thread while there is none. See [`Lease`] for an example.
    ///
    /// # Errors
    /// If the queue is closed and nothing can be handed out.
    pub fn lease(&self) -> Result<Lease<T>, Closed> {
        self.wait(None, |owes| self.shared.lease(owes)).unwrap_or(Err(Closed))
    }

    /// As [`Fifo::lease`], but blocks for at most `timeout`.
    ///
    /// # Errors
    /// If the time runs out, or the queue is closed and nothing can be handed out.
    pub fn lease_timeout(&self, timeout: Duration) -> Result<Lease<T>, PopError> {
        let leased = self.wait(Instant::now().checked_add(timeout), |owes| self.shared.lease(owes));
        Ok(leased.ok_or(PopError::Timeout)??)
    }

    /// As [`Fifo::lease`], but never waits for an object.
    ///
    /// # Errors
    /// If nothing can be handed out.
    pub fn try_lease(&self) -> Result<Lease<T>, TryPopError> {
        Ok(self.shared.lease(Owes::Nothing).ok_or(TryPopError::Empty)??)
    }

    /// As [`Fifo::lease`], for async tasks on any runtime.
    ///
    /// # Cancel safety
    /// Dropping the future leaves every key where it is, and passes on a wakeup that it has received to
    /// another consumer.
    ///
    /// # Errors
    /// If the queue is closed and nothing can be handed out.
    ///
    /// ```
    /// use std::time::Duration;
    /// use watchcache::{Fifo, Key};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let fifo = Fifo::<Key>::new();
    /// // A time limit is whatever the runtime has for that.
    /// assert!(tokio::time::timeout(Duration::from_millis(1), fifo.lease_async()).await.is_err());
    /// fifo.add("a/web".parse::<Key>()?)?;
    /// let lease = fifo.lease_async().await?;
    /// assert_eq!(lease.name(), "web");
    /// lease.done();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn lease_async(&self) -> Result<Lease<T>, Closed> {
        self.wait_async(|| self.shared.lease(Owes::Nothing)).await
    }

    fn wait<R>(
        &self,
        deadline: Option<Instant>,
        attempt: impl FnMut(Owes) -> Option<R>,
    ) -> Option<R> {
        let shared = &self.shared;
        shared.waiters.wait(deadline, || shared.is_ready(), || shared.sleeps_until(), attempt)
    }

    async fn wait_async<R>(&self, mut attempt: impl FnMut() -> Option<R>) -> R {
        let mut wait = Wait::new();
        let shared = &self.shared;
        let (ready, until) = (|| shared.is_ready(), || shared.sleeps_until());
        poll_fn(|context| wait.poll(context, &shared.waiters, ready, until, &mut attempt)).await
    }
}
