//! The operations on the keys of one shard, while it is locked.
//!
//! Objects are never dropped here, as their destructors are user code: whatever a call displaces
//! goes into its [`Effects`], and is dropped after unlocking.

use hashbrown_raw::raw::RawTable;

use super::clock::Moment;
use super::effects::Effects;
use super::entry::{Arrival, Entry, Leased, Lines, Waiting};
use super::known::{Known, remember};
use super::queue::{Priority, Ticket};
use super::tally::Tally;
use crate::fifo::Added;
use crate::sync::{Arc, Mutex, RwLockWriteGuard, SharedValue};
use crate::{Key, KeyRef};

pub(crate) type Table<T> = RawTable<(Key, SharedValue<Entry<T>>)>;

pub(crate) struct Shard<'a, T> {
    table: RwLockWriteGuard<'a, Table<T>>,
    tally: &'a Tally,
    /// Where deletions are handed out. Only taken with the shard locked.
    pub(super) known: Option<&'a Mutex<Known<T>>>,
}

/// What orders waiting keys: priority, then sequence; what waits for its time comes last, by time.
pub(crate) type Rank = (u8, u64, u64);

/// An object that is handed out on a lease.
pub(crate) struct Leasing<T> {
    pub(crate) key: Key,
    pub(crate) hash: u64,
    pub(crate) object: Arc<T>,
    /// It is gone, and this is its last state.
    pub(crate) deletion: bool,
    pub(crate) failures: u32,
}

/// How a lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseEnd {
    Done,
    /// Done, and again after this time.
    After(std::time::Duration),
    Retry,
    Abandoned,
}

/// What became of a lease that ended.
pub(crate) struct Ended {
    pub(crate) began: Moment,
    /// The leased value is to be handed out again, as nothing newer was there.
    pub(crate) comes_back: bool,
}

#[inline(always)]
fn insert<T>(table: &mut Table<T>, hash: u64, key: Key, entry: Entry<T>) {
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
    fn find(
        &mut self,
        hash: u64,
        is: impl Fn(&Key, &Entry<T>) -> bool,
    ) -> Option<(&Key, &mut Entry<T>)> {
        let found = self.table.get_mut(hash, |(key, entry)| is(key, entry.get()));
        found.map(|(key, entry)| (&*key, entry.get_mut()))
    }

    #[inline(always)]
    fn remove(
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
        self.table.get(hash, |(other, _)| other.as_ref() == key).is_some()
    }

    /// Where a value that comes is to go: its key's entry or, to make one, the key. Neither borrows what
    /// the key is borrowed from, which may be the value. Keeps the value for its object's deletion.
    #[inline(always)]
    pub(crate) fn entry(
        &mut self,
        hash: u64,
        key: KeyRef<'_>,
        value: &Arc<T>,
        effects: &mut Effects<T>,
    ) -> Result<&mut Entry<T>, Key> {
        let known = self.known;
        match self.find(hash, |other, _| other.as_ref() == key) {
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

    /// Gives a value, or a deletion, its place.
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

    /// Takes away a key's waiting value, and bars a lease of it from coming back. Keys that were queued
    /// at `first` or later are counted as available in these effects, and are so no more.
    pub(crate) fn delete(
        &mut self,
        lines: Lines<'_>,
        hash: u64,
        key: KeyRef<'_>,
        first: u64,
        effects: &mut Effects<T>,
    ) -> Option<Arc<T>> {
        let idle = |other: &Key, entry: &Entry<T>| other.as_ref() == key && entry.leased.is_none();
        if let Some(mut entry) = self.remove(hash, idle, effects) {
            effects.available -= usize::from(entry.seq().is_some_and(|seq| seq >= first));
            return entry.withdraw(lines, self.tally, effects);
        }
        let tally = self.tally;
        let (_, entry) = self.find(hash, |other, _| other.as_ref() == key)?;
        entry.withdraw(lines, tally, effects)
    }

    /// Hands out the key that a ticket stands for, for good.
    #[inline(always)]
    pub(crate) fn pop(
        &mut self,
        ticket: Ticket,
        now: Moment,
        effects: &mut Effects<T>,
    ) -> Option<Arc<T>> {
        let Ticket { hash, seq } = ticket;
        let is_ready =
            |_: &Key, entry: &Entry<T>| entry.seq() == Some(seq) && entry.leased.is_none();
        let removed = self.table.remove_entry(hash, |(key, entry)| is_ready(key, entry.get()));
        let Some((_, entry)) = removed else {
            self.skip(ticket, effects);
            return None;
        };
        let Entry { priority, initial, waiting: Waiting::Queued { since, value, .. }, .. } =
            entry.into_inner()
        else {
            unreachable!("only a queued key has a sequence number");
        };
        effects.entries -= 1;
        self.removed();
        self.tally.popped.add(1);
        effects.initial += usize::from(initial);
        effects.dispatched = Some(priority);
        effects.queue_latency = Some(now.since(since));
        Some(value)
    }

    /// Hands it out until [`Shard::end`].
    #[inline(always)]
    pub(crate) fn lease(
        &mut self,
        ticket: Ticket,
        now: Moment,
        effects: &mut Effects<T>,
    ) -> Option<Leasing<T>> {
        let Ticket { hash, seq } = ticket;
        let is_ready =
            |_: &Key, entry: &Entry<T>| entry.seq() == Some(seq) && entry.leased.is_none();
        let tally = self.tally;
        let Some((key, entry)) = self.find(hash, is_ready) else {
            self.skip(ticket, effects);
            return None;
        };
        let Waiting::Queued { since, value: object, .. } =
            std::mem::replace(&mut entry.waiting, Waiting::Nothing)
        else {
            unreachable!("only a queued key has a sequence number");
        };
        entry.leased = Some(Leased { since: now, deleted: false });
        tally.popped.add(1);
        tally.processing.add(1);
        effects.dispatched = Some(entry.priority);
        effects.queue_latency = Some(now.since(since));
        let Entry { deletion, failures, .. } = *entry;
        Some(Leasing { key: key.clone(), hash, object, deletion, failures })
    }

    /// A ticket that cannot be served: its key is leased, and gets it back when the lease ends, or no
    /// key has it any more.
    #[cold]
    fn skip(&mut self, ticket: Ticket, effects: &mut Effects<T>) {
        match self.find(ticket.hash, |_, entry| entry.seq() == Some(ticket.seq)) {
            Some((_, Entry { waiting: Waiting::Queued { skipped, .. }, .. })) => *skipped = true,
            _ => effects.stale_dequeued = true,
        }
    }

    /// Queues a key whose time has come, unless it no longer waits for that time.
    pub(crate) fn come_due(
        &mut self,
        lines: Lines<'_>,
        hash: u64,
        id: u64,
        since: Moment,
        effects: &mut Effects<T>,
    ) {
        let waits = |_: &Key, entry: &Entry<T>| matches!(entry.waiting, Waiting::Delayed { id: other, .. } if other == id);
        let tally = self.tally;
        let Some((_, entry)) = self.find(hash, waits) else { return };
        if let Waiting::Delayed { value, .. } =
            std::mem::replace(&mut entry.waiting, Waiting::Nothing)
        {
            tally.delayed.sub(1);
            entry.enqueue(lines, value, since);
            effects.available += usize::from(entry.leased.is_none());
        }
    }

    /// Ends the lease of a key. What was handed out comes back at `again`, if it does.
    #[inline]
    pub(crate) fn end(
        &mut self,
        lines: Lines<'_>,
        &Leasing { ref key, hash, ref object, .. }: &Leasing<T>,
        end: LeaseEnd,
        (now, again): (Moment, Option<Moment>),
        effects: &mut Effects<T>,
    ) -> Ended {
        let tally = self.tally;
        tally.processing.sub(1);
        if again.is_none() {
            // What most leases come to: nothing arrived meanwhile, and the key is idle again.
            let idle = |other: &Key, entry: &Entry<T>| {
                other == key && matches!(entry.waiting, Waiting::Nothing)
            };
            let removed = self.table.remove_entry(hash, |(key, entry)| idle(key, entry.get()));
            if let Some((_, entry)) = removed {
                let Entry { leased, initial, .. } = entry.into_inner();
                effects.entries -= 1;
                effects.initial += usize::from(initial);
                self.removed();
                let began = leased.map(|leased| leased.since).unwrap_or_default();
                return Ended { began, comes_back: false };
            }
        }
        let Some((_, entry)) = self.find(hash, |other, _| other == key) else {
            unreachable!("a leased key has an entry");
        };
        let Some(lease) = entry.leased.take() else {
            unreachable!("a key is leased until its lease ends");
        };
        match end {
            LeaseEnd::Done | LeaseEnd::After(_) => {
                entry.failures = 0;
                effects.initial += usize::from(std::mem::take(&mut entry.initial));
            }
            LeaseEnd::Retry | LeaseEnd::Abandoned => {
                let ended = if end == LeaseEnd::Retry { &tally.retries } else { &tally.abandoned };
                ended.add(1);
                entry.failures = entry.failures.saturating_add(1);
            }
        }
        let again = again.filter(|_| !lease.deleted);
        let mut comes_back = false;
        match (&mut entry.waiting, again) {
            // What arrived meanwhile is newer, and has its place.
            (Waiting::Queued { seq, skipped, .. }, _) => {
                effects.available += 1;
                if std::mem::take(skipped) {
                    effects.requeue = Some((entry.priority, Ticket { hash, seq: *seq }));
                }
            }
            // Newer, too; but the earliest time wins.
            (Waiting::Delayed { due, id, .. }, again) => {
                if let Some(again) = again.filter(|again| again < due)
                    && let Some(earliest) = lines.delays.reschedule(*due, again, *id)
                {
                    *due = again;
                    effects.sooner = earliest;
                }
            }
            (Waiting::Nothing, None) => {
                self.remove(hash, |other, _| other == key, effects);
            }
            (Waiting::Nothing, Some(due)) if due <= now => {
                tally.requeued.add(1);
                entry.enqueue(lines, Arc::clone(object), now);
                effects.available += 1;
                comes_back = true;
            }
            (Waiting::Nothing, Some(due)) => {
                tally.requeued.add(1);
                tally.delayed.add(1);
                let id = lines.queue.sequence(1);
                entry.waiting = Waiting::Delayed { due, id, value: Arc::clone(object) };
                effects.sooner = lines.delays.insert(due, id, hash);
                comes_back = true;
            }
        }
        Ended { began: lease.since, comes_back }
    }

    /// The value of a key that waits, in line or for its time.
    pub(crate) fn get(&self, hash: u64, key: KeyRef<'_>) -> Option<Arc<T>> {
        let (_, entry) = self.table.get(hash, |(other, _)| other.as_ref() == key)?;
        entry.get().value().cloned()
    }

    /// Whether a value of the key waits, in line or for its time.
    pub(crate) fn waits(&self, hash: u64, key: KeyRef<'_>) -> bool {
        let entry = self.table.get(hash, |(other, _)| other.as_ref() == key);
        entry.is_some_and(|(_, entry)| entry.get().value().is_some())
    }

    /// Whether a ticket stands for a key.
    pub(crate) fn holds(&self, Ticket { hash, seq }: Ticket) -> bool {
        self.table.get(hash, |(_, entry)| entry.get().seq() == Some(seq)).is_some()
    }

    /// Call after each removal. Gives memory back after a peak: once as many keys have left as the
    /// table has room for, it is cut to twice what it held at most meanwhile. So a queue that fills
    /// and empties in turn keeps its table, and rehashing is paid for by the removals.
    #[inline(always)]
    fn removed(&mut self) {
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

/// Sections that go through all keys of the shard: they take its table and make another.
impl<T> Shard<'_, T> {
    /// Takes the table out to be [replaced](Shard::put_listed) by one for about `len` keys.
    pub(crate) fn take_table(&mut self, len: usize) -> Table<T> {
        self.tally.peak.set(0);
        self.tally.removals.set(0);
        std::mem::replace(&mut *self.table, RawTable::with_capacity(len))
    }

    /// Accepts a value that a list brings, or a deletion that it means, for a key that may have an entry
    /// in the table from before. The lane that the list goes into has been cleared, so whoever can be had
    /// there counts as available, new or not; what waits in another lane stays where it is.
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
        let known = before.remove_entry(hash, |(other, _)| other.as_ref() == key);
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

    /// Takes away what waits of the table from before, now that all listed keys have left it. `cleared`
    /// is the lane whose tickets are gone already.
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

    /// Takes away all that waits, each value with what orders it. Their tickets have been cleared.
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
            // A lease of which nothing newer waits may bring its value back: it is the newest.
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

    /// A copy of the table, to be looked through after unlocking.
    pub(crate) fn copy(&self) -> Table<T> {
        self.table.clone()
    }
}

impl<T> Entry<T> {
    /// What orders the key among those that wait.
    pub(crate) fn rank(&self) -> Option<Rank> {
        match self.waiting {
            Waiting::Queued { seq, .. } => Some((self.priority as u8, seq, 0)),
            Waiting::Delayed { due, id, .. } => Some((u8::MAX, due.0, id)),
            Waiting::Nothing => None,
        }
    }
}
