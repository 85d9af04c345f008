//! What comes in: adds, deletes, batches and lists.

use std::borrow::Cow;
use std::time::Duration;

use super::{SHARDS, Shared};
use crate::fifo::state::entry::Arrival;
use crate::fifo::state::queue::Priority;
use crate::fifo::{AddError, Added, Closed};
use crate::sync::Arc;
use crate::{Batch, Change, Key, KeyRef, Listing, Object};

impl<T: Object> Shared<T> {
    /// Accepts an object, perhaps not to be handed out at once, perhaps only if its key has no entry;
    /// `None` if it has.
    #[inline]
    pub(crate) fn add(
        &self,
        object: Arc<T>,
        delay: Duration,
        only_absent: bool,
    ) -> Result<Option<Added>, AddError<T>> {
        // The key is asked for before any lock is taken, since it is the user's code that answers.
        let (key, object) = match object.key() {
            Ok(key) => (key, object),
            Err(source) => return Err(AddError::Key { object, source }),
        };
        let hash = self.keys.hash(key.as_ref());
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
            let known = shard.contains(hash, &key);
            if only_absent && known {
                effects.discard(object);
                return Ok(None);
            }
            if !known {
                if !self.capacity.reserve() {
                    effects.refused = true;
                    return Err(AddError::Full(object));
                }
                // That entry is counted already.
                effects.entries -= 1;
            }
        }
        self.initial_sync.mark_fed();
        Ok(Some(match due {
            None => shard.put(self.lines(), arrival, Cow::Owned(key), object, effects),
            Some(due) => shard.put_delayed(self.lines(), arrival, due, key, object, effects),
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

    /// Applies a batch as one: no other call sees half of it.
    pub(crate) fn apply(&self, batch: &Batch<T>) -> Result<(), Closed> {
        let changes = batch.changes();
        let mut needed = [false; SHARDS];
        let hash = |(key, _): &(Key, Change<T>)| {
            let hash = self.keys.hash(key.as_ref());
            needed[self.keys.shard_of(hash)] = true;
            hash
        };
        let hashes: Vec<_> = changes.iter().map(hash).collect();
        let since = self.now_if_timed();
        let priority = self.queue.priority(Priority::Change);
        let deletions = self.keys.hands_out_deletions();
        self.with_shards(needed, |shards, effects| {
            if !self.phase.is_open() {
                effects.refused = true;
                return Err(Closed);
            }
            if !changes.is_empty() {
                self.initial_sync.mark_fed();
            }
            let first = self.queue.sequence(changes.len());
            for ((seq, (key, change)), &hash) in (first..).zip(changes).zip(&hashes) {
                let Some(shard) = &mut shards[self.keys.shard_of(hash)] else {
                    unreachable!("each key's shard was locked");
                };
                match change {
                    Change::Put(object) => {
                        let (seq, initial) = (Some(seq), false);
                        let arrival =
                            Arrival { hash, seq, priority, since, initial, deletion: false };
                        let (key, object) = (Cow::Borrowed(key), Arc::clone(object));
                        shard.put(self.lines(), arrival, key, object, effects);
                    }
                    Change::Delete(last) if deletions => {
                        let (seq, initial) = (Some(seq), false);
                        let arrival =
                            Arrival { hash, seq, priority, since, initial, deletion: true };
                        let (key, last) = (key.as_ref(), last.as_ref());
                        let state = shard.put_deletion(self.lines(), arrival, key, last, effects);
                        state.into_iter().for_each(|state| effects.discard(state));
                    }
                    Change::Delete(_) => {
                        let key = key.as_ref();
                        if let Some(value) = shard.delete(self.lines(), hash, key, first, effects) {
                            effects.discard(value);
                        }
                    }
                }
            }
            Ok(())
        })
    }

    /// Makes the listed objects, in the order of the list, all that waits; as one, too.
    pub(crate) fn replace(&self, listing: &Listing<T>) -> Result<(), Closed> {
        let objects = listing.objects();
        let since = self.now_if_timed();
        let priority = self.queue.priority(Priority::List);
        self.with_all(|shards, effects| {
            if !self.phase.is_open() {
                effects.refused = true;
                return Err(Closed);
            }
            let initial = self.initial_sync.begin();
            // Every key that waits in this lane is about to get a new place, or to go. A consumer that
            // looks in between finds the lane empty, so all of them count as newly available.
            effects.stale += self.queue.clear(priority);
            let share = objects.len() / SHARDS;
            let mut before: Vec<_> = shards.iter_mut().map(|s| s.take_table(share)).collect();
            if self.keys.hands_out_deletions() {
                self.put_gone(shards, &mut before, (objects, priority), since, effects);
            }
            let first = self.queue.sequence(objects.len());
            for (seq, (key, object)) in (first..).zip(objects) {
                let hash = self.keys.hash(key.as_ref());
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
                self.initial_sync.expect(objects.len());
            }
            Ok(())
        })
    }
}
