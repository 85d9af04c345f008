//! What came of reconciles, one by one and in the end.

use super::{Action, Request};
use crate::Key;

/// What came of a reconcile.
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

/// Why a reconcile failed.
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
