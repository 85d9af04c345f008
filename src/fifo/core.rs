//! What all handles and leases of one queue share: the stripes of keys, their order, and who waits.
//!
//! Locks are taken in this order, and each is left out where it is not needed: stripes in the order
//! of their indexes, then the schedule of delays. The lock of `ahead` (see `line`) is taken with no
//! stripe held, and stripes are taken under it.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher};
use std::sync::Weak;
use std::time::Duration;

use super::backoff::{Backoff, Rate};
use super::clock::{Clock, Moment, Ticked};
use super::delays::Delays;
use super::line::{Line, Ticket};
use super::stripe::{Arrival, End, Gone, Order, Outcome, Put, Served, Stripe};
use super::timer::Timer;
use super::wait::Waiters;
use super::{AddError, Added, Closed, FifoStats, Level, Observer};
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use crate::{Batch, Change, Key, KeyRef, Listing, Object};

/// Enough that two threads seldom meet, few enough that taking all of them is cheap.
const STRIPES: usize = 16;

const OPEN: usize = 0;
/// Adds are refused, but one that was let in before may still be on its way.
const CLOSING: usize = 1;
const CLOSED: usize = 2;

/// Nothing was ever put, deleted or replaced.
const UNTOUCHED: usize = 0;
/// Keys of the first replace are still to be dealt with.
const SYNCING: usize = 1;
const SYNCED: usize = 2;

pub(super) struct Settings {
    pub(super) clock: Clock,
    pub(super) backoff: Option<Backoff>,
    pub(super) rate: Option<Rate>,
    /// Whether the list comes below changes.
    pub(super) levels: bool,
    /// Whether to look at the clock for each add and each take.
    pub(super) timed: bool,
    pub(super) capacity: Option<usize>,
    pub(super) observer: Option<Box<dyn Observer>>,
}

/// A lock on a cache line of its own.
#[repr(align(128))]
struct Padded<T>(Mutex<T>);

pub(super) struct Core<T> {
    stripes: Box<[Padded<Stripe<T>>]>,
    hasher: foldhash::fast::FixedState,
    order: Order,
    pub(super) waiters: Arc<Waiters>,
    /// Whoever waits for the queue to be drained.
    draining: Arc<Waiters>,
    phase: AtomicUsize,
    synced: AtomicUsize,
    /// Keys of the first replace that are still to be dealt with.
    unsynced: AtomicUsize,
    refused: AtomicU64,
    /// Keys that have an entry; counted only if there is a capacity.
    held: AtomicUsize,
    settings: Settings,
    timer: Timer,
}

/// A key and its object, handed out.
pub(super) struct Handed<T> {
    pub(super) key: Key,
    pub(super) hash: u64,
    pub(super) object: Arc<T>,
}

type Locked<'a, T> = MutexGuard<'a, Stripe<T>>;

impl<T: Object> Core<T> {
    pub(super) fn new(settings: Settings) -> Arc<Self> {
        let seed = foldhash::fast::RandomState::default().hash_one(0_u8);
        let core = Arc::new(Self {
            stripes: (0..STRIPES).map(|_| Padded(Mutex::new(Stripe::new()))).collect(),
            hasher: foldhash::fast::FixedState::with_seed(seed),
            order: Order { line: Line::new(settings.levels), delays: Delays::new() },
            waiters: Arc::new(Waiters::new()),
            draining: Arc::new(Waiters::new()),
            phase: AtomicUsize::new(OPEN),
            synced: AtomicUsize::new(UNTOUCHED),
            unsynced: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            settings,
            timer: Timer::new(),
        });
        let weak = Arc::downgrade(&core);
        core.settings.clock.attach(weak);
        core
    }

    /// Two keys that differ only in where the namespace ends hash alike, which is harmless.
    #[inline]
    fn hash(&self, key: KeyRef<'_>) -> u64 {
        let (namespace, name) = key.parts();
        let mut hasher = self.hasher.build_hasher();
        hasher.write(namespace.as_bytes());
        hasher.write(name.as_bytes());
        hasher.finish()
    }

    fn index(&self, hash: u64) -> usize {
        // The table takes its places from the low bits and its tags from the top seven.
        (hash >> 48) as usize % STRIPES
    }

    fn at(&self, index: usize) -> Locked<'_, T> {
        // No user code runs under a stripe's lock, so a panic elsewhere cannot have left it half-changed.
        self.stripes[index].0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stripe(&self, hash: u64) -> Locked<'_, T> {
        self.at(self.index(hash))
    }

    fn all(&self) -> Vec<Locked<'_, T>> {
        (0..self.stripes.len()).map(|index| self.at(index)).collect()
    }

    fn now_if_timed(&self) -> Moment {
        if self.settings.timed { self.settings.clock.now() } else { Moment::default() }
    }

    fn observe(&self, event: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.settings.observer {
            event(&**observer);
        }
    }

    // Feeding.

    /// Accepts an object.
    pub(super) fn add(self: &Arc<Self>, object: Arc<T>) -> Result<Added, AddError<T>> {
        if self.settings.capacity.is_some() {
            let added = self.add_if(object, Duration::ZERO, false)?;
            return Ok(added.unwrap_or(Added::Queued));
        }
        let (key, object) = keyed(object)?;
        let hash = self.hash(key.as_ref());
        let since = self.now_if_timed();
        let mut stripe = self.stripe(hash);
        if !self.is_open() {
            drop(stripe);
            self.refuse();
            return Err(AddError::Closed(object));
        }
        self.touch();
        let put = stripe.put(&self.order, self.arrival(hash, since), Cow::Owned(key), object);
        let depth = stripe.tally.depth;
        drop(stripe);
        let added = put.added;
        self.arrived(put, depth);
        Ok(added)
    }

    /// Accepts an object, perhaps not to be handed out at once, perhaps only if its key has no entry;
    /// `None` if it has.
    pub(super) fn add_if(
        self: &Arc<Self>,
        object: Arc<T>,
        delay: Duration,
        absent: bool,
    ) -> Result<Option<Added>, AddError<T>> {
        let (key, object) = keyed(object)?;
        let hash = self.hash(key.as_ref());
        let arrival = self.arrival(hash, self.now_if_timed());
        let mut stripe = self.stripe(hash);
        if !self.is_open() {
            drop(stripe);
            self.refuse();
            return Err(AddError::Closed(object));
        }
        let known = stripe.contains(hash, &key);
        if absent && known {
            return Ok(None);
        }
        if !known && !self.reserve() {
            drop(stripe);
            self.refuse();
            return Err(AddError::Full(object));
        }
        self.touch();
        let put = if delay.is_zero() {
            stripe.put(&self.order, arrival, Cow::Owned(key), object)
        } else {
            let due = self.settings.clock.now().after(delay);
            stripe.put_delayed(&self.order, arrival, due, key, object)
        };
        let depth = stripe.tally.depth;
        drop(stripe);
        let added = put.added;
        self.arrived(put, depth);
        Ok(Some(added))
    }

    fn arrival(&self, hash: u64, since: Moment) -> Arrival {
        let level = self.order.line.level(Level::Change);
        Arrival { hash, place: None, level, since, listed: false, initial: false }
    }

    /// What follows a put, once unlocked.
    #[inline]
    fn arrived(self: &Arc<Self>, put: Put<T>, depth: u64) {
        self.waiters.notify(usize::from(put.available));
        if put.stale {
            self.disown(1, depth);
        }
        if put.sooner {
            self.start_timer();
        }
        self.observe(|observer| match put.added {
            Added::Coalesced => observer.coalesced(),
            Added::Queued | Added::Delayed => observer.added(),
        });
    }

    pub(super) fn delete(&self, key: KeyRef<'_>) -> Option<Arc<T>> {
        let hash = self.hash(key);
        let mut stripe = self.stripe(hash);
        self.touch();
        let before = stripe.len();
        let mut gone = Gone::default();
        stripe.delete(&self.order, hash, key, &mut gone);
        let (after, depth) = (stripe.len(), stripe.tally.depth);
        drop(stripe);
        let value = gone.values.pop();
        self.left(&gone, depth, before - after);
        value
    }

    /// What follows a removal, once unlocked.
    fn left(&self, gone: &Gone<T>, depth: u64, entries: usize) {
        self.settle(gone.settled);
        self.disown(gone.stale, depth);
        self.adjust_held(0, entries);
        self.ended();
    }

    /// Applies a batch as one: no other call sees half of it.
    pub(super) fn apply(self: &Arc<Self>, batch: &Batch<T>) -> Result<(), Closed> {
        let changes = batch.changes();
        if changes.is_empty() {
            return if self.is_open() { Ok(()) } else { Err(self.refuse()) };
        }
        let mut needed = [false; STRIPES];
        let hash = |(key, _): &(Key, Change<T>)| {
            let hash = self.hash(key.as_ref());
            needed[self.index(hash)] = true;
            hash
        };
        let hashes: Vec<_> = changes.iter().map(hash).collect();
        let mut stripes: [Option<Locked<'_, T>>; STRIPES] =
            std::array::from_fn(|index| needed[index].then(|| self.at(index)));
        if !self.is_open() {
            drop(stripes);
            return Err(self.refuse());
        }
        self.touch();
        let since = self.now_if_timed();
        let level = self.order.line.level(Level::Change);
        let first = self.order.line.places(changes.len());
        let (mut available, mut added, mut coalesced) = (0_usize, 0_usize, 0_usize);
        let mut displaced = Vec::new();
        let mut gone = Gone::default();
        let entries = |stripes: &[Option<Locked<'_, T>>]| -> usize {
            // Asked for only where they are counted.
            let counted = stripes.iter().filter(|_| self.settings.capacity.is_some());
            counted.flatten().map(|stripe| stripe.len()).sum()
        };
        let before = entries(&stripes);
        for (i, ((key, change), &hash)) in changes.iter().zip(&hashes).enumerate() {
            let Some(stripe) = &mut stripes[self.index(hash)] else {
                unreachable!("each key's stripe was locked");
            };
            match change {
                Change::Put(object) => {
                    let place = Some(first + i as u64);
                    let arrival =
                        Arrival { hash, place, level, since, listed: false, initial: false };
                    let put =
                        stripe.put(&self.order, arrival, Cow::Borrowed(key), Arc::clone(object));
                    available += usize::from(put.available);
                    gone.stale += usize::from(put.stale);
                    if put.added == Added::Coalesced {
                        coalesced += 1;
                    } else {
                        added += 1;
                    }
                    if let Some(value) = put.displaced {
                        displaced.push(value);
                    }
                }
                Change::Delete(_) => {
                    // What this batch had made available is so no more.
                    let fresh = |place| place >= first;
                    let fresh = stripe.is_available(hash, key, fresh);
                    available -= usize::from(fresh);
                    stripe.delete(&self.order, hash, key.as_ref(), &mut gone);
                }
            }
        }
        let after = entries(&stripes);
        let depths = stripes.iter().flatten().map(|stripe| stripe.tally.depth);
        let depth = if gone.stale > 0 { depths.min().unwrap_or(0) } else { 0 };
        drop(stripes);
        self.adjust_held(after, before);
        self.waiters.notify(available);
        self.left(&gone, depth, 0);
        self.observe(|observer| {
            (0..added).for_each(|_| observer.added());
            (0..coalesced).for_each(|_| observer.coalesced());
        });
        Ok(())
    }

    /// Makes the listed objects, in the order of the list, all that waits; as one, too.
    pub(super) fn replace(self: &Arc<Self>, listing: &Listing<T>) -> Result<(), Closed> {
        let mut stripes = self.all();
        if !self.is_open() {
            drop(stripes);
            return Err(self.refuse());
        }
        let initial = self.begin_sync();
        let objects = listing.objects();
        let since = self.now_if_timed();
        let level = self.order.line.level(Level::List);
        let first = self.order.line.places(objects.len());
        let before: usize = stripes.iter().map(|stripe| stripe.len()).sum();
        // Every key that waits is about to get a new place, or to go.
        self.order.line.clear();
        let (mut available, mut added) = (0, 0_usize);
        let mut displaced = Vec::new();
        for (place, (key, object)) in (first..).zip(objects) {
            let hash = self.hash(key.as_ref());
            let arrival = Arrival { hash, place: Some(place), level, since, listed: true, initial };
            let stripe = &mut stripes[self.index(hash)];
            let put = stripe.put(&self.order, arrival, Cow::Borrowed(key), Arc::clone(object));
            available += usize::from(put.available);
            added += usize::from(put.added != Added::Coalesced);
            displaced.extend(put.displaced);
        }
        let mut gone = Gone::default();
        for stripe in &mut stripes {
            stripe.retain_listed(&self.order, first, &mut gone);
        }
        if initial {
            // ORDERING: relaxed: `settle` of any of these keys comes after a section of its stripe's
            // lock, which we hold.
            self.unsynced.store(objects.len(), Ordering::Relaxed);
        }
        let after: usize = stripes.iter().map(|stripe| stripe.len()).sum();
        drop(stripes);
        self.adjust_held(after, before);
        self.waiters.notify(available);
        gone.stale = 0;
        self.left(&gone, 0, 0);
        if initial && objects.is_empty() {
            self.finish_sync();
        }
        self.observe(|observer| {
            (0..added).for_each(|_| observer.added());
            (added..objects.len()).for_each(|_| observer.coalesced());
        });
        Ok(())
    }

    // Handing out.

    /// One try to get an object for good: `None` if nothing can be handed out *yet*.
    #[inline]
    pub(super) fn pop(&self) -> Option<Result<Arc<T>, Closed>> {
        self.attempt(|| self.hand_out(|stripe, ticket, _| stripe.pop(ticket), Self::popped))
    }

    /// As [`Core::pop`], for up to `max` objects.
    pub(super) fn pop_batch(&self, max: usize) -> Option<Result<Vec<Arc<T>>, Closed>> {
        self.attempt(|| {
            let pop = || self.hand_out(|stripe, ticket, _| stripe.pop(ticket), Self::popped);
            let first = pop()?;
            let mut batch = Vec::with_capacity(max.min(self.order.line.len().saturating_add(1)));
            batch.push(first);
            while batch.len() < max
                && let Some(object) = pop()
            {
                batch.push(object);
            }
            Some(batch)
        })
    }

    /// As [`Core::pop`], until [`Core::end`].
    pub(super) fn take(&self) -> Option<Result<Handed<T>, Closed>> {
        let take = |stripe: &mut Stripe<T>, ticket: Ticket, now| match stripe.take(ticket, now) {
            Served::Object { object: (key, object), level, since, settled } => {
                let object = Handed { key, hash: ticket.hash, object };
                Served::Object { object, level, since, settled }
            }
            Served::Passed => Served::Passed,
            Served::Stale => Served::Stale,
        };
        self.attempt(|| self.hand_out(take, |_, _| ()))
    }

    #[inline]
    fn attempt<R>(&self, hand_out: impl FnOnce() -> Option<R>) -> Option<Result<R, Closed>> {
        // Looked at before the line: if it is over, all that was accepted is in line by now.
        let over = self.is_over();
        match hand_out() {
            Some(handed_out) => Some(Ok(handed_out)),
            None => over.then_some(Err(Closed)),
        }
    }

    #[inline]
    fn hand_out<R>(
        &self,
        serve: impl Fn(&mut Stripe<T>, Ticket, Moment) -> Served<R>,
        then: impl FnOnce(&Self, bool),
    ) -> Option<R> {
        self.promote_due();
        loop {
            let ticket = self.order.line.draw()?;
            let now = self.now_if_timed();
            let mut stripe = self.stripe(ticket.hash);
            let served = serve(&mut stripe, ticket, now);
            drop(stripe);
            match served {
                Served::Object { object, level, since, settled } => {
                    self.order.line.served(level);
                    self.observe(|observer| observer.handed_out(now.since(since)));
                    then(self, settled);
                    return Some(object);
                }
                Served::Passed => {}
                Served::Stale => self.order.line.dropped_stale(),
            }
        }
    }

    /// What follows a pop: its key has no entry any more.
    #[inline]
    fn popped(&self, settled: bool) {
        self.settle(usize::from(settled));
        self.adjust_held(0, 1);
        self.ended();
    }

    /// Ends a lease.
    pub(super) fn end(self: &Arc<Self>, key: &Key, hash: u64, object: &Arc<T>, ending: Ending) {
        let settings = &self.settings;
        let idle = settings.backoff.is_none() && settings.rate.is_none();
        let needs_time = match ending {
            Ending::Done => settings.timed,
            Ending::After(delay) => settings.timed || !delay.is_zero(),
            Ending::Retry | Ending::Abandoned => settings.timed || !idle,
        };
        let now = if needs_time { settings.clock.now() } else { Moment::default() };
        let outcome = match ending {
            Ending::Done => Outcome::Done,
            Ending::After(delay) => Outcome::After(now.after(delay)),
            Ending::Retry => Outcome::Retry,
            Ending::Abandoned => Outcome::Abandoned,
        };
        let back_off = |failures| {
            let chance = self.chance(hash, failures);
            let own = settings.backoff.map(|backoff| backoff.spread(failures, chance));
            let overall = settings.rate.map(|rate| self.order.delays.throttle(rate, now));
            now.after(own.unwrap_or_default().max(overall.unwrap_or_default()))
        };
        let mut stripe = self.stripe(hash);
        let before = stripe.len();
        let end = stripe.end(&self.order, (hash, key, object), outcome, now, back_off);
        let after = stripe.len();
        drop(stripe);
        self.ended_lease(&end, before - after);
        self.observe(|observer| {
            observer.finished(now.since(end.began));
            match ending {
                Ending::Retry => {
                    observer.retried(end.due.map(|due| due.since(now)).unwrap_or_default());
                }
                Ending::Abandoned => observer.abandoned(key),
                Ending::Done | Ending::After(_) => {}
            }
        });
    }

    fn ended_lease(self: &Arc<Self>, end: &End, entries: usize) {
        if let Some((level, ticket)) = end.ahead {
            self.order.line.put_ahead(level, ticket);
        }
        self.waiters.notify(usize::from(end.available));
        self.settle(usize::from(end.settled));
        self.adjust_held(0, entries);
        if end.sooner {
            self.start_timer();
        }
        self.ended();
    }

    /// A number from 0 to 1 that differs from key to key and from failure to failure.
    fn chance(&self, hash: u64, failures: u32) -> f64 {
        (self.hasher.hash_one((hash, failures)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    // Time.

    /// When something is due next.
    pub(super) fn next_due(&self) -> Moment {
        self.order.delays.next()
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.settings.clock
    }

    /// Puts in line what is due.
    pub(super) fn promote_due(&self) {
        let next = self.order.delays.next();
        if next != Moment::NEVER {
            let now = self.settings.clock.now();
            if next <= now {
                self.promote(now);
            }
        }
    }

    #[cold]
    fn promote(&self, until: Moment) {
        let due = self.order.delays.take_due(until);
        let since = self.now_if_timed();
        let mut available = 0;
        for &(hash, number) in &due {
            let arrived = self.stripe(hash).come_due(&self.order, hash, number, since);
            available += usize::from(arrived == Some(true));
        }
        self.order.delays.arrived(due.len());
        self.waiters.notify(available);
        self.ended();
    }

    fn start_timer(self: &Arc<Self>) {
        if let Clock::System(_) = self.settings.clock {
            self.timer.wake(|| Arc::downgrade(self));
        }
    }

    // Closing.

    fn is_open(&self) -> bool {
        // ORDERING: relaxed: read under a stripe's lock, which `close` takes between its two stores.
        self.phase.load(Ordering::Relaxed) == OPEN
    }

    pub(super) fn is_closed(&self) -> bool {
        // ORDERING: relaxed: a look, which orders nothing.
        self.phase.load(Ordering::Relaxed) != OPEN
    }

    /// Whether nothing more will come, but for what leases bring back.
    fn is_over(&self) -> bool {
        // ORDERING: acquire, with the release in `close`: all that was accepted is in line.
        self.phase.load(Ordering::Acquire) == CLOSED && self.order.delays.is_empty()
    }

    #[cold]
    fn refuse(&self) -> Closed {
        // ORDERING: relaxed, no partner: a counter.
        self.refused.fetch_add(1, Ordering::Relaxed);
        Closed
    }

    pub(super) fn close(&self) {
        // ORDERING: relaxed: it is the locks below that order it.
        let open = self.phase.compare_exchange(OPEN, CLOSING, Ordering::Relaxed, Ordering::Relaxed);
        if open.is_err() {
            return;
        }
        // Every add that was let in holds its stripe until its ticket is in line; every later one sees
        // that we are closing.
        drop(self.all());
        // ORDERING: release, with the acquire in `is_over`.
        self.phase.store(CLOSED, Ordering::Release);
        // What waits for its time gets it now.
        self.promote(Moment::NEVER);
        self.waiters.notify_all();
        self.ended();
    }

    /// Takes out all that waits, in order.
    pub(super) fn take_all(&self) -> Vec<Arc<T>> {
        let mut taken = Vec::new();
        let (mut settled, mut entries) = (0, 0);
        let mut stripes = self.all();
        self.order.line.clear();
        for stripe in &mut stripes {
            let before = stripe.len();
            settled += stripe.take_all(&self.order, &mut taken).settled;
            entries += before - stripe.len();
        }
        drop(stripes);
        self.left(&Gone { settled, ..Gone::default() }, 0, entries);
        // A consumer may have been waiting for what was delayed.
        self.waiters.notify_all();
        taken.sort_unstable_by_key(|(rank, _)| *rank);
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// Whether the queue is closed, nothing waits, and no lease is out.
    fn is_drained(&self) -> bool {
        // ORDERING: acquire, as in `is_over`.
        self.phase.load(Ordering::Acquire) == CLOSED
            && self.order.delays.is_empty()
            // One by one: a closed queue gets no new entry.
            && (0..self.stripes.len()).all(|index| self.at(index).len() == 0)
    }

    /// To be called after each call that may have been the last of a closed queue.
    fn ended(&self) {
        if self.is_closed() {
            self.tell_ended();
        }
    }

    #[cold]
    fn tell_ended(&self) {
        if self.is_over() {
            // Some may have gone to sleep while something was delayed.
            self.waiters.notify_all();
        }
        if self.is_drained() {
            self.draining.notify_all();
        }
    }

    /// Waits until the queue is drained; `false` once the deadline has passed.
    pub(super) fn wait_drained(&self, deadline: Option<std::time::Instant>) -> bool {
        let drained = || self.is_drained().then_some(());
        self.draining.wait(deadline, || 0, drained).is_some()
    }

    pub(super) async fn wait_drained_async(&self) {
        let mut wait = super::wait::Wait::new();
        let drained = || self.is_drained().then_some(());
        std::future::poll_fn(|context| wait.poll(context, &self.draining, drained)).await;
    }

    // Counts.

    /// Counts one more key held, if there is room.
    fn reserve(&self) -> bool {
        let Some(capacity) = self.settings.capacity else { return true };
        // ORDERING: relaxed, no partner: a count, which guards no data.
        let more = |held: usize| (held < capacity).then_some(held + 1);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Adds `more` to the keys held and takes `fewer` away.
    fn adjust_held(&self, more: usize, fewer: usize) {
        if self.settings.capacity.is_some() && more != fewer {
            // ORDERING: relaxed, as in `reserve`. Wraps, and so does the sum.
            self.held.fetch_add(more.wrapping_sub(fewer), Ordering::Relaxed);
        }
    }

    /// Counts stale tickets; `depth` is that of one stripe. To be called with no lock held.
    fn disown(&self, stale: usize, depth: u64) {
        if stale > 0 && self.order.line.disown(stale, depth as usize * self.stripes.len()) {
            self.order.line.compact(|ticket: Ticket| self.stripe(ticket.hash).holds(ticket));
        }
    }

    /// A queue that is fed before any replace has no initial list to wait for.
    fn touch(&self) {
        // ORDERING: relaxed, as all of `synced`: it is a flag that guards no data.
        if self.synced.load(Ordering::Relaxed) == UNTOUCHED {
            let (from, to) = (UNTOUCHED, SYNCED);
            let _ = self.synced.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Whether this is the first replace.
    fn begin_sync(&self) -> bool {
        let (from, to) = (UNTOUCHED, SYNCING);
        // ORDERING: relaxed, as in `touch`.
        self.synced.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn settle(&self, keys: usize) {
        // ORDERING: acquire and release, so that who sees the last one sees all others' work too.
        if keys > 0 && self.unsynced.fetch_sub(keys, Ordering::AcqRel) == keys {
            self.finish_sync();
        }
    }

    fn finish_sync(&self) {
        // ORDERING: release, with the acquire in `has_synced`: what was done with the keys is visible
        // to who learns that it was.
        self.synced.store(SYNCED, Ordering::Release);
    }

    pub(super) fn has_synced(&self) -> bool {
        // ORDERING: acquire, with the release in `finish_sync`.
        self.synced.load(Ordering::Acquire) == SYNCED
    }

    // Looking.

    /// About how many keys are in line: not zero if one can be handed out.
    pub(super) fn backlog(&self) -> usize {
        self.order.line.len()
    }

    pub(super) fn get(&self, key: KeyRef<'_>) -> Option<Arc<T>> {
        let hash = self.hash(key);
        self.stripe(hash).get(hash, key).cloned()
    }

    /// What is in line, in order, through `pick`.
    pub(super) fn list<R>(&self, pick: impl Fn(&Key, &Arc<T>) -> R) -> Vec<R> {
        let stripes = self.all();
        let in_line = stripes.iter().flat_map(|stripe| stripe.in_line());
        let mut ranked: Vec<_> =
            in_line.map(|(rank, key, value, _)| (rank, pick(key, value))).collect();
        drop(stripes);
        ranked.sort_unstable_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, picked)| picked).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.all().iter().map(|stripe| stripe.tally.depth as usize).sum()
    }

    pub(super) fn oldest_age(&self) -> Option<Duration> {
        let stripes = self.all();
        let oldest =
            stripes.iter().flat_map(|stripe| stripe.in_line()).map(|(.., since)| since).min();
        oldest.filter(|_| self.settings.timed).map(|since| self.settings.clock.now().since(since))
    }

    pub(super) fn stats(&self) -> FifoStats {
        let stripes = self.all();
        let mut stats = FifoStats::default();
        for stripe in &stripes {
            stats.add(&stripe.tally);
        }
        if self.settings.timed {
            let now = self.settings.clock.now();
            for began in stripes.iter().flat_map(|stripe| stripe.leases()) {
                stats.add_unfinished(now.since(began));
            }
        }
        // ORDERING: relaxed, no partner: a counter.
        stats.refused = self.refused.load(Ordering::Relaxed);
        stats
    }
}

/// The key is asked for before any lock is taken, since it is the user's code that answers.
fn keyed<T: Object>(object: Arc<T>) -> Result<(Key, Arc<T>), AddError<T>> {
    match object.key() {
        Ok(key) => Ok((key, object)),
        Err(source) => Err(AddError::Key { object, source }),
    }
}

impl<T: Object> Ticked for Core<T> {
    fn tick(&self) {
        self.promote_due();
    }
}

/// How a lease ends, as its holder says it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Done,
    /// Done, and again after this time.
    After(Duration),
    Retry,
    Abandoned,
}

/// The thread that serves the delays has only this.
pub(super) type WeakCore<T> = Weak<Core<T>>;
