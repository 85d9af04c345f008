//! Sections that go through all keys of a shard: they take its table and make another.

use hashbrown_raw::raw::RawTable;

use super::effects::Effects;
use super::entry::{Arrival, Entry, Lines, Waiting};
use super::queue::Priority;
use super::shard::{Shard, Table, insert};
use crate::KeyRef;
use crate::sync::Arc;

/// The order of waiting keys: priority, then sequence; delayed keys come last, by time.
pub(crate) type Rank = (u8, u64, u64);

impl<T> Shard<'_, T> {
    /// Takes the table out to be [replaced](Shard::put_listed) by one for about `len` keys.
    pub(crate) fn take_table(&mut self, len: usize) -> Table<T> {
        self.tally.peak.set(0);
        self.tally.removals.set(0);
        std::mem::replace(&mut *self.table, RawTable::with_capacity(len))
    }

    /// Accepts a listed value, or a deletion that the list implies, for a key that may have an entry in
    /// the table from before. The lane that the list goes into has been cleared, so every key queued
    /// there counts as available, new or not; a key that waits in another lane keeps its place.
    pub(crate) fn put_listed(
        &mut self,
        before: &mut Table<T>,
        lines: Lines<'_>,
        (arrival, cleared): (Arrival, Priority),
        key: KeyRef<'_>,
        value: Arc<T>,
        effects: &mut Effects<T>,
    ) {
        let Arrival { hash, initial, deletion, .. } = arrival;
        let tally = self.tally;
        let known = before.remove_entry(hash, |(other, _)| other.is(key));
        let Some((key, known)) = known else {
            self.place(lines, arrival, self.owned(hash, key), value, effects);
            return;
        };
        let mut entry = known.into_inner();
        tally.adds.add(1);
        match &mut entry.waiting {
            Waiting::Queued { value: waiting, .. } if entry.priority != cleared => {
                tally.coalesced.add(1);
                effects.coalesced += 1;
                effects.discard(std::mem::replace(waiting, value));
                entry.initial |= initial;
                entry.deletion = deletion;
            }
            waiting => {
                let queued = matches!(waiting, Waiting::Queued { .. });
                let stale = effects.stale;
                entry.put(lines, tally, arrival, value, effects);
                if queued {
                    // Its ticket was cleared away.
                    effects.stale = stale;
                }
            }
        }
        insert(&mut self.table, hash, key, entry);
    }

    /// Removes what waits in the table from before, now that all listed keys have left it. `cleared` is
    /// the lane whose tickets were dropped already.
    pub(crate) fn drop_unlisted(
        &mut self,
        before: Table<T>,
        lines: Lines<'_>,
        cleared: Priority,
        effects: &mut Effects<T>,
    ) {
        for (key, entry) in before {
            let mut entry = entry.into_inner();
            if self.known.is_some() {
                // What was there has become a deletion, so this is an older one, on its way.
                insert(&mut self.table, entry.hash, key, entry);
                continue;
            }
            let stale = effects.stale;
            if let Some(value) = entry.withdraw(lines, self.tally, effects) {
                effects.discard(value);
            }
            if entry.priority == cleared {
                effects.stale = stale;
            }
            if entry.leased.is_some() {
                insert(&mut self.table, entry.hash, key, entry);
            } else {
                effects.entries -= 1;
            }
        }
    }

    /// Removes everything that waits, each value with its rank. The tickets have been cleared.
    pub(crate) fn take_waiting(
        &mut self,
        lines: Lines<'_>,
        taken: &mut Vec<(Rank, Arc<T>)>,
        effects: &mut Effects<T>,
    ) {
        let stale = effects.stale;
        for (key, entry) in self.take_table(0) {
            let mut entry = entry.into_inner();
            let rank = entry.rank();
            // A lease may bring its value back only if nothing newer waits.
            if let Some(rank) = rank {
                taken.extend(entry.withdraw(lines, self.tally, effects).map(|value| (rank, value)));
            }
            if entry.leased.is_some() {
                insert(&mut self.table, entry.hash, key, entry);
            } else {
                effects.entries -= 1;
            }
        }
        effects.stale = stale;
    }

    /// A copy of the table, to be read after unlocking.
    pub(crate) fn copy(&self) -> Table<T> {
        self.table.clone()
    }
}

impl<T> Entry<T> {
    /// The key's rank among those that wait.
    pub(crate) fn rank(&self) -> Option<Rank> {
        match self.waiting {
            Waiting::Queued { seq, .. } => Some((self.priority as u8, seq, 0)),
            Waiting::Delayed { due, id, .. } => Some((u8::MAX, due.0, id)),
            Waiting::Nothing => None,
        }
    }
}
