//! The order of the keys: a queue of tickets without a lock. (A pop may spin for a push that has taken its
//! slot and is about to fill it.)
//!
//! A ticket has a sequence number, and each number is given out once. The key's entry has the number of
//! its ticket; a ticket with any other is stale and is dropped when it is dequeued, which is how a
//! deleted key leaves without a search of the queue. If stale tickets outnumber the rest, a *sweep* goes
//! through all tickets and drops them: some at a time, by the callers that make more.
//!
//! Tickets that have to stand before the rest go to `front`, which is ordered by sequence and behind a
//! lock:
//!
//! * a ticket that was skipped because its key was leased, once the lease ends;
//! * valid tickets that a sweep has dequeued.
//!
//! The lock is not taken while `front_len` is zero. A consumer dequeues *first* and loads `front_len`
//! *then*: a thread that moves tickets raises it before taking the first one, so a consumer that dequeued
//! a later ticket than one that was moved sees it raised, and puts its own in order.

use std::collections::BTreeMap;

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError, SegQueue};

/// Of this many keys handed out in a row, at least one is from the lower lane if that has any.
pub(crate) const TURNS: usize = 16;

/// A sweep checks this many tickets for each that has become stale, and between two unlockings.
const AT_ONCE: usize = 32;

/// Priorities, highest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Priority {
    Change,
    List,
}

/// A place in the queue: the hash finds the key's shard and entry, the number shows whether the ticket is
/// valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) hash: u64,
    pub(crate) seq: u64,
}

/// First in, first out.
struct Lane {
    tickets: SegQueue<Ticket>,
    /// Hash by sequence number.
    front: Mutex<BTreeMap<u64, u64>>,
    /// Written under the lock of `front`; zero if that is empty and no thread is filling it. While a
    /// thread fills it, this is an upper bound: sleepers are woken by this count, so it is never too
    /// small.
    front_len: AtomicUsize,
}

impl Lane {
    fn new() -> Self {
        Self {
            tickets: SegQueue::new(),
            front: Mutex::new(BTreeMap::new()),
            front_len: AtomicUsize::new(0),
        }
    }

    fn front(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn pop(&self) -> Option<Ticket> {
        let ticket = self.tickets.pop();
        // ORDERING: Acquire pairs with the Release in `move_to_front`. If that dequeued tickets before
        // ours, or the last one, we dequeued after it did, so the raised length is visible here.
        if self.front_len.load(Ordering::Acquire) == 0 {
            return ticket;
        }
        self.pop_front(ticket)
    }

    #[cold]
    fn pop_front(&self, ticket: Option<Ticket>) -> Option<Ticket> {
        let mut front = self.front();
        front.extend(ticket.map(|ticket| (ticket.seq, ticket.hash)));
        let first = front.pop_first();
        // ORDERING: Release pairs with the Acquire in `pop`; the data itself is under the lock.
        self.front_len.store(front.len(), Ordering::Release);
        first.map(|(seq, hash)| Ticket { hash, seq })
    }

    fn requeue(&self, ticket: Ticket) {
        let mut front = self.front();
        front.insert(ticket.seq, ticket.hash);
        // ORDERING: Release pairs with the Acquire in `pop`; the data itself is under the lock.
        self.front_len.store(front.len(), Ordering::Release);
    }

    /// Dequeues up to this many tickets. Valid ones go to the front.
    fn move_to_front(&self, tickets: usize, holds: &impl Fn(Ticket) -> bool) {
        let mut front = self.front();
        let moving = tickets.min(self.tickets.len());
        if moving == 0 {
            return;
        }
        let at_most = front.len() + moving;
        // ORDERING: Release pairs with the Acquire in `pop`, through the dequeues below: a thread that
        // dequeues a ticket behind ours, or finds none, sees that it must take the lock.
        self.front_len.store(at_most, Ordering::Release);
        for _ in 0..moving {
            let Some(ticket) = self.tickets.pop() else { break };
            if holds(ticket) {
                front.insert(ticket.seq, ticket.hash);
            }
        }
        // ORDERING: Release pairs with the Acquire in `pop`; the data itself is under the lock.
        self.front_len.store(front.len(), Ordering::Release);
    }

    /// Drops the stale ones among the first tickets in front that have these numbers. Returns where to
    /// continue, if there may be more.
    fn sweep_front(&self, from: u64, to: u64, holds: &impl Fn(Ticket) -> bool) -> Option<u64> {
        let mut front = self.front();
        let some = front.range(from..=to).take(AT_ONCE);
        let some: Vec<_> = some.map(|(&seq, &hash)| Ticket { hash, seq }).collect();
        for ticket in some.iter().filter(|ticket| !holds(**ticket)) {
            front.remove(&ticket.seq);
        }
        // ORDERING: Release pairs with the Acquire in `pop`; the data itself is under the lock.
        self.front_len.store(front.len(), Ordering::Release);
        let last = some.get(AT_ONCE - 1)?.seq;
        (last < to).then_some(last + 1)
    }

    fn len(&self) -> usize {
        let tickets = self.tickets.len();
        // ORDERING: Acquire pairs with the Release in `move_to_front`; the tickets are counted first for the
        // same reason as in `pop`.
        tickets + self.front_len.load(Ordering::Acquire)
    }
}

/// The progress of a sweep. Each ticket that was in a lane when the sweep got to it is checked, or handed
/// out, before the sweep leaves that lane: those in the queue go to the front, unless a consumer dequeues
/// them and puts them there itself, and then the front is checked.
#[derive(Clone, Copy)]
enum Sweep {
    /// This many tickets still have to leave the lane's queue.
    Queued { lane: usize, left: usize },
    /// Tickets in front with these numbers still have to be checked.
    Front { lane: usize, from: u64, to: u64 },
}

pub(crate) struct Queue {
    lanes: [Lane; 2],
    /// Producers share it: on a cache line of its own.
    next_seq: CachePadded<AtomicU64>,
    /// About how many tickets are stale; during a sweep, of those that it may miss.
    stale: AtomicUsize,
    /// The sweep in progress. Locked before a lane's front.
    sweep: Mutex<Option<Sweep>>,
    /// Whether there is one. Written under its lock.
    sweeping: AtomicBool,
    /// Whether both lanes are in use.
    prioritized: bool,
    /// How many keys of the upper lane were handed out since the last of the lower one.
    turns: AtomicUsize,
}

impl Queue {
    pub(crate) fn new(prioritized: bool) -> Self {
        Self {
            lanes: [Lane::new(), Lane::new()],
            next_seq: CachePadded::new(AtomicU64::new(0)),
            stale: AtomicUsize::new(0),
            sweep: Mutex::new(None),
            sweeping: AtomicBool::new(false),
            prioritized,
            turns: AtomicUsize::new(0),
        }
    }

    /// Reserves `n` consecutive sequence numbers, and returns the first.
    #[inline]
    pub(crate) fn sequence(&self, n: usize) -> u64 {
        // ORDERING: Relaxed: all that matters is that no number is given out twice. The order of two
        // concurrent adds is decided by their pushes.
        self.next_seq.fetch_add(n as u64, Ordering::Relaxed)
    }

    /// The priority that a key gets; a queue without priorities has one.
    #[inline]
    pub(crate) fn priority(&self, priority: Priority) -> Priority {
        if self.prioritized { priority } else { Priority::Change }
    }

    #[inline]
    pub(crate) fn push(&self, priority: Priority, ticket: Ticket) {
        self.lanes[priority as usize].tickets.push(ticket);
    }

    /// Puts a ticket that was skipped back in front of those that have not been dequeued.
    pub(crate) fn requeue(&self, priority: Priority, ticket: Ticket) {
        self.lanes[priority as usize].requeue(ticket);
    }

    /// Dequeues the next ticket; it may be stale.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Ticket> {
        let [upper, lower] = &self.lanes;
        if !self.prioritized {
            return upper.pop();
        }
        // ORDERING: Relaxed: a count that may be off by the number of active consumers is good enough.
        if self.turns.load(Ordering::Relaxed) + 1 >= TURNS {
            lower.pop().or_else(|| upper.pop())
        } else {
            upper.pop().or_else(|| lower.pop())
        }
    }

    /// Counts a key that was handed out.
    #[inline]
    pub(crate) fn count_dispatched(&self, priority: Priority) {
        if self.prioritized {
            match priority {
                // ORDERING: Relaxed, as in `pop`.
                Priority::Change => _ = self.turns.fetch_add(1, Ordering::Relaxed),
                // ORDERING: Relaxed, as in `pop`.
                Priority::List => self.turns.store(0, Ordering::Relaxed),
            }
        }
    }

    /// Counts tickets that have become stale, with `live` keys queued; the caller holds no shard. If they
    /// outnumber the rest, a sweep begins. While there is one, its work is done here: O(log n) for each
    /// of these tickets, with no lock held for more than one.
    #[cold]
    pub(crate) fn mark_stale(&self, tickets: usize, live: usize, holds: impl Fn(Ticket) -> bool) {
        // ORDERING: Relaxed, as it is a rough count.
        self.stale.fetch_add(tickets, Ordering::Relaxed);
        for _ in 0..tickets {
            // ORDERING: Relaxed: it is a rough count, and a sweep that is missed now is seen next time.
            let stale = self.stale.load(Ordering::Relaxed);
            if !(stale > live + 64 || self.sweeping.load(Ordering::Relaxed)) {
                break;
            }
            let mut sweep = self.sweep.lock().unwrap_or_else(PoisonError::into_inner);
            let at = sweep.unwrap_or_else(|| {
                // ORDERING: Relaxed, as it is a rough count.
                self.stale.store(0, Ordering::Relaxed);
                self.sweep_lane(0)
            });
            *sweep = self.sweep_some(at, &holds);
            // ORDERING: Relaxed: a thread that continues the sweep has the lock.
            self.sweeping.store(sweep.is_some(), Ordering::Relaxed);
        }
    }

    fn sweep_lane(&self, lane: usize) -> Sweep {
        Sweep::Queued { lane, left: self.lanes[lane].tickets.len() }
    }

    /// Continues a sweep; returns its new state, unless it is over.
    fn sweep_some(&self, at: Sweep, holds: &impl Fn(Ticket) -> bool) -> Option<Sweep> {
        match at {
            Sweep::Queued { lane, left } => {
                self.lanes[lane].move_to_front(left.min(AT_ONCE), holds);
                // ORDERING: Relaxed, as the lock of the front orders it after the numbers of those in it.
                let to = self.next_seq.load(Ordering::Relaxed);
                Some(match left.saturating_sub(AT_ONCE) {
                    0 => Sweep::Front { lane, from: 0, to },
                    left => Sweep::Queued { lane, left },
                })
            }
            Sweep::Front { lane, from, to } => {
                match self.lanes[lane].sweep_front(from, to, holds) {
                    Some(from) => Some(Sweep::Front { lane, from, to }),
                    None => (lane + 1 < self.lanes.len()).then(|| self.sweep_lane(lane + 1)),
                }
            }
        }
    }

    /// Counts a stale ticket that was dequeued.
    pub(crate) fn forget_stale(&self) {
        let less = |stale: usize| stale.checked_sub(1);
        // ORDERING: Relaxed, as it is a rough count.
        let _ = self.stale.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Drops a lane's tickets. The caller holds all shards, and gives new tickets to the keys that stay.
    /// Tickets in front are behind a lock that comes before the shards': they stay, stale, and are
    /// returned to be counted.
    pub(crate) fn clear(&self, priority: Priority) -> usize {
        let lane = &self.lanes[priority as usize];
        while lane.tickets.pop().is_some() {}
        // ORDERING: Relaxed, as it is a rough count.
        lane.front_len.load(Ordering::Relaxed)
    }

    /// How many tickets there are, stale ones included: not zero if a key can be handed out.
    pub(crate) fn len(&self) -> usize {
        self.lanes.iter().map(Lane::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const CHANGE: Priority = Priority::Change;

    fn push(queue: &Queue, n: u64) {
        for _ in 0..n {
            queue.push(CHANGE, Ticket { hash: 0, seq: queue.sequence(1) });
        }
    }

    #[test]
    fn a_queue_that_is_swept_has_no_less_and_not_much_more() {
        let queue = Queue::new(false);
        push(&queue, 100);
        let mut looks = 0;
        for _ in 0..100 {
            let before = queue.len();
            let looked = Cell::new(0);
            queue.mark_stale(1, 10, |ticket| {
                assert!((50..=before + AT_ONCE).contains(&queue.len()));
                looked.set(looked.get() + 1);
                ticket.seq % 2 == 0
            });
            assert!(looked.get() <= AT_ONCE);
            looks += looked.get();
        }
        assert_eq!(queue.len(), 50);
        assert_eq!(looks, 150, "each in the queue once, and then once more in front");
        assert_eq!(queue.clear(CHANGE), 50);
    }

    #[test]
    fn a_sweep_keeps_the_order_and_misses_nothing_that_consumers_move() {
        let queue = Queue::new(false);
        push(&queue, 1_000);
        let holds = |ticket: Ticket| ticket.seq.is_multiple_of(10) || ticket.seq >= 1_000;
        let mut popped = Vec::new();
        queue.stale.store(1_000, Ordering::Relaxed);
        queue.mark_stale(1, 0, holds);
        while queue.sweeping.load(Ordering::Relaxed) {
            push(&queue, 1);
            popped.extend(queue.pop());
            queue.mark_stale(1, usize::MAX - 64, holds);
        }
        let left: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert!(left.iter().all(|ticket| holds(*ticket)));
        popped.extend(left);
        assert!(popped.is_sorted_by_key(|ticket| ticket.seq));
        let held = popped.iter().filter(|ticket| ticket.seq < 1_000 && holds(**ticket));
        assert_eq!(held.count(), 100);
    }

    #[test]
    fn tickets_stay_in_proportion_to_what_waits() {
        let queue = Queue::new(true);
        push(&queue, 1_000);
        for priority in [CHANGE, Priority::List] {
            for _ in 0..10_000 {
                queue.push(priority, Ticket { hash: 1, seq: queue.sequence(1) });
                queue.mark_stale(1, 1_000, |ticket| ticket.hash == 0);
                assert!(queue.len() < 2_500, "{}", queue.len());
            }
        }
    }
}
