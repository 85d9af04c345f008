//! Why a controller could not begin, or has ended by itself.

use super::Stopped;
use crate::store::feed::{SubscribeError, SyncError};
use crate::sync::Arc;

/// Why a controller could not begin, or has ended by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A store was to be followed from another store's snapshot, or the queue hands out deletions.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
    /// The queue was closed before the controller began, by its owner or by a controller before this one, which
    /// closes its queue when it ends: each is to have its own.
    #[error("nothing was reconciled: the queue was closed before")]
    QueueClosed,
    /// A store's source did not tell its whole content, so nothing was reconciled.
    #[error("nothing was reconciled: {0}")]
    NotSynced(SyncError),
    /// A store's source has failed for good, so that nothing would be heard of it any more. What was being
    /// reconciled was ended as by a shutdown.
    #[error("a source has ended: {error}")]
    SourceEnded {
        /// Why it gave up.
        error: Arc<str>,
        /// What is left.
        stopped: Stopped,
    },
}
