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

/// What a controller has left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// The keys of the reconciles that had not ended when the [time](super::Controller::grace) for that was
    /// over, and were dropped.
    pub cancelled: Vec<Key>,
    /// The keys that waited when the controller was told to stop, in line or for their delay. Those that failed
    /// while it stopped, and those that were cancelled, are among them; those that were done then, and asked for
    /// [another look](Action::requeue_after), are not.
    pub left: Vec<Key>,
}
