//! Incoming changes to the keys of one shard: values, deletes, and values that are due.

use super::clock::Moment;
use super::effects::Effects;
use super::entry::{Arrival, Entry, Lines, Waiting};
use super::known::remember;
use super::queue::Ticket;
use super::shard::{Shard, insert};
use crate::fifo::Added;
use crate::sync::Arc;
use crate::{Key, KeyRef};

impl<T> Shard<'_, T> {
    /// Where an arriving value goes: its key's entry, or the key to make one for. Neither borrows from
    /// what the key is borrowed from, which may be the value. Remembers the value for its object's
    /// deletion.
    #[inline(always)]
    pub(crate) fn entry(
        &mut self,
        hash: u64,
        key: KeyRef<'_>,
        value: &Arc<T>,
        effects: &mut Effects<T>,
    ) -> Result<&mut Entry<T>, Key> {
        let known = self.known;
        match self.find(hash, |other, _| other.is(key)) {
            Some((key, entry)) => {
                remember(known, hash, key, value, effects);
                Ok(entry)
            }
            None => {
                let key = key.to_key_unchecked();
                remember(known, hash, &key, value, effects);
                Err(key)
            }
        }
    }

    /// Accepts a value.
    #[inline(always)]
    pub(crate) fn put(
        &mut self,
        lines: Lines<'_>,
        arrival: Arrival,
        key: KeyRef<'_>,
        value: Arc<T>,
        effects: &mut Effects<T>,
    ) -> Added {
        let tally = self.tally;
        match self.entry(arrival.hash, key, &value, effects) {
            Ok(entry) => entry.add(lines, tally, arrival, value, effects),
            Err(key) => self.insert(lines, arrival, key, value, effects),
        }
    }

    /// Queues a value, or a deletion.
    #[inline(always)]
    pub(super) fn place(
        &mut self,
        lines: Lines<'_>,
        arrival: Arrival,
        key: Key,
        value: Arc<T>,
        effects: &mut Effects<T>,
    ) -> Added {
        let tally = self.tally;
        match self.find(arrival.hash, |other, _| *other == key) {
            Some((_, entry)) => entry.add(lines, tally, arrival, value, effects),
            None => self.insert(lines, arrival, key, value, effects),
        }
    }

    /// Accepts the value of a key that has no entry.
    #[inline(always)]
    pub(crate) fn insert(
        &mut self,
        lines: Lines<'_>,
        arrival: Arrival,
        key: Key,
        value: Arc<T>,
        effects: &mut Effects<T>,
    ) -> Added {
        let Arrival { hash, priority, since, .. } = arrival;
        self.tally.adds.add(1);
        let seq = arrival.seq(lines);
        let waiting = Waiting::Queued { seq, skipped: false, since, value };
        insert(&mut self.table, hash, key, Entry::new(arrival, waiting));
        lines.queue.push(priority, Ticket { hash, seq });
        effects.entries += 1;
        effects.available += 1;
        effects.added += 1;
        Added::Queued
    }

    /// Accepts the value of a key that has no entry, and is not to be handed out before `due`.
    pub(crate) fn insert_delayed(
        &mut self,
        lines: Lines<'_>,
        arrival: Arrival,
        due: Moment,
        key: Key,
        value: Arc<T>,
        effects: &mut Effects<T>,
    ) -> Added {
        let mut entry = Entry::new(arrival, Waiting::Nothing);
        let added = entry.add_delayed(lines, self.tally, arrival, due, value, effects);
        insert(&mut self.table, arrival.hash, key, entry);
        effects.entries += 1;
        added
    }

    /// Removes a key's waiting value, and keeps a lease of it from coming back. Keys that were queued at
    /// `first` or later are counted as available in these effects, and are no longer.
    pub(crate) fn delete(
        &mut self,
        lines: Lines<'_>,
        hash: u64,
        key: KeyRef<'_>,
        first: u64,
        effects: &mut Effects<T>,
    ) -> Option<Arc<T>> {
        let idle = |other: &Key, entry: &Entry<T>| other.is(key) && entry.leased.is_none();
        if let Some(mut entry) = self.remove(hash, idle, effects) {
            effects.available -= usize::from(entry.seq().is_some_and(|seq| seq >= first));
            return entry.withdraw(lines, self.tally, effects);
        }
        let tally = self.tally;
        let (_, entry) = self.find(hash, |other, _| other.is(key))?;
        entry.withdraw(lines, tally, effects)
    }

    /// Queues a key that is due, unless its delay has changed. Returns whether it has become available.
    pub(crate) fn come_due(&mut self, lines: Lines<'_>, hash: u64, id: u64, since: Moment) -> bool {
        let waits = |_: &Key, entry: &Entry<T>| matches!(entry.waiting, Waiting::Delayed { id: other, .. } if other == id);
        let tally = self.tally;
        let Some((_, entry)) = self.find(hash, waits) else { return false };
        let waiting = std::mem::replace(&mut entry.waiting, Waiting::Nothing);
        if let Waiting::Delayed { value, .. } = waiting {
            tally.delayed.sub(1);
            entry.enqueue(lines, value, since);
        }
        entry.leased.is_none()
    }
}
