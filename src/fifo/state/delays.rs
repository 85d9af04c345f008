//! Delayed keys, ordered by when they are due.

use std::collections::BTreeMap;

use super::clock::Moment;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) struct Delays {
    /// Hash by moment and id; the id is unique and is in the key's entry too.
    schedule: Mutex<BTreeMap<(Moment, u64), u64>>,
    /// The earliest moment in the schedule; never if it is empty. Written under the lock.
    next: AtomicU64,
    /// Keys in the schedule, or taken out of it and not yet queued.
    pending: AtomicUsize,
}

/// A key that is due.
pub(crate) struct Due {
    pub(crate) hash: u64,
    pub(crate) id: u64,
}

impl Delays {
    pub(crate) fn new() -> Self {
        Self {
            schedule: Mutex::default(),
            next: AtomicU64::new(Moment::NEVER.0),
            pending: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Moment, u64), u64>> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Call after each change. Returns the id of the earliest entry, if any.
    fn publish(&self, schedule: &BTreeMap<(Moment, u64), u64>) -> Option<u64> {
        let first = schedule.first_key_value().map(|(first, _)| *first);
        let next = first.map_or(Moment::NEVER, |(due, _)| due);
        // ORDERING: Relaxed: a caller that acts on it takes the lock.
        self.next.store(next.0, Ordering::Relaxed);
        first.map(|(_, id)| id)
    }

    /// Returns whether this is now the earliest moment, so that the sleeper that waits for the earliest
    /// has to be woken.
    pub(crate) fn insert(&self, due: Moment, id: u64, hash: u64) -> bool {
        let mut schedule = self.lock();
        schedule.insert((due, id), hash);
        // ORDERING: Relaxed, as the shard's lock orders it before a close that comes after.
        self.pending.fetch_add(1, Ordering::Relaxed);
        self.publish(&schedule) == Some(id)
    }

    /// Brings a key's moment forward. Returns whether it is now the earliest, or `None` if the key has
    /// just been taken out as due: then it is on its way to the queue, which is sooner still. The key
    /// stays pending throughout, and is counted once.
    pub(crate) fn reschedule(&self, old: Moment, new: Moment, id: u64) -> Option<bool> {
        let mut schedule = self.lock();
        let hash = schedule.remove(&(old, id))?;
        schedule.insert((new, id), hash);
        Some(self.publish(&schedule) == Some(id))
    }

    /// Takes a key out before its time. If it has just been taken out as due, the thread that did so will
    /// find the key's entry changed.
    pub(crate) fn remove(&self, due: Moment, id: u64) {
        let mut schedule = self.lock();
        if schedule.remove(&(due, id)).is_some() {
            self.publish(&schedule);
            drop(schedule);
            self.queued(1);
        }
    }

    /// Takes out what is due, earliest first. It is pending until [`Delays::queued`].
    pub(crate) fn take_due(&self, now: Moment) -> Vec<Due> {
        let mut schedule = self.lock();
        let later = schedule.split_off(&(Moment(now.0.saturating_add(1)), 0));
        let due = std::mem::replace(&mut *schedule, later);
        self.publish(&schedule);
        drop(schedule);
        due.into_iter().map(|((_, id), hash)| Due { hash, id }).collect()
    }

    /// Call when keys that were taken out are queued, or were removed.
    pub(crate) fn queued(&self, keys: usize) {
        // ORDERING: Release pairs with the Acquire in `is_empty`. The fence in `notify_closed` ensures that
        // of a section and a concurrent close at least one sees the other's store.
        self.pending.fetch_sub(keys, Ordering::Release);
    }

    /// Returns whether no key is delayed, or on its way from here to the queue. Ask before reading the
    /// queue.
    pub(crate) fn is_empty(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `queued`: a thread that sees the last key leave,
        // and reads the queue after that, finds it there.
        self.pending.load(Ordering::Acquire) == 0
    }

    /// The earliest moment at which something is due.
    pub(crate) fn next(&self) -> Moment {
        // ORDERING: Relaxed: a caller that acts on it takes the lock.
        Moment(self.next.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_on_its_way_is_not_scheduled_again() {
        let delays = Delays::new();
        assert!(delays.insert(Moment(9), 1, 0));
        assert!(!delays.insert(Moment(9), 2, 0));
        assert_eq!(delays.reschedule(Moment(9), Moment(8), 1), Some(true));
        assert_eq!(delays.reschedule(Moment(9), Moment(8), 2), Some(false));
        assert_eq!(delays.next(), Moment(8));
        assert_eq!(delays.take_due(Moment::NEVER).len(), 2);
        assert_eq!(delays.reschedule(Moment(8), Moment(7), 1), None);
        assert_eq!(delays.next(), Moment::NEVER);
        assert!(!delays.is_empty());
        delays.queued(2);
        assert!(delays.is_empty());
    }
}
