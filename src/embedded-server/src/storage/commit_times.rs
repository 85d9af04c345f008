//! When each kept version was committed.

use std::collections::VecDeque;
use std::time::Instant;

/// The times of consecutive versions.
#[derive(Debug)]
pub(super) struct CommitTimes {
    /// The version that the first of them belongs to.
    first: u64,
    times: VecDeque<Instant>,
}

impl CommitTimes {
    pub(super) fn new() -> CommitTimes {
        CommitTimes { first: 1, times: VecDeque::new() }
    }

    /// The next version was committed now.
    pub(super) fn push(&mut self) {
        self.times.push_back(Instant::now());
    }

    pub(super) fn get(&self, version: u64) -> Option<Instant> {
        let place = usize::try_from(version.checked_sub(self.first)?).ok()?;
        self.times.get(place).copied()
    }

    /// Forgets those before `version`.
    pub(super) fn forget_before(&mut self, version: u64) {
        while self.first < version && self.times.pop_front().is_some() {
            self.first += 1;
        }
    }
}
