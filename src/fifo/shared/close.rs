//! Closing, and draining what is left.

use std::time::Instant;

use super::Shared;
use crate::Object;
use crate::fifo::state::clock::Moment;
use crate::fifo::state::effects::Effects;
use crate::fifo::state::queue::Priority;
use crate::sync::Arc;
use crate::waiters::Wait;

impl<T: Object> Shared<T> {
    pub(crate) fn is_closed(&self) -> bool {
        self.phase.is_closed()
    }

    /// Returns whether nothing more will come, except what leases bring back. Ask before reading the
    /// queue.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.phase.is_complete() && self.delays.is_empty()
    }

    pub(crate) fn close(&self) {
        if self.refuse() {
            // What is delayed becomes due now. This also wakes all who sleep.
            self.promote(Moment::NEVER);
        }
    }

    /// Refuses what comes from now on. Returns whether this call is the first to.
    fn refuse(&self) -> bool {
        if !self.phase.begin_close() {
            return false;
        }
        // Every add that was admitted holds its shard until its ticket is queued; every later one sees
        // that the queue is closing.
        drop(self.keys.lock_all());
        self.phase.end_close();
        true
    }

    /// Closes, takes out everything that waits, in order, and ends every call of `wait_drained`.
    pub(crate) fn close_now(&self) -> Vec<Arc<T>> {
        if self.refuse() {
            self.queue_until(Moment::NEVER);
        }
        let (taken, mut effects) = self.settle_waiting();
        self.phase.abandon();
        // A waker of others may block.
        self.drainers.notify_threads();
        self.tell(&mut effects);
        self.drainers.notify_all();
        taken
    }

    /// Takes out everything that waits, in order. Call when it is closed.
    pub(crate) fn take_waiting(&self) -> Vec<Arc<T>> {
        let (taken, mut effects) = self.settle_waiting();
        self.tell(&mut effects);
        taken
    }

    /// Whoever waits for what was delayed learns of the end by what follows, as by any section of a closed queue.
    fn settle_waiting(&self) -> (Vec<Arc<T>>, Effects<T>) {
        let mut taken = Vec::new();
        let ((), effects) = self.settle_all(|shards, effects| {
            effects.stale += self.queue.clear(Priority::Change);
            effects.stale += self.queue.clear(Priority::List);
            for shard in shards {
                shard.take_waiting(self.lines(), &mut taken, effects);
            }
        });
        taken.sort_unstable_by_key(|(rank, _)| *rank);
        (taken.into_iter().map(|(_, value)| value).collect(), effects)
    }

    /// The source has ended: with this error, or because it was stopped.
    pub(crate) fn source_ended(&self, error: Option<&str>) {
        if let Some(error) = error {
            let _ = self.source_error.set(error.into());
        }
        if !self.settings.outlives_source {
            self.close();
        }
    }

    pub(crate) fn source_error(&self) -> Option<&str> {
        self.source_error.get().map(AsRef::as_ref)
    }

    /// Returns whether the queue is closed, nothing waits, and no lease is out.
    pub(super) fn is_drained(&self) -> bool {
        // Shard by shard is enough: a closed queue gets no new entry.
        self.is_over() && self.keys.is_empty()
    }

    /// Waits until the queue is drained; `false` if the deadline passed before, or the drain was
    /// abandoned.
    pub(crate) fn wait_drained(&self, deadline: Option<Instant>) -> bool {
        let over = || self.drain_ended();
        self.drainers.wait(deadline, || over().is_some(), || None, |_| over()).unwrap_or(false)
    }

    pub(crate) async fn wait_drained_async(&self) {
        let mut wait = Wait::new();
        let over = || self.drain_ended();
        let ready = || over().is_some();
        std::future::poll_fn(|context| wait.poll(context, &self.drainers, ready, || None, over))
            .await;
    }

    /// Whether the queue was drained, once there is nothing more to wait for.
    fn drain_ended(&self) -> Option<bool> {
        let drained = self.is_drained();
        (drained || self.phase.is_abandoned()).then_some(drained)
    }
}
