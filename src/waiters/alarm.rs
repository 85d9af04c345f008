//! The waking thread: one of the process, which wakes tasks at a given time, without a runtime, and those that
//! were marked for waking and are too many for the thread that marked them. It is started when it is
//! needed, and ends when nobody has needed it for a while.
//!
//! It ends under the lock, and only if nothing is left to do; so whatever is added under the lock is done by
//! the thread that is known there, or by one that is started.

use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::Waiters;
use crate::panic::contain;
use crate::sync::{Arc, Mutex, MutexGuard, Parker, PoisonError, global, spawn};

/// How long the thread waits for work before it ends.
const IDLE: Duration = Duration::from_secs(10);

struct Alarms {
    due: BTreeMap<(Instant, u64), Waker>,
    next_id: u64,
    /// Lists with marked sleepers.
    handed: VecDeque<Arc<Waiters>>,
    thread: Option<Parker>,
}

impl Alarms {
    /// Sees that the thread has a look. Returns false if there is none, and the system has none to give.
    fn rouse(&mut self) -> bool {
        match &self.thread {
            Some(thread) => thread.unpark(),
            None => self.thread = spawn("watchcache-alarm", serve),
        }
        self.thread.is_some()
    }
}

global! {
    static ALARMS: Mutex<Alarms> = Mutex::new(Alarms {
        due: BTreeMap::new(),
        next_id: 0,
        handed: VecDeque::new(),
        thread: None,
    });
}

fn alarms() -> MutexGuard<'static, Alarms> {
    ALARMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves the marked sleepers of a list to the waking thread. Returns false if the system has none to give.
pub(super) fn hand_over(waiters: &Arc<Waiters>) -> bool {
    let mut alarms = alarms();
    if !alarms.rouse() {
        return false;
    }
    alarms.handed.push_back(Arc::clone(waiters));
    true
}

/// One task's alarm. Dropping it cancels it.
pub(crate) struct Alarm(Option<(Instant, u64)>);

impl Alarm {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// Ready at that time. If the system refuses a thread, the task is woken at once, to check again.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, at: Instant) -> Poll<()> {
        if at <= Instant::now() {
            self.take_back();
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        self.take_back();
        let mut alarms = alarms();
        let place = (at, alarms.next_id);
        alarms.next_id += 1;
        alarms.due.insert(place, waker);
        self.0 = Some(place);
        let is_first = alarms.due.keys().next() == Some(&place);
        let is_waiting = alarms.thread.is_some() && !is_first;
        if !is_waiting && !alarms.rouse() {
            drop(alarms);
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn take_back(&mut self) {
        let Some(place) = self.0.take() else { return };
        let waker = alarms().due.remove(&place);
        // Destructors of wakers are user code.
        contain(|| drop(waker));
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.take_back();
    }
}

fn serve(parker: Parker) {
    let mut idle_since = Instant::now();
    loop {
        let now = Instant::now();
        let mut alarms = alarms();
        let first = alarms.due.first_key_value().map(|((at, _), _)| *at);
        if first.is_some_and(|at| at <= now) {
            let due = alarms.due.pop_first();
            drop(alarms);
            if let Some((_, waker)) = due {
                contain(|| waker.wake());
            }
            idle_since = now;
            continue;
        }
        if let Some(waiters) = alarms.handed.pop_front() {
            drop(alarms);
            // A part at a time, so that neither alarms nor other lists wait for a long one.
            if waiters.wake_part() {
                self::alarms().handed.push_back(waiters);
            }
            idle_since = now;
            continue;
        }
        let wait = match first {
            Some(at) => {
                idle_since = now;
                at - now
            }
            None if now.saturating_duration_since(idle_since) >= IDLE => {
                alarms.thread = None;
                return;
            }
            None => IDLE,
        };
        drop(alarms);
        parker.park_timeout(wait);
    }
}
