//! What goes out, for good or on a lease, and how leases end.

use std::hash::BuildHasher;
use std::time::Duration;

use super::Core;
use crate::fifo::Closed;
use crate::fifo::clock::Moment;
use crate::fifo::line::Ticket;
use crate::fifo::stripe::{End, Outcome, Served, Stripe};
use crate::sync::Arc;
use crate::{Key, Object};

/// A key and its object, handed out.
pub(in crate::fifo) struct Handed<T> {
    pub(in crate::fifo) key: Key,
    pub(in crate::fifo) hash: u64,
    pub(in crate::fifo) object: Arc<T>,
}

/// How a lease ends, as its holder says it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::fifo) enum Ending {
    Done,
    /// Done, and again after this time.
    After(Duration),
    Retry,
    Abandoned,
}

impl<T: Object> Core<T> {
    /// One try to get an object for good: `None` if nothing can be handed out *yet*.
    #[inline]
    pub(in crate::fifo) fn pop(&self) -> Option<Result<Arc<T>, Closed>> {
        self.attempt(|| self.hand_out(|stripe, ticket, _| stripe.pop(ticket), Self::popped))
    }

    /// As [`Core::pop`], for up to `max` objects.
    pub(in crate::fifo) fn pop_batch(&self, max: usize) -> Option<Result<Vec<Arc<T>>, Closed>> {
        self.attempt(|| {
            let pop = || self.hand_out(|stripe, ticket, _| stripe.pop(ticket), Self::popped);
            let first = pop()?;
            let mut batch = Vec::with_capacity(max.min(self.order.line.len().saturating_add(1)));
            batch.push(first);
            while batch.len() < max
                && let Some(object) = pop()
            {
                batch.push(object);
            }
            Some(batch)
        })
    }

    /// As [`Core::pop`], until [`Core::end`].
    pub(in crate::fifo) fn take(&self) -> Option<Result<Handed<T>, Closed>> {
        let take = |stripe: &mut Stripe<T>, ticket: Ticket, now| match stripe.take(ticket, now) {
            Served::Object { object: (key, object), level, since, settled } => {
                let object = Handed { key, hash: ticket.hash, object };
                Served::Object { object, level, since, settled }
            }
            Served::Passed => Served::Passed,
            Served::Stale => Served::Stale,
        };
        self.attempt(|| self.hand_out(take, |_, _| ()))
    }

    #[inline]
    fn attempt<R>(&self, hand_out: impl FnOnce() -> Option<R>) -> Option<Result<R, Closed>> {
        // Looked at before the line: if it is over, all that was accepted is in line by now.
        let over = self.is_over();
        match hand_out() {
            Some(handed_out) => Some(Ok(handed_out)),
            None => over.then_some(Err(Closed)),
        }
    }

    #[inline]
    fn hand_out<R>(
        &self,
        serve: impl Fn(&mut Stripe<T>, Ticket, Moment) -> Served<R>,
        then: impl FnOnce(&Self, bool),
    ) -> Option<R> {
        self.promote_due();
        loop {
            let ticket = self.order.line.draw()?;
            let now = self.now_if_timed();
            let mut stripe = self.stripe(ticket.hash);
            let served = serve(&mut stripe, ticket, now);
            drop(stripe);
            match served {
                Served::Object { object, level, since, settled } => {
                    self.order.line.served(level);
                    self.observe(|observer| observer.handed_out(now.since(since)));
                    then(self, settled);
                    return Some(object);
                }
                Served::Passed => {}
                Served::Stale => self.order.line.dropped_stale(),
            }
        }
    }

    /// What follows a pop: its key has no entry any more.
    #[inline]
    fn popped(&self, settled: bool) {
        self.settle(usize::from(settled));
        self.adjust_held(0, 1);
        self.ended();
    }

    /// Ends a lease.
    pub(in crate::fifo) fn end(
        self: &Arc<Self>,
        key: &Key,
        hash: u64,
        object: &Arc<T>,
        ending: Ending,
    ) {
        let settings = &self.settings;
        let idle = settings.backoff.is_none() && settings.rate.is_none();
        let needs_time = match ending {
            Ending::Done => settings.timed,
            Ending::After(delay) => settings.timed || !delay.is_zero(),
            Ending::Retry | Ending::Abandoned => settings.timed || !idle,
        };
        let now = if needs_time { settings.clock.now() } else { Moment::default() };
        let outcome = match ending {
            Ending::Done => Outcome::Done,
            Ending::After(delay) => Outcome::After(now.after(delay)),
            Ending::Retry => Outcome::Retry,
            Ending::Abandoned => Outcome::Abandoned,
        };
        let back_off = |failures| {
            let chance = self.chance(hash, failures);
            let own = settings.backoff.map(|backoff| backoff.spread(failures, chance));
            let overall = settings.rate.map(|rate| self.order.delays.throttle(rate, now));
            now.after(own.unwrap_or_default().max(overall.unwrap_or_default()))
        };
        let mut stripe = self.stripe(hash);
        let before = stripe.len();
        let end = stripe.end(&self.order, (hash, key, object), outcome, now, back_off);
        let after = stripe.len();
        drop(stripe);
        self.ended_lease(&end, before - after);
        self.observe(|observer| {
            observer.finished(now.since(end.began));
            match ending {
                Ending::Retry => {
                    observer.retried(end.due.map(|due| due.since(now)).unwrap_or_default());
                }
                Ending::Abandoned => observer.abandoned(key),
                Ending::Done | Ending::After(_) => {}
            }
        });
    }

    fn ended_lease(self: &Arc<Self>, end: &End, entries: usize) {
        if let Some((level, ticket)) = end.ahead {
            self.order.line.put_ahead(level, ticket);
        }
        self.waiters.notify(usize::from(end.available));
        self.settle(usize::from(end.settled));
        self.adjust_held(0, entries);
        if end.sooner {
            self.start_timer();
        }
        self.ended();
    }

    /// A number from 0 to 1 that differs from key to key and from failure to failure.
    fn chance(&self, hash: u64, failures: u32) -> f64 {
        (self.hasher.hash_one((hash, failures)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
