//! Errors of subscribing, and of waiting for a revision.

use crate::ResourceVersion;
use crate::store::DifferentStores;
use crate::sync::Arc;

/// Why a subscription cannot be made.
///
/// ```
/// use watchcache::store::DifferentStores;
/// use watchcache::store::feed::SubscribeError;
/// use watchcache::{Fifo, Key, Store};
///
/// let (store, other) = (Store::<Key>::new(), Store::new());
/// let since = store.subscribe().since(&other.snapshot()).start();
/// assert_eq!(since.err(), Some(SubscribeError::DifferentStores(DifferentStores)));
///
/// let fifo = Fifo::builder().deletions().build()?;
/// let keys = store.subscribe().enqueue_keys(&fifo);
/// assert_eq!(keys.err(), Some(SubscribeError::NeverDeleted));
/// assert!(store.subscribe().enqueue(&fifo).is_ok(), "the objects' own queue is told what is gone");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// use std::time::Duration;
/// use watchcache::store::feed::NextError;
/// use watchcache::{Key, Store};
///
/// let store = Store::<Key>::new();
/// let mut subscription = store.subscribe().start()?;
/// let moment = Duration::from_millis(1);
/// // Quiet is no end: something else may be done, and then asked again.
/// assert_eq!(subscription.next_timeout(moment).err(), Some(NextError::Timeout));
/// drop(store);
/// assert_eq!(subscription.next_timeout(moment).err(), Some(NextError::Ended));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// use watchcache::store::feed::TryNextError;
/// use watchcache::{Key, Store};
///
/// let store = Store::<Key>::new();
/// let mut subscription = store.subscribe().start()?;
/// assert_eq!(subscription.try_next().err(), Some(TryNextError::Empty));
/// store.add("a/web".parse::<Key>()?)?;
/// drop(store);
/// assert!(subscription.try_next().is_ok(), "what was published is delivered first");
/// assert_eq!(subscription.try_next().err(), Some(TryNextError::Ended));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// use std::time::Duration;
/// use watchcache::store::feed::WaitError;
/// use watchcache::{Batch, Key, ResourceVersion, Store};
///
/// /// Whether a read may be trusted to show what was written at this version.
/// fn shows(store: &Store<Key>, version: &str) -> Result<bool, WaitError> {
///     match store.wait_for_version(&version.into(), Some(Duration::from_millis(1))) {
///         Ok(()) => Ok(true),
///         // It may come yet: an answer with a hint is better than none.
///         Err(WaitError::Timeout) => Ok(false),
///         Err(error) => Err(error),
///     }
/// }
/// let store = Store::new();
/// let mut batch = Batch::new();
/// batch.set_resource_version("41".into());
/// store.apply(&batch);
/// assert_eq!((shows(&store, "41"), shows(&store, "42")), (Ok(true), Ok(false)));
/// let unordered = ResourceVersion::from("abc");
/// assert_eq!(shows(&store, "abc"), Err(WaitError::Unordered(unordered)));
/// ```
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
///
/// ```
/// use std::time::Duration;
/// use watchcache::store::feed::SyncError;
/// use watchcache::{Key, Sink, Store};
///
/// let store = Store::<Key>::new();
/// let waited = store.wait_synced(Some(Duration::from_millis(1)));
/// // Nothing is wrong so far; with an error, something is.
/// assert_eq!(waited, Err(SyncError::Timeout { last_error: None }));
///
/// // As a reflector does that is not allowed to list:
/// Sink::ended(&store, Some(&std::io::Error::other("pods is forbidden")));
/// match store.wait_synced(None) {
///     Err(SyncError::SourceEnded { error: Some(error) }) => assert_eq!(&*error, "pods is forbidden"),
///     other => panic!("{other:?}"),
/// }
/// ```
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
