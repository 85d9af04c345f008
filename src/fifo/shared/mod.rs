//! The state that all handles and leases of one queue share.
//!
//! A call locks the shards it needs, decides, unlocks, and has `finish` carry out the effects: `settle`, then `tell`.
//! Every way to lock for a change (`section`, `with_shards`, `with_all`) ends in both, so no path can forget one. Two
//! settle more than one thing before they tell of it: a batch of what is handed out, and `close_now`.
//!
//! Locks are taken in this order, and each is left out where it is not needed: shards in the order of
//! their numbers, then the schedule of delays. The locks of a sweep and of a lane's front (see `queue`),
//! in this order, are taken with no shard held, and shards are taken under them. The list of waiters is
//! taken with nothing held.

mod capacity;
mod close;
mod deletions;
mod dequeue;
mod due;
mod enqueue;
mod finish;
mod initial_sync;
mod phase;
mod query;
mod section;
#[cfg(test)]
mod tests;

use std::sync::Weak;

use super::Observer;
use super::limiter::Limiter;
use super::state::clock::{Clock, Moment};
use super::state::delays::Delays;
use super::state::effects::Effects;
use super::state::entry::Lines;
use super::state::keys::{Keys, SHARD_COUNT};
use super::state::queue::Queue;
use super::state::shard::Shard;
use crate::Object;
use crate::panic::{contain, drop_all};
use crate::sync::atomic::AtomicU64;
use crate::sync::{Arc, OnceLock};
use crate::timer::Timer;
use crate::waiters::Waiters;

use capacity::Capacity;
use initial_sync::InitialSync;
use phase::Phase;
use section::Section;

pub(super) struct Settings {
    pub(super) clock: Clock,
    /// A failed key stays away for the longest delay that any of them returns.
    pub(super) limiters: Vec<Box<dyn Limiter>>,
    /// Whether listed objects rank below changes.
    pub(super) prioritized: bool,
    /// Whether to read the clock for each add and each dequeue.
    pub(super) timed: bool,
    pub(super) capacity: Option<usize>,
    /// Whether a delete is handed out, with the object's last state.
    pub(super) deletions: bool,
    /// Whether the queue stays open when its source has ended.
    pub(super) outlives_source: bool,
    pub(super) observer: Option<Box<dyn Observer>>,
}

pub(super) struct Shared<T> {
    keys: Keys<T>,
    queue: Queue,
    delays: Delays,
    pub(super) waiters: Arc<Waiters>,
    /// Those who wait for the queue to be drained.
    drainers: Arc<Waiters>,
    phase: Phase,
    initial_sync: InitialSync,
    capacity: Capacity,
    refused: AtomicU64,
    source_error: OnceLock<Box<str>>,
    settings: Settings,
    timer: Timer,
}

/// The last handle drops what still waits, and what the user gave the queue. A handle's drop should not
/// panic, and a second panic would end the process: each is contained.
impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let values = self.keys.take_values();
        contain(|| drop_all(values));
        let Settings { limiters, observer, .. } = &mut self.settings;
        limiters.drain(..).for_each(|limiter| _ = contain(|| drop(limiter)));
        contain(|| drop(observer.take()));
    }
}

impl<T: Object> Shared<T> {
    pub(super) fn new(settings: Settings) -> Arc<Self> {
        let shared = Arc::new_cyclic(|weak: &Weak<Self>| Self {
            keys: Keys::new(settings.deletions),
            queue: Queue::new(settings.prioritized),
            delays: Delays::new(),
            waiters: Arc::new(Waiters::new()),
            drainers: Arc::new(Waiters::new()),
            phase: Phase::new(),
            initial_sync: InitialSync::new(),
            capacity: Capacity::new(settings.capacity),
            refused: AtomicU64::new(0),
            source_error: OnceLock::new(),
            settings,
            timer: Timer::new(Weak::<Self>::clone(weak)),
        });
        let weak: Weak<Self> = Arc::downgrade(&shared);
        shared.settings.clock.attach(weak);
        shared
    }

    #[inline]
    fn lines(&self) -> Lines<'_> {
        Lines { queue: &self.queue, delays: &self.delays }
    }

    #[inline]
    fn now_if_timed(&self) -> Moment {
        if self.settings.timed { self.settings.clock.now() } else { Moment::default() }
    }

    /// Begins a section under the lock of a hash's shard.
    #[inline(always)]
    fn section(&self, hash: u64) -> Section<'_, T> {
        Section::new(self, self.keys.lock(self.keys.shard_of(hash)))
    }

    /// Runs a section under the locks of the shards that are `needed`, and then carries out its effects:
    /// no other call sees half of the section.
    fn with_shards<R>(
        &self,
        needed: [bool; SHARD_COUNT],
        section: impl FnOnce(&mut [Option<Shard<'_, T>>; SHARD_COUNT], &mut Effects<T>) -> R,
    ) -> R {
        let mut effects = Effects::none();
        let mut shards: [Option<Shard<'_, T>>; SHARD_COUNT] =
            std::array::from_fn(|shard| needed[shard].then(|| self.keys.lock(shard)));
        let result = section(&mut shards, &mut effects);
        let depths = shards.iter().flatten().map(|shard| shard.tally().depth());
        let depth = if effects.stale > 0 { depths.min().unwrap_or(0) } else { 0 };
        self.count_entries(&mut effects);
        drop(shards);
        self.settle(&mut effects, depth);
        self.tell(&mut effects);
        result
    }

    /// As `with_shards`, for all of them.
    fn with_all<R>(&self, section: impl FnOnce(&mut Vec<Shard<'_, T>>, &mut Effects<T>) -> R) -> R {
        let (result, mut effects) = self.settle_all(section);
        self.tell(&mut effects);
        result
    }

    /// As `with_all`, but leaves it to the caller to tell others.
    fn settle_all<R>(
        &self,
        section: impl FnOnce(&mut Vec<Shard<'_, T>>, &mut Effects<T>) -> R,
    ) -> (R, Effects<T>) {
        let mut effects = Effects::none();
        let mut shards = self.keys.lock_all();
        let result = section(&mut shards, &mut effects);
        let depths = shards.iter().map(|shard| shard.tally().depth());
        let depth = if effects.stale > 0 { depths.min().unwrap_or(0) } else { 0 };
        self.count_entries(&mut effects);
        drop(shards);
        self.settle(&mut effects, depth);
        (result, effects)
    }

    /// Counts entries that were made, before any of them can be removed and counted as such: the count is
    /// never below the real number, so it does not fall below zero. Removals are counted by `settle`.
    fn count_entries(&self, effects: &mut Effects<T>) {
        if effects.entries > 0 {
            self.capacity.adjust(std::mem::take(&mut effects.entries));
        }
    }
}
