//! Keys that wait for their time, ordered by it.

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

/// A key whose time has come.
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

    fn publish(&self, schedule: &BTreeMap<(Moment, u64), u64>) {
        let next = schedule.first_key_value().map_or(Moment::NEVER, |((due, _), _)| *due);
        // ORDERING: Relaxed, as whoever acts on it takes the lock.
        self.next.store(next.0, Ordering::Relaxed);
    }

    /// Whether this is now the earliest moment, so that whoever sleeps until the earliest has to know.
    pub(crate) fn insert(&self, due: Moment, id: u64, hash: u64) -> bool {
        let mut schedule = self.lock();
        schedule.insert((due, id), hash);
        // ORDERING: SeqCst, as all accesses of `pending`: see `is_empty`.
        self.pending.fetch_add(1, Ordering::SeqCst);
        let earliest = schedule.first_key_value().is_some_and(|((_, first), _)| *first == id);
        self.publish(&schedule);
        earliest
    }

    /// Takes a key out before its time. If it has just been taken out as due, whoever did that will
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

    /// Call when keys that were taken out are queued, or gone.
    pub(crate) fn queued(&self, keys: usize) {
        // ORDERING: SeqCst, as all accesses of `pending`: see `is_empty`.
        self.pending.fetch_sub(keys, Ordering::SeqCst);
    }

    /// Whether no key waits for its time, or is on its way from here to the queue. Ask before looking at
    /// the queue.
    pub(crate) fn is_empty(&self) -> bool {
        // ORDERING: SeqCst pairs with `queued`: whoever sees the last key leave, and looks at the queue
        // after that, finds it there.
        self.pending.load(Ordering::SeqCst) == 0
    }

    /// The earliest moment at which something is due.
    pub(crate) fn next(&self) -> Moment {
        // ORDERING: Relaxed, as whoever acts on it takes the lock.
        Moment(self.next.load(Ordering::Relaxed))
    }
}
