//! Queries about the whole queue.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use super::Shared;
use crate::fifo::FifoStats;
use crate::fifo::state::entry::{Entry, Waiting};
use crate::panic::{contain, drop_all};
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::{Key, KeyRef, Object};

/// A copy of what waits. A value may be the last of its object by the time it is dropped, so all that are
/// not returned have to go through [`drop_all`].
struct Copied<T> {
    /// In order.
    lined: Vec<(Key, Arc<T>)>,
    others: Vec<Arc<T>>,
}

impl<T: Object> Shared<T> {
    /// About how many keys are in the queue: not zero if one can be handed out.
    pub(crate) fn backlog(&self) -> usize {
        self.queue.len()
    }

    /// Returns whether a consumer that checks now gets something, or the end. If it gets nothing after
    /// all, it has removed stale tickets.
    pub(crate) fn is_ready(&self) -> bool {
        self.backlog() > 0 || self.is_over()
    }

    pub(crate) fn get(&self, key: KeyRef<'_>) -> Option<Arc<T>> {
        let hash = self.keys.hash(key);
        self.keys.lock(self.keys.shard_of(hash)).get(hash, key)
    }

    /// The values in the queue, in order.
    pub(crate) fn list(&self) -> Vec<Arc<T>> {
        let Copied { lined, others } = self.copy();
        let values = lined.into_iter().map(|(_, value)| value).collect();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop_all(others))) {
            contain(|| drop_all(values));
            resume_unwind(panic);
        }
        values
    }

    /// The keys of the values in the queue, in order.
    pub(crate) fn list_keys(&self) -> Vec<Key> {
        let Copied { lined, mut others } = self.copy();
        let (keys, values): (Vec<_>, Vec<_>) = lined.into_iter().unzip();
        others.extend(values);
        drop_all(others);
        keys
    }

    /// Atomic: all shards are locked while their tables are copied.
    fn copy(&self) -> Copied<T> {
        let shards = self.keys.lock_all();
        let copies: Vec<_> = shards.iter().map(|shard| shard.copy()).collect();
        drop(shards);
        let (mut ranked, mut others) = (Vec::new(), Vec::new());
        for (key, entry) in copies.into_iter().flatten() {
            let entry: Entry<T> = entry.into_inner();
            match (entry.rank(), entry.waiting) {
                (Some(rank), Waiting::Queued { value, .. }) => ranked.push((rank, (key, value))),
                (_, Waiting::Delayed { value, .. }) => others.push(value),
                _ => {}
            }
        }
        ranked.sort_unstable_by_key(|(rank, _)| *rank);
        Copied { lined: ranked.into_iter().map(|(_, lined)| lined).collect(), others }
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
