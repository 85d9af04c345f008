//! Handing keys out, for good or on a lease, and ending leases.
//!
//! Whoever asks first has what it gets, then wakes whom it [owes](Owes) that, and then runs other user code: whatever
//! blocks there, nobody sleeps beside an item.

use std::time::Duration;

use super::Shared;
use super::section::Section;
use crate::fifo::limiter::{Backoff, Failure, Limiter};
use crate::fifo::state::clock::Moment;
use crate::fifo::state::effects::Effects;
use crate::fifo::state::outgoing::{LeaseEnd, Leasing};
use crate::fifo::state::queue::Ticket;
use crate::fifo::state::shard::Shard;
use crate::fifo::{Closed, Lease};
use crate::panic::contain;
use crate::sync::Arc;
use crate::waiters::Owes;
use crate::{Key, Object};

/// A larger batch grows as it fills: the queue's length is an estimate, and `max` is the caller's.
const USUAL_BATCH: usize = 1024;

impl<T: Object> Shared<T> {
    /// One try to get an object for good: `None` if nothing can be handed out *yet*.
    #[inline]
    pub(crate) fn pop(&self, owes: Owes) -> Option<Result<Arc<T>, Closed>> {
        self.attempt(|| {
            self.dequeue(owes, |shard, ticket, now, effects| shard.pop(ticket, now, effects))
        })
    }

    /// As [`Shared::pop`], for up to `max` objects.
    pub(crate) fn pop_batch(&self, max: usize, owes: Owes) -> Option<Result<Vec<Arc<T>>, Closed>> {
        self.attempt(|| {
            let due = self.queue_due();
            // What comes meanwhile is for the next call: a producer may be as fast as this.
            let max = max.min(self.backlog().max(1));
            // Allocated before anything is taken, and no more than for a usual batch.
            let mut batch = Vec::with_capacity(max.min(USUAL_BATCH));
            let is_observed = self.settings.observer.is_some();
            let mut dispatched = Vec::with_capacity(if is_observed { batch.capacity() } else { 0 });
            let mut next = || {
                let serve = |shard: &mut Shard<'_, T>, ticket, now, effects: &mut Effects<T>| {
                    shard.pop(ticket, now, effects)
                };
                self.next(serve, |section| {
                    dispatched.extend(section.dispatched.filter(|_| is_observed));
                    section.leave_telling();
                })
            };
            while batch.len() < max
                && let Some(object) = next()
            {
                batch.push(object);
            }
            let mut effects = Effects::none();
            effects.available = self.owed(owes, due);
            self.tell(&mut effects);
            dispatched.iter().for_each(|dispatched| self.report_dispatched(dispatched));
            (!batch.is_empty()).then_some(batch)
        })
    }

    /// As [`Shared::pop`], until [`Shared::end`].
    #[inline]
    pub(crate) fn lease(self: &Arc<Self>, owes: Owes) -> Option<Result<Lease<T>, Closed>> {
        let leased = self.attempt(|| {
            self.dequeue(owes, |shard, ticket, now, effects| shard.lease(ticket, now, effects))
        })?;
        Some(leased.map(|leasing| Lease::new(self, leasing)))
    }

    #[inline]
    fn attempt<R>(&self, hand_out: impl FnOnce() -> Option<R>) -> Option<Result<R, Closed>> {
        // Asked before reading the queue: if it is over, everything that was accepted is queued by now.
        let over = self.is_over();
        match hand_out() {
            Some(handed_out) => Some(Ok(handed_out)),
            None => over.then_some(Err(Closed)),
        }
    }

    #[inline(always)]
    fn dequeue<R>(
        &self,
        owes: Owes,
        serve: impl Fn(&mut Shard<'_, T>, Ticket, Moment, &mut Effects<T>) -> Option<R>,
    ) -> Option<R> {
        // The usual case has no part in what the other one does.
        if owes == Owes::Nothing && self.due().is_none() {
            return self.next(serve, |_| ());
        }
        self.dequeue_owing(owes, serve)
    }

    #[inline(never)]
    fn dequeue_owing<R>(
        &self,
        owes: Owes,
        serve: impl Fn(&mut Shard<'_, T>, Ticket, Moment, &mut Effects<T>) -> Option<R>,
    ) -> Option<R> {
        let due = self.queue_due();
        let served = self.next(serve, |section| section.available += self.owed(owes, due));
        if served.is_none() && due.is_some() {
            // Others have taken it, or it was deleted: with it may have come the end.
            self.tell(&mut Effects::none());
        }
        served
    }

    /// Takes out the next key that can be handed out, and calls `end` before its section ends. (A section that is
    /// returned would be moved, which costs a third of a pop.)
    #[inline(always)]
    fn next<R>(
        &self,
        serve: impl Fn(&mut Shard<'_, T>, Ticket, Moment, &mut Effects<T>) -> Option<R>,
        end: impl FnOnce(&mut Section<'_, T>),
    ) -> Option<R> {
        loop {
            let ticket = self.queue.pop()?;
            let now = self.now_if_timed();
            let mut section = self.section(ticket.hash);
            let (shard, effects) = section.parts();
            if let Some(served) = serve(shard, ticket, now, effects) {
                end(&mut section);
                return Some(served);
            }
        }
    }

    /// For how many keys whoever has just taken one has to wake others: what it [owes](Owes), or what it has queued
    /// as due.
    fn owed(&self, owes: Owes, due: Option<usize>) -> usize {
        match (owes, due) {
            (Owes::Nothing, None) => 0,
            (Owes::Nothing, Some(due)) => due.min(self.backlog()),
            (Owes::Wakeups, _) => self.backlog(),
        }
    }

    /// Ends a lease. A key that failed comes back at once where there is no limiter, unless `unlimited` says when.
    pub(crate) fn end(&self, leasing: &Leasing<T>, end: LeaseEnd, unlimited: Option<Backoff>) {
        let &Leasing { ref key, hash, failures, .. } = leasing;
        let delay = match end {
            LeaseEnd::Done => None,
            LeaseEnd::After(delay) | LeaseEnd::RetryAfter(delay) => Some(delay),
            LeaseEnd::Retry | LeaseEnd::Abandoned => {
                Some(self.back_off(key, hash, failures.saturating_add(1), unlimited))
            }
        };
        let needs_time = self.settings.timed || delay.is_some_and(|delay| !delay.is_zero());
        let now = if needs_time { self.settings.clock.now() } else { Moment::default() };
        let again = delay.map(|delay| now.after(delay));
        let mut section = self.section(hash);
        // Checked under the lock, as for an add: a key that requeues itself would never let a queue end.
        let is_last = matches!(end, LeaseEnd::After(_)) && !self.phase.is_open();
        let again = again.filter(|_| !is_last);
        let (shard, effects) = section.parts();
        let ended = shard.end(self.lines(), leasing, end, (now, again), effects);
        drop(section);
        self.observe(|observer| observer.finished(now.since(ended.began)));
        match end {
            LeaseEnd::Retry | LeaseEnd::RetryAfter(_) => {
                let delay = delay.filter(|_| ended.comes_back).unwrap_or_default();
                self.observe(|observer| observer.retried(delay));
            }
            LeaseEnd::Abandoned => self.observe(|observer| observer.abandoned(key)),
            LeaseEnd::Done | LeaseEnd::After(_) => {}
        }
    }

    /// How long a key that has failed so often in a row stays away. Limiters are user code, and are
    /// called while the key is still leased, so that no other thread ends the lease meanwhile.
    fn back_off(
        &self,
        key: &Key,
        hash: u64,
        failures: u32,
        unlimited: Option<Backoff>,
    ) -> Duration {
        let limiters = &self.settings.limiters;
        if limiters.is_empty() && unlimited.is_none() {
            return Duration::ZERO;
        }
        let chance = self.keys.chance(hash, failures);
        let failure = Failure::new(key, failures, self.settings.clock.now(), chance);
        let longest = || limiters.iter().map(|limiter| limiter.delay(&failure)).max();
        // If there is none, or one panics.
        let fallback = || unlimited.unwrap_or_default().delay(&failure);
        contain(longest).flatten().unwrap_or_else(fallback)
    }
}
