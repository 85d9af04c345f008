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
}

/// Why a subscription that waited for so long has nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NextError {
    /// The time is over.
    #[error("nothing was published in time")]
    Timeout,
    /// The store is gone, and everything was told.
    #[error("the store is gone")]
    Ended,
}

/// Why a subscription has nothing at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TryNextError {
    /// There is nothing yet.
    #[error("nothing was published")]
    Empty,
    /// The store is gone, and everything was told.
    #[error("the store is gone")]
    Ended,
}

/// Why a wait for a revision, or for a version of the source's, ended without it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The time is over.
    #[error("not reached in time")]
    Timeout,
    /// The store is gone, and never came to it.
    #[error("the store is gone")]
    Ended,
    /// It cannot be told whether a version comes before or after this one: it is no number of 64 bits.
    #[error("version {0} has no order, so it cannot be waited for")]
    Unordered(ResourceVersion),
}

/// Why a wait for the whole content, or for a handler to be told of it, ended without it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The time is over.
    #[error("not in step in time{}", because(.last_error))]
    Timeout {
        /// How the source failed last, if it did.
        last_error: Option<Arc<str>>,
    },
    /// The source has ended before it told its whole content.
    #[error("the source ended before it told its whole content{}", because(.error))]
    SourceEnded {
        /// Why it refused for good; none if it was stopped.
        error: Option<Arc<str>>,
    },
    /// The store is gone, or the handler was removed or has ended.
    #[error("the store is gone, or the handler")]
    Ended,
}

fn because(error: &Option<Arc<str>>) -> String {
    error.as_ref().map_or_else(String::new, |error| format!(": {error}"))
}
