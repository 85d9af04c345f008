//! What is to become of a key that was reconciled.

use std::time::Duration;

/// What is to become of a key that was reconciled, as long as nothing changes: whatever a change leads to is
/// reconciled at once.
///
/// ```
/// use std::time::Duration;
/// use watchcache::reconcile::Action;
///
/// let hourly = Action::requeue_after(Duration::from_secs(3600));
/// assert_ne!(hourly, Action::await_change());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "it says what is to become of a key"]
pub struct Action(pub(super) Next);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Next {
    AwaitChange,
    After(Duration),
    BackOff,
}

impl Action {
    /// Done until something changes. Its back-off starts over.
    pub const fn await_change() -> Self {
        Self(Next::AwaitChange)
    }

    /// Done, and to be looked at again after so long. Its back-off starts over, and
    /// [`Request::failures`](super::Request::failures) with it; not where this is what becomes of an
    /// [error](super::Reconciler::on_error), which is a failure whenever it is tried again. What
    /// [is gone](super::Controller::deletions) is looked at again as well.
    pub const fn requeue_after(delay: Duration) -> Self {
        Self(Next::After(delay))
    }

    /// Not done: it counts as a failure, and comes back after its back-off, which is the queue's (see
    /// [`FifoBuilder::limiter`](crate::fifo::FifoBuilder::limiter)), or the
    /// [default](crate::fifo::Backoff::default) one where that has none.
    pub const fn back_off() -> Self {
        Self(Next::BackOff)
    }
}
