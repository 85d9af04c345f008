//! Handing out the keys of one shard, for good or on a lease, and ending leases.

use std::time::Duration;

use super::clock::Moment;
use super::effects::{Dispatched, Effects};
use super::entry::{Entry, Leased, Lines, Waiting};
use super::queue::Ticket;
use super::shard::Shard;
use crate::Key;
use crate::sync::Arc;

/// An object that is handed out on a lease.
pub(crate) struct Leasing<T> {
    pub(crate) key: Key,
    pub(crate) hash: u64,
    pub(crate) object: Arc<T>,
    /// It was deleted, and this is its last state.
    pub(crate) deletion: bool,
    pub(crate) failures: u32,
}

/// How a lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseEnd {
    Done,
    /// Done, and again after this time.
    After(Duration),
    Retry,
    /// A retry after this time, whatever the limiters say.
    RetryAfter(Duration),
    Abandoned,
}

/// The result of ending a lease.
pub(crate) struct Ended {
    pub(crate) began: Moment,
    /// The leased value is queued again, as nothing newer was there.
    pub(crate) comes_back: bool,
}

impl<T> Shard<'_, T> {
    /// Hands out the key of a ticket, for good.
    #[inline(always)]
    pub(crate) fn pop(
        &mut self,
        ticket: Ticket,
        now: Moment,
        effects: &mut Effects<T>,
    ) -> Option<Arc<T>> {
        let Ticket { hash, seq } = ticket;
        let is_ready =
            |_: &Key, entry: &Entry<T>| entry.seq() == Some(seq) && entry.leased.is_none();
        let removed = self.table.remove_entry(hash, |(key, entry)| is_ready(key, entry.get()));
        let Some((_, entry)) = removed else {
            self.skip(ticket, effects);
            return None;
        };
        let Entry { priority, initial, waiting: Waiting::Queued { since, value, .. }, .. } =
            entry.into_inner()
        else {
            unreachable!("only a queued key has a sequence number");
        };
        effects.entries -= 1;
        self.removed();
        self.tally.popped.add(1);
        effects.initial += usize::from(initial);
        effects.dispatched = Some(Dispatched { priority, since, now });
        Some(value)
    }

    /// Hands it out until [`Shard::end`].
    #[inline(always)]
    pub(crate) fn lease(
        &mut self,
        ticket: Ticket,
        now: Moment,
        effects: &mut Effects<T>,
    ) -> Option<Leasing<T>> {
        let Ticket { hash, seq } = ticket;
        let is_ready =
            |_: &Key, entry: &Entry<T>| entry.seq() == Some(seq) && entry.leased.is_none();
        let tally = self.tally;
        let Some((key, entry)) = self.find(hash, is_ready) else {
            self.skip(ticket, effects);
            return None;
        };
        let Waiting::Queued { since, value: object, .. } =
            std::mem::replace(&mut entry.waiting, Waiting::Nothing)
        else {
            unreachable!("only a queued key has a sequence number");
        };
        entry.leased = Some(Leased { since: now, deleted: false });
        tally.popped.add(1);
        tally.processing.add(1);
        effects.dispatched = Some(Dispatched { priority: entry.priority, since, now });
        let Entry { deletion, failures, .. } = *entry;
        Some(Leasing { key: key.clone(), hash, object, deletion, failures })
    }

    /// Handles a ticket that cannot be served: its key is leased, and gets the ticket back when the lease
    /// ends, or the ticket is stale.
    #[cold]
    fn skip(&mut self, ticket: Ticket, effects: &mut Effects<T>) {
        match self.find(ticket.hash, |_, entry| entry.seq() == Some(ticket.seq)) {
            Some((_, Entry { waiting: Waiting::Queued { skipped, .. }, .. })) => *skipped = true,
            _ => effects.stale_dequeued = true,
        }
    }

    /// Ends the lease of a key. What was handed out comes back at `again`, if it does.
    #[inline]
    pub(crate) fn end(
        &mut self,
        lines: Lines<'_>,
        &Leasing { ref key, hash, ref object, .. }: &Leasing<T>,
        end: LeaseEnd,
        (now, again): (Moment, Option<Moment>),
        effects: &mut Effects<T>,
    ) -> Ended {
        let tally = self.tally;
        tally.processing.sub(1);
        if again.is_none() {
            // The usual case: nothing arrived meanwhile, and the key is idle again.
            let idle = |other: &Key, entry: &Entry<T>| {
                other == key && matches!(entry.waiting, Waiting::Nothing)
            };
            let removed = self.table.remove_entry(hash, |(key, entry)| idle(key, entry.get()));
            if let Some((_, entry)) = removed {
                let Entry { leased, initial, .. } = entry.into_inner();
                effects.entries -= 1;
                effects.initial += usize::from(initial);
                self.removed();
                let began = leased.map(|leased| leased.since).unwrap_or_default();
                return Ended { began, comes_back: false };
            }
        }
        let Some((_, entry)) = self.find(hash, |other, _| other == key) else {
            unreachable!("a leased key has an entry");
        };
        let Some(lease) = entry.leased.take() else {
            unreachable!("a key is leased until its lease ends");
        };
        match end {
            LeaseEnd::Done | LeaseEnd::After(_) => {
                entry.failures = 0;
                effects.initial += usize::from(std::mem::take(&mut entry.initial));
            }
            LeaseEnd::Retry | LeaseEnd::RetryAfter(_) | LeaseEnd::Abandoned => {
                let is_abandoned = end == LeaseEnd::Abandoned;
                let ended = if is_abandoned { &tally.abandoned } else { &tally.retries };
                ended.add(1);
                entry.failures = entry.failures.saturating_add(1);
            }
        }
        let again = again.filter(|_| !lease.deleted);
        let mut comes_back = false;
        match (&mut entry.waiting, again) {
            // The value that arrived meanwhile is newer, and has its place.
            (Waiting::Queued { seq, skipped, .. }, _) => {
                effects.available += 1;
                if std::mem::take(skipped) {
                    effects.requeue = Some((entry.priority, Ticket { hash, seq: *seq }));
                }
            }
            // Newer, too; but the earliest time wins.
            (Waiting::Delayed { due, id, .. }, again) => {
                if let Some(again) = again.filter(|again| again < due)
                    && let Some(earliest) = lines.delays.reschedule(*due, again, *id)
                {
                    *due = again;
                    effects.sooner = earliest;
                }
            }
            (Waiting::Nothing, None) => {
                self.remove(hash, |other, _| other == key, effects);
            }
            (Waiting::Nothing, Some(due)) if due <= now => {
                tally.requeued.add(1);
                entry.enqueue(lines, Arc::clone(object), now);
                effects.available += 1;
                comes_back = true;
            }
            (Waiting::Nothing, Some(due)) => {
                tally.requeued.add(1);
                tally.delayed.add(1);
                let id = lines.queue.sequence(1);
                entry.waiting = Waiting::Delayed { due, id, value: Arc::clone(object) };
                effects.sooner = lines.delays.insert(due, id, hash);
                comes_back = true;
            }
        }
        Ended { began: lease.since, comes_back }
    }
}
