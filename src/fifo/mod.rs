//! A keyed FIFO: each key waits at most once, with its newest value.
//!
//! [`Fifo`] is a work queue fed by a reflector (it is a [`Sink`]) or by hand. Consumers are threads,
//! async tasks, or both on one queue; idle ones sleep.
//!
//! * A key that is added again while it waits keeps its place and gets the new value. Deleted and
//!   added again, it goes to the back.
//! * [`Fifo::pop`] hands an object out for good. [`Fifo::take`] leases it: until the [`Lease`] ends,
//!   nobody else gets its key, and a change of the key meanwhile leads to exactly one more run.
//! * What fails comes back after a back-off of its own ([`Lease::retry`]), what is not due yet at its
//!   time ([`Fifo::add_after`], [`Lease::after`]); see [`FifoBuilder`] for back-off, limits, priorities
//!   and figures.
//! * [`Fifo::close`] refuses what comes later and lets consumers drain what was accepted;
//!   [`Fifo::drain`] does so up to a deadline and hands the rest back.
//!
//! A value *waits* from being accepted until it is handed out, deleted or replaced. The value of a
//! key that is leased at the moment waits too, and keeps its place in line, but it is passed over until
//! the lease ends. The value of a key that is delayed waits too, but is not in line.
//!
//! # Progress
//! The order of the keys is a lock-free queue. A key's state is behind a lock that it shares with a
//! sixteenth of the keys, held for the change of one entry; a batch holds the locks it needs together,
//! and a replace all of them. No lock is held while user code runs, a consumer waits, or a sleeper is
//! woken. `docs/fifo.md` has the argument and the figures.

mod backoff;
mod builder;
mod clock;
mod close;
mod consume;
mod core;
mod delays;
mod error;
mod lease;
mod line;
mod observe;
mod stats;
mod stream;
mod stripe;
mod timer;
mod wait;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use backoff::Backoff;
pub use builder::FifoBuilder;
pub use clock::ManualClock;
pub use close::Drained;
pub use error::{AddError, BuildError, Closed, PopError, TryPopError};
pub use lease::Lease;
pub use observe::Observer;
pub use stats::FifoStats;
pub use stream::{Leases, Pops};

use self::core::Core;
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

/// What is handed out first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Change,
    List,
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
    core: Arc<Core<T>>,
}

/// Feeding. None of these calls waits for a consumer.
impl<T: Object> Fifo<T> {
    /// An empty, open queue.
    #[must_use]
    pub fn new() -> Self {
        FifoBuilder::new().make()
    }

    /// A queue with back-off, limits, priorities or an observer.
    pub fn builder() -> FifoBuilder<T> {
        FifoBuilder::new()
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
        self.core.add(object.into())
    }

    /// As [`Fifo::add`], but a key that does not wait yet is not handed out before this time has
    /// passed. A key that waits gets the new value and keeps its place, or the earlier of the two
    /// times. O(log n) for n delayed keys.
    ///
    /// The first delay of a queue starts a thread, which sleeps until something is due and ends with
    /// the queue.
    ///
    /// # Errors
    /// As [`Fifo::add`].
    ///
    /// # Panics
    /// If the system cannot start that thread.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use watchcache::{Fifo, Key, KeyError, Object};
    /// # use watchcache::fifo::Added;
    /// # #[derive(Debug)]
    /// # struct Pod(&'static str, u32);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> Result<Key, KeyError> { self.0.parse() }
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
        let added = self.core.add_if(object.into(), delay, false)?;
        // Only an add of what must be absent can come back with nothing.
        Ok(added.unwrap_or(Added::Delayed))
    }

    /// The same as [`Fifo::add`]: a queue does not tell a new object from a changed one.
    ///
    /// # Errors
    /// As [`Fifo::add`].
    pub fn update(&self, object: impl Into<Arc<T>>) -> Result<Added, AddError<T>> {
        self.add(object)
    }

    /// Queues an object unless its key waits, is delayed or is leased; says whether it did.
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
        Ok(self.core.add_if(object.into(), Duration::ZERO, true)?.is_some())
    }

    /// Drops the waiting value of a key and returns it. A lease of the key runs on, but will not put
    /// it back. Deleting works on a closed queue too.
    pub fn delete<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Arc<T>> {
        self.core.delete(key.into())
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
        self.core.apply(batch)
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
        self.core.replace(listing)
    }
}

/// Looking.
impl<T: Object> Fifo<T> {
    /// The waiting value of a key, in line or delayed.
    #[must_use]
    pub fn get<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Arc<T>> {
        self.core.get(key.into())
    }

    /// Whether a value of the key is waiting.
    #[must_use]
    pub fn contains<'k>(&self, key: impl Into<KeyRef<'k>>) -> bool {
        self.core.get(key.into()).is_some()
    }

    /// The values in line, in queue order. O(n log n); nothing else moves meanwhile.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<T>> {
        self.core.list(|_, value| Arc::clone(value))
    }

    /// The keys of the values in line, in queue order. As [`Fifo::list`].
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        self.core.list(|key, _| key.clone())
    }

    /// Number of values in line.
    #[must_use]
    pub fn len(&self) -> usize {
        self.core.len()
    }

    /// Whether no value is in line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// For how long the oldest value in line has been there, or its key has if it was replaced there.
    /// `None` if there is none, or if the queue does not [keep times](FifoBuilder::timed). O(n).
    #[must_use]
    pub fn oldest_age(&self) -> Option<Duration> {
        self.core.oldest_age()
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
        self.core.has_synced()
    }

    /// Whether the queue is closed. It may still hold what it accepted before.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    /// The queue's counters.
    #[must_use]
    pub fn stats(&self) -> FifoStats {
        self.core.stats()
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
        Self { core: Arc::clone(&self.core) }
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
