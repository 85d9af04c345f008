//! The order of the keys: a lock-free queue of tickets.
//!
//! A ticket names a place, and a place is given out once. The key's entry says which place it has; a
//! ticket for any other is stale and is dropped by whoever draws it, which is how a deleted key leaves
//! without the line being searched. Should stale tickets outnumber the rest, the line is compacted.
//!
//! What has to stand before the rest goes to `ahead`, which is ordered by place and behind a lock:
//!
//! * a ticket that was drawn while its key was leased, once the lease ends;
//! * the rest of the line after a compaction.
//!
//! Nobody looks at the lock while `ahead_len` is zero. A consumer draws from the queue *first* and looks
//! at `ahead_len` *then*: whoever moves tickets raises it before taking the first one, so a consumer
//! that drew a later ticket than one that was moved sees it raised, and puts its own ticket in order.

use std::collections::BTreeMap;

use super::Level;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError, SegQueue};

/// Of this many keys that are handed out in a row, at least one is of the lower lane if that has any.
pub(super) const TURNS: usize = 16;

/// Whose turn it is: the hash finds the key's stripe and entry, the place tells if the ticket holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) hash: u64,
    pub(super) place: u64,
}

/// First in, first out.
struct Lane {
    queue: SegQueue<Ticket>,
    /// Hash by place.
    ahead: Mutex<BTreeMap<u64, u64>>,
    /// Written under the lock of `ahead`; zero if that is empty and nobody is filling it.
    ahead_len: AtomicUsize,
}

impl Lane {
    fn new() -> Self {
        Self {
            queue: SegQueue::new(),
            ahead: Mutex::new(BTreeMap::new()),
            ahead_len: AtomicUsize::new(0),
        }
    }

    fn ahead(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn pop(&self) -> Option<Ticket> {
        let ticket = self.queue.pop();
        // ORDERING: acquire, with the release in `compact`. If that drew tickets before ours, or the
        // last one, our draw came after its draws, so the raised length is visible here.
        if self.ahead_len.load(Ordering::Acquire) == 0 {
            return ticket;
        }
        self.pop_ahead(ticket)
    }

    #[cold]
    fn pop_ahead(&self, ticket: Option<Ticket>) -> Option<Ticket> {
        let mut ahead = self.ahead();
        ahead.extend(ticket.map(|ticket| (ticket.place, ticket.hash)));
        let first = ahead.pop_first();
        // ORDERING: release, with the acquire in `pop`; the data itself is under the lock.
        self.ahead_len.store(ahead.len(), Ordering::Release);
        first.map(|(place, hash)| Ticket { hash, place })
    }

    fn put_ahead(&self, ticket: Ticket) {
        let mut ahead = self.ahead();
        ahead.insert(ticket.place, ticket.hash);
        // ORDERING: release, with the acquire in `pop`; the data itself is under the lock.
        self.ahead_len.store(ahead.len(), Ordering::Release);
    }

    fn compact(&self, holds: &impl Fn(Ticket) -> bool) {
        let mut ahead = self.ahead();
        // ORDERING: release, with the acquire in `pop`, through the draws below: whoever draws a
        // ticket behind ours, or finds none, sees that it must ask for the lock.
        self.ahead_len.store(usize::MAX, Ordering::Release);
        ahead.retain(|&place, &mut hash| holds(Ticket { hash, place }));
        for _ in 0..self.queue.len() {
            let Some(ticket) = self.queue.pop() else { break };
            if holds(ticket) {
                ahead.insert(ticket.place, ticket.hash);
            }
        }
        // ORDERING: as above.
        self.ahead_len.store(ahead.len(), Ordering::Release);
    }

    fn len(&self) -> usize {
        // ORDERING: acquire, as in `pop`; the queue is looked at first for the same reason.
        self.queue.len().saturating_add(self.ahead_len.load(Ordering::Acquire))
    }
}

/// A counter that producers share, on a cache line of its own.
#[repr(align(128))]
struct NextPlace(AtomicU64);

pub(super) struct Line {
    lanes: [Lane; 2],
    next_place: NextPlace,
    /// About how many tickets are stale.
    stale: AtomicUsize,
    /// Whether both lanes are in use.
    levels: bool,
    /// How many keys of the upper lane were handed out since the last of the lower one.
    turns: AtomicUsize,
}

impl Line {
    pub(super) fn new(levels: bool) -> Self {
        Self {
            lanes: [Lane::new(), Lane::new()],
            next_place: NextPlace(AtomicU64::new(0)),
            stale: AtomicUsize::new(0),
            levels,
            turns: AtomicUsize::new(0),
        }
    }

    /// The first of `n` places in a row that nobody else gets.
    pub(super) fn places(&self, n: usize) -> u64 {
        // ORDERING: relaxed, no partner: only that no number is given twice matters. Which of two
        // concurrent adds comes first is decided by their pushes.
        self.next_place.0.fetch_add(n as u64, Ordering::Relaxed)
    }

    /// The level that a key gets; without levels there is one.
    pub(super) fn level(&self, level: Level) -> Level {
        if self.levels { level } else { Level::Change }
    }

    pub(super) fn push(&self, level: Level, ticket: Ticket) {
        self.lanes[level as usize].queue.push(ticket);
    }

    /// Puts a ticket that was drawn before back in front of what has not been.
    pub(super) fn put_ahead(&self, level: Level, ticket: Ticket) {
        self.lanes[level as usize].put_ahead(ticket);
    }

    /// Draws the ticket whose turn it is; it may be stale.
    #[inline]
    pub(super) fn draw(&self) -> Option<Ticket> {
        let [upper, lower] = &self.lanes;
        if !self.levels {
            return upper.pop();
        }
        // ORDERING: relaxed, no partner: a count that is off by the consumers at work is good enough.
        if self.turns.load(Ordering::Relaxed) + 1 >= TURNS {
            lower.pop().or_else(|| upper.pop())
        } else {
            upper.pop().or_else(|| lower.pop())
        }
    }

    /// Counts a key that was handed out.
    pub(super) fn served(&self, level: Level) {
        if self.levels {
            // ORDERING: relaxed, as in `draw`.
            match level {
                Level::Change => _ = self.turns.fetch_add(1, Ordering::Relaxed),
                Level::List => self.turns.store(0, Ordering::Relaxed),
            }
        }
    }

    /// Counts tickets that have become stale; whether it is time to compact, with `live` keys waiting.
    pub(super) fn disown(&self, tickets: usize, live: usize) -> bool {
        // ORDERING: relaxed, no partner: a rough count.
        let stale = self.stale.fetch_add(tickets, Ordering::Relaxed) + tickets;
        stale > live + 64
    }

    /// Counts a stale ticket that was drawn.
    pub(super) fn dropped_stale(&self) {
        // ORDERING: relaxed, no partner: a rough count.
        let less = |stale: usize| stale.checked_sub(1);
        let _ = self.stale.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Drops the stale tickets. O(n log n) for n tickets, by a caller that holds no stripe.
    #[cold]
    pub(super) fn compact(&self, holds: impl Fn(Ticket) -> bool) {
        // ORDERING: relaxed, no partner: a rough count.
        self.stale.store(0, Ordering::Relaxed);
        self.lanes.iter().for_each(|lane| lane.compact(&holds));
    }

    /// Drops all tickets but those ahead. To be called when none of them holds any more.
    pub(super) fn clear(&self) {
        self.lanes.iter().for_each(|lane| while lane.queue.pop().is_some() {});
        // ORDERING: relaxed, no partner: a rough count.
        self.stale.store(0, Ordering::Relaxed);
    }

    /// How many tickets there are, stale ones included.
    pub(super) fn len(&self) -> usize {
        self.lanes.iter().fold(0, |sum: usize, lane| sum.saturating_add(lane.len()))
    }
}
