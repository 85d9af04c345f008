//! Making a queue.

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
    // The queue's objects: a builder has none yet.
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

    /// How long a key stays away after [`Lease::retry`](super::Lease::retry), or after its lease was
    /// dropped. Without a limiter it is requeued immediately; with several, the longest delay counts.
    pub fn limiter(mut self, limiter: impl Limiter + 'static) -> Self {
        self.settings.limiters.push(Box::new(limiter));
        self
    }

    /// A [limiter](FifoBuilder::limiter): exponential, each key for itself.
    pub fn backoff(self, backoff: Backoff) -> Self {
        self.limiter(backoff)
    }

    /// A [limiter](FifoBuilder::limiter): lets at most so many retries of all keys together come back per
    /// second, after a burst of this many. (A [`TokenBucket`].)
    pub fn retry_rate(mut self, per_second: f64, burst: u32) -> Self {
        self.rate = Some((per_second, burst));
        self
    }

    /// Bounds the keys that the queue holds, in line, delayed and leased. An add of one more is refused
    /// with [`AddError::Full`](super::AddError::Full). Batches and lists are never refused, since a
    /// stream has nowhere else to go with them, but they count.
    pub fn capacity(mut self, keys: usize) -> Self {
        self.settings.capacity = Some(keys);
        self
    }

    /// Hands out changes before what a replace listed, so that a relist of everything does not delay
    /// what happens now; controller-runtime does so too. A listed key that changes moves up to the
    /// back of the changes, and a change that waits when a list arrives stays where it is and takes the
    /// listed value; one that is delayed is due then, as with any add, and goes to the back of the changes. One key in 16 is a listed one even so, so that those do not starve.
    pub fn lower_priority_for_lists(mut self, lower: bool) -> Self {
        self.settings.prioritized = lower;
        self
    }

    /// Hands out deletions, too, so that a worker can clean up after what is gone: when an object goes,
    /// deleted or no longer listed, its key is handed out with the last state that is known, as
    /// [`Lease::is_deleted`] tells. By default a deletion takes a waiting value out and wakes nobody.
    ///
    /// * Each object that was given to the queue has one deletion, whether or not it was ever handed out;
    ///   an object that never was has none. The last state is the delete's own if it brings one, else
    ///   the last that was given.
    /// * A deletion is a value of its key like any other. It takes the place of a value that waits, and
    ///   a newer value takes its place in turn; while the key is leased it leads to one more run; a lease
    ///   of it that fails brings it back, unless something newer came. It counts as an add.
    /// * [`Fifo::replace`] puts what is no longer listed before what is listed, and leaves a deletion
    ///   that waits, or is leased, where it is.
    /// * An initial key that is deleted is [dealt with](Fifo::has_synced) when its deletion is.
    /// * [`capacity`](FifoBuilder::capacity) refuses no deletion, and counts it while it waits or is
    ///   leased.
    /// * A closed queue turns a value that waits into a deletion, and takes no other.
    ///
    /// Memory: a key and a reference for each object that has not gone. Consumers lease: one that
    /// [`pop`](Fifo::pop)s cannot tell a deletion from any other state, and ends its lease at once
    /// instead, with [`Lease::into_change`].
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

    /// Leaves the queue open when its source has ended for good, as one must that has other sources,
    /// too, or will get a new one. By default it is [closed](Fifo::close) then. Either way
    /// [`Fifo::source_error`] has the reason.
    pub fn outlives_source(mut self) -> Self {
        self.settings.outlives_source = true;
        self
    }

    /// Keeps times for [`Fifo::oldest_age`] and the durations in [`Fifo::stats`]. It costs one look at
    /// the clock, some 20 ns, for each add and each hand-out.
    pub fn timed(mut self) -> Self {
        self.settings.timed = true;
        self
    }

    /// Tells an observer what happens, and keeps times.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.settings.observer = Some(Box::new(observer));
        self.timed()
    }

    /// Goes by a clock that is moved by hand.
    pub fn clock(mut self, clock: &ManualClock) -> Self {
        self.settings.clock = Clock::Manual(clock.clone());
        self
    }

    /// The queue.
    ///
    /// # Errors
    /// If the capacity or the rate would let nothing pass.
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
