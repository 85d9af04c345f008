//! A segment of the log: consecutive publications, and the content before them.

use crate::ResourceVersion;
use crate::store::Snapshot;
use crate::store::engine::{Changed, Publication};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, OnceLock};

/// How many publications a segment has room for.
const PUBLICATIONS: usize = 64;

/// In a segment's state: nothing more is added. The other bits are the number of publications.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// An amount: changes, and their bytes with their objects.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Amount {
    pub(super) changes: usize,
    pub(super) bytes: usize,
}

impl Amount {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            changes: self.changes.saturating_add(other.changes),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            changes: self.changes.saturating_sub(other.changes),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    pub(super) fn min(self, other: Self) -> Self {
        Self { changes: self.changes.min(other.changes), bytes: self.bytes.min(other.bytes) }
    }

    pub(super) fn over(self, parts: usize) -> Self {
        Self { changes: self.changes / parts, bytes: self.bytes / parts }
    }

    /// Returns whether either value is larger than the other's.
    pub(super) fn exceeds(self, limit: Self) -> bool {
        self.changes > limit.changes || self.bytes > limit.bytes
    }
}

/// A publication as the log keeps it.
pub(super) struct Batch<T> {
    pub(super) publication: Publication<T>,
    pub(super) is_relist: bool,
}

impl<T> Batch<T> {
    pub(super) fn amount(&self) -> Amount {
        let changes = &self.publication.changes;
        let bytes = size_of::<Self>() + changes.bytes();
        let bytes = bytes.saturating_add(self.publication.object_bytes);
        Amount { changes: changes.len(), bytes }
    }
}

/// Consecutive publications. The content before the first is held, so that the content after any of them
/// can be delivered even when the log has gone on.
pub(super) struct Segment<T> {
    start: Snapshot<T>,
    /// The sequence number of its first publication.
    pub(super) first: u64,
    /// Its place in the log. `None` for a segment outside of the log: the place of a subscription that
    /// the log does not reach.
    pub(super) number: Option<u64>,
    batches: Box<[OnceLock<Batch<T>>]>,
    state: AtomicUsize,
    /// How much had been written to the log before it.
    pub(super) before: Amount,
}

/// A segment's state at one moment.
#[derive(Clone, Copy)]
pub(super) struct State(usize);

impl State {
    #[inline]
    pub(super) fn len(self) -> usize {
        self.0 & !CLOSED
    }

    #[inline]
    pub(super) fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }
}

impl<T> Segment<T> {
    /// A segment of the log.
    pub(super) fn new(start: Snapshot<T>, number: u64, before: Amount) -> Arc<Self> {
        let batches = (0..PUBLICATIONS).map(|_| OnceLock::new()).collect();
        Self::of(start, Some(number), batches, 0, before)
    }

    /// A place after which the log does not continue, or not yet.
    pub(super) fn outside(start: Snapshot<T>, before: Amount) -> Arc<Self> {
        Self::of(start, None, Box::new([]), CLOSED, before)
    }

    fn of(
        start: Snapshot<T>,
        number: Option<u64>,
        batches: Box<[OnceLock<Batch<T>>]>,
        state: usize,
        before: Amount,
    ) -> Arc<Self> {
        let first = start.view().sequence() + 1;
        Arc::new(Self { start, first, number, batches, state: AtomicUsize::new(state), before })
    }

    pub(super) fn start(&self) -> &Snapshot<T> {
        &self.start
    }

    #[inline]
    pub(super) fn state(&self) -> State {
        // ORDERING: Acquire pairs with the Release in `push` and in `close`.
        State(self.state.load(Ordering::Acquire))
    }

    /// A publication that a loaded state covers.
    #[inline]
    pub(super) fn batch(&self, index: usize) -> Option<&Batch<T>> {
        self.batches.get(index)?.get()
    }

    /// Adds a publication; only for the log's writer. Returns whether there is room for another.
    pub(super) fn push(&self, batch: Batch<T>) -> bool {
        // ORDERING: Relaxed: only the log's writer stores it.
        let len = State(self.state.load(Ordering::Relaxed)).len();
        debug_assert_eq!(batch.publication.sequence, self.first + len as u64, "one is missing");
        let set = self.batches[len].set(batch);
        debug_assert!(set.is_ok(), "one writer");
        // ORDERING: Release pairs with the Acquire in `state`: a reader that sees the length sees the
        // batch.
        self.state.store(len + 1, Ordering::Release);
        len + 1 < self.batches.len()
    }

    /// Nothing more is added, and the next publication is in the log by now, if anywhere. Only for the
    /// log's writer.
    pub(super) fn close(&self) {
        // ORDERING: Release pairs with the Acquire in `state`: a reader that sees the end finds the next
        // segment.
        self.state.fetch_or(CLOSED, Ordering::Release);
    }

    /// Returns whether a subscription whose next publication is `next` belongs here.
    pub(super) fn has_place(&self, next: u64) -> bool {
        let state = self.state();
        let end = self.first + state.len() as u64;
        self.first <= next && (next < end || next == end && !state.is_closed())
    }

    /// How many publications come before this one.
    #[inline]
    pub(super) fn index(&self, next: u64) -> usize {
        (next - self.first) as usize
    }

    /// The changes of the first publications, in their order.
    pub(super) fn changes(&self, publications: usize) -> impl Iterator<Item = Changed<'_, T>> {
        let batches = self.batches.iter().take(publications).filter_map(|batch| batch.get());
        batches.flat_map(|batch| batch.publication.changes.iter())
    }

    /// The source's version behind the first publications.
    pub(super) fn resource_version(&self, publications: usize) -> Option<&ResourceVersion> {
        match publications.checked_sub(1).and_then(|last| self.batch(last)) {
            Some(batch) => batch.publication.resource_version.as_ref(),
            None => self.start.resource_version(),
        }
    }

    pub(super) fn amount(&self) -> Amount {
        let batches = self.batches.iter().filter_map(|batch| batch.get());
        batches.fold(Amount::default(), |sum, batch| sum.plus(batch.amount()))
    }

    /// Takes the objects out of a segment that is not shared.
    pub(super) fn into_objects(self) -> impl Iterator<Item = Arc<T>> + use<T> {
        let batches = self.batches.into_iter().filter_map(OnceLock::into_inner);
        batches.flat_map(|mut batch| batch.publication.changes.take_objects())
    }
}
