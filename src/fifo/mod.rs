//! A keyed FIFO: each key waits at most once, with its newest value.
//!
//! [`Fifo`] is a work queue that is fed by a reflector (it is a [`Sink`]) or by hand. Its consumers are
//! threads, async tasks, or both; idle ones park.
//!
//! * A key that is added again while it waits keeps its place and gets the new value. If it is deleted and
//!   added again, it goes to the back.
//! * A deletion removes a waiting value and wakes no consumer, unless the queue is built to hand out
//!   [deletions](FifoBuilder::deletions), so that a worker can clean up.
//! * [`Fifo::pop`] hands an object out for good. [`Fifo::lease`] leases it: until the [`Lease`] ends, no
//!   other consumer gets its key, and changes of the key in the meantime lead to exactly one more run.
//! * A key that fails comes back after its back-off ([`Lease::retry`]); a key can also be queued for later
//!   ([`Fifo::add_after`], [`Lease::after`]). See [`FifoBuilder`] for limiters, capacity, priorities and
//!   metrics.
//! * [`Fifo::close`] refuses new values and lets consumers drain what was accepted; [`Fifo::drain`] does
//!   so up to a deadline and returns the rest. A queue is also closed when the reflector that feeds it
//!   has ended for good; [`Fifo::source_error`] says why.
//!
//! A value *waits* from when it is accepted until it is handed out, deleted or replaced. If its key is
//! leased, the value keeps its place in line, but is skipped until the lease ends. If its key is
//! delayed, the value waits, but is not in line.
//!
//! # Progress
//! The order of the keys is a lock-free queue. The state of a key is protected by the lock of its shard,
//! one of sixteen, which is held for the change of one entry. A batch holds all the locks that it needs;
//! a replace and the queries about the whole queue hold all sixteen. No lock is held while a consumer
//! waits or is woken.
//!
//! # User code
//! [`Object::key`], wakers, [`Observer`]s, [`Limiter`]s and destructors run under no lock, with the
//! queue in a consistent state: they may block, panic, or call back into the queue. If one blocks, the
//! call that runs it blocks, too, and so does the other user code that this call has yet to run, further
//! tasks' wakers for one. All other calls go on: a thread that this call has to wake is woken before any
//! waker is called, and a task before an observer or a destructor. A panic of a waker, an observer or a
//! limiter is contained, and if a task's waker panics, the next consumer is woken instead. A panic of `key`
//! or of a destructor reaches the caller: `key` runs before anything is changed, destructors once everything
//! is done. Panics of destructors are contained only when the last handle is dropped.
//!
//! [`docs/fifo.md`][design] has the design and its argument, [`docs/fifo-measurements.md`][measured] the measurements.
//!
//! A worker that tries what failed again:
//!
//! ```
//! use watchcache::fifo::Backoff;
//! use watchcache::{Fifo, Key};
//!
//! let fifo = Fifo::<Key>::builder().backoff(Backoff::default()).build()?;
//! for key in ["a/web", "a/db", "a/web"] {
//!     fifo.add(key.parse::<Key>()?)?;
//! }
//! let worker = std::thread::spawn({
//!     let fifo = fifo.clone();
//!     move || {
//!         let mut done = Vec::new();
//!         // Until the queue is closed, and nothing is left.
//!         while let Ok(lease) = fifo.lease() {
//!             if lease.name() == "db" && lease.failures() == 0 {
//!                 lease.retry();
//!                 continue;
//!             }
//!             done.push(lease.name().to_owned());
//!             lease.done();
//!         }
//!         done
//!     }
//! });
//! fifo.close();
//! assert_eq!(worker.join().expect("it never panics"), ["web", "db"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [design]: https://docs.rs/crate/watchcache/latest/source/docs/fifo.md
//! [measured]: https://docs.rs/crate/watchcache/latest/source/docs/fifo-measurements.md

mod builder;
mod changes;
mod consumer;
mod enqueue;
mod error;
mod lease;
mod limiter;
mod observer;
mod request;
mod shared;
mod shutdown;
pub(crate) mod state;
mod stats;
mod stream;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use builder::FifoBuilder;
pub use changes::EnqueueChanges;
pub use enqueue::{Enqueue, EnqueueKeys, EnqueueMapped};
pub use error::{AddError, BuildError, Closed, PopError, TryPopError};
pub use lease::Lease;
pub use limiter::{Backoff, Failure, Limiter, TokenBucket, fast_slow, max_of};
pub use observer::Observer;
pub use request::Request;
pub use shutdown::DrainReport;
pub use state::clock::ManualClock;
pub use stats::FifoStats;
pub use stream::{Leases, Pops};

use self::shared::Shared;
use crate::{Batch, Key, KeyRef, Listing, Object, Sink, panic};

/// What became of an added value.
///
/// ```
/// use std::time::Duration;
/// use watchcache::fifo::Added;
/// use watchcache::{Fifo, Key};
///
/// let fifo = Fifo::<Key>::new();
/// let web: Key = "a/web".parse()?;
/// assert_eq!(fifo.add_after(web.clone(), Duration::from_secs(600))?, Added::Delayed);
/// assert_eq!(fifo.add(web)?, Added::Coalesced);
/// assert_eq!(fifo.len(), 1, "it waits no longer");
/// assert_eq!(fifo.add("a/db".parse::<Key>()?)?, Added::Queued);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Added {
    /// It is at the back of the queue.
    Queued,
    /// It replaced the waiting value of its key, and keeps that one's place. If that one was delayed, the key is now
    /// at the back of the queue; if it waited behind the changes, as [lists](FifoBuilder::lower_priority_for_lists)
    /// may, at the back of these.
    Coalesced,
    /// It waits for its delay.
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

/// Producers. None of these calls waits for consumers.
impl<T: Object> Fifo<T> {
    /// An empty, open queue without a limiter: a key that fails comes back at once.
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

    /// Queues an object, or replaces the waiting value of its key. Wakes one consumer if the key has become
    /// available.
    ///
    /// # Errors
    /// If the queue is closed, the object's key is invalid, or the queue has a
    /// [capacity](FifoBuilder::capacity) and is full without this key; the error returns the object.
    ///
    /// # Panics
    /// If [`Object::key`] does; nothing is queued.
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

    /// As [`Fifo::add`], but a key that does not wait yet is not handed out before `delay` is over. A
    /// key that waits gets the new value and keeps its place in line, or the earlier of two due times.
    /// O(log n) for n delayed keys.
    ///
    /// The first delay of a queue starts a thread, which sleeps until something is due and ends with the
    /// queue. If the system refuses a thread, consumers that wait look for themselves when the next key is due, and
    /// ask the system again; a task may be polled over and over until then.
    ///
    /// # Errors
    /// As [`Fifo::add`].
    ///
    /// # Panics
    /// As there.
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

    /// Queues an object unless its key waits, is delayed or is leased. Returns whether it did.
    ///
    /// This is how a consumer that uses [`pop`](Fifo::pop) puts a failed object back without overwriting
    /// a newer one. It cannot see a newer one that was also popped in the meantime;
    /// [`lease`](Fifo::lease) and [`Lease::retry`] can.
    ///
    /// # Errors
    /// As [`Fifo::add`].
    ///
    /// # Panics
    /// As there.
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

    /// Removes and returns the waiting value of a key. A lease of the key goes on, but will not put its value
    /// back. Works on a closed queue, too. O(log n) for n waiting keys, since it may clean up after earlier
    /// deletes.
    ///
    /// If the queue hands out [deletions](FifoBuilder::deletions), this queues one instead and returns
    /// the last state, unless the queue was never given the object or has its deletion already.
    ///
    /// ```
    /// # use watchcache::{Fifo, KeyRef, Object};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let fifo = Fifo::new();
    /// fifo.add(Pod("a"))?;
    /// assert!(fifo.delete("a").is_some());
    /// assert!(fifo.delete("a").is_none() && fifo.try_pop().is_err());
    /// # Ok::<(), watchcache::fifo::AddError<Pod>>(())
    /// ```
    pub fn delete<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Arc<T>> {
        self.shared.delete(key.into())
    }

    /// Applies a batch of changes at once: no other call sees half of it, and as many consumers as it
    /// has work for are woken together.
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

    /// Replaces all waiting values by the listed objects, in the order of the list. Leases go on: a
    /// leased key that is listed counts as changed, one that is not listed counts as deleted. If the
    /// queue hands out [deletions](FifoBuilder::deletions), these come first.
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
    /// The waiting value of a key, in line or delayed; for a deletion, the last state.
    #[must_use]
    pub fn get<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Arc<T>> {
        self.shared.get(key.into())
    }

    /// Returns whether a value of the key waits.
    #[must_use]
    pub fn contains<'k>(&self, key: impl Into<KeyRef<'k>>) -> bool {
        self.shared.get(key.into()).is_some()
    }

    /// The values in line, in queue order; for a [deletion](FifoBuilder::deletions) the last state, which
    /// looks like any other value here. O(n log n), of which O(n) under all locks.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<T>> {
        self.shared.list()
    }

    /// The keys of the values in line, in queue order. Costs what [`Fifo::list`] does.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        self.shared.list_keys()
    }

    /// The number of values in line. Takes all locks briefly.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Returns whether no value is in line. As [`Fifo::len`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How long the oldest value in line has been there, counted from when its key was queued. `None` if
    /// there is none, or if the queue does not [keep times](FifoBuilder::timed). O(n).
    #[must_use]
    pub fn oldest_age(&self) -> Option<Duration> {
        self.shared.oldest_age()
    }

    /// Returns whether all keys of the first replace have been processed: popped, leased and
    /// [`done`](Lease::done), deleted, or left out of a later replace. If the queue hands out
    /// [deletions](FifoBuilder::deletions), the last two count once the deletion is processed. A retried
    /// or abandoned lease does not count. Once true, it stays true.
    ///
    /// It is false until the first replace. An empty replace makes it true, and so does an add or delete
    /// *before* any replace, since then there is no initial list to wait for.
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

    /// Whether it [hands out deletions](FifoBuilder::deletions).
    pub(crate) fn has_deletions(&self) -> bool {
        self.shared.has_deletions()
    }

    /// Returns whether the queue is closed. It may still hold values that it accepted before.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Why the source that feeds the queue has ended for good; `None` if it has not, or was stopped. If
    /// there are several sources, it is the error of the first that ended.
    ///
    /// When its reflector ends, the queue is closed, unless it
    /// [outlives its source](FifoBuilder::outlives_source): consumers get what was accepted, and then
    /// [`Closed`].
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

    /// The queue's counters. Takes all locks briefly; if the queue [keeps times](FifoBuilder::timed), it then
    /// visits all keys, shard by shard: O(n).
    ///
    /// ```
    /// # use watchcache::{Fifo, KeyRef, Object};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let fifo = Fifo::new();
    /// fifo.add(Pod("a"))?;
    /// fifo.add(Pod("a"))?;
    /// let stats = fifo.stats();
    /// assert_eq!((stats.adds, stats.coalesced, stats.depth), (2, 1, 1));
    /// # Ok::<(), watchcache::fifo::AddError<Pod>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> FifoStats {
        self.shared.stats()
    }
}

/// A closed queue ignores what a reflector sends, and counts it as refused.
impl<T: Object> Sink<T> for Fifo<T> {
    fn apply(&self, batch: &Batch<T>) {
        // The reflector cannot use the refusal: its owner stops it.
        let _ = Self::apply(self, batch);
    }

    fn replace(&self, listing: &Listing<T>) {
        let _ = Self::replace(self, listing);
    }

    fn ended(&self, error: Option<&(dyn std::error::Error + 'static)>) {
        self.shared.source_ended(error.map(panic::text_of).as_deref());
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
