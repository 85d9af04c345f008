//! The objects to reconcile, now or later, each once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::Work;

#[derive(Debug, Default)]
pub(super) struct Queue {
    now: VecDeque<Work>,
    /// The content of `now`.
    queued: HashSet<Work>,
    later: BinaryHeap<Reverse<(Instant, u64)>>,
    delayed: std::collections::HashMap<u64, Work>,
    next: u64,
}

impl Queue {
    pub(super) fn push(&mut self, work: Work) {
        if self.queued.insert(work.clone()) {
            self.now.push_back(work);
        }
    }

    pub(super) fn push_after(&mut self, work: Work, delay: Duration) {
        self.later.push(Reverse((Instant::now() + delay, self.next)));
        self.delayed.insert(self.next, work);
        self.next += 1;
    }

    pub(super) fn pop(&mut self) -> Option<Work> {
        while let Some(&Reverse((due, number))) = self.later.peek() {
            if due > Instant::now() {
                break;
            }
            self.later.pop();
            if let Some(work) = self.delayed.remove(&number) {
                self.push(work);
            }
        }
        let work = self.now.pop_front()?;
        self.queued.remove(&work);
        Some(work)
    }

    /// The time until something is due.
    pub(super) fn until_next(&self) -> Option<Duration> {
        let Reverse((due, _)) = self.later.peek()?;
        Some(due.saturating_duration_since(Instant::now()))
    }
}
