//! The keys' states: plain data behind one lock per stripe of keys, without parking or user code.
//!
//! ```text
//!            add                 pop
//!   Idle ───────────> Queued ───────────> Idle
//!    ^                 │  ^
//!    │ done       take │  │ retry, a dropped lease
//!    │                 v  │
//!    └───────────── Processing ── add ──> Dirty ── done, retry, a dropped lease ──> Queued
//! ```
//!
//! An idle key has no entry, so memory follows the keys that wait or are worked on. A key that is not
//! in line may be *delayed* instead: as Queued or Dirty, but with a time in the place of a place.
//! `delete` takes away what waits (Queued to Idle, Dirty to Processing) and bars a lease from
//! bringing its value back.
//!
//! Objects are never dropped here, as their destructors are user code: whatever a call displaces is
//! returned, and the caller drops it after unlocking.

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;

use super::clock::Moment;
use super::delays::Delays;
use super::line::{Line, Ticket};
use super::{Added, Level};
use crate::{Key, KeyRef};

/// Where keys stand that are not in anybody's hands.
pub(super) struct Order {
    pub(super) line: Line,
    pub(super) delays: Delays,
}

enum Waiting<T> {
    Nothing,
    InLine {
        place: u64,
        /// The ticket was drawn while the key was leased.
        passed: bool,
        since: Moment,
        value: Arc<T>,
    },
    Delayed {
        due: Moment,
        number: u64,
        value: Arc<T>,
    },
}

struct Leased {
    since: Moment,
    /// The key was deleted since, so the leased value must not come back.
    deleted: bool,
}

struct Entry<T> {
    key: Key,
    hash: u64,
    level: Level,
    /// Of the first replace, and not yet dealt with.
    initial: bool,
    /// Leases in a row that ended in failure.
    failures: u32,
    waiting: Waiting<T>,
    leased: Option<Leased>,
}

/// Counters of one stripe; the first three are levels.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) depth: u64,
    pub(super) delayed: u64,
    pub(super) processing: u64,
    pub(super) adds: u64,
    pub(super) coalesced: u64,
    pub(super) popped: u64,
    pub(super) deleted: u64,
    pub(super) retries: u64,
    pub(super) requeued: u64,
    pub(super) abandoned: u64,
}

pub(super) struct Stripe<T> {
    table: HashTable<Entry<T>>,
    pub(super) tally: Tally,
    /// The most entries, and how many were removed, since the table's size was last looked at.
    peak: usize,
    removals: usize,
}

/// What orders waiting keys: level, then place; what waits for its time comes last, by time.
pub(super) type Rank = (u8, u64, u64);

/// How an object arrives.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) hash: u64,
    /// The place it gets if it needs one; `None` takes the next.
    pub(super) place: Option<u64>,
    pub(super) level: Level,
    pub(super) since: Moment,
    /// A relist: even a queued key moves to its new place.
    pub(super) listed: bool,
    /// Part of the list that `has_synced` waits for.
    pub(super) initial: bool,
}

pub(super) struct Put<T> {
    pub(super) added: Added,
    pub(super) displaced: Option<Arc<T>>,
    /// A consumer can have it now and could not before.
    pub(super) available: bool,
    /// A ticket has become stale.
    pub(super) stale: bool,
    /// The earliest time anything is due has come nearer.
    pub(super) sooner: bool,
}

impl<T> Put<T> {
    fn new(added: Added) -> Self {
        Self { added, displaced: None, available: false, stale: false, sooner: false }
    }

    fn coalesced(displaced: Arc<T>) -> Self {
        Self { displaced: Some(displaced), ..Self::new(Added::Coalesced) }
    }
}

impl Arrival {
    fn place(&self, order: &Order) -> u64 {
        self.place.unwrap_or_else(|| order.line.places(1))
    }
}

pub(super) struct Gone<T> {
    pub(super) values: Vec<Arc<T>>,
    /// Keys of the first replace that are dealt with by this.
    pub(super) settled: usize,
    pub(super) stale: usize,
}

impl<T> Default for Gone<T> {
    fn default() -> Self {
        Self { values: Vec::new(), settled: 0, stale: 0 }
    }
}

pub(super) enum Served<R> {
    Object {
        object: R,
        level: Level,
        since: Moment,
        /// A key of the first replace is dealt with.
        settled: bool,
    },
    /// The key is leased; its ticket will be put ahead when the lease ends.
    Passed,
    Stale,
}

/// How a lease ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// Done, and again at this time.
    After(Moment),
    Retry,
    Abandoned,
}

#[derive(Default)]
pub(super) struct End {
    pub(super) available: bool,
    pub(super) ahead: Option<(Level, Ticket)>,
    pub(super) settled: bool,
    pub(super) sooner: bool,
    /// When the lease began.
    pub(super) began: Moment,
    /// When the leased value comes back, if it does.
    pub(super) due: Option<Moment>,
}

impl<T> Stripe<T> {
    pub(super) fn new() -> Self {
        Self { table: HashTable::new(), tally: Tally::default(), peak: 0, removals: 0 }
    }

    /// Keys that wait or are leased.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn contains(&self, hash: u64, key: &Key) -> bool {
        self.table.find(hash, |entry| entry.key == *key).is_some()
    }

    /// Accepts a value.
    #[inline(always)]
    pub(super) fn put(
        &mut self,
        order: &Order,
        arrival: Arrival,
        key: Cow<'_, Key>,
        value: Arc<T>,
    ) -> Put<T> {
        let Arrival { hash, level, since, listed, initial, .. } = arrival;
        self.tally.adds += 1;
        if let Some(entry) = self.table.find_mut(hash, |entry| entry.key == *key) {
            return match &mut entry.waiting {
                Waiting::InLine { value: waiting, .. } if !listed && level >= entry.level => {
                    self.tally.coalesced += 1;
                    Put::coalesced(std::mem::replace(waiting, value))
                }
                _ => entry.put(order, &mut self.tally, arrival, value),
            };
        }
        self.tally.depth += 1;
        let place = arrival.place(order);
        let waiting = Waiting::InLine { place, passed: false, since, value };
        let (key, leased) = (key.into_owned(), None);
        let entry = Entry { key, hash, level, initial, failures: 0, waiting, leased };
        self.table.insert_unique(hash, entry, |entry| entry.hash);
        order.line.push(level, Ticket { hash, place });
        Put { available: true, ..Put::new(Added::Queued) }
    }

    /// Accepts a value that is not to be handed out before `due`, unless its key is sooner.
    pub(super) fn put_delayed(
        &mut self,
        order: &Order,
        arrival: Arrival,
        due: Moment,
        key: Key,
        value: Arc<T>,
    ) -> Put<T> {
        let Arrival { hash, level, .. } = arrival;
        let number = order.line.places(1);
        self.tally.adds += 1;
        let mut put = Put::new(Added::Delayed);
        match self.table.entry(hash, |entry| entry.key == key, |entry| entry.hash) {
            TableEntry::Vacant(vacant) => {
                let (waiting, leased) = (Waiting::Delayed { due, number, value }, None);
                let initial = false;
                vacant.insert(Entry { key, hash, level, initial, failures: 0, waiting, leased });
            }
            TableEntry::Occupied(occupied) => {
                let entry = occupied.into_mut();
                match &mut entry.waiting {
                    Waiting::Nothing => {
                        entry.level = level;
                        entry.waiting = Waiting::Delayed { due, number, value };
                    }
                    Waiting::InLine { value: waiting, .. } => {
                        self.tally.coalesced += 1;
                        return Put::coalesced(std::mem::replace(waiting, value));
                    }
                    Waiting::Delayed { due: old, number, value: waiting } => {
                        self.tally.coalesced += 1;
                        put = Put::coalesced(std::mem::replace(waiting, value));
                        if due < *old {
                            order.delays.remove(*old, *number);
                            *old = due;
                            put.sooner = order.delays.insert(due, *number, hash);
                        }
                        return put;
                    }
                }
            }
        }
        self.tally.delayed += 1;
        put.sooner = order.delays.insert(due, number, hash);
        put
    }

    /// Takes away a key's waiting value, and bars a lease of it from coming back.
    pub(super) fn delete(&mut self, order: &Order, hash: u64, key: KeyRef<'_>, gone: &mut Gone<T>) {
        let Ok(mut found) = self.table.find_entry(hash, |entry| entry.key.as_ref() == key) else {
            return;
        };
        let entry = found.get_mut();
        entry.withdraw(order, &mut self.tally, gone);
        if entry.leased.is_none() {
            found.remove();
            self.removed();
        }
    }

    /// Takes away each key whose place is older than the list that begins at `first`.
    pub(super) fn retain_listed(&mut self, order: &Order, first: u64, gone: &mut Gone<T>) {
        let tally = &mut self.tally;
        self.table.retain(|entry| {
            if matches!(entry.waiting, Waiting::InLine { place, .. } if place >= first) {
                return true;
            }
            entry.withdraw(order, tally, gone);
            entry.leased.is_some()
        });
        self.removed();
    }

    /// Takes away all that waits, each with what orders it.
    pub(super) fn take_all(&mut self, order: &Order, taken: &mut Vec<(Rank, Arc<T>)>) -> Gone<T> {
        let mut gone = Gone::default();
        let tally = &mut self.tally;
        self.table.retain(|entry| {
            let rank = match entry.waiting {
                Waiting::InLine { place, .. } => (entry.level as u8, place, 0),
                Waiting::Delayed { due, number, .. } => (u8::MAX, due.0, number),
                // A lease may bring its value back: it is the newest.
                Waiting::Nothing => return true,
            };
            entry.withdraw(order, tally, &mut gone);
            taken.extend(gone.values.pop().map(|value| (rank, value)));
            entry.leased.is_some()
        });
        self.removed();
        gone
    }

    /// Hands out the key that a ticket stands for, for good.
    #[inline]
    pub(super) fn pop(&mut self, ticket: Ticket) -> Served<Arc<T>> {
        let holds = |entry: &Entry<T>| entry.place() == Some(ticket.place);
        let Ok(mut found) = self.table.find_entry(ticket.hash, holds) else {
            return Served::Stale;
        };
        if found.get_mut().passed_over() {
            return Served::Passed;
        }
        let (Entry { level, initial, waiting, .. }, _) = found.remove();
        self.tally.depth -= 1;
        self.tally.popped += 1;
        self.removed();
        let Waiting::InLine { since, value, .. } = waiting else {
            unreachable!("only a key in line has a place");
        };
        Served::Object { object: value, level, since, settled: initial }
    }

    /// Hands it out until [`Stripe::end`].
    pub(super) fn take(&mut self, ticket: Ticket, now: Moment) -> Served<(Key, Arc<T>)> {
        let holds = |entry: &Entry<T>| entry.place() == Some(ticket.place);
        let Some(entry) = self.table.find_mut(ticket.hash, holds) else { return Served::Stale };
        if entry.passed_over() {
            return Served::Passed;
        }
        self.tally.depth -= 1;
        self.tally.popped += 1;
        self.tally.processing += 1;
        entry.leased = Some(Leased { since: now, deleted: false });
        let Waiting::InLine { since, value, .. } =
            std::mem::replace(&mut entry.waiting, Waiting::Nothing)
        else {
            unreachable!("only a key in line has a place");
        };
        let object = (entry.key.clone(), value);
        Served::Object { object, level: entry.level, since, settled: false }
    }

    /// Puts a key whose time has come in line; whether a consumer can have it. `None` if it no longer
    /// waits for that time.
    pub(super) fn come_due(
        &mut self,
        order: &Order,
        hash: u64,
        number: u64,
        since: Moment,
    ) -> Option<bool> {
        let delayed = |entry: &Entry<T>| matches!(entry.waiting, Waiting::Delayed { number: waiting, .. } if waiting == number);
        let entry = self.table.find_mut(hash, delayed)?;
        if let Waiting::Delayed { value, .. } =
            std::mem::replace(&mut entry.waiting, Waiting::Nothing)
        {
            self.tally.delayed -= 1;
            self.tally.depth += 1;
            entry.enqueue(order, value, since);
        }
        Some(entry.leased.is_none())
    }

    /// Ends the lease of a key, of which `object` was handed out. `back_off` gives the time at which a
    /// key comes back that has failed so often.
    pub(super) fn end(
        &mut self,
        order: &Order,
        (hash, key, object): (u64, &Key, &Arc<T>),
        outcome: Outcome,
        now: Moment,
        back_off: impl FnOnce(u32) -> Moment,
    ) -> End {
        let mut end = End::default();
        let Ok(mut found) = self.table.find_entry(hash, |entry| entry.key == *key) else {
            unreachable!("a leased key has an entry");
        };
        let entry = found.get_mut();
        let Some(lease) = entry.leased.take() else {
            unreachable!("a key is leased until its lease ends");
        };
        end.began = lease.since;
        self.tally.processing -= 1;
        let again = match outcome {
            Outcome::Done | Outcome::After(_) => {
                entry.failures = 0;
                end.settled = std::mem::take(&mut entry.initial);
                if let Outcome::After(due) = outcome { Some(due) } else { None }
            }
            Outcome::Retry | Outcome::Abandoned => {
                let ended = if outcome == Outcome::Retry {
                    &mut self.tally.retries
                } else {
                    &mut self.tally.abandoned
                };
                *ended += 1;
                entry.failures = entry.failures.saturating_add(1);
                (!lease.deleted).then(|| back_off(entry.failures))
            }
        };
        match (&mut entry.waiting, again.filter(|_| !lease.deleted)) {
            // What arrived meanwhile is newer, and has its place.
            (Waiting::InLine { place, passed, .. }, _) => {
                end.available = true;
                if std::mem::take(passed) {
                    end.ahead = Some((entry.level, Ticket { hash, place: *place }));
                }
            }
            // Newer, too; but the earliest time wins.
            (Waiting::Delayed { due: old, number, .. }, again) => {
                if let Some(due) = again.filter(|due| due < old) {
                    order.delays.remove(*old, *number);
                    *old = due;
                    end.sooner = order.delays.insert(due, *number, hash);
                }
            }
            (Waiting::Nothing, None) => {
                found.remove();
                self.removed();
            }
            (Waiting::Nothing, Some(due)) if due <= now => {
                self.tally.requeued += 1;
                self.tally.depth += 1;
                entry.enqueue(order, Arc::clone(object), now);
                (end.available, end.due) = (true, Some(now));
            }
            (Waiting::Nothing, Some(due)) => {
                self.tally.requeued += 1;
                self.tally.delayed += 1;
                let number = order.line.places(1);
                entry.waiting = Waiting::Delayed { due, number, value: Arc::clone(object) };
                end.sooner = order.delays.insert(due, number, hash);
                end.due = Some(due);
            }
        }
        end
    }

    /// The value of a key that waits, in line or for its time.
    pub(super) fn get(&self, hash: u64, key: KeyRef<'_>) -> Option<&Arc<T>> {
        match &self.table.find(hash, |entry| entry.key.as_ref() == key)?.waiting {
            Waiting::InLine { value, .. } | Waiting::Delayed { value, .. } => Some(value),
            Waiting::Nothing => None,
        }
    }

    /// Whether a key has this very place.
    pub(super) fn holds(&self, ticket: Ticket) -> bool {
        self.table.find(ticket.hash, |entry| entry.place() == Some(ticket.place)).is_some()
    }

    /// Whether a consumer can have the key, at a place like this.
    pub(super) fn is_available(&self, hash: u64, key: &Key, like: impl Fn(u64) -> bool) -> bool {
        self.table
            .find(hash, |entry| entry.key == *key)
            .is_some_and(|entry| entry.leased.is_none() && entry.place().is_some_and(like))
    }

    /// What is in line, each with what orders it.
    pub(super) fn in_line(&self) -> impl Iterator<Item = (Rank, &Key, &Arc<T>, Moment)> {
        self.table.iter().filter_map(|entry| match &entry.waiting {
            Waiting::InLine { place, since, value, .. } => {
                Some(((entry.level as u8, *place, 0), &entry.key, value, *since))
            }
            _ => None,
        })
    }

    /// When each lease that is out began.
    pub(super) fn leases(&self) -> impl Iterator<Item = Moment> {
        self.table.iter().filter_map(|entry| entry.leased.as_ref().map(|leased| leased.since))
    }

    /// To be called after each removal. Gives memory back after a peak: once as many keys have left as
    /// the table has room for, it is cut to twice what it held at most meanwhile. So a queue that
    /// fills and empties in turn keeps its table, and rehashing is paid for by the removals.
    #[inline]
    fn removed(&mut self) {
        self.peak = self.peak.max(self.table.len() + 1);
        self.removals += 1;
        if self.removals > self.table.capacity() {
            self.fit();
        }
    }

    #[cold]
    fn fit(&mut self) {
        if self.table.capacity() / 4 > self.peak {
            self.table.shrink_to(self.peak * 2, |entry| entry.hash);
        }
        (self.peak, self.removals) = (self.table.len(), 0);
    }
}

impl<T> Entry<T> {
    fn place(&self) -> Option<u64> {
        match self.waiting {
            Waiting::InLine { place, .. } => Some(place),
            _ => None,
        }
    }

    /// Whether the key is leased; if so, its ticket is drawn in vain.
    #[inline]
    fn passed_over(&mut self) -> bool {
        if self.leased.is_none() {
            return false;
        }
        if let Waiting::InLine { passed, .. } = &mut self.waiting {
            *passed = true;
        }
        true
    }

    /// Accepts a value for a key that is leased, delayed, or to move in line.
    fn put(&mut self, order: &Order, tally: &mut Tally, arrival: Arrival, value: Arc<T>) -> Put<T> {
        let Arrival { hash, level, since, initial, .. } = arrival;
        let place = arrival.place(order);
        self.initial |= initial;
        self.level = level;
        order.line.push(level, Ticket { hash, place });
        let waiting = Waiting::InLine { place, passed: false, since, value };
        match std::mem::replace(&mut self.waiting, waiting) {
            Waiting::InLine { passed, since: first, value: displaced, .. } => {
                if let Waiting::InLine { since, .. } = &mut self.waiting {
                    *since = first;
                }
                tally.coalesced += 1;
                // A key that moves up counts as made available at its new place.
                let available = !arrival.listed && self.leased.is_none();
                Put { available, stale: !passed, ..Put::coalesced(displaced) }
            }
            Waiting::Delayed { due, number, value: displaced } => {
                order.delays.remove(due, number);
                tally.delayed -= 1;
                tally.depth += 1;
                tally.coalesced += 1;
                Put { available: self.leased.is_none(), ..Put::coalesced(displaced) }
            }
            Waiting::Nothing => {
                tally.depth += 1;
                Put { available: self.leased.is_none(), ..Put::new(Added::Queued) }
            }
        }
    }

    /// Gives the value a place at the back.
    fn enqueue(&mut self, order: &Order, value: Arc<T>, since: Moment) {
        let place = order.line.places(1);
        self.waiting = Waiting::InLine { place, passed: false, since, value };
        order.line.push(self.level, Ticket { hash: self.hash, place });
    }

    /// Takes away what waits; a lease, if there is one, must not bring its value back.
    fn withdraw(&mut self, order: &Order, tally: &mut Tally, gone: &mut Gone<T>) {
        gone.settled += usize::from(std::mem::take(&mut self.initial));
        if let Some(leased) = &mut self.leased {
            leased.deleted = true;
        }
        match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::InLine { passed, value, .. } => {
                tally.depth -= 1;
                tally.deleted += 1;
                gone.stale += usize::from(!passed);
                gone.values.push(value);
            }
            Waiting::Delayed { due, number, value } => {
                order.delays.remove(due, number);
                tally.delayed -= 1;
                tally.deleted += 1;
                gone.values.push(value);
            }
            Waiting::Nothing => {}
        }
    }
}
