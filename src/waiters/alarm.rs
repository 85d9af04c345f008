//! Waking tasks at a given time, without a runtime: one thread of the process sleeps for all of them. It is
//! started when a task needs it, and ends when none has needed it for a while.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::panic::contain;
use crate::sync::{Mutex, MutexGuard, PoisonError, global};

/// How long the thread waits for work before it ends.
const IDLE: Duration = Duration::from_secs(10);

struct Alarms {
    due: BTreeMap<(Instant, u64), Waker>,
    next_id: u64,
    thread: Option<Thread>,
}

global! {
    static ALARMS: Mutex<Alarms> =
        Mutex::new(Alarms { due: BTreeMap::new(), next_id: 0, thread: None });
}

fn alarms() -> MutexGuard<'static, Alarms> {
    ALARMS.lock().unwrap_or_else(PoisonError::into_inner)
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
        if alarms.thread.is_none() {
            let thread = thread::Builder::new().name("watchcache-alarm".into()).spawn(serve);
            alarms.thread = thread.ok().map(|thread| thread.thread().clone());
        } else if is_first && let Some(thread) = &alarms.thread {
            thread.unpark();
        }
        if alarms.thread.is_none() {
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

fn serve() {
    let mut idle_since = Instant::now();
    loop {
        let now = Instant::now();
        let mut alarms = alarms();
        let first = alarms.due.first_key_value().map(|((at, _), _)| *at);
        match first {
            Some(at) if at <= now => {
                let due = alarms.due.pop_first();
                drop(alarms);
                if let Some((_, waker)) = due {
                    contain(|| waker.wake());
                }
                idle_since = now;
            }
            Some(at) => {
                drop(alarms);
                idle_since = now;
                thread::park_timeout(at - now);
            }
            None if now.saturating_duration_since(idle_since) >= IDLE => {
                alarms.thread = None;
                return;
            }
            None => {
                drop(alarms);
                thread::park_timeout(IDLE);
            }
        }
    }
}
