//! The log: the newest publications, in segments, and its writer.

use std::collections::VecDeque;

use super::FeedLimits;
use super::cursor::{Cursor, Cursors};
use super::leaving::Leaving;
use super::segment::{Amount, Batch, Segment};
use crate::Object;
use crate::store::Snapshot;
use crate::store::engine::Engine;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Arc, ArcSwapOption, OnceLock};

/// The most segments that the log keeps.
const SEGMENTS: usize = 256;

/// Into how many segments a full log is divided, at least. A segment has this part of the limit, and at most
/// one publication more; so a publication that is no larger than the rest of the limit always fits.
const PARTS: usize = 8;

/// The log as its readers see it. A segment lies in the slot of its number; a reader that finds another
/// one there, or none, is too late.
pub(super) struct Log<T> {
    slots: OnceLock<Box<[ArcSwapOption<Segment<T>>]>>,
    /// The number after the newest segment's.
    end: AtomicU64,
    /// Every publication up to this one is in the log, or never will be.
    settled: AtomicU64,
    /// All that was ever written to it.
    written: Figure,
    /// Its current content.
    held: Figure,
    /// What was retained behind it at the writer's last check.
    behind: Figure,
}

impl<T> Log<T> {
    pub(super) fn new() -> Self {
        Self {
            slots: OnceLock::new(),
            end: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            written: Figure::new(),
            held: Figure::new(),
            behind: Figure::new(),
        }
    }

    pub(super) fn written(&self) -> Amount {
        self.written.get()
    }

    pub(super) fn held(&self) -> Amount {
        self.held.get()
    }

    pub(super) fn behind(&self) -> Amount {
        self.behind.get()
    }

    #[inline]
    pub(super) fn settled(&self) -> u64 {
        // ORDERING: Acquire pairs with the Release in `LogWriter::settle`.
        self.settled.load(Ordering::Acquire)
    }

    /// The segment that has a place for a subscription whose next publication is `next`.
    pub(super) fn find(&self, next: u64, after: Option<u64>) -> Option<Arc<Segment<T>>> {
        // ORDERING: Acquire pairs with the Release in `LogWriter::open`: a segment of a smaller number is
        // in its slot, and whole, unless it was removed.
        let end = self.end.load(Ordering::Acquire);
        let likely = after.into_iter().map(|after| after + 1).chain(end.checked_sub(1));
        for number in likely.filter(|number| *number < end) {
            if let Some(segment) = self.segment(number).filter(|found| found.has_place(next)) {
                return Some(segment);
            }
        }
        let (mut low, mut high) = (end.saturating_sub(SEGMENTS as u64), end);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.segment(middle) {
                Some(segment) if segment.has_place(next) => return Some(segment),
                Some(segment) if segment.first > next => high = middle,
                // A removed segment is older.
                _ => low = middle + 1,
            }
        }
        None
    }

    fn segment(&self, number: u64) -> Option<Arc<Segment<T>>> {
        let segment = slot(self.slots.get()?, number).load_full()?;
        (segment.number == Some(number)).then_some(segment)
    }
}

/// An amount for observers.
struct Figure {
    // ORDERING: Relaxed throughout: statistics; no ordering needed.
    changes: AtomicUsize,
    bytes: AtomicUsize,
}

impl Figure {
    fn new() -> Self {
        Self { changes: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    fn get(&self) -> Amount {
        let changes = self.changes.load(Ordering::Relaxed);
        Amount { changes, bytes: self.bytes.load(Ordering::Relaxed) }
    }

    fn set(&self, amount: Amount) {
        self.changes.store(amount.changes, Ordering::Relaxed);
        self.bytes.store(amount.bytes, Ordering::Relaxed);
    }
}

fn slot<T>(slots: &[ArcSwapOption<Segment<T>>], number: u64) -> &ArcSwapOption<Segment<T>> {
    &slots[(number % SEGMENTS as u64) as usize]
}

/// Only the store's writer touches this.
pub(super) struct LogWriter<T> {
    /// The newest segment, while there are subscriptions.
    open: Option<Arc<Segment<T>>>,
    /// How much is in it.
    held: Amount,
    /// The number of the oldest segment, and the number after the newest one's.
    oldest: u64,
    end: u64,
    /// How much each segment in the log has, oldest first.
    amounts: VecDeque<Amount>,
    /// How much is in the log, and how much was ever written to it.
    total: Amount,
    written: Amount,
    /// How much had been written when the subscriptions were last checked.
    looked: Amount,
    cursors: Vec<Arc<Cursor<T>>>,
    limits: FeedLimits,
    /// Segments that have left the log. Destructors of objects do not run here.
    dropped: Vec<Arc<Segment<T>>>,
    /// A publication that was too large for the log.
    too_large: Option<Batch<T>>,
    /// The objects of both.
    leaving: Leaving<T>,
}

impl<T> LogWriter<T> {
    pub(super) fn new(limits: FeedLimits) -> Self {
        Self {
            open: None,
            held: Amount::default(),
            oldest: 0,
            end: 0,
            amounts: VecDeque::new(),
            total: Amount::default(),
            written: Amount::default(),
            looked: Amount::default(),
            cursors: Vec::new(),
            limits,
            dropped: Vec::new(),
            too_large: None,
            leaving: Leaving::new(),
        }
    }

    /// Takes at most so many of the objects that the log and the subscriptions no longer need. A segment that a
    /// subscription still has is dropped by that one.
    pub(super) fn take_leaving(&mut self, most: usize) -> impl Iterator<Item = Arc<T>>
    where
        T: Object,
    {
        for segment in self.dropped.drain(..).filter_map(Arc::into_inner) {
            self.leaving.push(segment.into_objects());
        }
        if let Some(mut batch) = self.too_large.take() {
            self.leaving.push(batch.publication.changes.take_objects());
        }
        self.leaving.take(most)
    }

    pub(super) fn is_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Begins a segment from what is published now.
    pub(super) fn open(&mut self, log: &Log<T>, engine: &Arc<Engine<T>>) {
        let slots =
            log.slots.get_or_init(|| (0..SEGMENTS).map(|_| ArcSwapOption::empty()).collect());
        if self.amounts.len() == SEGMENTS {
            self.drop_oldest(log);
        }
        let segment = Segment::new(Snapshot::new(engine), self.end, self.written);
        slot(slots, self.end).store(Some(Arc::clone(&segment)));
        self.end += 1;
        self.amounts.push_back(Amount::default());
        // ORDERING: Release pairs with the Acquire in `find`.
        log.end.store(self.end, Ordering::Release);
        if let Some(full) = self.open.replace(segment) {
            full.close();
            self.dropped.push(full);
        }
        self.held = Amount::default();
    }

    /// Ends the log; subscriptions in it get a difference.
    pub(super) fn end(&mut self, log: &Log<T>) {
        if let Some(open) = self.open.take() {
            open.close();
            self.dropped.push(open);
        }
        while !self.amounts.is_empty() {
            self.drop_oldest(log);
        }
        log.held.set(self.total);
        log.behind.set(Amount::default());
    }

    /// Adds a publication, and enforces the limit.
    pub(super) fn push(&mut self, log: &Log<T>, engine: &Arc<Engine<T>>, batch: Batch<T>) {
        let limit = self.limits.log;
        let part = limit.over(PARTS);
        let amount = batch.amount();
        self.written = self.written.plus(amount);
        let Some(open) = &self.open else { return };
        if amount.exceeds(limit.minus(part)) {
            // The log restarts behind it: with its segment it might be larger than the log may be.
            self.open(log, engine);
            while self.amounts.len() > 1 {
                self.drop_oldest(log);
            }
            self.too_large = Some(batch);
            return;
        }
        let has_room = open.push(batch);
        self.held = self.held.plus(amount);
        self.total = self.total.plus(amount);
        if let Some(last) = self.amounts.back_mut() {
            *last = last.plus(amount);
        }
        if !has_room || self.held.exceeds(part) {
            self.open(log, engine);
        }
        while self.total.exceeds(limit) && self.amounts.len() > 1 {
            self.drop_oldest(log);
        }
    }

    /// Marks every publication up to this one as dealt with.
    pub(super) fn settle(&self, log: &Log<T>, sequence: u64) {
        log.written.set(self.written);
        log.held.set(self.total);
        // ORDERING: Release pairs with the Acquire in `settled`: a reader that sees it finds the
        // publication in the log, or knows that it is not there.
        log.settled.store(sequence, Ordering::Release);
    }

    fn drop_oldest(&mut self, log: &Log<T>) {
        let Some(amount) = self.amounts.pop_front() else { return };
        self.total = self.total.minus(amount);
        if let Some(slots) = log.slots.get() {
            self.dropped.extend(slot(slots, self.oldest).swap(None));
        }
        self.oldest += 1;
    }

    /// Revokes the places of the slowest subscriptions while what the log retains for subscriptions
    /// behind it exceeds the limit. Checks the subscriptions once an eighth of the limit has been
    /// written; `retained` is what the store keeps of superseded objects, for whatever reason.
    pub(super) fn revoke(&mut self, log: &Log<T>, cursors: &Cursors<T>, retained: Amount) {
        let limit = self.limits.behind;
        let since = self.written.minus(self.looked);
        if !since.exceeds(limit.over(PARTS)) {
            return;
        }
        self.looked = self.written;
        // As much again may be written until the next check.
        let limit = limit.minus(limit.over(PARTS));
        cursors.take_joined(&mut self.cursors);
        let oldest = self.oldest;
        let is_behind = |segment: &Segment<T>| segment.number.is_none_or(|number| number < oldest);
        let mut behind: Vec<_> = self
            .cursors
            .iter()
            .filter_map(|cursor| {
                Some((cursor.load().as_ref().filter(|at| is_behind(at))?.clone(), cursor))
            })
            .collect();
        behind.sort_unstable_by_key(|(segment, _)| (segment.first, Arc::as_ptr(segment).addr()));
        let mut own = Amount::default();
        let mut last = None;
        for (segment, _) in &behind {
            if last.replace(Arc::as_ptr(segment)) != Some(Arc::as_ptr(segment)) {
                own = own.plus(segment.amount());
            }
        }
        let mut behind = behind.into_iter().peekable();
        let mut kept = Amount::default();
        while let Some((slowest, _)) = behind.peek() {
            // What only a held content retains is among what was superseded since.
            kept = self.written.minus(slowest.before).min(retained).plus(own);
            if !kept.exceeds(limit) {
                break;
            }
            kept = Amount::default();
            let slowest = Arc::clone(slowest);
            own = own.minus(slowest.amount());
            while let Some((_, cursor)) = behind.next_if(|(at, _)| Arc::ptr_eq(at, &slowest)) {
                self.dropped.extend(cursor.revoke(&slowest));
            }
            self.dropped.push(slowest);
        }
        log.behind.set(kept);
        let rest: Vec<_> = behind.map(|(segment, _)| segment).collect();
        self.dropped.extend(rest);
    }
}
