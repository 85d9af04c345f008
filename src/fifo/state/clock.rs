//! A queue's clock: the system's, or one that a test advances.

use std::fmt;
use std::sync::Weak;
use std::time::{Duration, Instant};

use crate::sync::atomic::{AtomicU64, Ordering, fence};
use crate::sync::{Arc, Mutex, PoisonError};
use crate::timer::Tick;

/// Nanoseconds since the clock's beginning; 584 years fit, and arithmetic stays within them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) u64);

impl Moment {
    pub(crate) const NEVER: Self = Self(u64::MAX);
    /// One before `NEVER`: whatever is due some day stays due.
    const LAST: u64 = u64::MAX - 1;

    pub(crate) fn after(self, delay: Duration) -> Self {
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos).min(Self::LAST))
    }

    /// Zero if `earlier` is in fact later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A clock that stands still until it is moved, for tests of what waits: back-off, delays, ages.
///
/// ```
/// use std::time::Duration;
/// use watchcache::fifo::ManualClock;
/// use watchcache::{Fifo, KeyRef, Object};
/// # #[derive(Debug)]
/// # struct Pod(&'static str);
/// # impl Object for Pod {
/// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
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
    queues: Mutex<Vec<Weak<dyn Tick>>>,
}

impl ManualClock {
    /// A clock at its beginning.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Manual { now: AtomicU64::new(0), queues: Mutex::new(Vec::new()) }))
    }

    /// Moves the clock. Whatever becomes due by that is queued, and consumers are woken for it, before this returns.
    /// Queues are moved one after the other, so a waker that blocks holds up those that come later. The clock ends
    /// after 584 years and then stands still.
    pub fn advance(&self, by: Duration) {
        // ORDERING: Relaxed, as a time guards no data.
        let (load, store) = (Ordering::Relaxed, Ordering::Relaxed);
        let later = |now| Some(Moment(now).after(by).0);
        let _ = self.0.now.fetch_update(store, load, later);
        // ORDERING: SeqCst pairs with the fence in `watch_delays`: either this thread sees a key in the
        // schedule that is now due, or the thread that puts it there sees this time.
        fence(Ordering::SeqCst);
        let mut queues = self.0.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|queue| queue.strong_count() > 0);
        let told: Vec<_> = queues.iter().filter_map(Weak::upgrade).collect();
        drop(queues);
        told.iter().for_each(|queue| _ = queue.tick());
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

pub(crate) enum Clock {
    System(Instant),
    Manual(ManualClock),
}

impl Clock {
    pub(crate) fn system() -> Self {
        Self::System(Instant::now())
    }

    pub(crate) fn now(&self) -> Moment {
        match self {
            Self::System(beginning) => Moment::default().after(beginning.elapsed()),
            // ORDERING: Relaxed, as a time guards no data.
            Self::Manual(clock) => Moment(clock.0.now.load(Ordering::Relaxed)),
        }
    }

    /// How long until the system's clock reaches that moment; `None` for a manual clock, or if it never
    /// comes.
    pub(crate) fn until(&self, moment: Moment) -> Option<Duration> {
        match self {
            Self::System(_) if moment != Moment::NEVER => Some(moment.since(self.now())),
            Self::System(_) | Self::Manual(_) => None,
        }
    }

    pub(crate) fn is_system(&self) -> bool {
        matches!(self, Self::System(_))
    }

    /// Registers a queue to be notified when the clock is moved by hand.
    pub(crate) fn attach(&self, queue: Weak<dyn Tick>) {
        if let Self::Manual(clock) = self {
            clock.0.queues.lock().unwrap_or_else(PoisonError::into_inner).push(queue);
        }
    }
}
