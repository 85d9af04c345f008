//! What follows from a locked section.

use super::Shared;
use crate::Object;
use crate::fifo::Observer;
use crate::fifo::state::effects::Effects;
use crate::fifo::state::queue::Ticket;
use crate::panic::{contain, drop_all};
use crate::sync::atomic::Ordering;

impl<T: Object> Shared<T> {
    /// Carries out what a section decided, now that it is unlocked; `depth` is that of one of its
    /// shards. What is ours comes first, so that the queue is whole before user code runs: wakers,
    /// then the observer, then destructors.
    #[inline(always)]
    pub(super) fn finish(&self, effects: &mut Effects<T>, depth: u64) {
        if let Some((priority, ticket)) = effects.requeue {
            self.queue.requeue(priority, ticket);
        }
        if let Some(priority) = effects.dispatched {
            self.queue.count_dispatched(priority);
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
        if effects.sooner && self.settings.clock.is_system() {
            self.timer.wake();
        }
        self.waiters.notify(effects.available);
        if self.phase.is_closed() {
            self.notify_if_over();
        }
        if let Some(observer) = &self.settings.observer {
            contain(|| tell(&**observer, effects));
        }
        if !effects.values.is_empty() {
            effects.values.extend(effects.value.take());
            drop_all(std::mem::take(&mut effects.values));
        }
    }

    #[cold]
    fn mark_stale(&self, stale: usize, depth: u64) {
        if self.queue.mark_stale(stale, depth as usize * super::SHARDS) {
            let shard = |ticket: Ticket| self.keys.lock(self.keys.shard_of(ticket.hash));
            self.queue.compact(|ticket| shard(ticket).holds(ticket));
        }
    }

    /// Tells whoever sleeps that nothing more is to come, if that is so.
    #[cold]
    fn notify_if_over(&self) {
        if self.is_over() {
            // Some may have gone to sleep while something was delayed.
            self.waiters.notify_all();
        }
        if self.drainers.any_asleep() && self.is_drained() {
            self.drainers.notify_all();
        }
    }

    /// Has the observer told, if there is one.
    #[inline]
    pub(super) fn observe(&self, event: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.settings.observer {
            contain(|| event(&**observer));
        }
    }
}

#[cold]
fn tell<T>(observer: &dyn Observer, effects: &Effects<T>) {
    (0..effects.added).for_each(|_| observer.added());
    (0..effects.coalesced).for_each(|_| observer.coalesced());
    if let Some(latency) = effects.queue_latency {
        observer.handed_out(latency);
    }
}
