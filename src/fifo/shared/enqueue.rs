//! Accepting adds, deletes, batches and lists.

use std::time::Duration;

use super::{SHARD_COUNT, Shared};
use crate::fifo::state::entry::Arrival;
use crate::fifo::state::queue::Priority;
use crate::fifo::{AddError, Added, Closed};
use crate::sync::Arc;
use crate::{Batch, Change, KeyRef, Listing, Object};

impl<T: Object> Shared<T> {
    /// Accepts an object, after a delay if there is one. With `only_absent`, returns `None` if the key
    /// has an entry already.
    #[inline]
    pub(crate) fn add(
        &self,
        object: Arc<T>,
        delay: Duration,
        only_absent: bool,
    ) -> Result<Option<Added>, AddError<T>> {
        // Called once, before any lock is taken: it is user code.
        let key = object.key();
        if let Err(source) = key.check() {
            return Err(AddError::Key { object, source });
        }
        let hash = self.keys.hash(key);
        let priority = self.queue.priority(Priority::Change);
        let arrival = Arrival {
            hash,
            seq: None,
            priority,
            since: self.now_if_timed(),
            initial: false,
            deletion: false,
        };
        let due = (!delay.is_zero()).then(|| self.settings.clock.now().after(delay));
        let mut section = self.section(hash);
        if !self.phase.is_open() {
            section.refused = true;
            return Err(AddError::Closed(object));
        }
        let (shard, effects) = section.parts();
        if only_absent || self.capacity.is_limited() {
            let known = shard.contains(hash, key);
            if only_absent && known {
                effects.discard(object);
                return Ok(None);
            }
            if !known {
                if !self.capacity.reserve() {
                    effects.refused = true;
                    return Err(AddError::Full(object));
                }
                // That entry was counted by `reserve`.
                effects.entries -= 1;
            }
        }
        self.initial_sync.mark_fed();
        let (lines, tally) = (self.lines(), shard.tally());
        Ok(Some(match (shard.entry(hash, key, &object, effects), due) {
            (Ok(entry), None) => entry.add(lines, tally, arrival, object, effects),
            (Ok(entry), Some(due)) => {
                entry.add_delayed(lines, tally, arrival, due, object, effects)
            }
            (Err(key), None) => shard.insert(lines, arrival, key, object, effects),
            (Err(key), Some(due)) => {
                shard.insert_delayed(lines, arrival, due, key, object, effects)
            }
        }))
    }

    pub(crate) fn delete(&self, key: KeyRef<'_>) -> Option<Arc<T>> {
        if self.keys.hands_out_deletions() {
            return self.put_deletion(key);
        }
        let hash = self.keys.hash(key);
        let mut section = self.section(hash);
        let (shard, effects) = section.parts();
        self.initial_sync.mark_fed();
        shard.delete(self.lines(), hash, key, u64::MAX, effects)
    }

    /// Applies a batch atomically: no other call sees half of it.
    pub(crate) fn apply(&self, batch: &Batch<T>) -> Result<(), Closed> {
        let mut needed = [false; SHARD_COUNT];
        let hashed = |(key, change)| {
            let hash = self.keys.hash(key);
            let shard = self.keys.shard_of(hash);
            needed[shard] = true;
            (hash, shard, key, change)
        };
        let changes: Vec<_> = batch.changes().map(hashed).collect();
        let since = self.now_if_timed();
        let priority = self.queue.priority(Priority::Change);
        let deletions = self.keys.hands_out_deletions();
        self.with_shards(needed, |shards, effects| {
            if !self.phase.is_open() {
                effects.refused = true;
                return Err(Closed);
            }
            if !batch.is_empty() {
                self.initial_sync.mark_fed();
            }
            let first = self.queue.sequence(batch.len());
            for (seq, (hash, shard, key, change)) in (first..).zip(changes) {
                let Some(shard) = &mut shards[shard] else {
                    unreachable!("each key's shard was locked");
                };
                match change {
                    Change::Add(object) => {
                        let (seq, initial) = (Some(seq), false);
                        let arrival =
                            Arrival { hash, seq, priority, since, initial, deletion: false };
                        shard.put(self.lines(), arrival, key, Arc::clone(object), effects);
                    }
                    Change::Delete(last) if deletions => {
                        let (seq, initial) = (Some(seq), false);
                        let arrival =
                            Arrival { hash, seq, priority, since, initial, deletion: true };
                        let (lines, last) = (self.lines(), last.as_ref());
                        let state = shard.put_deletion(lines, arrival, key, last, effects);
                        state.into_iter().for_each(|state| effects.discard(state));
                    }
                    Change::Delete(_) => {
                        if let Some(value) = shard.delete(self.lines(), hash, key, first, effects) {
                            effects.discard(value);
                        }
                    }
                }
            }
            Ok(())
        })
    }

    /// Replaces all that waits by the listed objects, in the order of the list; atomically, too.
    pub(crate) fn replace(&self, listing: &Listing<T>) -> Result<(), Closed> {
        let since = self.now_if_timed();
        let priority = self.queue.priority(Priority::List);
        self.with_all(|shards, effects| {
            if !self.phase.is_open() {
                effects.refused = true;
                return Err(Closed);
            }
            let initial = self.initial_sync.begin();
            // Every key that waits in this lane is about to get a new place, or to be removed. A consumer
            // that checks in between finds the lane empty, so all of them count as newly available.
            effects.stale += self.queue.clear(priority);
            let share = listing.len() / SHARD_COUNT;
            let mut before: Vec<_> = shards.iter_mut().map(|s| s.take_table(share)).collect();
            if self.keys.hands_out_deletions() {
                self.put_gone(shards, &mut before, (listing, priority), since, effects);
            }
            let first = self.queue.sequence(listing.len());
            for (seq, (key, object)) in (first..).zip(listing.objects()) {
                let hash = self.keys.hash(key);
                let seq = Some(seq);
                let arrival = Arrival { hash, seq, priority, since, initial, deletion: false };
                let (shard, object) = (self.keys.shard_of(hash), Arc::clone(object));
                let (shard, before) = (&mut shards[shard], &mut before[shard]);
                let arrival = (arrival, priority);
                shard.put_listed(before, self.lines(), arrival, key, object, effects);
            }
            for (shard, before) in shards.iter_mut().zip(before) {
                shard.drop_unlisted(before, self.lines(), priority, effects);
            }
            if initial {
                self.initial_sync.expect(listing.len());
            }
            Ok(())
        })
    }
}
