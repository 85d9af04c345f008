//! A keyed FIFO: each key waits at most once, with its newest value.
//!
//! [`Fifo`] is a work queue fed by a reflector (it is a [`Sink`]) or by hand. Consumers are threads,
//! async tasks, or both on one queue; idle ones sleep.
//!
//! * A key that is added again while it waits keeps its place and gets the new value. Deleted and
//!   added again, it goes to the back.
//! * [`Fifo::pop`] hands an object out for good. [`Fifo::take`] leases it: until the [`Lease`] ends,
//!   nobody else gets its key, and a change of the key meanwhile leads to exactly one more run.
//! * [`Fifo::close`] refuses what comes later and lets consumers drain what was accepted.
//!
//! A value *waits* from being accepted until it is handed out, deleted or replaced. The value of a
//! key that is leased at the moment waits too, and keeps its place in line, but it is passed over until
//! the lease ends.

mod error;
mod lease;
mod shared;
mod state;
mod stats;
mod wait;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use error::{AddError, Closed, PopError, TryPopError};
pub use lease::Lease;
pub use stats::FifoStats;

use crate::{Batch, Key, KeyRef, Listing, Object, Sink};
use shared::Shared;
use state::State;

/// What became of an added value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Added {
    /// It got a place of its own, at the back.
    Queued,
    /// It replaced the value of its key that was waiting, in that one's place.
    Coalesced,
}

/// A keyed, deduplicating FIFO queue; see the [module](self) for its rules.
///
/// A `Fifo` is a handle: clones are the same queue.
///
/// ```
/// use watchcache::{Fifo, Key, KeyError, Object};
/// use watchcache::fifo::Closed;
///
/// struct Pod(&'static str, u32);
/// impl Object for Pod {
///     fn key(&self) -> Result<Key, KeyError> { self.0.parse() }
/// }
///
/// let fifo = Fifo::<Pod>::new();
/// let consumer = std::thread::spawn({
///     let fifo = fifo.clone();
///     move || std::iter::from_fn(|| fifo.pop().ok()).map(|pod| pod.1).sum::<u32>()
/// });
/// fifo.add(Pod("default/web-0", 1))?;
/// fifo.add(Pod("default/web-1", 2))?;
/// fifo.close();
/// assert_eq!(consumer.join().unwrap(), 3);
/// assert_eq!(fifo.pop().err(), Some(Closed));
/// # Ok::<(), watchcache::fifo::AddError<Pod>>(())
/// ```
pub struct Fifo<T> {
    shared: Arc<Shared<T>>,
}

/// Feeding. None of these calls waits for a consumer.
impl<T: Object> Fifo<T> {
    /// An empty, open queue.
    #[must_use]
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared::new()) }
    }

    /// Queues an object, or gives its key the new value if the key waits already. Wakes one consumer
    /// if the key has become available.
    ///
    /// # Errors
    /// If the queue is closed or the object has no usable key; the error returns the object.
    ///
    /// ```
    /// # use watchcache::{Fifo, Key, KeyError, Object};
    /// # use watchcache::fifo::{AddError, Added};
    /// # struct Pod(&'static str, u32);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> Result<Key, KeyError> { self.0.parse() }
    /// # }
    /// let fifo = Fifo::new();
    /// assert_eq!(fifo.add(Pod("a", 1))?, Added::Queued);
    /// assert_eq!(fifo.add(Pod("b", 2))?, Added::Queued);
    /// assert_eq!(fifo.add(Pod("a", 3))?, Added::Coalesced);
    /// assert_eq!(fifo.try_pop().map(|pod| pod.1), Ok(3));
    ///
    /// fifo.close();
    /// let refused = fifo.add(Pod("c", 4)).unwrap_err();
    /// assert_eq!(refused.into_inner().1, 4);
    /// # Ok::<(), AddError<Pod>>(())
    /// ```
    pub fn add(&self, object: impl Into<Arc<T>>) -> Result<Added, AddError<T>> {
        let (key, object) = keyed(object.into())?;
        let put = self.shared.update(|state| {
            if !state.accepts() {
                return Err(object);
            }
            Ok(state.put(key, object))
        });
        match put {
            Ok(None) => Ok(Added::Queued),
            Ok(Some(_displaced)) => Ok(Added::Coalesced),
            Err(object) => Err(AddError::Closed(object)),
        }
    }

    /// The same as [`Fifo::add`]: a queue does not tell a new object from a changed one.
    ///
    /// # Errors
    /// As [`Fifo::add`].
    pub fn update(&self, object: impl Into<Arc<T>>) -> Result<Added, AddError<T>> {
        self.add(object)
    }

    /// Queues an object unless its key waits or is leased; says whether it did.
    ///
    /// This is how a consumer that [`pop`](Fifo::pop)s puts a failed object back without overwriting
    /// a newer one. What has arrived *and* been handed out for good meanwhile it cannot know: for that,
    /// [`take`](Fifo::take) and [`Lease::retry`].
    ///
    /// # Errors
    /// As [`Fifo::add`].
    ///
    /// ```
    /// # use watchcache::{Fifo, Key, KeyError, Object};
    /// # struct Pod(&'static str, u32);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> Result<Key, KeyError> { self.0.parse() }
    /// # }
    /// let fifo = Fifo::new();
    /// fifo.add(Pod("a", 1))?;
    /// let failed = fifo.pop()?;
    /// fifo.add(Pod("a", 2))?;
    /// assert!(!fifo.add_if_absent(failed)?);
    /// assert_eq!(fifo.pop()?.1, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_if_absent(&self, object: impl Into<Arc<T>>) -> Result<bool, AddError<T>> {
        let (key, object) = keyed(object.into())?;
        let put = self.shared.update(|state| {
            if !state.accepts() {
                return Err(object);
            }
            Ok(state.put_if_absent(key, object))
        });
        match put {
            Ok(put) => Ok(put.is_ok()),
            Err(object) => Err(AddError::Closed(object)),
        }
    }

    /// Drops the waiting value of a key and returns it. A lease of the key runs on, but will not put
    /// it back. Deleting works on a closed queue too.
    pub fn delete<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Arc<T>> {
        let key = key.into();
        self.shared.update(|state| state.delete(key))
    }

    /// Applies a batch of changes as one: no other call sees half of it, and the consumers it has
    /// work for are woken together.
    ///
    /// # Errors
    /// If the queue is closed; nothing is applied.
    ///
    /// ```
    /// # use watchcache::{Batch, Fifo, Key, KeyError, Object};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> Result<Key, KeyError> { self.0.parse() }
    /// # }
    /// let fifo = Fifo::new();
    /// let mut batch = Batch::new();
    /// batch.put(Pod("a"))?;
    /// batch.put(Pod("b"))?;
    /// batch.delete("a".parse()?);
    /// fifo.apply(&batch)?;
    /// assert_eq!(fifo.keys(), ["b".parse()?]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply(&self, batch: &Batch<T>) -> Result<(), Closed> {
        let displaced =
            self.shared.update(|state| state.accepts().then(|| state.apply(batch.changes())));
        displaced.map(drop).ok_or(Closed)
    }

    /// Makes the listed objects, in the order of the list, all that waits. Leases run on: a listed key
    /// that is leased gets its place as after any change, an unlisted one counts as deleted.
    ///
    /// # Errors
    /// If the queue is closed; nothing is replaced.
    ///
    /// ```
    /// # use watchcache::{Fifo, Key, KeyError, Listing, Object};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> Result<Key, KeyError> { self.0.parse() }
    /// # }
    /// let fifo = Fifo::new();
    /// fifo.add(Pod("old"))?;
    /// fifo.replace(&Listing::new([Pod("c"), Pod("a")], None)?)?;
    /// assert_eq!(fifo.keys(), ["c".parse()?, "a".parse()?]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replace(&self, listing: &Listing<T>) -> Result<(), Closed> {
        let displaced =
            self.shared.update(|state| state.accepts().then(|| state.replace(listing.objects())));
        displaced.map(drop).ok_or(Closed)
    }

    /// Closes the queue: later adds, batches and replaces are refused, and consumers get what is
    /// queued and then [`Closed`]. Closing again changes nothing.
    ///
    /// A consumer gets `Closed` as soon as nothing can be handed out, even if leases are still out.
    /// Should one of those put its key back, the key is there for whoever asks next, and so for the
    /// worker that held the lease if it takes until it gets `Closed` itself.
    pub fn close(&self) {
        self.shared.lock().close();
        self.shared.waiters.notify_all();
    }

    /// Closes the queue at once: what waits is handed back, in queue order, instead of to consumers.
    /// It is counted as [`deleted`](FifoStats::deleted).
    ///
    /// Leases run on. A key that is handed back here is not put back by its lease, since the lease has
    /// an older value; any other lease may still [`retry`](Lease::retry), as after [`Fifo::close`].
    /// O(n log n) for n waiting values, under the queue's lock.
    ///
    /// ```
    /// # use watchcache::{Fifo, Key, KeyError, Object};
    /// # use watchcache::fifo::Closed;
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> Result<Key, KeyError> { self.0.parse() }
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
        let mut state = self.shared.lock();
        state.close();
        let waiting = state.drain();
        drop(state);
        self.shared.waiters.notify_all();
        waiting
    }
}

/// Consuming.
impl<T: Object> Fifo<T> {
    /// Removes and returns the object at the head; blocks the thread while there is none.
    ///
    /// # Errors
    /// If the queue is closed and nothing can be handed out.
    pub fn pop(&self) -> Result<Arc<T>, Closed> {
        self.wait(None, State::pop).unwrap_or(Err(Closed))
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
        let popped = self.wait(Instant::now().checked_add(timeout), State::pop);
        Ok(popped.ok_or(PopError::Timeout)??)
    }

    /// As [`Fifo::pop`], but never waits for an object.
    ///
    /// # Errors
    /// If nothing can be handed out.
    pub fn try_pop(&self) -> Result<Arc<T>, TryPopError> {
        Ok(self.attempt(State::pop).ok_or(TryPopError::Empty)??)
    }

    /// As [`Fifo::pop`], for async tasks on any runtime.
    ///
    /// # Cancel safety
    /// Dropping the future loses no object, and passes a wakeup it was given on to another consumer.
    ///
    /// # Errors
    /// If the queue is closed and nothing can be handed out.
    pub async fn pop_async(&self) -> Result<Arc<T>, Closed> {
        self.shared.waiters.wait_async(|| self.attempt(State::pop)).await
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
        self.wait(None, |state| state.pop_batch(max.get())).unwrap_or(Err(Closed))
    }

    /// As [`Fifo::pop_batch`], but never waits for an object.
    ///
    /// # Errors
    /// If nothing can be handed out.
    pub fn try_pop_batch(&self, max: NonZeroUsize) -> Result<Vec<Arc<T>>, TryPopError> {
        Ok(self.attempt(|state| state.pop_batch(max.get())).ok_or(TryPopError::Empty)??)
    }

    /// As [`Fifo::pop_batch`], for async tasks on any runtime.
    ///
    /// # Cancel safety
    /// Dropping the future loses no object, and passes a wakeup it was given on to another consumer.
    ///
    /// # Errors
    /// If the queue is closed and nothing can be handed out.
    pub async fn pop_batch_async(&self, max: NonZeroUsize) -> Result<Vec<Arc<T>>, Closed> {
        let hand_out = |state: &mut State<T>| state.pop_batch(max.get());
        self.shared.waiters.wait_async(|| self.attempt(hand_out)).await
    }

    /// Leases the key at the head; blocks the thread while there is none.
    ///
    /// # Errors
    /// If the queue is closed and nothing can be handed out.
    pub fn take(&self) -> Result<Lease<T>, Closed> {
        let taken = self.wait(None, State::take).unwrap_or(Err(Closed));
        taken.map(|taken| self.lease(taken))
    }

    /// As [`Fifo::take`], but blocks for at most `timeout`.
    ///
    /// # Errors
    /// If the time runs out, or the queue is closed and nothing can be handed out.
    pub fn take_timeout(&self, timeout: Duration) -> Result<Lease<T>, PopError> {
        let taken = self.wait(Instant::now().checked_add(timeout), State::take);
        Ok(self.lease(taken.ok_or(PopError::Timeout)??))
    }

    /// As [`Fifo::take`], but never waits for an object.
    ///
    /// # Errors
    /// If nothing can be handed out.
    pub fn try_take(&self) -> Result<Lease<T>, TryPopError> {
        Ok(self.lease(self.attempt(State::take).ok_or(TryPopError::Empty)??))
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
        let taken = self.shared.waiters.wait_async(|| self.attempt(State::take)).await;
        taken.map(|taken| self.lease(taken))
    }

    /// One try: `None` if nothing can be handed out *yet*.
    fn attempt<R>(
        &self,
        hand_out: impl FnOnce(&mut State<T>) -> Option<R>,
    ) -> Option<Result<R, Closed>> {
        let mut state = self.shared.lock();
        match hand_out(&mut state) {
            Some(handed_out) => Some(Ok(handed_out)),
            None => state.is_closed().then_some(Err(Closed)),
        }
    }

    fn wait<R>(
        &self,
        deadline: Option<Instant>,
        hand_out: impl Fn(&mut State<T>) -> Option<R>,
    ) -> Option<Result<R, Closed>> {
        self.shared.waiters.wait(deadline, || self.attempt(&hand_out))
    }

    fn lease(&self, (key, object): (Key, Arc<T>)) -> Lease<T> {
        Lease::new(Arc::clone(&self.shared), key, object)
    }
}

/// Looking.
impl<T: Object> Fifo<T> {
    /// The waiting value of a key.
    #[must_use]
    pub fn get<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Arc<T>> {
        let key = key.into();
        self.shared.lock().get(key).cloned()
    }

    /// Whether a value of the key is waiting.
    #[must_use]
    pub fn contains<'k>(&self, key: impl Into<KeyRef<'k>>) -> bool {
        let key = key.into();
        self.shared.lock().get(key).is_some()
    }

    /// The waiting values, in queue order.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<T>> {
        self.shared.lock().list()
    }

    /// The keys of the waiting values, in queue order.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        self.shared.lock().keys()
    }

    /// Number of waiting values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.lock().len()
    }

    /// Whether no value is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether each key of the first replace has been dealt with: popped, taken and
    /// [`done`](Lease::done), deleted, or left out by a later replace. A retried or abandoned lease
    /// does not count. Once true, it stays true.
    ///
    /// Until the first replace it is false; an empty one makes it true, and so does an add or delete
    /// *before* any replace, since there is then no initial list to wait for.
    ///
    /// ```
    /// # use watchcache::{Fifo, Key, KeyError, Listing, Object};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> Result<Key, KeyError> { self.0.parse() }
    /// # }
    /// let fifo = Fifo::new();
    /// fifo.replace(&Listing::new([Pod("a")], None)?)?;
    /// fifo.add(Pod("b"))?;
    /// let lease = fifo.take()?;
    /// assert!(!fifo.has_synced());
    /// lease.done();
    /// assert!(fifo.has_synced());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_synced(&self) -> bool {
        self.shared.lock().has_synced()
    }

    /// Whether the queue is closed. It may still hold what it accepted before.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.lock().is_closed()
    }

    /// The queue's counters.
    #[must_use]
    pub fn stats(&self) -> FifoStats {
        self.shared.lock().stats()
    }
}

/// A closed queue ignores what a reflector sends, and counts it as refused.
impl<T: Object> Sink<T> for Fifo<T> {
    fn apply(&self, batch: &Batch<T>) {
        // The stream has no use for the refusal: it ends when its owner stops it.
        let _ = Self::apply(self, batch);
    }

    fn replace(&self, listing: &Listing<T>) {
        let _ = Self::replace(self, listing);
    }
}

// Not derived: a handle is cloned, so `T` need not be `Clone`.
impl<T> Clone for Fifo<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T: Object> Default for Fifo<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Fifo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        let (stats, closed) = (state.stats(), state.is_closed());
        drop(state);
        f.debug_struct("Fifo").field("stats", &stats).field("closed", &closed).finish()
    }
}

/// The key is asked for before the lock is taken, since it is the user's code that answers.
fn keyed<T: Object>(object: Arc<T>) -> Result<(Key, Arc<T>), AddError<T>> {
    match object.key() {
        Ok(key) => Ok((key, object)),
        Err(source) => Err(AddError::Key { object, source }),
    }
}
