//! What came of reconciles, one by one and in the end.

use super::{Action, Request};
use crate::Key;

/// What came of a reconcile.
///
/// A line for the log:
///
/// ```
/// use std::sync::Arc;
/// use watchcache::reconcile::{Action, Controller, Outcome, Request};
/// use watchcache::{Key, Store};
///
/// fn line(outcome: &Outcome<Key, &str>) -> String {
///     let key = outcome.request.key();
///     match &outcome.result {
///         Ok(()) => format!("{key} is as wanted"),
///         Err(failure) => format!("{key}: {failure}; next: {:?}", outcome.action),
///     }
/// }
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = Arc::new(Store::<Key>::new());
/// store.add("a/web".parse::<Key>()?)?;
/// store.mark_synced();
/// let (log, mut lines) = tokio::sync::mpsc::unbounded_channel();
/// let controller = Controller::new(&store)
///     .reconcile(async |web: Request<Key>| match web.name() {
///         "web" => Err("no such image"),
///         _ => Ok(Action::await_change()),
///     })
///     .on_outcome(move |outcome| _ = log.send(line(&outcome)));
/// controller
///     .run(async {
///         let first = lines.recv().await.unwrap_or_default();
///         assert!(first.starts_with("a/web: no such image; next: "));
///     })
///     .await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome<K, E> {
    /// What was reconciled.
    pub request: Request<K>,
    /// Whether that worked.
    pub result: Result<(), Failure<E>>,
    /// What becomes of the key: what the reconcile said or, of a failure, the error policy.
    pub action: Action,
}

/// Why a reconcile failed. (What a queue's limiter is told is [`fifo::Failure`](crate::fifo::Failure).)
///
/// ```
/// use watchcache::reconcile::Failure;
///
/// /// Whether to wake somebody: what a server refuses may pass, a bug does not.
/// fn is_a_bug(failure: &Failure<std::io::Error>) -> bool {
///     matches!(failure, Failure::Panicked(_))
/// }
/// assert!(!is_a_bug(&Failure::Error(std::io::Error::other("the server is busy"))));
/// let panicked = Failure::Panicked("index out of bounds".to_owned());
/// assert!(is_a_bug(&panicked));
/// assert_eq!(panicked.to_string(), "it panicked: index out of bounds");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure<E> {
    /// It returned an error.
    #[error(transparent)]
    Error(E),
    /// It panicked, with this text. The panic hook has reported it.
    #[error("it panicked: {0}")]
    Panicked(String),
}

/// Why a controller has stopped. A supervisor may want another one unless it has told this one to.
///
/// ```
/// use std::convert::Infallible;
/// use std::future::pending;
/// use std::sync::Arc;
/// use watchcache::reconcile::{Action, Controller, Request, StopReason};
/// use watchcache::{Key, Store};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = Arc::new(Store::<Key>::new());
/// store.add("a/web".parse::<Key>()?)?;
/// store.mark_synced();
/// let controller = Controller::new(&store);
/// let queue = controller.queue().clone();
/// let controller = controller.reconcile(move |_: Request<Key>| {
///     queue.close();
///     async { Ok::<_, Infallible>(Action::await_change()) }
/// });
/// let stopped = controller.run(pending()).await?;
/// let again = match stopped.reason {
///     StopReason::Told => false,
///     // With another queue, or once there is another source.
///     _ => true,
/// };
/// assert!(again);
/// assert_eq!(stopped.reason, StopReason::QueueClosed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// It was told to.
    #[default]
    Told,
    /// A store's source has ended for good: it failed, was stopped, or was dropped.
    SourceEnded,
    /// Its queue was closed by whoever owns that, and is worked off.
    QueueClosed,
}

/// What a controller has left behind, and why it has stopped.
///
/// ```
/// use std::convert::Infallible;
/// use std::future::pending;
/// use std::sync::Arc;
/// use std::time::Duration;
/// use tokio::sync::Notify;
/// use watchcache::reconcile::{Action, Controller, Request};
/// use watchcache::{Key, Store};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = Arc::new(Store::<Key>::new());
/// for key in ["a/web", "a/db"] {
///     store.add(key.parse::<Key>()?)?;
/// }
/// store.mark_synced();
/// let begun = Arc::new(Notify::new());
/// let tell = Arc::clone(&begun);
/// let controller = Controller::new(&store).concurrency(1).grace(Duration::ZERO);
/// // It hangs.
/// let controller = controller.reconcile(move |_: Request<Key>| {
///     tell.notify_one();
///     pending::<Result<Action, Infallible>>()
/// });
/// let stopped = controller.run(begun.notified()).await?;
/// // What was cancelled is left, too.
/// assert_eq!((stopped.cancelled.len(), stopped.left.len()), (1, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// Why it has stopped.
    pub reason: StopReason,
    /// The keys of the reconciles that had not ended when the [time](super::Controller::grace) for that was
    /// over, and were dropped.
    pub cancelled: Vec<Key>,
    /// The keys that waited when the controller was told to stop, in line or for their delay. Those that failed
    /// while it stopped, and those that were cancelled, are among them; those that were done then, and asked for
    /// [another look](Action::requeue_after), are not.
    pub left: Vec<Key>,
}
