//! The keys of one shard, while it is locked: its table, and the queries on it.
//!
//! Changes to them are in `incoming`, `outgoing`, `relist` and `deletions`. Objects are never dropped
//! there, as their destructors are user code: whatever a call displaces goes into its [`Effects`], and is
//! dropped after unlocking.

use hashbrown_raw::raw::RawTable;

use super::effects::Effects;
use super::entry::Entry;
use super::known::Known;
use super::queue::Ticket;
use super::tally::Tally;
use crate::sync::{Arc, Mutex, RwLockWriteGuard, SharedValue};
use crate::{Key, KeyRef};

pub(crate) type Table<T> = RawTable<(Key, SharedValue<Entry<T>>)>;

pub(crate) struct Shard<'a, T> {
    pub(super) table: RwLockWriteGuard<'a, Table<T>>,
    pub(super) tally: &'a Tally,
    /// Where deletions are handed out. Only taken with the shard locked.
    pub(super) known: Option<&'a Mutex<Known<T>>>,
}

#[inline(always)]
pub(super) fn insert<T>(table: &mut Table<T>, hash: u64, key: Key, entry: Entry<T>) {
    table.insert(hash, (key, SharedValue::new(entry)), |(_, entry)| entry.get().hash);
}

impl<'a, T> Shard<'a, T> {
    #[inline(always)]
    pub(crate) fn new(
        table: RwLockWriteGuard<'a, Table<T>>,
        tally: &'a Tally,
        known: Option<&'a Mutex<Known<T>>>,
    ) -> Self {
        Self { table, tally, known }
    }

    pub(crate) fn tally(&self) -> &'a Tally {
        self.tally
    }

    /// An entry that the map must have, with this hash, for which `is` holds.
    #[inline(always)]
    pub(super) fn find(
        &mut self,
        hash: u64,
        is: impl Fn(&Key, &Entry<T>) -> bool,
    ) -> Option<(&Key, &mut Entry<T>)> {
        let found = self.table.get_mut(hash, |(key, entry)| is(key, entry.get()));
        found.map(|(key, entry)| (&*key, entry.get_mut()))
    }

    #[inline(always)]
    pub(super) fn remove(
        &mut self,
        hash: u64,
        is: impl Fn(&Key, &Entry<T>) -> bool,
        effects: &mut Effects<T>,
    ) -> Option<Entry<T>> {
        let (_, entry) = self.table.remove_entry(hash, |(key, entry)| is(key, entry.get()))?;
        effects.entries -= 1;
        self.removed();
        Some(entry.into_inner())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub(crate) fn contains(&self, hash: u64, key: KeyRef<'_>) -> bool {
        self.table.get(hash, |(other, _)| other.is(key)).is_some()
    }

    /// The value of a key that waits, in the queue or for its time.
    pub(crate) fn get(&self, hash: u64, key: KeyRef<'_>) -> Option<Arc<T>> {
        let (_, entry) = self.table.get(hash, |(other, _)| other.is(key))?;
        entry.get().value().cloned()
    }

    /// Returns whether a value of the key waits, in the queue or for its time.
    pub(crate) fn waits(&self, hash: u64, key: KeyRef<'_>) -> bool {
        let entry = self.table.get(hash, |(other, _)| other.is(key));
        entry.is_some_and(|(_, entry)| entry.get().value().is_some())
    }

    /// Returns whether a ticket is valid.
    pub(crate) fn holds(&self, Ticket { hash, seq }: Ticket) -> bool {
        self.table.get(hash, |(_, entry)| entry.get().seq() == Some(seq)).is_some()
    }

    /// Call after each removal. Gives memory back after a peak: once as many keys have left as the
    /// table has room for, it is cut to twice what it held at most meanwhile. So a queue that fills
    /// and empties in turn keeps its table, and rehashing is paid for by the removals.
    #[inline(always)]
    pub(super) fn removed(&mut self) {
        let Tally { peak, removals, .. } = self.tally;
        let len = self.table.len() as u64 + 1;
        if peak.get() < len {
            peak.set(len);
        }
        removals.add(1);
        if removals.get() > self.table.capacity() as u64 {
            self.fit();
        }
    }

    #[cold]
    fn fit(&mut self) {
        let Tally { peak, removals, .. } = self.tally;
        if self.table.capacity() as u64 / 4 > peak.get() {
            self.table.shrink_to(peak.get() as usize * 2, |(_, entry)| entry.get().hash);
        }
        peak.set(self.table.len() as u64);
        removals.set(0);
    }
}
