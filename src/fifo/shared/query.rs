//! Questions about the whole queue.

use std::time::Duration;

use super::Shared;
use crate::fifo::FifoStats;
use crate::fifo::state::entry::{Entry, Waiting};
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::{Key, KeyRef, Object};

impl<T: Object> Shared<T> {
    /// About how many keys are in line: not zero if one can be handed out.
    pub(crate) fn backlog(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn get(&self, key: KeyRef<'_>) -> Option<Arc<T>> {
        let hash = self.keys.hash(key);
        self.keys.lock(self.keys.shard_of(hash)).get(hash, key)
    }

    /// What is in line, in order, through `pick`. As of one moment: all shards are locked while their
    /// tables are copied.
    pub(crate) fn list<R>(&self, pick: impl Fn(Key, Arc<T>) -> R) -> Vec<R> {
        let shards = self.keys.lock_all();
        let copies: Vec<_> = shards.iter().map(|shard| shard.copy()).collect();
        drop(shards);
        let mut ranked = Vec::new();
        for (key, entry) in copies.into_iter().flatten() {
            let entry: Entry<T> = entry.into_inner();
            if let (Some(rank), Waiting::Queued { value, .. }) = (entry.rank(), entry.waiting) {
                ranked.push((rank, pick(key, value)));
            }
        }
        ranked.sort_unstable_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, picked)| picked).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.lock_all().iter().map(|shard| shard.tally().depth() as usize).sum()
    }

    pub(crate) fn oldest_age(&self) -> Option<Duration> {
        if !self.settings.timed {
            return None;
        }
        let mut oldest = None;
        self.keys.visit(|entry| {
            if let Waiting::Queued { since, .. } = entry.waiting {
                oldest = Some(oldest.map_or(since, |oldest| since.min(oldest)));
            }
        });
        oldest.map(|since| self.settings.clock.now().since(since))
    }

    pub(crate) fn stats(&self) -> FifoStats {
        let mut stats = FifoStats::default();
        let shards = self.keys.lock_all();
        shards.iter().for_each(|shard| stats.add(shard.tally()));
        drop(shards);
        if self.settings.timed {
            let now = self.settings.clock.now();
            self.keys.visit(|entry| {
                if let Some(leased) = &entry.leased {
                    stats.add_unfinished(now.since(leased.since));
                }
            });
        }
        // ORDERING: Relaxed, as it is a counter.
        stats.refused = self.refused.load(Ordering::Relaxed);
        stats
    }

    pub(crate) fn has_synced(&self) -> bool {
        self.initial_sync.is_complete()
    }
}
