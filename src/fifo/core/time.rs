//! What is due.

use super::Core;
use crate::Object;
use crate::fifo::clock::{Clock, Moment, Ticked};
use crate::sync::Arc;

impl<T: Object> Core<T> {
    /// When something is due next.
    pub(in crate::fifo) fn next_due(&self) -> Moment {
        self.order.delays.next()
    }

    pub(in crate::fifo) fn clock(&self) -> &Clock {
        &self.settings.clock
    }

    /// Puts in line what is due.
    pub(in crate::fifo) fn promote_due(&self) {
        let next = self.order.delays.next();
        if next != Moment::NEVER {
            let now = self.settings.clock.now();
            if next <= now {
                self.promote(now);
            }
        }
    }

    #[cold]
    pub(super) fn promote(&self, until: Moment) {
        let due = self.order.delays.take_due(until);
        let since = self.now_if_timed();
        let mut available = 0;
        for &(hash, number) in &due {
            let arrived = self.stripe(hash).come_due(&self.order, hash, number, since);
            available += usize::from(arrived == Some(true));
        }
        self.order.delays.arrived(due.len());
        self.waiters.notify(available);
        self.ended();
    }

    pub(super) fn start_timer(self: &Arc<Self>) {
        if let Clock::System(_) = self.settings.clock {
            self.timer.wake(|| Arc::downgrade(self));
        }
    }
}

impl<T: Object> Ticked for Core<T> {
    fn tick(&self) {
        self.promote_due();
    }
}
