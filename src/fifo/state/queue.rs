//! The order of the keys: a queue of tickets without a lock. (A pop may spin for a push that has taken its
//! slot and is about to fill it.)
//!
//! A ticket has a sequence number, and each number is given out once. The key's entry says which number
//! it has; a ticket with any other is stale and is dropped by whoever dequeues it, which is how a
//! deleted key leaves without the queue being searched. Should stale tickets outnumber the rest, the
//! queue is compacted.
//!
//! What has to stand before the rest goes to `front`, which is ordered by sequence and behind a lock:
//!
//! * a ticket that was skipped because its key was leased, once the lease ends;
//! * the rest of the lane after a compaction.
//!
//! Nobody looks at the lock while `front_len` is zero. A consumer dequeues *first* and looks at
//! `front_len` *then*: whoever moves tickets raises it before taking the first one, so a consumer
//! that dequeued a later ticket than one that was moved sees it raised, and puts its own in order.

use std::collections::BTreeMap;

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError, SegQueue};

/// Of this many keys that are handed out in a row, at least one is of the lower lane if that has any.
pub(crate) const TURNS: usize = 16;

/// What is handed out first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Priority {
    Change,
    List,
}

/// Whose turn it is: the hash finds the key's shard and entry, the number tells if the ticket holds.
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
    /// Written under the lock of `front`; zero if that is empty and nobody is filling it. While somebody
    /// is, it is how many it may come to: sleepers are woken by this count, so it is never too small.
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
        // ORDERING: Acquire pairs with the Release in `compact`. If that dequeued tickets before ours, or
        // the last one, we dequeued after it did, so the raised length is visible here.
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

    fn compact(&self, holds: &impl Fn(Ticket) -> bool) {
        let mut front = self.front();
        let moving = self.tickets.len();
        let at_most = front.len() + moving;
        if at_most == 0 {
            return;
        }
        // ORDERING: Release pairs with the Acquire in `pop`, through the dequeues below: whoever dequeues
        // a ticket behind ours, or finds none, sees that it must ask for the lock.
        self.front_len.store(at_most, Ordering::Release);
        front.retain(|&seq, &mut hash| holds(Ticket { hash, seq }));
        for _ in 0..moving {
            let Some(ticket) = self.tickets.pop() else { break };
            if holds(ticket) {
                front.insert(ticket.seq, ticket.hash);
            }
        }
        // ORDERING: Release pairs with the Acquire in `pop`; the data itself is under the lock.
        self.front_len.store(front.len(), Ordering::Release);
    }

    fn len(&self) -> usize {
        let tickets = self.tickets.len();
        // ORDERING: Acquire pairs with the Release in `compact`; the tickets are counted first for the
        // same reason as in `pop`.
        tickets + self.front_len.load(Ordering::Acquire)
    }
}

pub(crate) struct Queue {
    lanes: [Lane; 2],
    /// Producers share it: on a cache line of its own.
    next_seq: CachePadded<AtomicU64>,
    /// About how many tickets are stale.
    stale: AtomicUsize,
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
            prioritized,
            turns: AtomicUsize::new(0),
        }
    }

    /// The first of `n` sequence numbers in a row that nobody else gets.
    #[inline]
    pub(crate) fn sequence(&self, n: usize) -> u64 {
        // ORDERING: Relaxed, as only that no number is given twice matters. Which of two concurrent adds
        // comes first is decided by their pushes.
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

    /// Puts a ticket that was skipped back in front of what has not been dequeued.
    pub(crate) fn requeue(&self, priority: Priority, ticket: Ticket) {
        self.lanes[priority as usize].requeue(ticket);
    }

    /// Dequeues the ticket whose turn it is; it may be stale.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Ticket> {
        let [upper, lower] = &self.lanes;
        if !self.prioritized {
            return upper.pop();
        }
        // ORDERING: Relaxed, as a count that is off by the consumers at work is good enough.
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

    /// Counts tickets that have become stale; whether it is time to compact, with `live` keys queued.
    pub(crate) fn mark_stale(&self, tickets: usize, live: usize) -> bool {
        // ORDERING: Relaxed, as it is a rough count.
        let stale = self.stale.fetch_add(tickets, Ordering::Relaxed) + tickets;
        stale > live + 64
    }

    /// Counts a stale ticket that was dequeued.
    pub(crate) fn forget_stale(&self) {
        let less = |stale: usize| stale.checked_sub(1);
        // ORDERING: Relaxed, as it is a rough count.
        let _ = self.stale.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Drops the stale tickets. O(n log n) for n tickets, by a caller that holds no shard.
    #[cold]
    pub(crate) fn compact(&self, holds: impl Fn(Ticket) -> bool) {
        // ORDERING: Relaxed, as it is a rough count.
        self.stale.store(0, Ordering::Relaxed);
        self.lanes.iter().for_each(|lane| lane.compact(&holds));
    }

    /// Drops a lane's tickets, by a caller that holds all shards and will give the keys that stay new
    /// tickets. Those in front are behind a lock that comes before the shards': they stay, stale, and
    /// are returned to be counted.
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
    use super::*;

    #[test]
    fn a_queue_that_is_compacted_has_no_less_and_not_much_more() {
        let queue = Queue::new(false);
        for seq in 0..100 {
            queue.push(Priority::Change, Ticket { hash: 0, seq });
        }
        queue.compact(|ticket| {
            assert!((100..=200).contains(&queue.len()));
            ticket.seq % 2 == 0
        });
        assert_eq!(queue.len(), 50);
        assert_eq!(queue.clear(Priority::Change), 50);
    }
}
