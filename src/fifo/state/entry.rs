//! The state of one key.
//!
//! ```text
//!            add                 pop
//!   Idle ───────────> Queued ───────────> Idle
//!    ^                 │  ^
//!    │ done      lease │  │ retry, a dropped lease
//!    │                 v  │
//!    └───────────── Processing ── add ──> Dirty ── done, retry, a dropped lease ──> Queued
//! ```
//!
//! An idle key has no entry, so memory follows the keys that wait or are leased. A key that is not queued
//! may be *delayed* instead: as Queued or Dirty, but with a time in place of a sequence number. `delete`
//! removes the waiting value (Queued to Idle, Dirty to Processing) and keeps a lease from bringing its
//! value back. Where deletions are handed out, a delete is an add of the last state instead, marked as a
//! deletion.

use super::clock::Moment;
use super::delays::Delays;
use super::effects::Effects;
use super::queue::{Priority, Queue, Ticket};
use super::tally::Tally;
use crate::fifo::Added;
use crate::sync::Arc;

pub(crate) struct Entry<T> {
    pub(crate) hash: u64,
    pub(crate) priority: Priority,
    /// Part of the first replace, and not yet finished.
    pub(crate) initial: bool,
    /// The waiting value, or the leased one if nothing newer waits, is the object's deletion, with its
    /// last state.
    pub(crate) deletion: bool,
    /// Leases in a row that ended in failure.
    pub(crate) failures: u32,
    pub(crate) waiting: Waiting<T>,
    pub(crate) leased: Option<Leased>,
}

pub(crate) enum Waiting<T> {
    Nothing,
    Queued {
        /// The ticket with this number is the key's.
        seq: u64,
        /// That ticket was dequeued while the key was leased.
        skipped: bool,
        since: Moment,
        value: Arc<T>,
    },
    Delayed {
        due: Moment,
        id: u64,
        value: Arc<T>,
    },
}

#[derive(Clone, Copy)]
pub(crate) struct Leased {
    pub(crate) since: Moment,
    /// The key was deleted since, so the leased value must not come back.
    pub(crate) deleted: bool,
}

/// How an object arrives.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) hash: u64,
    /// The sequence number it gets if it needs one; `None` takes the next.
    pub(crate) seq: Option<u64>,
    pub(crate) priority: Priority,
    pub(crate) since: Moment,
    /// Part of the list that `has_synced` waits for.
    pub(crate) initial: bool,
    /// The object was deleted.
    pub(crate) deletion: bool,
}

/// Where keys wait: in the queue or for their time.
#[derive(Clone, Copy)]
pub(crate) struct Lines<'a> {
    pub(crate) queue: &'a Queue,
    pub(crate) delays: &'a Delays,
}

impl Arrival {
    pub(crate) fn seq(&self, lines: Lines<'_>) -> u64 {
        self.seq.unwrap_or_else(|| lines.queue.sequence(1))
    }
}

impl<T> Entry<T> {
    pub(crate) fn new(arrival: Arrival, waiting: Waiting<T>) -> Self {
        let Arrival { hash, priority, initial, deletion, .. } = arrival;
        Self { hash, priority, initial, deletion, failures: 0, waiting, leased: None }
    }

    pub(crate) fn seq(&self) -> Option<u64> {
        match self.waiting {
            Waiting::Queued { seq, .. } => Some(seq),
            _ => None,
        }
    }

    pub(crate) fn value(&self) -> Option<&Arc<T>> {
        match &self.waiting {
            Waiting::Queued { value, .. } | Waiting::Delayed { value, .. } => Some(value),
            Waiting::Nothing => None,
        }
    }

    pub(crate) fn into_value(self) -> Option<Arc<T>> {
        match self.waiting {
            Waiting::Queued { value, .. } | Waiting::Delayed { value, .. } => Some(value),
            Waiting::Nothing => None,
        }
    }

    /// Puts the value at the back of the queue.
    pub(crate) fn enqueue(&mut self, lines: Lines<'_>, value: Arc<T>, since: Moment) {
        let seq = lines.queue.sequence(1);
        self.waiting = Waiting::Queued { seq, skipped: false, since, value };
        lines.queue.push(self.priority, Ticket { hash: self.hash, seq });
    }

    /// Accepts a value: it replaces the queued one, if there is one.
    #[inline(always)]
    pub(crate) fn add(
        &mut self,
        lines: Lines<'_>,
        tally: &Tally,
        arrival: Arrival,
        value: Arc<T>,
        effects: &mut Effects<T>,
    ) -> Added {
        tally.adds.add(1);
        if let Waiting::Queued { value: waiting, .. } = &mut self.waiting
            && arrival.priority >= self.priority
        {
            tally.coalesced.add(1);
            effects.coalesced += 1;
            effects.discard(std::mem::replace(waiting, value));
            self.deletion = arrival.deletion;
            return Added::Coalesced;
        }
        let added = match self.waiting {
            Waiting::Nothing => Added::Queued,
            _ => Added::Coalesced,
        };
        self.put(lines, tally, arrival, value, effects);
        added
    }

    /// Accepts a value that is not to be handed out before `due`, unless the key is sooner.
    pub(crate) fn add_delayed(
        &mut self,
        lines: Lines<'_>,
        tally: &Tally,
        arrival: Arrival,
        due: Moment,
        value: Arc<T>,
        effects: &mut Effects<T>,
    ) -> Added {
        tally.adds.add(1);
        self.deletion = arrival.deletion;
        let displaced = match &mut self.waiting {
            Waiting::Queued { value: waiting, .. } => std::mem::replace(waiting, value),
            Waiting::Delayed { due: old, id, value: waiting } => {
                if due < *old
                    && let Some(earliest) = lines.delays.reschedule(*old, due, *id)
                {
                    *old = due;
                    effects.sooner = earliest;
                }
                std::mem::replace(waiting, value)
            }
            Waiting::Nothing => {
                let id = lines.queue.sequence(1);
                self.priority = arrival.priority;
                self.waiting = Waiting::Delayed { due, id, value };
                tally.delayed.add(1);
                effects.added += 1;
                effects.sooner = lines.delays.insert(due, id, self.hash);
                return Added::Delayed;
            }
        };
        tally.coalesced.add(1);
        effects.coalesced += 1;
        effects.discard(displaced);
        Added::Coalesced
    }

    /// Accepts a value and gives the key a new sequence number. A delayed key keeps its priority if that
    /// is higher: a list does not push a change behind it.
    pub(crate) fn put(
        &mut self,
        lines: Lines<'_>,
        tally: &Tally,
        arrival: Arrival,
        value: Arc<T>,
        effects: &mut Effects<T>,
    ) {
        let Arrival { hash, priority, since, initial, deletion, .. } = arrival;
        let priority = match self.waiting {
            Waiting::Delayed { .. } => priority.min(self.priority),
            _ => priority,
        };
        let seq = arrival.seq(lines);
        self.initial |= initial;
        self.deletion = deletion;
        self.priority = priority;
        effects.available += usize::from(self.leased.is_none());
        lines.queue.push(priority, Ticket { hash, seq });
        let queued = Waiting::Queued { seq, skipped: false, since, value };
        let displaced = match std::mem::replace(&mut self.waiting, queued) {
            Waiting::Nothing => {
                effects.added += 1;
                return;
            }
            Waiting::Queued { skipped, since: first, value, .. } => {
                if let Waiting::Queued { since, .. } = &mut self.waiting {
                    *since = first;
                }
                effects.stale += usize::from(!skipped);
                value
            }
            Waiting::Delayed { due, id, value } => {
                lines.delays.remove(due, id);
                tally.delayed.sub(1);
                value
            }
        };
        tally.coalesced.add(1);
        effects.coalesced += 1;
        effects.discard(displaced);
    }

    /// Removes the waiting value; a lease, if there is one, must not bring its value back.
    pub(crate) fn withdraw(
        &mut self,
        lines: Lines<'_>,
        tally: &Tally,
        effects: &mut Effects<T>,
    ) -> Option<Arc<T>> {
        effects.initial += usize::from(std::mem::take(&mut self.initial));
        if let Some(leased) = &mut self.leased {
            leased.deleted = true;
        }
        let value = match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::Nothing => return None,
            Waiting::Queued { skipped, value, .. } => {
                effects.stale += usize::from(!skipped);
                value
            }
            Waiting::Delayed { due, id, value } => {
                lines.delays.remove(due, id);
                tally.delayed.sub(1);
                value
            }
        };
        tally.deleted.add(1);
        Some(value)
    }
}

// Not derived: an `Arc<T>` is cloned, so `T` need not be `Clone`.
impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        let Self { hash, priority, initial, deletion, failures, leased, .. } = *self;
        let waiting = self.waiting.clone();
        Self { hash, priority, initial, deletion, failures, waiting, leased }
    }
}

impl<T> Clone for Waiting<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::Queued { seq, skipped, since, value } => {
                let (seq, skipped, since) = (*seq, *skipped, *since);
                Self::Queued { seq, skipped, since, value: Arc::clone(value) }
            }
            Self::Delayed { due, id, value } => {
                Self::Delayed { due: *due, id: *id, value: Arc::clone(value) }
            }
        }
    }
}
