//! What time it is for a queue: the system's, or one that a test moves.

use std::fmt;
use std::sync::Weak;
use std::time::{Duration, Instant};

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, Mutex, PoisonError};

/// Nanoseconds since the clock's beginning; 584 years fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub(super) u64);

impl Moment {
    pub(super) const NEVER: Self = Self(u64::MAX);

    pub(super) fn after(self, delay: Duration) -> Self {
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        // One short of never: what is due some day is not forgotten.
        Self(self.0.saturating_add(nanos).min(u64::MAX - 1))
    }

    /// Zero if `earlier` is in fact later.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A clock that stands still until it is moved, for tests of what waits: back-off, delays, ages.
///
/// ```
/// use std::time::Duration;
/// use watchcache::fifo::ManualClock;
/// use watchcache::{Fifo, Key, KeyError, Object};
/// # #[derive(Debug)]
/// # struct Pod(&'static str);
/// # impl Object for Pod {
/// #     fn key(&self) -> Result<Key, KeyError> { self.0.parse() }
/// # }
/// let clock = ManualClock::new();
/// let fifo = Fifo::builder().clock(&clock).build()?;
/// fifo.add_after(Pod("a"), Duration::from_secs(3600))?;
/// assert!(fifo.try_pop().is_err());
/// clock.advance(Duration::from_secs(3600));
/// assert_eq!(fifo.try_pop()?.0, "a");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Manual>);

struct Manual {
    now: AtomicU64,
    queues: Mutex<Vec<Weak<dyn Ticked>>>,
}

/// Is told when a manual clock was moved.
pub(super) trait Ticked: Send + Sync {
    fn tick(&self);
}

impl ManualClock {
    /// A clock at its beginning.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Manual { now: AtomicU64::new(0), queues: Mutex::new(Vec::new()) }))
    }

    /// Moves the clock. Whatever becomes due by that is queued, and consumers are woken for it,
    /// before this returns.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        // ORDERING: relaxed, no partner: a time guards no data.
        self.0.now.fetch_add(nanos, Ordering::Relaxed);
        let mut queues = self.0.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|queue| queue.strong_count() > 0);
        let told: Vec<_> = queues.iter().filter_map(Weak::upgrade).collect();
        drop(queues);
        told.iter().for_each(|queue| queue.tick());
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.0.now).finish()
    }
}

pub(super) enum Clock {
    System(Instant),
    Manual(ManualClock),
}

impl Clock {
    pub(super) fn system() -> Self {
        Self::System(Instant::now())
    }

    pub(super) fn now(&self) -> Moment {
        match self {
            Self::System(beginning) => Moment::default().after(beginning.elapsed()),
            // ORDERING: relaxed, no partner: a time guards no data.
            Self::Manual(clock) => Moment(clock.0.now.load(Ordering::Relaxed)),
        }
    }

    /// When the system's clock will show this moment; `None` if only a test knows.
    pub(super) fn until(&self, moment: Moment) -> Option<Duration> {
        match self {
            Self::System(_) => Some(moment.since(self.now())),
            Self::Manual(_) => None,
        }
    }

    /// Has a queue told when the clock is moved by hand.
    pub(super) fn attach(&self, queue: Weak<dyn Ticked>) {
        if let Self::Manual(clock) = self {
            clock.0.queues.lock().unwrap_or_else(PoisonError::into_inner).push(queue);
        }
    }
}
