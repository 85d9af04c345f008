//! What all handles and leases of one queue share: the stripes of keys, their order, and who waits.
//!
//! Locks are taken in this order, and each is left out where it is not needed: stripes in the order
//! of their indexes, then the schedule of delays. The lock of `ahead` (see `line`) is taken with no
//! stripe held, and stripes are taken under it.

mod close;
mod counts;
mod feed;
mod hand_out;
mod look;
mod time;

pub(in crate::fifo) use hand_out::{Ending, Handed};

use std::hash::{BuildHasher, Hasher};
use std::sync::Weak;

use crate::fifo::Observer;
use crate::fifo::backoff::{Backoff, Rate};
use crate::fifo::clock::{Clock, Moment};
use crate::fifo::delays::Delays;
use crate::fifo::line::Line;
use crate::fifo::stripe::{Order, Stripe};
use crate::fifo::timer::Timer;
use crate::fifo::wait::Waiters;
use crate::sync::atomic::{AtomicU64, AtomicUsize};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use crate::{KeyRef, Object};

/// Enough that two threads seldom meet, few enough that taking all of them is cheap.
const STRIPES: usize = 16;

const OPEN: usize = 0;
/// Adds are refused, but one that was let in before may still be on its way.
const CLOSING: usize = 1;
const CLOSED: usize = 2;

/// Nothing was ever put, deleted or replaced.
const UNTOUCHED: usize = 0;
/// Keys of the first replace are still to be dealt with.
const SYNCING: usize = 1;
const SYNCED: usize = 2;

pub(in crate::fifo) struct Settings {
    pub(in crate::fifo) clock: Clock,
    pub(in crate::fifo) backoff: Option<Backoff>,
    pub(in crate::fifo) rate: Option<Rate>,
    /// Whether the list comes below changes.
    pub(in crate::fifo) levels: bool,
    /// Whether to look at the clock for each add and each take.
    pub(in crate::fifo) timed: bool,
    pub(in crate::fifo) capacity: Option<usize>,
    pub(in crate::fifo) observer: Option<Box<dyn Observer>>,
}

/// A lock on a cache line of its own.
#[repr(align(128))]
struct Padded<T>(Mutex<T>);

pub(in crate::fifo) struct Core<T> {
    stripes: Box<[Padded<Stripe<T>>]>,
    hasher: foldhash::fast::FixedState,
    order: Order,
    pub(in crate::fifo) waiters: Arc<Waiters>,
    /// Whoever waits for the queue to be drained.
    draining: Arc<Waiters>,
    phase: AtomicUsize,
    synced: AtomicUsize,
    /// Keys of the first replace that are still to be dealt with.
    unsynced: AtomicUsize,
    refused: AtomicU64,
    /// Keys that have an entry; counted only if there is a capacity.
    held: AtomicUsize,
    settings: Settings,
    timer: Timer,
}

type Locked<'a, T> = MutexGuard<'a, Stripe<T>>;

impl<T: Object> Core<T> {
    pub(in crate::fifo) fn new(settings: Settings) -> Arc<Self> {
        let seed = foldhash::fast::RandomState::default().hash_one(0_u8);
        let core = Arc::new(Self {
            stripes: (0..STRIPES).map(|_| Padded(Mutex::new(Stripe::new()))).collect(),
            hasher: foldhash::fast::FixedState::with_seed(seed),
            order: Order { line: Line::new(settings.levels), delays: Delays::new() },
            waiters: Arc::new(Waiters::new()),
            draining: Arc::new(Waiters::new()),
            phase: AtomicUsize::new(OPEN),
            synced: AtomicUsize::new(UNTOUCHED),
            unsynced: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            settings,
            timer: Timer::new(),
        });
        let weak = Arc::downgrade(&core);
        core.settings.clock.attach(weak);
        core
    }

    /// Two keys that differ only in where the namespace ends hash alike, which is harmless.
    #[inline]
    fn hash(&self, key: KeyRef<'_>) -> u64 {
        let (namespace, name) = key.parts();
        let mut hasher = self.hasher.build_hasher();
        hasher.write(namespace.as_bytes());
        hasher.write(name.as_bytes());
        hasher.finish()
    }

    fn index(&self, hash: u64) -> usize {
        // The table takes its places from the low bits and its tags from the top seven.
        (hash >> 48) as usize % STRIPES
    }

    fn at(&self, index: usize) -> Locked<'_, T> {
        // No user code runs under a stripe's lock, so a panic elsewhere cannot have left it half-changed.
        self.stripes[index].0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stripe(&self, hash: u64) -> Locked<'_, T> {
        self.at(self.index(hash))
    }

    fn all(&self) -> Vec<Locked<'_, T>> {
        (0..self.stripes.len()).map(|index| self.at(index)).collect()
    }

    fn now_if_timed(&self) -> Moment {
        if self.settings.timed { self.settings.clock.now() } else { Moment::default() }
    }

    fn observe(&self, event: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.settings.observer {
            event(&**observer);
        }
    }
}

/// The thread that serves the delays has only this.
pub(in crate::fifo) type WeakCore<T> = Weak<Core<T>>;
