//! Deletions that are handed out, if the queue does so.

use super::{SHARD_COUNT, Shared};
use crate::fifo::state::clock::Moment;
use crate::fifo::state::deletions::Gone;
use crate::fifo::state::effects::Effects;
use crate::fifo::state::entry::Arrival;
use crate::fifo::state::queue::Priority;
use crate::fifo::state::shard::{Shard, Table};
use crate::sync::Arc;
use crate::{KeyRef, Listing, Object};

impl<T: Object> Shared<T> {
    pub(crate) fn has_deletions(&self) -> bool {
        self.settings.deletions
    }

    /// How a deletion arrives. One from a list also comes before the listed objects, since it is a
    /// change.
    fn deletion(&self, hash: u64, since: Moment) -> Arrival {
        let priority = self.queue.priority(Priority::Change);
        Arrival { hash, seq: None, priority, since, initial: false, deletion: true }
    }

    pub(super) fn put_deletion(&self, key: KeyRef<'_>) -> Option<Arc<T>> {
        let hash = self.keys.hash(key);
        let arrival = self.deletion(hash, self.now_if_timed());
        let mut section = self.section(hash);
        let open = self.phase.is_open();
        let (shard, effects) = section.parts();
        self.initial_sync.mark_fed();
        if open || shard.waits(hash, key) {
            return shard.put_deletion(self.lines(), arrival, key, None, effects);
        }
        // A closed queue takes no new entry. All that is left to do is that a lease of the object does
        // not bring it back; a lease of its deletion may.
        if shard.forget(hash, key, effects) {
            shard.delete(self.lines(), hash, key, u64::MAX, effects);
        }
        None
    }

    /// Before what is listed takes its place, all else that the queue was given becomes a deletion.
    /// `before` has the entries of the time before the list; tickets of priority `cleared` are gone.
    pub(super) fn put_gone(
        &self,
        shards: &mut [Shard<'_, T>],
        before: &mut [Table<T>],
        (listing, cleared): (&Listing<T>, Priority),
        since: Moment,
        effects: &mut Effects<T>,
    ) {
        let share = listing.len() / SHARD_COUNT;
        let mut known: Vec<_> = shards.iter().map(|shard| shard.take_known(share)).collect();
        for (key, object) in listing.objects() {
            let hash = self.keys.hash(key);
            let shard = self.keys.shard_of(hash);
            shards[shard].relist(&mut known[shard], (hash, key), object, effects);
        }
        let mut gone = Vec::new();
        for ((shard, known), before) in shards.iter().zip(known).zip(&mut *before) {
            shard.collect_gone(before, known, cleared, &mut gone);
        }
        Gone::sort(&mut gone);
        for gone in gone {
            let arrival = (self.deletion(gone.hash, since), cleared);
            let shard = self.keys.shard_of(gone.hash);
            let before = &mut before[shard];
            shards[shard].put_gone(before, self.lines(), arrival, gone, effects);
        }
    }
}
