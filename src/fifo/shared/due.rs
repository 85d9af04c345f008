//! Queueing what is due.

use std::time::{Duration, Instant};

use super::Shared;
use crate::Object;
use crate::fifo::state::clock::Moment;
use crate::fifo::state::delays::Due;
use crate::fifo::state::effects::Effects;
use crate::timer::Tick;

impl<T: Object> Shared<T> {
    /// Queues what is due. Returns how many keys are available by that, which nobody was woken for; `None` if
    /// nothing was due.
    #[inline]
    pub(super) fn queue_due(&self) -> Option<usize> {
        self.due().map(|now| self.queue_until(now))
    }

    /// The current time, if anything is due.
    #[inline]
    pub(crate) fn due(&self) -> Option<Moment> {
        let next = self.delays.next();
        if next == Moment::NEVER {
            return None;
        }
        let now = self.settings.clock.now();
        (next <= now).then_some(now)
    }

    /// Queues what is due by then, and wakes consumers for it.
    #[cold]
    pub(super) fn promote(&self, until: Moment) {
        let mut effects = Effects::none();
        effects.available = self.queue_until(until);
        self.tell(&mut effects);
    }

    /// Queues everything that is due by then before anyone is notified: a notified consumer may block, and no
    /// other thread queues what was taken out of the schedule.
    #[cold]
    pub(super) fn queue_until(&self, until: Moment) -> usize {
        let since = self.now_if_timed();
        let mut available = 0;
        for Due { hash, id } in self.delays.take_due(until) {
            let mut shard = self.keys.lock(self.keys.shard_of(hash));
            available += usize::from(shard.come_due(self.lines(), hash, id, since));
            // Queued now, or gone. Before unlocking: see `notify_closed`.
            self.delays.queued(1);
        }
        available
    }

    /// Until when a consumer may sleep, where the system has no thread to give that would queue what is due then.
    pub(crate) fn sleeps_until(&self) -> Option<Instant> {
        let next = self.delays.next();
        if next == Moment::NEVER || !self.timer.is_refused() || self.timer.wake() {
            return None;
        }
        Instant::now().checked_add(self.settings.clock.until(next)?)
    }
}

impl<T: Object> Tick for Shared<T> {
    fn tick(&self) -> Option<Duration> {
        if let Some(now) = self.due() {
            self.promote(now);
        }
        self.settings.clock.until(self.delays.next())
    }
}
