//! Consuming: for good or on a lease, blocking, with a time limit, at once, or as a future.

use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::wait::Wait;
use super::{Closed, Fifo, Lease, PopError, TryPopError};
use crate::Object;

/// Consuming.
impl<T: Object> Fifo<T> {
    /// Removes and returns the object at the head; blocks the thread while there is none.
    ///
    /// # Errors
    /// If the queue is closed and nothing can be handed out.
    pub fn pop(&self) -> Result<Arc<T>, Closed> {
        self.wait(None, || self.core.pop()).unwrap_or(Err(Closed))
    }

    /// As [`Fifo::pop`], but blocks for at most `timeout`.
    ///
    /// # Errors
    /// If the time runs out, or the queue is closed and nothing can be handed out.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use watchcache::{Fifo, Key, KeyError, Object};
    /// # use watchcache::fifo::PopError;
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> Result<Key, KeyError> { self.0.parse() }
    /// # }
    /// let fifo = Fifo::<Pod>::new();
    /// assert_eq!(fifo.pop_timeout(Duration::from_millis(1)).err(), Some(PopError::Timeout));
    /// ```
    pub fn pop_timeout(&self, timeout: Duration) -> Result<Arc<T>, PopError> {
        let popped = self.wait(Instant::now().checked_add(timeout), || self.core.pop());
        Ok(popped.ok_or(PopError::Timeout)??)
    }

    /// As [`Fifo::pop`], but never waits for an object.
    ///
    /// # Errors
    /// If nothing can be handed out.
    pub fn try_pop(&self) -> Result<Arc<T>, TryPopError> {
        Ok(self.core.pop().ok_or(TryPopError::Empty)??)
    }

    /// As [`Fifo::pop`], for async tasks on any runtime.
    ///
    /// # Cancel safety
    /// Dropping the future loses no object, and passes a wakeup it was given on to another consumer.
    ///
    /// # Errors
    /// If the queue is closed and nothing can be handed out.
    pub async fn pop_async(&self) -> Result<Arc<T>, Closed> {
        self.wait_async(|| self.core.pop()).await
    }

    /// Removes and returns up to `max` objects from the head, in order; blocks the thread while there
    /// is none. It does not wait for the batch to fill: what is there is what comes, at least one.
    ///
    /// # Errors
    /// If the queue is closed and nothing can be handed out.
    ///
    /// ```
    /// # use std::num::NonZeroUsize;
    /// # use watchcache::{Fifo, Key, KeyError, Object};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> Result<Key, KeyError> { self.0.parse() }
    /// # }
    /// let fifo = Fifo::new();
    /// for name in ["a", "b", "c"] {
    ///     fifo.add(Pod(name))?;
    /// }
    /// let two = NonZeroUsize::new(2).ok_or("zero")?;
    /// assert_eq!(fifo.pop_batch(two)?.len(), 2);
    /// assert_eq!(fifo.pop_batch(two)?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop_batch(&self, max: NonZeroUsize) -> Result<Vec<Arc<T>>, Closed> {
        self.wait(None, || self.core.pop_batch(max.get())).unwrap_or(Err(Closed))
    }

    /// As [`Fifo::pop_batch`], but never waits for an object.
    ///
    /// # Errors
    /// If nothing can be handed out.
    pub fn try_pop_batch(&self, max: NonZeroUsize) -> Result<Vec<Arc<T>>, TryPopError> {
        Ok(self.core.pop_batch(max.get()).ok_or(TryPopError::Empty)??)
    }

    /// As [`Fifo::pop_batch`], for async tasks on any runtime.
    ///
    /// # Cancel safety
    /// Dropping the future loses no object, and passes a wakeup it was given on to another consumer.
    ///
    /// # Errors
    /// If the queue is closed and nothing can be handed out.
    pub async fn pop_batch_async(&self, max: NonZeroUsize) -> Result<Vec<Arc<T>>, Closed> {
        self.wait_async(|| self.core.pop_batch(max.get())).await
    }

    /// Leases the key at the head; blocks the thread while there is none.
    ///
    /// # Errors
    /// If the queue is closed and nothing can be handed out.
    pub fn take(&self) -> Result<Lease<T>, Closed> {
        self.wait(None, || self.take_now()).unwrap_or(Err(Closed))
    }

    /// As [`Fifo::take`], but blocks for at most `timeout`.
    ///
    /// # Errors
    /// If the time runs out, or the queue is closed and nothing can be handed out.
    pub fn take_timeout(&self, timeout: Duration) -> Result<Lease<T>, PopError> {
        let taken = self.wait(Instant::now().checked_add(timeout), || self.take_now());
        Ok(taken.ok_or(PopError::Timeout)??)
    }

    /// As [`Fifo::take`], but never waits for an object.
    ///
    /// # Errors
    /// If nothing can be handed out.
    pub fn try_take(&self) -> Result<Lease<T>, TryPopError> {
        Ok(self.take_now().ok_or(TryPopError::Empty)??)
    }

    /// As [`Fifo::take`], for async tasks on any runtime.
    ///
    /// # Cancel safety
    /// Dropping the future leaves every key where it is, and passes a wakeup it was given on to
    /// another consumer.
    ///
    /// # Errors
    /// If the queue is closed and nothing can be handed out.
    pub async fn take_async(&self) -> Result<Lease<T>, Closed> {
        self.wait_async(|| self.take_now()).await
    }

    fn take_now(&self) -> Option<Result<Lease<T>, Closed>> {
        Some(self.core.take()?.map(|handed| Lease::new(&self.core, handed)))
    }

    fn wait<R>(&self, deadline: Option<Instant>, attempt: impl FnMut() -> Option<R>) -> Option<R> {
        self.core.waiters.wait(deadline, || self.core.backlog(), attempt)
    }

    async fn wait_async<R>(&self, mut attempt: impl FnMut() -> Option<R>) -> R {
        let mut wait = Wait::new();
        poll_fn(|context| wait.poll(context, &self.core.waiters, &mut attempt)).await
    }
}
