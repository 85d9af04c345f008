//! A subscription's position, as the writer sees it.

use super::segment::Segment;
use crate::sync::{Arc, ArcSwapOption, Guard, SegQueue};

/// A loaded segment: it stays alive as long as this does, even if the cursor moves on. Loading it changes
/// no shared count.
pub(super) type Held<T> = Guard<Option<Arc<Segment<T>>>>;

/// The segment that a subscription is in. Only the subscription moves it; the store's writer may revoke
/// it from one that retains too much.
pub(super) struct Cursor<T>(ArcSwapOption<Segment<T>>);

impl<T> Cursor<T> {
    /// A cursor that the writer does not know, and so never revokes.
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

    /// Revokes this segment, if it is still there; returns the old value, to be dropped elsewhere.
    pub(super) fn revoke(&self, segment: &Arc<Segment<T>>) -> Option<Arc<Segment<T>>> {
        Guard::into_inner(self.0.compare_and_swap(segment, None))
    }
}

/// Every cursor there is. They are reused, and freed only with the store and its subscriptions: so none
/// has to be taken out, and there are as many as there ever were subscriptions at the same time.
pub(super) struct Cursors<T> {
    /// Of subscriptions that have ended.
    free: SegQueue<Arc<Cursor<T>>>,
    /// Those that the writer has not seen yet.
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

    /// Takes the cursors that joined since the last call.
    pub(super) fn take_joined(&self, cursors: &mut Vec<Arc<Cursor<T>>>) {
        while !self.joined.is_empty()
            && let Some(cursor) = self.joined.pop()
        {
            cursors.push(cursor);
        }
    }
}
