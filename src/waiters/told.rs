//! Waking all sleepers, for *news* that concerns each of them: there is a new revision, or one was
//! reached.
//!
//! The thread that brings the news marks all sleepers that it concerns, and wakes the oldest of them up
//! to the first thread. Before that thread does anything else, it wakes up to two more threads, and so do
//! those. So the first thread pays for one sleeping thread, however many there are.
//!
//! Tasks do not wake others: one that was woken may never be polled again, and the rest would sleep on. Of
//! frequent news, where many are marked, they are left to the [waking thread](super::alarm), which depends on no
//! task: whoever has the news pays for waking one thread, not for hundreds of tasks. Nor do those that it would
//! have woken first take its core while it has the rest to wake. News that comes once to each is not left to it:
//! that would take a switch of threads longer, and no sleeper is paid for more than once.
//!
//! Marked sleepers have left the list for later news, and later sleepers are not marked: so two sleepers
//! cannot keep waking each other for the same news.

use std::collections::BTreeMap;
use std::task::{Context, Poll};
use std::time::Instant;

use super::{List, Sleeper, Wait, Waiters, alarm};
use crate::sync::{Arc, Parker};

/// How many threads a woken thread wakes.
const BRANCHES: usize = 2;

/// How many sleepers a thread deals with by itself, if the next of them is a task.
const TASKS: usize = 8;

/// How many the waking thread wakes before it looks at what else it has to do.
const PART: usize = 64;

impl List {
    /// Takes a marked sleeper, the oldest.
    fn take_due(&mut self) -> Option<Sleeper> {
        loop {
            let first = self.due.front_mut()?;
            let sleeper = first.pop_first();
            if first.is_empty() {
                self.due.pop_front();
            }
            if let Some((_, sleeper)) = sleeper {
                return Some(sleeper);
            }
        }
    }

    fn has_many_tasks_due(&self) -> bool {
        let first = self.due.iter().find_map(|part| part.values().next());
        first.is_some_and(|first| !first.is_thread())
            && self.due.iter().map(BTreeMap::len).sum::<usize>() > TASKS
    }
}

impl Waiters {
    /// A list of sleepers that wait for news that comes once to each of them: it wakes them as soon as can be.
    pub(crate) fn for_news() -> Self {
        Self::of(true, false)
    }

    /// Likewise, for news that comes again and again: whoever has it is not to pay for many tasks.
    pub(crate) fn for_frequent_news() -> Self {
        Self::of(true, true)
    }

    /// Wakes all sleepers, or those that wait for at most this rank. Call after the news is published.
    pub(crate) fn tell(self: &Arc<Self>, rank: u64) {
        if !self.any_asleep() {
            return;
        }
        let mut list = self.list();
        let later = match rank.checked_add(1) {
            Some(next) => list.listeners.split_off(&(next, 0)),
            None => Default::default(),
        };
        let due = std::mem::replace(&mut list.listeners, later);
        if due.is_empty() {
            return;
        }
        list.due.push_back(due);
        drop(list);
        self.wake_due(1);
    }

    /// Called by a thread that was woken.
    pub(super) fn pass_on(self: &Arc<Self>) {
        self.wake_due(BRANCHES);
    }

    /// Wakes marked sleepers, up to so many threads and whatever tasks come before; of frequent news, where many
    /// are left and a task is next, the waking thread does, if the system has one to give.
    fn wake_due(self: &Arc<Self>, mut threads: usize) {
        let mut may_hand_over = self.hands_over;
        while threads > 0 {
            let mut list = self.list();
            if may_hand_over && list.has_many_tasks_due() {
                drop(list);
                if alarm::hand_over(self) {
                    return;
                }
                may_hand_over = false;
                continue;
            }
            let Some(sleeper) = list.take_due() else { return };
            self.one_less();
            drop(list);
            threads -= usize::from(sleeper.is_thread());
            sleeper.wake();
        }
    }

    /// Called by the waking thread: wakes some marked sleepers, up to the first thread, which goes on. Returns
    /// whether any may be left otherwise.
    pub(super) fn wake_part(&self) -> bool {
        for _ in 0..PART {
            let mut list = self.list();
            let Some(sleeper) = list.take_due() else { return false };
            self.one_less();
            drop(list);
            let is_thread = sleeper.is_thread();
            sleeper.wake();
            if is_thread {
                return false;
            }
        }
        true
    }

    /// Blocks until there is news of this rank, or `ready`, which is not user code, returns true. Returns
    /// false once the deadline has passed without either.
    pub(crate) fn wait_for_news(
        self: &Arc<Self>,
        rank: u64,
        deadline: Option<Instant>,
        ready: impl Fn() -> bool,
    ) -> bool {
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= Instant::now());
        if ready() {
            return true;
        }
        if is_over(deadline) {
            return false;
        }
        if self.spin(&ready) {
            return true;
        }
        let parker = Parker::current();
        let mut listener = self.listen(rank, Sleeper::Thread(parker.clone()));
        if ready() {
            return true;
        }
        while !listener.is_notified() {
            match deadline {
                None => parker.park(),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        // Any notification so far leaves it to this thread to wake others.
                        drop(listener);
                        return ready();
                    }
                    parker.park_timeout(left);
                }
            }
        }
        self.pass_on();
        true
    }
}

impl Wait {
    /// Ready when there is news of this rank, or `ready`, which is not user code, returns true.
    pub(crate) fn poll_news(
        &mut self,
        context: &mut Context<'_>,
        waiters: &Arc<Waiters>,
        rank: u64,
        ready: impl Fn() -> bool,
    ) -> Poll<()> {
        if let Some(listener) = &mut self.listener {
            if !listener.poll(context.waker()) {
                return Poll::Pending;
            }
            self.listener = None;
            return Poll::Ready(());
        }
        if ready() {
            return Poll::Ready(());
        }
        let listener = waiters.listen(rank, Sleeper::Task(context.waker().clone()));
        if ready() {
            return Poll::Ready(());
        }
        self.listener = Some(listener);
        Poll::Pending
    }
}
