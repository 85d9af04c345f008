//! Looks at the whole queue.

use std::time::Duration;

use super::Core;
use crate::fifo::FifoStats;
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::{Key, KeyRef, Object};

impl<T: Object> Core<T> {
    /// About how many keys are in line: not zero if one can be handed out.
    pub(in crate::fifo) fn backlog(&self) -> usize {
        self.order.line.len()
    }

    pub(in crate::fifo) fn get(&self, key: KeyRef<'_>) -> Option<Arc<T>> {
        let hash = self.hash(key);
        self.stripe(hash).get(hash, key).cloned()
    }

    /// What is in line, in order, through `pick`.
    pub(in crate::fifo) fn list<R>(&self, pick: impl Fn(&Key, &Arc<T>) -> R) -> Vec<R> {
        let stripes = self.all();
        let in_line = stripes.iter().flat_map(|stripe| stripe.in_line());
        let mut ranked: Vec<_> =
            in_line.map(|(rank, key, value, _)| (rank, pick(key, value))).collect();
        drop(stripes);
        ranked.sort_unstable_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, picked)| picked).collect()
    }

    pub(in crate::fifo) fn len(&self) -> usize {
        self.all().iter().map(|stripe| stripe.tally.depth as usize).sum()
    }

    pub(in crate::fifo) fn oldest_age(&self) -> Option<Duration> {
        let stripes = self.all();
        let oldest =
            stripes.iter().flat_map(|stripe| stripe.in_line()).map(|(.., since)| since).min();
        oldest.filter(|_| self.settings.timed).map(|since| self.settings.clock.now().since(since))
    }

    pub(in crate::fifo) fn stats(&self) -> FifoStats {
        let stripes = self.all();
        let mut stats = FifoStats::default();
        for stripe in &stripes {
            stats.add(&stripe.tally);
        }
        if self.settings.timed {
            let now = self.settings.clock.now();
            for began in stripes.iter().flat_map(|stripe| stripe.leases()) {
                stats.add_unfinished(now.since(began));
            }
        }
        // ORDERING: relaxed, no partner: a counter.
        stats.refused = self.refused.load(Ordering::Relaxed);
        stats
    }
}
