//! Errors of subscribing, and of waiting for a revision.

use crate::ResourceVersion;
use crate::store::DifferentStores;

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
