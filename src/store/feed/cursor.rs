//! A subscription's position, as the writer sees it.

use super::segment::Segment;
use crate::sync::{Arc, ArcSwapOption, Guard, SegQueue};

/// What a cursor was found to hold: it stays alive for as long as this does, whatever becomes of the
/// cursor meanwhile. No count that others touch is changed for it.
pub(super) type Held<T> = Guard<Option<Arc<Segment<T>>>>;

/// The segment that a subscription is in. The subscription alone moves it; the store's writer may take it
/// away from one that keeps too much.
pub(super) struct Cursor<T>(ArcSwapOption<Segment<T>>);

impl<T> Cursor<T> {
    /// One that the writer does not know, and so takes nothing from.
    pub(super) fn unlisted() -> Arc<Self> {
        Arc::new(Self(ArcSwapOption::empty()))
    }

    #[inline]
    pub(super) fn load(&self) -> Held<T> {
        self.0.load()
    }

    pub(super) fn store(&self, segment: Option<Arc<Segment<T>>>) {
        self.0.store(segment);
    }

    /// Takes this segment away, if it is still there; returns what was, to be dropped elsewhere.
    pub(super) fn revoke(&self, segment: &Arc<Segment<T>>) -> Option<Arc<Segment<T>>> {
        Guard::into_inner(self.0.compare_and_swap(segment, None))
    }
}

/// Every cursor there is. They are reused, never freed before the store and its subscriptions are: so
/// none has to be taken out, and there are as many as there ever were subscriptions at once.
pub(super) struct Cursors<T> {
    /// Of subscriptions that have ended.
    free: SegQueue<Arc<Cursor<T>>>,
    /// Those that the writer has not met.
    joined: SegQueue<Arc<Cursor<T>>>,
}

impl<T> Cursors<T> {
    pub(super) fn new() -> Self {
        Self { free: SegQueue::new(), joined: SegQueue::new() }
    }

    pub(super) fn acquire(&self) -> Arc<Cursor<T>> {
        self.free.pop().unwrap_or_else(|| {
            let cursor = Cursor::unlisted();
            self.joined.push(Arc::clone(&cursor));
            cursor
        })
    }

    pub(super) fn give_back(&self, cursor: Arc<Cursor<T>>) {
        cursor.store(None);
        self.free.push(cursor);
    }

    /// Those that have come since this was last asked.
    pub(super) fn take_joined(&self, cursors: &mut Vec<Arc<Cursor<T>>>) {
        while !self.joined.is_empty()
            && let Some(cursor) = self.joined.pop()
        {
            cursors.push(cursor);
        }
    }
}
