//! Queueing what is due.

use std::time::Duration;

use super::Shared;
use crate::Object;
use crate::fifo::state::clock::Moment;
use crate::fifo::state::delays::Due;
use crate::fifo::state::effects::Effects;
use crate::timer::Tick;

impl<T: Object> Shared<T> {
    /// Queues what is due.
    #[inline]
    pub(super) fn promote_due(&self) {
        if let Some(now) = self.due() {
            self.promote(now);
        }
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

    #[cold]
    pub(super) fn promote(&self, until: Moment) {
        let mut effects = Effects::none();
        self.queue_due(until, &mut effects);
        self.finish(&mut effects, 0);
    }

    /// Queues everything that is due before anyone is notified: a notified consumer may block, and no
    /// other thread queues what was taken out of the schedule.
    pub(super) fn queue_due(&self, until: Moment, effects: &mut Effects<T>) {
        let since = self.now_if_timed();
        for Due { hash, id } in self.delays.take_due(until) {
            let mut shard = self.keys.lock(self.keys.shard_of(hash));
            shard.come_due(self.lines(), hash, id, since, effects);
            // Queued now, or gone. Before unlocking: see `notify_if_over`.
            self.delays.queued(1);
        }
    }
}

impl<T: Object> Tick for Shared<T> {
    fn tick(&self) -> Option<Duration> {
        self.promote_due();
        self.settings.clock.until(self.delays.next())
    }
}
