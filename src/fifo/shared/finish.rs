//! Carrying out the effects of a locked section: first what is ours, so that the queue is whole before user code runs.

use super::Shared;
use crate::Object;
use crate::fifo::Observer;
use crate::fifo::state::effects::{Dispatched, Effects};
use crate::fifo::state::queue::Ticket;
use crate::panic::{contain, drop_all};
use crate::sync::atomic::{Ordering, fence};

impl<T: Object> Shared<T> {
    /// Brings our own state in order after a section, now that it is unlocked; `depth` is that of one of its shards.
    /// Until [`Shared::tell`] follows, wakeups are owed.
    #[inline(always)]
    pub(super) fn settle(&self, effects: &mut Effects<T>, depth: u64) {
        if let Some((priority, ticket)) = effects.requeue {
            self.queue.requeue(priority, ticket);
        }
        if let Some(dispatched) = &effects.dispatched {
            self.queue.count_dispatched(dispatched.priority);
        }
        self.capacity.adjust(effects.entries);
        self.initial_sync.finish(effects.initial);
        if effects.stale_dequeued {
            self.queue.forget_stale();
        }
        if effects.stale > 0 {
            self.mark_stale(effects.stale, depth);
        }
        if effects.refused {
            // ORDERING: Relaxed, as it is a counter.
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        if effects.sooner {
            self.watch_delays(effects);
        }
    }

    /// Tells others what the section brought, and runs user code: wakers, then the observer, then destructors.
    #[inline(always)]
    pub(super) fn tell(&self, effects: &mut Effects<T>) {
        if self.phase.is_closed() {
            self.notify_closed(effects.available);
        } else {
            self.waiters.notify(effects.available);
        }
        if self.settings.observer.is_some() {
            self.report(effects);
        }
        if !effects.values.is_empty() {
            effects.values.extend(effects.value.take());
            drop_all(std::mem::take(&mut effects.values));
        }
    }

    #[cold]
    fn mark_stale(&self, stale: usize, depth: u64) {
        let shard = |ticket: Ticket| self.keys.lock(self.keys.shard_of(ticket.hash));
        self.queue.mark_stale(stale, depth as usize * super::SHARD_COUNT, |ticket| {
            shard(ticket).holds(ticket)
        });
    }

    /// Ensures that the delay that is now the earliest is acted on in time.
    #[cold]
    fn watch_delays(&self, effects: &mut Effects<T>) {
        if self.settings.clock.is_system() {
            if !self.timer.wake() {
                // Whoever sleeps has to see how long it may, each by itself.
                effects.available = usize::MAX;
            }
            return;
        }
        // Advancing a manual clock queues what is due by then. If that was done before the key was in the
        // schedule, nobody else would queue it.
        // ORDERING: SeqCst pairs with the fence in `ManualClock::advance`: whichever is second sees the
        // other's store, and so that the key is due.
        fence(Ordering::SeqCst);
        if let Some(now) = self.due() {
            effects.available += self.queue_until(now);
        }
    }

    /// Wakes sleepers for what has become available, and all of them if nothing more is to come. Call after each
    /// section that finds the queue closed or about to be, and after the close.
    ///
    /// The end may wait last for a section of a closing queue (a delayed key is queued, a lease ends), or
    /// for the close. If the section came before the close took its shard's lock, the close sees its
    /// changes. If after, the section sees that the queue is closing and gets here, and one of the two
    /// fences comes first:
    ///
    /// 1. The section's first: the close sees what the section did.
    /// 2. The close's first: the section sees the queue closed.
    #[cold]
    fn notify_closed(&self, available: usize) {
        // ORDERING: SeqCst pairs with itself on another thread: see the two cases above.
        fence(Ordering::SeqCst);
        // At the end all: some may have gone to sleep while a key was delayed.
        let available = if self.is_over() { usize::MAX } else { available };
        let is_drained = self.drainers.any_asleep() && self.is_drained();
        if is_drained {
            // Before a waker of the others may block.
            self.drainers.notify_threads();
        }
        self.waiters.notify(available);
        if is_drained {
            self.drainers.notify_all();
        }
    }

    #[cold]
    fn report(&self, effects: &Effects<T>) {
        (0..effects.added).for_each(|_| self.observe(|observer| observer.added()));
        (0..effects.coalesced).for_each(|_| self.observe(|observer| observer.coalesced()));
        effects.dispatched.iter().for_each(|dispatched| self.report_dispatched(dispatched));
    }

    pub(super) fn report_dispatched(&self, &Dispatched { since, now, .. }: &Dispatched) {
        self.observe(|observer| observer.handed_out(now.since(since)));
    }

    /// Calls the observer, if there is one. A panic ends only that call.
    #[inline]
    pub(super) fn observe(&self, event: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.settings.observer {
            contain(|| event(&**observer));
        }
    }
}
