//! Waking all sleepers, for *news* that concerns each of them: there is a new revision, or one was
//! reached.
//!
//! The thread that brings the news marks all sleepers that it concerns, and wakes the oldest thread of them. Before
//! that does anything else, it wakes up to two more threads, and so do those. So the first thread pays for one
//! sleeping thread, however many there are.
//!
//! Tasks do not wake others: one that was woken may never be polled again, and the rest would sleep on. Nor does a
//! thread that was woken wake tasks, as their wakers are user code, which may block. So they are left to whoever
//! brings the news, once it has told all threads ([`TasksToWake`]). Of frequent news, where many are marked, they are
//! left to the [waking thread](super::alarm), which depends on no task: whoever has the news pays for waking one
//! thread, not for hundreds of tasks. Nor do those that it would have woken first take its core while it has the rest
//! to wake. News that comes once to each is not left to it: that would take a switch of threads longer, and no
//! sleeper is paid for more than once.
//!
//! Marked sleepers have left the list for later news, and later sleepers are not marked: so two sleepers
//! cannot keep waking each other for the same news.

use std::collections::BTreeMap;
use std::task::{Context, Poll};
use std::time::Instant;

use super::{Line, List, Wait, Waiters, alarm};
use crate::panic::contain;
use crate::sync::{Arc, Parker};

/// How many threads a woken thread wakes.
const BRANCHES: usize = 2;

/// How many tasks whoever brings frequent news wakes by itself.
const TASKS: usize = 8;

/// How many the waking thread wakes before it looks at what else it has to do.
const PART: usize = 64;

impl<S> Line<S> {
    /// Marks all sleepers, or those that wait for at most this rank.
    fn mark(&mut self, rank: u64) {
        let later = match rank.checked_add(1) {
            Some(next) => self.listeners.split_off(&(next, 0)),
            None => BTreeMap::new(),
        };
        let due = std::mem::replace(&mut self.listeners, later);
        if !due.is_empty() {
            self.due.push_back(due);
        }
    }

    /// Takes a marked sleeper, the oldest.
    fn take_due(&mut self) -> Option<S> {
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

    fn due_len(&self) -> usize {
        self.due.iter().map(BTreeMap::len).sum()
    }
}

/// The tasks among those that have news, of which each is woken when this is dropped. Whoever has more to tell does
/// so first: a waker may block.
#[must_use = "it wakes tasks when it is dropped, so it is kept until all threads are told"]
#[derive(Default)]
pub(crate) struct TasksToWake<'a>(Option<&'a Arc<Waiters>>);

impl Drop for TasksToWake<'_> {
    fn drop(&mut self) {
        if let Some(waiters) = self.0 {
            waiters.wake_tasks();
        }
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

    /// Wakes all sleepers, or those that wait for at most this rank; the tasks among them when the result is
    /// dropped. Call after the news is published.
    pub(crate) fn tell(self: &Arc<Self>, rank: u64) -> TasksToWake<'_> {
        if !self.any_asleep() {
            return TasksToWake(None);
        }
        let mut list = self.list();
        list.threads.mark(rank);
        list.tasks.mark(rank);
        let has_tasks = !list.tasks.due.is_empty();
        drop(list);
        self.wake_due(1);
        TasksToWake(has_tasks.then_some(self))
    }

    /// Called by a thread that was woken.
    pub(super) fn pass_on(&self) {
        self.wake_due(BRANCHES);
    }

    /// Wakes up to so many of the threads that are marked.
    fn wake_due(&self, threads: usize) {
        for _ in 0..threads {
            let Some(thread) = self.take_due(|list| &mut list.threads) else { return };
            thread.unpark();
        }
    }

    /// Wakes the tasks that are marked; of frequent news, where they are many, the waking thread does, if the
    /// system has one to give.
    fn wake_tasks(self: &Arc<Self>) {
        let mut may_hand_over = true;
        // Asked again before each, since others may be marked meanwhile; a system that has no thread to give is
        // asked once.
        loop {
            if may_hand_over && self.has_many_tasks() {
                if self.hand_over() {
                    return;
                }
                may_hand_over = false;
            }
            if !self.wake_task() {
                return;
            }
        }
    }

    fn has_many_tasks(&self) -> bool {
        self.hands_over && self.list().tasks.due_len() > TASKS
    }

    /// Leaves the tasks to the waking thread, unless the system has none to give. What it has already, it looks
    /// through until it finds nothing more: so it is given each list once, however often there is news meanwhile.
    fn hand_over(self: &Arc<Self>) -> bool {
        if std::mem::replace(&mut self.list().handed_over, true) {
            return true;
        }
        let has_thread = alarm::hand_over(self);
        if !has_thread {
            self.list().handed_over = false;
        }
        has_thread
    }

    /// Called by the waking thread: wakes some of the tasks that are marked. Returns whether any may be left.
    pub(super) fn wake_part(&self) -> bool {
        for _ in 0..PART {
            let mut list = self.list();
            let Some(waker) = list.tasks.take_due() else {
                list.handed_over = false;
                return false;
            };
            self.one_less();
            drop(list);
            contain(|| waker.wake());
        }
        true
    }

    /// Returns whether there was one.
    fn wake_task(&self) -> bool {
        let task = self.take_due(|list| &mut list.tasks);
        task.map(|waker| contain(|| waker.wake())).is_some()
    }

    fn take_due<S>(&self, line: impl FnOnce(&mut List) -> &mut Line<S>) -> Option<S> {
        let mut list = self.list();
        let sleeper = line(&mut list).take_due()?;
        self.one_less();
        Some(sleeper)
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
        let mut listener = self.listen(rank, parker.clone());
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
        let listener = waiters.listen(rank, context.waker().clone());
        if ready() {
            return Poll::Ready(());
        }
        self.listener = Some(listener);
        Poll::Pending
    }
}
