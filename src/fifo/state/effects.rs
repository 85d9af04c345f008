//! The effects of a locked section, to be carried out once it is unlocked.

use super::clock::Moment;
use super::queue::{Priority, Ticket};
use crate::sync::Arc;

/// A key that was handed out.
#[derive(Clone, Copy)]
pub(crate) struct Dispatched {
    pub(crate) priority: Priority,
    /// When it was queued, and when it was handed out.
    pub(crate) since: Moment,
    pub(crate) now: Moment,
}

/// Filled in under the locks of shards; carried out by `Shared::settle` and `Shared::tell` after they are released,
/// and nowhere else. Wakers, observers and destructors are user code: they run there, under no lock.
pub(crate) struct Effects<T> {
    /// Keys that have become available to consumers.
    pub(crate) available: usize,
    /// A ticket that was skipped goes back to the front.
    pub(crate) requeue: Option<(Priority, Ticket)>,
    /// Tickets in the queue that have become stale.
    pub(crate) stale: usize,
    /// A stale ticket was dequeued.
    pub(crate) stale_dequeued: bool,
    /// A key was handed out.
    pub(crate) dispatched: Option<Dispatched>,
    /// Keys of the first replace that are finished.
    pub(crate) initial: usize,
    /// Entries made less entries removed.
    pub(crate) entries: isize,
    /// The earliest delay has moved forward.
    pub(crate) sooner: bool,
    /// The call was refused.
    pub(crate) refused: bool,
    /// Values accepted for keys of which none was waiting, and for others.
    pub(crate) added: usize,
    pub(crate) coalesced: usize,
    /// The value that was displaced, dropped or deleted; `values` has the rest if there are more.
    pub(crate) value: Option<Arc<T>>,
    pub(crate) values: Vec<Arc<T>>,
}

impl<T> Effects<T> {
    #[inline(always)]
    pub(crate) fn none() -> Self {
        Self {
            available: 0,
            requeue: None,
            stale: 0,
            stale_dequeued: false,
            dispatched: None,
            initial: 0,
            entries: 0,
            sooner: false,
            refused: false,
            added: 0,
            coalesced: 0,
            value: None,
            values: Vec::new(),
        }
    }

    /// Keeps a value that is no longer needed until it can be dropped.
    #[inline(always)]
    pub(crate) fn discard(&mut self, value: Arc<T>) {
        match self.value.replace(value) {
            // The same object again: this reference is not its last.
            Some(earlier) if self.value.as_ref().is_some_and(|new| Arc::ptr_eq(new, &earlier)) => {}
            Some(earlier) => self.values.push(earlier),
            None => {}
        }
    }
}
