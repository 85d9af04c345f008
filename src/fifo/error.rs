//! Errors of a queue.

use std::fmt;
use std::sync::Arc;

use crate::KeyError;

/// The queue is closed: it accepts nothing more or, for a consumer, nothing is left to hand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue is closed, so this producer or consumer can end")]
pub struct Closed;

/// Why an object was not accepted. [`AddError::into_inner`] returns the object.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AddError<T> {
    /// The queue is closed.
    #[error("the queue is closed and takes nothing more; the object is in the error")]
    Closed(Arc<T>),
    /// The queue holds as many keys as it may, and not this one.
    #[error(
        "the queue is full: it holds as many keys as its capacity; add again when some are done"
    )]
    Full(Arc<T>),
    /// The object's key is invalid.
    #[error(
        "the object has no usable key, so it cannot be queued; mend what `Object::key` returns"
    )]
    Key {
        /// The object.
        object: Arc<T>,
        /// What is wrong with its key.
        source: KeyError,
    },
}

impl<T> AddError<T> {
    /// The object that was not accepted.
    #[must_use]
    pub fn into_inner(self) -> Arc<T> {
        match self {
            Self::Closed(object) | Self::Full(object) | Self::Key { object, .. } => object,
        }
    }
}

// Not derived, so that `T` need not be `Debug`.
impl<T> fmt::Debug for AddError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(_) => f.write_str("Closed(..)"),
            Self::Full(_) => f.write_str("Full(..)"),
            Self::Key { source, .. } => {
                f.debug_struct("Key").field("source", source).finish_non_exhaustive()
            }
        }
    }
}

/// Why a consumer with a timeout got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PopError {
    /// The time ran out first.
    #[error("nothing could be handed out in time; ask again, or wait longer")]
    Timeout,
    /// The queue is closed and drained.
    #[error("the queue is closed and has nothing left to hand out, so this consumer can end")]
    Closed,
}

/// Why a consumer that does not block got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TryPopError {
    /// Nothing can be handed out now.
    #[error("nothing can be handed out now; ask again later, or wait with `pop` or `lease`")]
    Empty,
    /// The queue is closed and drained.
    #[error("the queue is closed and has nothing left to hand out, so this consumer can end")]
    Closed,
}

impl From<Closed> for PopError {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl From<Closed> for TryPopError {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

/// Why a queue could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A capacity of zero: no key could ever be added.
    #[error("a capacity of zero lets no key in; give it at least 1, or none for no limit")]
    ZeroCapacity,
    /// A rate that lets no retry through, or is not a number.
    #[error(
        "this rate lets no retry through; give more than zero per second, and a burst of at least 1"
    )]
    ZeroRate,
}
