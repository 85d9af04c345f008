//! Keys that wait for their time, ordered by it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::backoff::{Bucket, Rate};
use super::clock::Moment;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};

pub(super) struct Delays {
    schedule: Mutex<Schedule>,
    /// The earliest moment in the schedule; never if it is empty. Written under the lock.
    next: AtomicU64,
    /// Keys on their way: in the schedule, or taken out of it and not yet in line.
    pending: AtomicUsize,
}

#[derive(Default)]
struct Schedule {
    /// Hash by moment and number; the number is unique and is in the key's entry too.
    keys: BTreeMap<(Moment, u64), u64>,
    bucket: Bucket,
}

impl Delays {
    pub(super) fn new() -> Self {
        Self {
            schedule: Mutex::default(),
            next: AtomicU64::new(Moment::NEVER.0),
            pending: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, schedule: &Schedule) {
        let next = schedule.keys.first_key_value().map_or(Moment::NEVER, |((due, _), _)| *due);
        // ORDERING: relaxed, no partner: who acts on it takes the lock.
        self.next.store(next.0, Ordering::Relaxed);
    }

    /// Whether this is now the earliest moment, so that whoever sleeps until the earliest has to know.
    pub(super) fn insert(&self, due: Moment, number: u64, hash: u64) -> bool {
        let mut schedule = self.lock();
        schedule.keys.insert((due, number), hash);
        // ORDERING: sequentially consistent, with the load in `is_empty`, like all writes of `pending`.
        self.pending.fetch_add(1, Ordering::SeqCst);
        let earliest = schedule.keys.first_key_value().is_some_and(|(first, _)| first.1 == number);
        self.publish(&schedule);
        earliest
    }

    /// Takes a key out before its time. If it has just been taken out as due, whoever did that will
    /// find the key's entry changed.
    pub(super) fn remove(&self, due: Moment, number: u64) {
        let mut schedule = self.lock();
        if schedule.keys.remove(&(due, number)).is_some() {
            self.publish(&schedule);
            drop(schedule);
            self.arrived(1);
        }
    }

    /// Takes out what is due: hash and number of each, earliest first. They are pending until
    /// [`Delays::arrived`].
    pub(super) fn take_due(&self, now: Moment) -> Vec<(u64, u64)> {
        let mut schedule = self.lock();
        let later = schedule.keys.split_off(&(Moment(now.0.saturating_add(1)), 0));
        let due = std::mem::replace(&mut schedule.keys, later);
        self.publish(&schedule);
        due.into_iter().map(|((_, number), hash)| (hash, number)).collect()
    }

    /// To be called when keys that were taken out are in line, or gone.
    pub(super) fn arrived(&self, keys: usize) {
        // ORDERING: sequentially consistent, with the load in `is_empty`: who finds nothing pending,
        // and looks at the line after that, finds what arrived in line.
        self.pending.fetch_sub(keys, Ordering::SeqCst);
    }

    /// Whether nothing is on its way. To be asked before the look at the line.
    pub(super) fn is_empty(&self) -> bool {
        // ORDERING: sequentially consistent, with the writes of `pending`.
        self.pending.load(Ordering::SeqCst) == 0
    }

    /// The earliest moment at which something is due.
    pub(super) fn next(&self) -> Moment {
        // ORDERING: relaxed, no partner: who acts on it takes the lock.
        Moment(self.next.load(Ordering::Relaxed))
    }

    /// How long the overall rate makes one more retry wait.
    pub(super) fn throttle(&self, rate: Rate, now: Moment) -> Duration {
        self.lock().bucket.take(rate, now)
    }
}
