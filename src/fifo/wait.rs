//! Parking for idle consumers, threads and tasks alike.
//!
//! A consumer *listens, then looks again, then sleeps*; a producer *publishes, then asks whether
//! anybody sleeps*. Between the two steps of each stands a sequentially consistent fence, and of two
//! such fences one comes first:
//!
//! 1. The producer's first: the consumer's second look sees the item, and it does not sleep.
//! 2. The consumer's first: the producer sees that somebody sleeps, and finds the listener.
//!
//! So a push with nobody asleep costs the fence and one load.
//!
//! Notifications are *additional*: each wakes a listener that no earlier one woke. The plain kind would
//! be absorbed by a consumer that is already woken for an earlier item and has yet to run; if that
//! one then works on its item for long, the later item would lie there beside a sleeper. Whoever
//! notifies takes those it woke off the count at once, so the next producer does not try again while
//! they are still getting up.
//!
//! A thread looks around for some microseconds before it sleeps. Meanwhile producers leave waking to
//! it: when it has found something, it wakes as many sleepers as there is more to do. That is what
//! makes a busy hand-over run without a system call per item.
//!
//! A consumer that leaves without sleeping to the end (it found an item at the second look, ran out of
//! time, or its future was dropped) discards its listener, and if that was notified passes it on.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::sync::atomic::{AtomicU64, Ordering, fence};
use crate::sync::{Arc, Event, EventListener, IntoNotification, Listener, SPINS, relax};

/// One consumer that looks around, in the upper half of `crew`. The lower half counts the sleepers.
const SPINNER: u64 = 1 << 32;

pub(super) struct Waiters {
    event: Event,
    /// Consumers that look around, and consumers that have a listener that is not yet notified (or
    /// are about to get one, or were notified a moment ago): never less than there are.
    crew: Crew,
}

/// Read by each producer and seldom written: on a cache line of its own.
#[repr(align(128))]
struct Crew(AtomicU64);

/// One consumer's listener, and its part in the count of sleepers.
struct Sleeper {
    waiters: Arc<Waiters>,
    listener: Option<EventListener>,
}

impl Waiters {
    pub(super) fn new() -> Self {
        Self { event: Event::new(), crew: Crew(AtomicU64::new(0)) }
    }

    /// Wakes sleepers for `n` items. To be called after the items are published.
    #[inline]
    pub(super) fn notify(&self, n: usize) {
        if n == 0 {
            return;
        }
        // ORDERING: sequentially consistent, with the fence in `listen` (and in `spin`): see the two
        // cases above.
        fence(Ordering::SeqCst);
        // ORDERING: relaxed: ordered by the fence.
        let crew = self.crew.0.load(Ordering::Relaxed);
        if crew & (SPINNER - 1) > 0 {
            self.wake(n.saturating_sub((crew / SPINNER) as usize));
        }
    }

    /// Wakes all sleepers. To be called after the close is published.
    pub(super) fn notify_all(&self) {
        // ORDERING: sequentially consistent, with the fence in `listen`, as in `notify`.
        fence(Ordering::SeqCst);
        // ORDERING: relaxed: ordered by the fence.
        if self.crew.0.load(Ordering::Relaxed) & (SPINNER - 1) > 0 {
            self.wake(usize::MAX);
        }
    }

    #[cold]
    fn wake(&self, n: usize) {
        if n > 0 {
            let woken = self.event.notify(n.additional());
            // ORDERING: relaxed, no partner: until it is done, a producer only notifies in vain. It
            // cannot undo the count of anybody else, since each listener is notified once.
            self.crew.0.fetch_sub(woken as u64, Ordering::Relaxed);
        }
    }

    /// To be called before the second look.
    fn listen(self: &Arc<Self>) -> Sleeper {
        // ORDERING: relaxed: ordered by the fence.
        self.crew.0.fetch_add(1, Ordering::Relaxed);
        let listener = Some(self.event.listen());
        // ORDERING: sequentially consistent, with the fence in `notify`: if our second look misses an
        // item, its producer comes after this fence and sees our count, and so our listener.
        fence(Ordering::SeqCst);
        Sleeper { waiters: Arc::clone(self), listener }
    }

    /// Looks around for a while; whether there is something to be got.
    fn spin(&self, ready: &impl Fn() -> bool) -> bool {
        // ORDERING: relaxed: a producer that sees it acts on it only by leaving the waking to us, and
        // that is ordered by the fence below.
        self.crew.0.fetch_add(SPINNER, Ordering::Relaxed);
        let found = (0..SPINS).any(|step| {
            relax(step);
            ready()
        });
        // ORDERING: relaxed, ordered by the fence.
        self.crew.0.fetch_sub(SPINNER, Ordering::Relaxed);
        // ORDERING: sequentially consistent, with the fence in `notify`: a producer that still counts
        // on us has published before this, so our next look sees its item.
        fence(Ordering::SeqCst);
        found
    }

    /// Blocks until `attempt` gives something; `None` once the deadline has passed. `backlog` is about
    /// how much there is to be got, at least 1 if anything.
    pub(super) fn wait<R>(
        self: &Arc<Self>,
        deadline: Option<Instant>,
        backlog: impl Fn() -> usize,
        mut attempt: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        loop {
            if let Some(found) = attempt() {
                return Some(found);
            }
            if self.spin(&|| backlog() > 0)
                && let Some(found) = attempt()
            {
                // What was added while we looked around woke nobody.
                self.notify(backlog());
                return Some(found);
            }
            let sleeper = self.listen();
            if let Some(found) = attempt() {
                drop(sleeper);
                // As above: we have looked around before.
                self.notify(backlog());
                return Some(found);
            }
            match deadline {
                None => sleeper.sleep(),
                Some(deadline) => {
                    // Not notified, so nothing is swallowed by giving up here.
                    if !sleeper.sleep_until(deadline) {
                        return attempt();
                    }
                }
            }
        }
    }
}

impl Sleeper {
    fn sleep(mut self) {
        if let Some(listener) = self.listener.take() {
            listener.wait();
        }
    }

    /// Whether it was notified.
    fn sleep_until(mut self, deadline: Instant) -> bool {
        let Some(listener) = self.listener.take() else { return true };
        let notified = listener.wait_deadline(deadline).is_some();
        if !notified {
            self.leave();
        }
        notified
    }

    /// Nobody has taken this sleeper off the count: it does so itself.
    fn leave(&self) {
        // ORDERING: relaxed, no partner: the listener is gone, so a producer that misses this only
        // notifies in vain.
        self.waiters.crew.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.take() {
            if listener.discard() {
                self.waiters.wake(1);
            } else {
                self.leave();
            }
        }
    }
}

/// One task's wait, from poll to poll. Dropping it passes a wakeup on.
pub(super) struct Wait {
    sleeper: Option<Sleeper>,
}

impl Wait {
    pub(super) const fn new() -> Self {
        Self { sleeper: None }
    }

    /// Ready when `attempt` gives something. What it gives leaves in the very poll that got it, so a
    /// dropped future holds at most a notification.
    pub(super) fn poll<R>(
        &mut self,
        context: &mut Context<'_>,
        waiters: &Arc<Waiters>,
        mut attempt: impl FnMut() -> Option<R>,
    ) -> Poll<R> {
        loop {
            let Some(sleeper) = &mut self.sleeper else {
                if let Some(found) = attempt() {
                    return Poll::Ready(found);
                }
                self.sleeper = Some(waiters.listen());
                if let Some(found) = attempt() {
                    self.sleeper = None;
                    return Poll::Ready(found);
                }
                continue;
            };
            if let Some(listener) = &mut sleeper.listener {
                if Pin::new(listener).poll(context).is_pending() {
                    return Poll::Pending;
                }
                sleeper.listener = None;
            }
            self.sleeper = None;
        }
    }
}
