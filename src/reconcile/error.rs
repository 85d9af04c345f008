//! Why a controller could not begin, or has ended by itself.

use super::Stopped;
use crate::store::feed::{SubscribeError, SyncError};
use crate::sync::Arc;

/// Why a controller could not begin, or has ended by itself.
///
/// ```
/// use std::convert::Infallible;
/// use std::future::pending;
/// use std::sync::Arc;
/// use std::time::Duration;
/// use watchcache::reconcile::{Action, Controller, Request, RunError};
/// use watchcache::{Key, Store};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// // Nobody feeds it.
/// let store = Arc::new(Store::<Key>::new());
/// let reconcile = async |_: Request<Key>| Ok::<_, Infallible>(Action::await_change());
/// let controller = Controller::new(&store).synced_within(Duration::from_millis(1));
/// match controller.reconcile(reconcile).run(pending()).await {
///     // Another try may do: the API server is down, say.
///     Err(RunError::NotSynced(error)) => assert!(error.to_string().starts_with("not in step in time")),
///     // It did its work so far; what it left is for the next one.
///     Err(RunError::SourceEnded { error, stopped }) => panic!("{error}, left: {:?}", stopped.left),
///     // A mistake in the program.
///     Err(error) => panic!("{error}"),
///     Ok(stopped) => panic!("{:?}", stopped.reason),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
