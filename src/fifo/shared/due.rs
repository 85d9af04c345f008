//! What is due.

use std::time::Duration;

use super::Shared;
use crate::Object;
use crate::fifo::state::clock::{Moment, Tick};
use crate::fifo::state::delays::Due;

impl<T: Object> Shared<T> {
    /// Queues what is due.
    #[inline]
    pub(super) fn promote_due(&self) {
        let next = self.delays.next();
        if next != Moment::NEVER {
            let now = self.settings.clock.now();
            if next <= now {
                self.promote(now);
            }
        }
    }

    #[cold]
    pub(super) fn promote(&self, until: Moment) {
        let since = self.now_if_timed();
        for Due { hash, id } in self.delays.take_due(until) {
            let mut section = self.section(hash);
            let (shard, effects) = section.parts();
            shard.come_due(self.lines(), hash, id, since, effects);
            // Queued now, or gone. In the section, so that what follows from it knows.
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
