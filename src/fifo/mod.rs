//! A keyed FIFO: each key waits at most once, with its newest value.
//!
//! [`Fifo`] is a work queue fed by a reflector (it is a [`Sink`]) or by hand. Consumers are threads,
//! async tasks, or both on one queue; idle ones sleep.
//!
//! * A key that is added again while it waits keeps its place and gets the new value. Deleted and
//!   added again, it goes to the back.
//! * A deletion takes a waiting value out and wakes nobody, unless the queue is built to hand out
//!   [deletions](FifoBuilder::deletions), so that a worker can clean up.
//! * [`Fifo::pop`] hands an object out for good. [`Fifo::lease`] leases it: until the [`Lease`] ends,
//!   nobody else gets its key, and a change of the key meanwhile leads to exactly one more run.
//! * What fails comes back after a back-off of its own ([`Lease::retry`]), what is not due yet at its
//!   time ([`Fifo::add_after`], [`Lease::after`]); see [`FifoBuilder`] for limiters, capacity, priorities
//!   and metrics.
//! * [`Fifo::close`] refuses what comes later and lets consumers drain what was accepted;
//!   [`Fifo::drain`] does so up to a deadline and hands the rest back. A queue is also closed when the
//!   reflector that feeds it has ended for good; [`Fifo::source_error`] says why.
//!
//! A value *waits* from being accepted until it is handed out, deleted or replaced. The value of a
//! key that is leased at the moment waits too, and keeps its place in line, but it is passed over until
//! the lease ends. The value of a key that is delayed waits too, but is not in line.
//!
//! # Progress
//! The order of the keys is a queue without a lock. The state of a key is behind the lock of its shard (one
//! of sixteen), held for the change of one entry; a batch holds the locks it needs together, and a replace
//! all of them, and so do the questions about the whole queue. No lock is held while a consumer waits or a sleeper is woken.
//!
//! # User code
//! [`Object::key`], wakers, [`Observer`]s, [`Limiter`]s and destructors run with no lock held and with
//! the queue in a state that is whole: they may block, panic, or call back into the queue. While one
//! blocks, the call that runs it does not return, and what that call has yet to run waits with it: the
//! wakers of consumers that it was to wake as well, observers, destructors. All other calls go on. A
//! panic of a waker, an observer or a limiter is reported by the panic hook and goes no further, and in
//! the place of a task whose waker panics the next consumer is woken. A panic of `key` or of a
//! destructor goes to the caller whose call ran it: after `key`, nothing was changed; a destructor runs
//! when everything has been done. Only what is left when the last handle goes is dropped with its panics
//! contained.
//!
//! `docs/fifo.md` has the argument and the measurements.

mod builder;
mod consumer;
mod error;
mod lease;
mod limiter;
mod observer;
mod shared;
mod shutdown;
mod state;
mod stats;
mod stream;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use builder::FifoBuilder;
pub use error::{AddError, BuildError, Closed, PopError, TryPopError};
pub use lease::Lease;
pub use limiter::{Backoff, Failure, Limiter, TokenBucket, fast_slow, max_of};
pub use observer::Observer;
pub use shutdown::Drained;
pub use state::clock::ManualClock;
pub use stats::FifoStats;
pub use stream::{Leases, Pops};

use self::shared::Shared;
use crate::{Batch, Key, KeyRef, Listing, Object, Sink};

/// What became of an added value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Added {
    /// It got a place of its own, at the back.
    Queued,
    /// It replaced the value of its key that was waiting, in that one's place; if that one was delayed,
    /// the key is in line now, at the back.
    Coalesced,
    /// It waits for its time.
    Delayed,
}

/// A keyed, deduplicating FIFO queue; see the [module](self) for its rules.
///
/// A `Fifo` is a handle: clones are the same queue.
///
/// ```
/// use watchcache::{Fifo, KeyRef, Object};
/// use watchcache::fifo::Closed;
///
/// struct Pod(&'static str, u32);
/// impl Object for Pod {
///     fn key(&self) -> KeyRef<'_> { self.0.into() }
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

/// Producers. None of these calls waits for a consumer.
impl<T: Object> Fifo<T> {
    /// An empty, open queue, without any limiter: what fails comes back at once.
    ///
    /// [`Lease::retry`] puts a key at the tail with no delay, however often it has failed, so a key that
    /// always fails keeps a worker busy. For workers that retry, build the queue with a
    /// [back-off](FifoBuilder::backoff) ([`Backoff::default`] is client-go's), or give up by
    /// [`Lease::failures`].
    ///
    /// ```
    /// # use watchcache::{Fifo, KeyRef, Object};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let fifo = Fifo::new();
    /// fifo.add(Pod("a"))?;
    /// fifo.lease()?.retry();
    /// assert_eq!(fifo.try_lease()?.failures(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        FifoBuilder::new().make()
    }

    /// A queue with limiters, a capacity, priorities, deletions or an observer.
    pub fn builder() -> FifoBuilder<T> {
        FifoBuilder::new()
    }

    /// Queues an object, or gives its key the new value if the key waits already. Wakes one consumer
    /// if the key has become available.
    ///
    /// # Errors
    /// If the queue is closed, the object has no usable key, or the queue has a
    /// [capacity](FifoBuilder::capacity), is full and this key is not in it; the error returns the object.
    ///
    /// ```
    /// # use watchcache::{Fifo, KeyRef, Object};
    /// # use watchcache::fifo::{AddError, Added};
    /// # struct Pod(&'static str, u32);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
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
    #[inline]
    pub fn add(&self, object: impl Into<Arc<T>>) -> Result<Added, AddError<T>> {
        let added = self.shared.add(object.into(), Duration::ZERO, false)?;
        // Only an add of what must be absent comes back with nothing.
        Ok(added.unwrap_or(Added::Queued))
    }

    /// As [`Fifo::add`], but a key that does not wait yet is not handed out before this time has
    /// passed. A key that waits gets the new value and keeps its place, or the earlier of the two
    /// times. O(log n) for n delayed keys.
    ///
    /// The first delay of a queue starts a thread, which sleeps until something is due and ends with
    /// the queue. Where the system refuses one, the next delay that is sooner than all others tries again;
    /// until then a delayed key is handed out late, when a consumer comes by after its time.
    ///
    /// # Errors
    /// As [`Fifo::add`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use watchcache::{Fifo, KeyRef, Object};
    /// # use watchcache::fifo::Added;
    /// # #[derive(Debug)]
    /// # struct Pod(&'static str, u32);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let fifo = Fifo::new();
    /// assert_eq!(fifo.add_after(Pod("a", 1), Duration::from_secs(3600))?, Added::Delayed);
    /// assert_eq!(fifo.add_after(Pod("a", 2), Duration::from_millis(1))?, Added::Coalesced);
    /// assert_eq!(fifo.pop()?.1, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_after(
        &self,
        object: impl Into<Arc<T>>,
        delay: Duration,
    ) -> Result<Added, AddError<T>> {
        let added = self.shared.add(object.into(), delay, false)?;
        Ok(added.unwrap_or(Added::Delayed))
    }

    /// Queues an object unless its key waits, is delayed or is leased; says whether it did.
    ///
    /// This is how a consumer that [`pop`](Fifo::pop)s puts a failed object back without overwriting
    /// a newer one. What has arrived *and* been handed out for good meanwhile it cannot know: for that,
    /// [`lease`](Fifo::lease) and [`Lease::retry`].
    ///
    /// # Errors
    /// As [`Fifo::add`].
    ///
    /// ```
    /// # use watchcache::{Fifo, KeyRef, Object};
    /// # struct Pod(&'static str, u32);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
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
        Ok(self.shared.add(object.into(), Duration::ZERO, true)?.is_some())
    }

    /// Drops the waiting value of a key and returns it. A lease of the key runs on, but will not put
    /// it back. Deleting works on a closed queue too. O(log n) for n waiting keys, as it may have to look
    /// at some places of keys that were deleted earlier.
    ///
    /// Where [deletions](FifoBuilder::deletions) are handed out, it queues one instead, and returns the last
    /// state; nothing, if the queue was not given the object or has its deletion already.
    pub fn delete<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Arc<T>> {
        self.shared.delete(key.into())
    }

    /// Applies a batch of changes as one: no other call sees half of it, and the consumers it has
    /// work for are woken together.
    ///
    /// # Errors
    /// If the queue is closed; nothing is applied.
    ///
    /// ```
    /// # use watchcache::{Batch, Fifo, KeyRef, Object};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let fifo = Fifo::new();
    /// let mut batch = Batch::new();
    /// batch.add(Pod("a"))?;
    /// batch.add(Pod("b"))?;
    /// batch.delete("a");
    /// fifo.apply(&batch)?;
    /// assert_eq!(fifo.keys(), ["b".parse()?]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply(&self, batch: &Batch<T>) -> Result<(), Closed> {
        self.shared.apply(batch)
    }

    /// Makes the listed objects, in the order of the list, all that waits. Leases run on: a listed key
    /// that is leased gets its place as after any change, an unlisted one counts as deleted, and where
    /// [deletions](FifoBuilder::deletions) are handed out these come first.
    ///
    /// # Errors
    /// If the queue is closed; nothing is replaced.
    ///
    /// ```
    /// # use watchcache::{Fifo, KeyRef, Listing, Object};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let fifo = Fifo::new();
    /// fifo.add(Pod("old"))?;
    /// fifo.replace(&Listing::new([Pod("c"), Pod("a")], None)?)?;
    /// assert_eq!(fifo.keys(), ["c".parse()?, "a".parse()?]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replace(&self, listing: &Listing<T>) -> Result<(), Closed> {
        self.shared.replace(listing)
    }
}

/// Queries.
impl<T: Object> Fifo<T> {
    /// The waiting value of a key, in line or delayed; of a deletion, the last state.
    #[must_use]
    pub fn get<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Arc<T>> {
        self.shared.get(key.into())
    }

    /// Whether a value of the key is waiting.
    #[must_use]
    pub fn contains<'k>(&self, key: impl Into<KeyRef<'k>>) -> bool {
        self.shared.get(key.into()).is_some()
    }

    /// The values in line, in queue order. Of a deletion it is the last state, which nothing here tells
    /// from a value: see [`FifoBuilder::deletions`]. O(n log n), of which O(n) with all shards locked.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<T>> {
        self.shared.list()
    }

    /// The keys of the values in line, in queue order. As [`Fifo::list`].
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        self.shared.list_keys()
    }

    /// Number of values in line. Locks all shards for a moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether no value is in line. As [`Fifo::len`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// For how long the oldest value in line has been there, or its key has if it was replaced there.
    /// `None` if there is none, or if the queue does not [keep times](FifoBuilder::timed). O(n).
    #[must_use]
    pub fn oldest_age(&self) -> Option<Duration> {
        self.shared.oldest_age()
    }

    /// Whether each key of the first replace has been dealt with: popped, leased and
    /// [`done`](Lease::done), deleted, or left out by a later replace; where
    /// [deletions](FifoBuilder::deletions) are handed out, the last two count once that is dealt with. A
    /// retried or abandoned lease does not count. Once true, it stays true.
    ///
    /// Until the first replace it is false; an empty one makes it true, and so does an add or delete
    /// *before* any replace, since there is then no initial list to wait for.
    ///
    /// ```
    /// # use watchcache::{Fifo, KeyRef, Listing, Object};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let fifo = Fifo::new();
    /// fifo.replace(&Listing::new([Pod("a")], None)?)?;
    /// fifo.add(Pod("b"))?;
    /// let lease = fifo.lease()?;
    /// assert!(!fifo.has_synced());
    /// lease.done();
    /// assert!(fifo.has_synced());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_synced(&self) -> bool {
        self.shared.has_synced()
    }

    /// Whether the queue is closed. It may still hold what it accepted before.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Why the source that feeds the queue has ended for good: none if it has not, or was stopped. Of
    /// several, the first counts.
    ///
    /// A queue that is a reflector's sink learns of it, and unless it
    /// [outlives its source](FifoBuilder::outlives_source) it is closed then: consumers get what was
    /// accepted, and then [`Closed`].
    ///
    /// ```
    /// # use watchcache::{Fifo, KeyRef, Object, Sink};
    /// # use watchcache::fifo::Closed;
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let fifo = Fifo::new();
    /// fifo.add(Pod("a"))?;
    /// Sink::ended(&fifo, Some(&std::io::Error::other("pods is forbidden")));
    /// assert_eq!(fifo.pop()?.0, "a");
    /// assert_eq!(fifo.pop().err(), Some(Closed));
    /// assert_eq!(fifo.source_error(), Some("pods is forbidden"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn source_error(&self) -> Option<&str> {
        self.shared.source_error()
    }

    /// The queue's counters. Locks all shards for a moment; if the queue [keeps times](FifoBuilder::timed)
    /// it goes through all keys after that, shard by shard: O(n).
    #[must_use]
    pub fn stats(&self) -> FifoStats {
        self.shared.stats()
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

    fn ended(&self, error: Option<&(dyn std::error::Error + 'static)>) {
        self.shared.source_ended(error);
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

impl<T: Object> fmt::Debug for Fifo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fifo")
            .field("stats", &self.stats())
            .field("closed", &self.is_closed())
            .finish()
    }
}
