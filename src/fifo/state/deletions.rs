//! How deletions reach consumers, if the queue hands them out: what a delete and a relist do to the keys
//! of one shard.
//!
//! The queue remembers the last state of each object that it was given (see [`Known`]). A delete takes it
//! out of there and accepts it like any other value of its key, marked as a deletion. So each object that
//! arrived has one deletion, and an object that never arrived has none.

use hashbrown_raw::raw::RawTable;

use super::effects::Effects;
use super::entry::{Arrival, Entry, Lines, Waiting};
use super::known::{Known, lock, remember};
use super::queue::Priority;
use super::relist::Rank;
use super::shard::{Shard, Table};
use crate::sync::{Arc, MutexGuard, SharedValue};
use crate::{Key, KeyRef};

/// An object that a relist leaves out.
pub(crate) struct Gone<T> {
    /// Where its key waited.
    pub(crate) rank: Option<Rank>,
    pub(crate) hash: u64,
    pub(crate) key: Key,
    /// Its last state; `None` if its deletion waits already.
    pub(crate) last: Option<Arc<T>>,
}

impl<T> Gone<T> {
    /// Those that waited come first, as they waited, then the rest by key.
    pub(crate) fn sort(gone: &mut [Self]) {
        let last = (u8::MAX, u64::MAX, u64::MAX);
        gone.sort_unstable_by(|one, other| {
            let rank = |gone: &Self| gone.rank.unwrap_or(last);
            (rank(one), one.key.as_str()).cmp(&(rank(other), other.key.as_str()))
        });
    }
}

impl<T> Shard<'_, T> {
    #[inline(always)]
    fn known(&self) -> Option<MutexGuard<'_, Known<T>>> {
        self.known.map(lock)
    }

    /// A key from the table of known objects, or a copy.
    pub(super) fn owned(&self, hash: u64, key: KeyRef<'_>) -> Key {
        let known = self.known().and_then(|known| known.key(hash, key).cloned());
        known.unwrap_or_else(|| key.to_key_unchecked())
    }

    /// Forgets an object whose deletion is not to be handed out; returns whether it was known.
    pub(crate) fn forget(&self, hash: u64, key: KeyRef<'_>, effects: &mut Effects<T>) -> bool {
        let forgotten = self.known().and_then(|mut known| known.remove(hash, key));
        forgotten.map(|(_, last)| effects.discard(last)).is_some()
    }

    /// Accepts the deletion of an object, with its last state if that is at hand, and returns the state
    /// it will be handed out with. `None` if the queue was not given the object, or has its deletion
    /// already.
    pub(crate) fn put_deletion(
        &mut self,
        lines: Lines<'_>,
        arrival: Arrival,
        key: KeyRef<'_>,
        last: Option<&Arc<T>>,
        effects: &mut Effects<T>,
    ) -> Option<Arc<T>> {
        let (key, mut state) = self.known()?.remove(arrival.hash, key)?;
        if let Some(last) = last {
            effects.discard(std::mem::replace(&mut state, Arc::clone(last)));
        }
        self.place(lines, arrival, key, Arc::clone(&state), effects);
        Some(state)
    }
}

/// A relist: each step for all shards before the next.
impl<T> Shard<'_, T> {
    /// Takes out the known objects, to make room for about `len` new ones.
    pub(crate) fn take_known(&self, len: usize) -> Known<T> {
        let new = Known::with_capacity(len);
        match self.known() {
            Some(mut known) => std::mem::replace(&mut *known, new),
            None => new,
        }
    }

    /// Keeps the state of a listed object.
    pub(crate) fn relist(
        &self,
        before: &mut Known<T>,
        (hash, key): (u64, KeyRef<'_>),
        state: &Arc<T>,
        effects: &mut Effects<T>,
    ) {
        let key = match before.remove(hash, key) {
            Some((key, last)) => {
                effects.discard(last);
                key
            }
            None => key.to_key_unchecked(),
        };
        remember(self.known, hash, &key, state, effects);
    }

    /// Finds the objects that the list left out: `known` is what remains of the objects known before,
    /// `before` has the entries of that time. Of waiting deletions, those count whose tickets were
    /// cleared.
    pub(crate) fn collect_gone(
        &self,
        before: &mut Table<T>,
        mut known: Known<T>,
        cleared: Priority,
        gone: &mut Vec<Gone<T>>,
    ) {
        // A locked table cannot be walked by safe code.
        let entries = std::mem::replace(before, RawTable::with_capacity(before.len()));
        for (key, entry) in entries {
            let entry = entry.into_inner();
            let (hash, rank) = (entry.hash, entry.rank());
            let lost_its_place = entry.deletion
                && entry.priority == cleared
                && matches!(entry.waiting, Waiting::Queued { .. });
            if let Some((key, last)) = known.remove(hash, key.as_ref()) {
                gone.push(Gone { rank, hash, key, last: Some(last) });
            } else if lost_its_place
                && self.known().is_none_or(|now| now.key(hash, key.as_ref()).is_none())
            {
                gone.push(Gone { rank, hash, key: key.clone(), last: None });
            }
            before.insert(hash, (key, SharedValue::new(entry)), |(_, entry)| entry.get().hash);
        }
        let rest = known.into_objects();
        gone.extend(rest.map(|(hash, key, last)| Gone { rank: None, hash, key, last: Some(last) }));
    }

    /// Queues the deletion of an object that the list left out.
    pub(crate) fn put_gone(
        &mut self,
        before: &mut Table<T>,
        lines: Lines<'_>,
        (arrival, cleared): (Arrival, Priority),
        Gone { key, last, .. }: Gone<T>,
        effects: &mut Effects<T>,
    ) {
        if let Some(last) = last {
            self.put_listed(before, lines, (arrival, cleared), key.as_ref(), last, effects);
            return;
        }
        let entry = before.get_mut(arrival.hash, |(other, _)| *other == key);
        let Some(entry) = entry.map(|(_, entry)| entry.get_mut()) else {
            unreachable!("it was found there");
        };
        entry.replace_ticket(lines, arrival.priority);
        effects.available += usize::from(entry.leased.is_none());
    }
}

impl<T> Entry<T> {
    /// Gives a queued key another ticket, at the back: its own is gone.
    fn replace_ticket(&mut self, lines: Lines<'_>, priority: Priority) {
        self.priority = priority;
        if let Waiting::Queued { since, value, .. } =
            std::mem::replace(&mut self.waiting, Waiting::Nothing)
        {
            self.enqueue(lines, value, since);
        }
    }
}
