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
//! A consumer that leaves without sleeping to the end (it found an item at the second look, ran out of
//! time, or its future was dropped) drops its listener, and a notified listener passes its
//! notification on when it is dropped.

use std::time::Instant;

use event_listener::{Event, IntoNotification, Listener};

#[derive(Debug)]
pub(super) struct Waiters {
    event: Event,
}

impl Waiters {
    pub(super) const fn new() -> Self {
        Self { event: Event::new() }
    }

    /// Wakes `n` sleepers. To be called after the items are published.
    pub(super) fn notify(&self, n: usize) {
        if n > 0 {
            self.event.notify(n.additional());
        }
    }

    pub(super) fn notify_all(&self) {
        self.event.notify(usize::MAX);
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
            let listener = self.event.listen();
            if let Some(found) = attempt() {
                return found;
            }
            listener.await;
        }
    }
}
