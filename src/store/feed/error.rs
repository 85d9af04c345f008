//! Errors of subscribing, and of waiting for a revision.

use crate::ResourceVersion;
use crate::store::DifferentStores;
use crate::sync::Arc;

/// Why a subscription cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The snapshot to begin from is another store's.
    #[error(transparent)]
    DifferentStores(#[from] DifferentStores),
    /// The queue to be fed hands out [deletions](crate::fifo::FifoBuilder::deletions), and what a mapping leads to
    /// is never deleted: it would remember each key for ever, and hand out none.
    #[error("the queue hands out deletions, and what a mapping leads to is never deleted")]
    NeverDeleted,
}

/// Why a subscription has nothing to deliver after so long a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NextError {
    /// The time is over.
    #[error("nothing was published in time")]
    Timeout,
    /// The store is gone, and everything was delivered.
    #[error("the store is gone")]
    Ended,
}

/// Why a subscription has nothing to deliver at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TryNextError {
    /// There is nothing yet.
    #[error("nothing was published")]
    Empty,
    /// The store is gone, and everything was delivered.
    #[error("the store is gone")]
    Ended,
}

/// Why a wait for a revision, or for a version of the source, did not reach it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The time is over.
    #[error("not reached in time")]
    Timeout,
    /// The store is gone, and never reached it.
    #[error("the store is gone")]
    Ended,
    /// The source has started over at an older version since the wait began, as a server does that was set back to a
    /// backup. Later ones of that history say nothing of this version, and what was written at it may be lost.
    #[error("the source has started over, so version {0} cannot be waited for")]
    StartedOver(ResourceVersion),
    /// This version cannot be ordered against others: it is not a 64-bit number, or the source's
    /// versions have no order, and the store is not at this very one.
    #[error("version {0} has no order, so it cannot be waited for")]
    Unordered(ResourceVersion),
}

/// Why a wait for the whole content, or for a handler to have seen it, failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The time is over.
    #[error("not in step in time{}", because(.last_error))]
    Timeout {
        /// The source's last error, if any.
        last_error: Option<Arc<str>>,
    },
    /// The source ended before it sent its whole content.
    #[error("the source ended before it told its whole content{}", because(.error))]
    SourceEnded {
        /// Why it gave up; `None` if it was stopped.
        error: Option<Arc<str>>,
    },
    /// The store is gone, or the handler was removed or has ended.
    #[error("the store is gone, or the handler")]
    Ended,
}

fn because(error: &Option<Arc<str>>) -> String {
    error.as_ref().map_or_else(String::new, |error| format!(": {error}"))
}
