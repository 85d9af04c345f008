//! Closing, and draining what is left.

use super::{CLOSED, CLOSING, Core, OPEN};
use crate::Object;
use crate::fifo::Closed;
use crate::fifo::clock::Moment;
use crate::fifo::stripe::Gone;
use crate::fifo::wait::Wait;
use crate::sync::Arc;
use crate::sync::atomic::Ordering;

impl<T: Object> Core<T> {
    pub(super) fn is_open(&self) -> bool {
        // ORDERING: relaxed: read under a stripe's lock, which `close` takes between its two stores.
        self.phase.load(Ordering::Relaxed) == OPEN
    }

    pub(in crate::fifo) fn is_closed(&self) -> bool {
        // ORDERING: relaxed: a look, which orders nothing.
        self.phase.load(Ordering::Relaxed) != OPEN
    }

    /// Whether nothing more will come, but for what leases bring back.
    pub(super) fn is_over(&self) -> bool {
        // ORDERING: acquire, with the release in `close`: all that was accepted is in line.
        self.phase.load(Ordering::Acquire) == CLOSED && self.order.delays.is_empty()
    }

    #[cold]
    pub(super) fn refuse(&self) -> Closed {
        // ORDERING: relaxed, no partner: a counter.
        self.refused.fetch_add(1, Ordering::Relaxed);
        Closed
    }

    pub(in crate::fifo) fn close(&self) {
        // ORDERING: relaxed: it is the locks below that order it.
        let open = self.phase.compare_exchange(OPEN, CLOSING, Ordering::Relaxed, Ordering::Relaxed);
        if open.is_err() {
            return;
        }
        // Every add that was let in holds its stripe until its ticket is in line; every later one sees
        // that we are closing.
        drop(self.all());
        // ORDERING: release, with the acquire in `is_over`.
        self.phase.store(CLOSED, Ordering::Release);
        // What waits for its time gets it now.
        self.promote(Moment::NEVER);
        self.waiters.notify_all();
        self.ended();
    }

    /// Takes out all that waits, in order.
    pub(in crate::fifo) fn take_all(&self) -> Vec<Arc<T>> {
        let mut taken = Vec::new();
        let (mut settled, mut entries) = (0, 0);
        let mut stripes = self.all();
        self.order.line.clear();
        for stripe in &mut stripes {
            let before = stripe.len();
            settled += stripe.take_all(&self.order, &mut taken).settled;
            entries += before - stripe.len();
        }
        drop(stripes);
        self.left(&Gone { settled, ..Gone::default() }, 0, entries);
        // A consumer may have been waiting for what was delayed.
        self.waiters.notify_all();
        taken.sort_unstable_by_key(|(rank, _)| *rank);
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// Whether the queue is closed, nothing waits, and no lease is out.
    fn is_drained(&self) -> bool {
        // ORDERING: acquire, as in `is_over`.
        self.phase.load(Ordering::Acquire) == CLOSED
            && self.order.delays.is_empty()
            // One by one: a closed queue gets no new entry.
            && (0..self.stripes.len()).all(|index| self.at(index).len() == 0)
    }

    /// To be called after each call that may have been the last of a closed queue.
    pub(super) fn ended(&self) {
        if self.is_closed() {
            self.tell_ended();
        }
    }

    #[cold]
    fn tell_ended(&self) {
        if self.is_over() {
            // Some may have gone to sleep while something was delayed.
            self.waiters.notify_all();
        }
        if self.is_drained() {
            self.draining.notify_all();
        }
    }

    /// Waits until the queue is drained; `false` once the deadline has passed.
    pub(in crate::fifo) fn wait_drained(&self, deadline: Option<std::time::Instant>) -> bool {
        let drained = || self.is_drained().then_some(());
        self.draining.wait(deadline, || 0, drained).is_some()
    }

    pub(in crate::fifo) async fn wait_drained_async(&self) {
        let mut wait = Wait::new();
        let drained = || self.is_drained().then_some(());
        std::future::poll_fn(|context| wait.poll(context, &self.draining, drained)).await;
    }
}
