//! Building a queue.

use std::fmt;

use super::limiter::{Backoff, Limiter, TokenBucket};
use super::shared::{Settings, Shared};
use super::state::clock::{Clock, ManualClock};
use super::{BuildError, Fifo, Observer};
use crate::Object;

/// Builds a [`Fifo`] with back-off, limits, priorities, deletions or an observer.
///
/// ```
/// use std::time::Duration;
/// use watchcache::fifo::{AddError, Backoff, BuildError, ManualClock};
/// use watchcache::{Fifo, KeyRef, Object};
/// # #[derive(Debug)]
/// # struct Pod(&'static str);
/// # impl Object for Pod {
/// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
/// # }
/// let clock = ManualClock::new();
/// let fifo = Fifo::builder()
///     .backoff(Backoff::new(Duration::from_secs(1), Duration::from_secs(60)))
///     .capacity(1)
///     .clock(&clock)
///     .build()?;
/// fifo.add(Pod("a"))?;
/// assert!(matches!(fifo.add(Pod("b")), Err(AddError::Full(_))));
///
/// fifo.lease()?.retry();
/// assert!(fifo.try_lease().is_err(), "it stays away for a second");
/// clock.advance(Duration::from_secs(1));
/// fifo.lease()?.done();
///
/// assert_eq!(Fifo::<Pod>::builder().capacity(0).build().err(), Some(BuildError::ZeroCapacity));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder makes nothing until it builds"]
pub struct FifoBuilder<T> {
    settings: Settings,
    rate: Option<(f64, u32)>,
    // The builder holds none of the queue's objects yet.
    objects: std::marker::PhantomData<fn(T)>,
}

impl<T: Object> FifoBuilder<T> {
    pub(super) fn new() -> Self {
        Self {
            settings: Settings {
                clock: Clock::system(),
                limiters: Vec::new(),
                prioritized: false,
                timed: false,
                capacity: None,
                deletions: false,
                outlives_source: false,
                observer: None,
            },
            rate: None,
            objects: std::marker::PhantomData,
        }
    }

    /// Sets how long a key stays away after [`Lease::retry`](super::Lease::retry), or after its lease was
    /// dropped. Without a limiter it is requeued immediately; of several, the longest delay counts.
    pub fn limiter(mut self, limiter: impl Limiter + 'static) -> Self {
        self.settings.limiters.push(Box::new(limiter));
        self
    }

    /// Adds a [limiter](FifoBuilder::limiter) with an exponential back-off for each key.
    pub fn backoff(self, backoff: Backoff) -> Self {
        self.limiter(backoff)
    }

    /// Adds a [limiter](FifoBuilder::limiter) for all keys together: at most so many retries come back per
    /// second, after a burst of this many. See [`TokenBucket`].
    ///
    /// ```
    /// use watchcache::{Fifo, Key};
    ///
    /// // One in ten seconds, after two at once.
    /// let fifo = Fifo::<Key>::builder().retry_rate(0.1, 2).build()?;
    /// for key in ["a", "b", "c"] {
    ///     fifo.add(key.parse::<Key>()?)?;
    /// }
    /// let leases = (0..3).map(|_| fifo.lease()).collect::<Result<Vec<_>, _>>()?;
    /// leases.into_iter().for_each(|lease| lease.retry());
    /// assert_eq!((fifo.len(), fifo.stats().delayed), (2, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retry_rate(mut self, per_second: f64, burst: u32) -> Self {
        self.rate = Some((per_second, burst));
        self
    }

    /// Limits the keys that the queue holds: in line, delayed or leased. An add of one more is refused with
    /// [`AddError::Full`](super::AddError::Full). The keys of batches and lists count, but are never refused,
    /// since a stream could not put them anywhere else.
    pub fn capacity(mut self, keys: usize) -> Self {
        self.settings.capacity = Some(keys);
        self
    }

    /// Hands out changes before the keys that a replace has listed, so that a relist does not delay
    /// changes; controller-runtime does the same. A listed key that changes moves to the back of the
    /// changes. A change that waits when a list arrives keeps its place and takes the listed value; if
    /// it is delayed, it becomes due, as with any add, and goes to the back of the changes. Still, one
    /// key in 16 is a listed one, so that those do not starve.
    ///
    /// ```
    /// use watchcache::{Fifo, Key, Listing};
    ///
    /// let fifo = Fifo::<Key>::builder().lower_priority_for_lists(true).build()?;
    /// let listed = ["a/1", "a/2", "a/3"].map(|key| key.parse::<Key>().expect("a key"));
    /// fifo.replace(&Listing::new(listed, None)?)?;
    /// fifo.add("a/changed".parse::<Key>()?)?;
    /// assert_eq!(fifo.pop()?.name(), "changed");
    /// assert_eq!(fifo.pop()?.name(), "1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lower_priority_for_lists(mut self, lower: bool) -> Self {
        self.settings.prioritized = lower;
        self
    }

    /// Also hands out deletions, so that a worker can clean up: when an object is gone, deleted or no longer
    /// listed, its key is handed out with its last known state, and [`Lease::is_deleted`] is true. By default
    /// a deletion only removes a waiting value, and wakes no consumer.
    ///
    /// * Each object that was given to the queue has one deletion, even if it was never handed out; an
    ///   object that was never given has none. The last state is the one that the delete brings, or else
    ///   the last one that was given.
    /// * A deletion is a value of its key like any other: it replaces a waiting value, and a newer value
    ///   replaces it; while the key is leased it leads to one more run; if its lease fails it comes
    ///   back, unless there is a newer value. It counts as an add.
    /// * [`Fifo::replace`] queues the deletions of what is no longer listed before what is listed, and
    ///   leaves a deletion that waits or is leased where it is.
    /// * A key of the first list that is deleted is [processed](Fifo::has_synced) once its deletion is.
    /// * A deletion counts for the [`capacity`](FifoBuilder::capacity), but is never refused.
    /// * A closed queue turns a waiting value into a deletion, and accepts no other deletion.
    /// * What only queues keys, and deletes none, is refused such a queue:
    ///   [`enqueue_mapped`](crate::store::feed::Subscribe::enqueue_mapped) and a controller, which has
    ///   deletions of its own.
    ///
    /// This takes memory for a key and a reference for each object that is not gone. Consumers have to
    /// lease, as [`pop`](Fifo::pop) cannot tell a deletion from another state; [`Lease::into_change`]
    /// ends a lease at once.
    ///
    /// [`Lease::is_deleted`]: super::Lease::is_deleted
    /// [`Lease::into_change`]: super::Lease::into_change
    ///
    /// ```
    /// use watchcache::{Fifo, KeyRef, Listing, Object};
    /// # #[derive(Debug)]
    /// # struct Pod(&'static str, u32);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let fifo = Fifo::builder().deletions().build()?;
    /// fifo.replace(&Listing::new([Pod("a", 1), Pod("b", 1)], None)?)?;
    /// fifo.lease()?.done();
    /// fifo.lease()?.done();
    ///
    /// fifo.replace(&Listing::new([Pod("b", 2)], None)?)?;
    /// let lease = fifo.lease()?;
    /// assert!(lease.is_deleted());
    /// assert_eq!((lease.key().as_str(), lease.1), ("a", 1));
    /// lease.done();
    /// assert!(!fifo.lease()?.is_deleted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn deletions(mut self) -> Self {
        self.settings.deletions = true;
        self
    }

    /// Keeps the queue open when its source has ended for good, because it has other sources or will get
    /// a new one. By default it is [closed](Fifo::close) then. In both cases [`Fifo::source_error`] has
    /// the reason.
    ///
    /// ```
    /// use watchcache::{Fifo, Key, Sink};
    ///
    /// let of_one = Fifo::<Key>::new();
    /// let of_several = Fifo::<Key>::builder().outlives_source().build()?;
    /// // As a reflector does that is refused for good:
    /// let refused = std::io::Error::other("pods is forbidden");
    /// for fifo in [&of_one, &of_several] {
    ///     Sink::ended(fifo, Some(&refused));
    ///     assert!(fifo.source_error().is_some());
    /// }
    /// assert!(of_one.is_closed() && !of_several.is_closed());
    /// # Ok::<(), watchcache::fifo::BuildError>(())
    /// ```
    pub fn outlives_source(mut self) -> Self {
        self.settings.outlives_source = true;
        self
    }

    /// Keeps times, for [`Fifo::oldest_age`] and the durations in [`Fifo::stats`]. That costs one
    /// reading of the clock, about 20 ns, for each add and each value that is handed out.
    ///
    /// ```
    /// use std::time::Duration;
    /// use watchcache::fifo::ManualClock;
    /// use watchcache::{Fifo, Key};
    ///
    /// let clock = ManualClock::new();
    /// let fifo = Fifo::<Key>::builder().timed().clock(&clock).build()?;
    /// fifo.add("a/web".parse::<Key>()?)?;
    /// clock.advance(Duration::from_secs(5));
    /// assert_eq!(fifo.oldest_age(), Some(Duration::from_secs(5)));
    /// let lease = fifo.lease()?;
    /// clock.advance(Duration::from_secs(60));
    /// assert_eq!(fifo.stats().longest_running, Duration::from_secs(60));
    /// # lease.done();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn timed(mut self) -> Self {
        self.settings.timed = true;
        self
    }

    /// Sets an observer, and keeps times.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.settings.observer = Some(Box::new(observer));
        self.timed()
    }

    /// Uses a clock that is advanced by hand, for tests.
    pub fn clock(mut self, clock: &ManualClock) -> Self {
        self.settings.clock = Clock::Manual(clock.clone());
        self
    }

    /// Builds the queue.
    ///
    /// # Errors
    /// If the capacity or the rate would let nothing through.
    pub fn build(mut self) -> Result<Fifo<T>, BuildError> {
        if self.settings.capacity == Some(0) {
            return Err(BuildError::ZeroCapacity);
        }
        if let Some((per_second, burst)) = self.rate {
            self = self.limiter(TokenBucket::new(per_second, burst)?);
        }
        Ok(self.make())
    }

    pub(super) fn make(self) -> Fifo<T> {
        Fifo { shared: Shared::new(self.settings) }
    }
}

impl<T> fmt::Debug for FifoBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FifoBuilder")
            .field("limiters", &self.settings.limiters.len())
            .field("retry_rate", &self.rate)
            .field("capacity", &self.settings.capacity)
            .field("lower_priority_for_lists", &self.settings.prioritized)
            .field("timed", &self.settings.timed)
            .field("deletions", &self.settings.deletions)
            .field("outlives_source", &self.settings.outlives_source)
            .finish_non_exhaustive()
    }
}
