//! Parking for idle consumers, threads and tasks alike.
//!
//! A consumer *listens, then looks again, then sleeps*; a producer *publishes, then notifies*. Both
//! "looks" and "publishes" are sections under the queue's lock, so one comes first:
//!
//! 1. The producer's section first: the second look sees the item, and the consumer does not sleep.
//! 2. The consumer's second look first: its listener was registered before that look, so the producer,
//!    whose section follows, finds the listener when it notifies.
//!
//! Notifications are *additional*: each one wakes a listener that no earlier one woke. The plain kind
//! would be absorbed by a consumer that is already woken for an earlier item and has yet to run; if
//! that one then works on its item for long, the later item would lie there beside a sleeper.
//!
//! A notification takes a lock of its own and a full fence, so a producer first looks whether anybody
//! sleeps at all. That look is one relaxed load; the queue's lock orders it: a sleeper counts itself
//! before its second look, so in case 2 its count is visible to the producer whose section follows.
//!
//! A consumer that leaves without sleeping to the end (it found an item at the second look, ran out of
//! time, or its future was dropped) drops its listener, and a notified listener passes its
//! notification on when it is dropped.

use crate::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use event_listener::{Event, IntoNotification, Listener};

#[derive(Debug)]
pub(super) struct Waiters {
    event: Event,
    /// How many consumers have a listener, or are about to get one.
    sleepers: AtomicUsize,
}

/// One consumer in `sleepers`. It outlives the consumer's listener, so that nobody listens uncounted.
struct Asleep<'a>(&'a AtomicUsize);

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        // ORDERING: relaxed, no partner. Our listener is gone, so a producer that misses this only
        // notifies in vain, and one that sees it has nobody of ours to wake.
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Waiters {
    pub(super) const fn new() -> Self {
        Self { event: Event::new(), sleepers: AtomicUsize::new(0) }
    }

    /// Wakes `n` sleepers. To be called after the items are published.
    pub(super) fn notify(&self, n: usize) {
        if n > 0 && self.anybody() {
            self.event.notify(n.additional());
        }
    }

    /// Wakes all sleepers. To be called after the close is published.
    pub(super) fn notify_all(&self) {
        if self.anybody() {
            self.event.notify(usize::MAX);
        }
    }

    fn anybody(&self) -> bool {
        // ORDERING: relaxed. If a sleeper's second look came before our section, its `fetch_add` in
        // `fall_asleep` happens before this load through the queue's lock, so the load sees it.
        self.sleepers.load(Ordering::Relaxed) > 0
    }

    /// To be called before the listener is made and the second look taken.
    fn fall_asleep(&self) -> Asleep<'_> {
        // ORDERING: relaxed. The section of the second look, which follows, releases it to the load in
        // `anybody` of each producer whose section comes later.
        self.sleepers.fetch_add(1, Ordering::Relaxed);
        Asleep(&self.sleepers)
    }

    /// Blocks until `attempt` gives something; `None` once the deadline has passed.
    pub(super) fn wait<R>(
        &self,
        deadline: Option<Instant>,
        mut attempt: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        loop {
            if let Some(found) = attempt() {
                return Some(found);
            }
            // Dropped after the listener: locals go in reverse order.
            let _asleep = self.fall_asleep();
            let listener = self.event.listen();
            if let Some(found) = attempt() {
                return Some(found);
            }
            match deadline {
                None => listener.wait(),
                Some(deadline) => {
                    // `None` means "not notified", so nothing is swallowed by giving up here.
                    if listener.wait_deadline(deadline).is_none() {
                        return attempt();
                    }
                }
            }
        }
    }

    /// Waits until `attempt` gives something. What it gives leaves in the very poll that got it, so a
    /// dropped future holds at most a notification.
    pub(super) async fn wait_async<R>(&self, mut attempt: impl FnMut() -> Option<R>) -> R {
        loop {
            if let Some(found) = attempt() {
                return found;
            }
            // Dropped after the listener: locals go in reverse order.
            let _asleep = self.fall_asleep();
            let listener = self.event.listen();
            if let Some(found) = attempt() {
                return found;
            }
            listener.await;
        }
    }
}
