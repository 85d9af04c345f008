//! Errors of a queue.

use std::fmt;
use std::sync::Arc;

use crate::KeyError;

/// The queue is closed: it accepts nothing more or, for a consumer, nothing is left to hand out.
///
/// ```
/// use watchcache::fifo::Closed;
/// use watchcache::{Fifo, Key};
///
/// let fifo = Fifo::<Key>::new();
/// fifo.add("a/web".parse::<Key>()?)?;
/// fifo.close();
/// assert_eq!(fifo.pop()?.name(), "web");
/// // What was accepted is worked off, so this worker can end.
/// assert_eq!(fifo.pop(), Err(Closed));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue is closed, so this producer or consumer can end")]
pub struct Closed;

/// Why an object was not accepted. [`AddError::into_inner`] returns the object.
///
/// ```
/// use watchcache::fifo::AddError;
/// use watchcache::{Fifo, Key};
///
/// let fifo = Fifo::<Key>::builder().capacity(1).build()?;
/// fifo.add("a/web".parse::<Key>()?)?;
/// match fifo.add("a/db".parse::<Key>()?) {
///     // Someone has to make room first.
///     Err(AddError::Full(key)) => {
///         fifo.lease()?.done(); // as a worker does
///         fifo.add(key)?;
///     }
///     // It is for the next process to do, or never.
///     Err(error) => return Err(error.into()),
///     Ok(_) => unreachable!("the queue is full"),
/// }
/// assert!(fifo.contains("a/db"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// use std::time::Duration;
/// use watchcache::fifo::PopError;
/// use watchcache::{Fifo, Key};
///
/// let fifo = Fifo::<Key>::new();
/// let mut beats = 0;
/// // A worker that says now and then that it is alive.
/// let end = loop {
///     match fifo.lease_timeout(Duration::from_millis(1)) {
///         Ok(lease) => lease.done(),
///         Err(PopError::Timeout) => {
///             beats += 1;
///             fifo.close();
///         }
///         Err(error) => break error,
///     }
/// };
/// assert_eq!((beats, end), (1, PopError::Closed));
/// ```
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
///
/// ```
/// use watchcache::fifo::TryPopError;
/// use watchcache::{Fifo, Key};
///
/// let fifo = Fifo::<Key>::new();
/// assert_eq!(fifo.try_pop(), Err(TryPopError::Empty), "there may be more later");
/// fifo.close();
/// assert_eq!(fifo.try_pop(), Err(TryPopError::Closed), "there never is");
/// ```
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
///
/// ```
/// use watchcache::fifo::BuildError;
/// use watchcache::{Fifo, Key};
///
/// /// Limits from a file of settings.
/// fn queue(capacity: usize, per_second: f64) -> Result<Fifo<Key>, String> {
///     let built = Fifo::builder().capacity(capacity).retry_rate(per_second, 10).build();
///     built.map_err(|error| match error {
///         BuildError::ZeroCapacity => "capacity: at least 1".to_owned(),
///         BuildError::ZeroRate => "retries per second: more than 0".to_owned(),
///         other => other.to_string(),
///     })
/// }
/// assert!(queue(100, 0.5).is_ok());
/// assert_eq!(queue(0, 0.5).err().as_deref(), Some("capacity: at least 1"));
/// assert_eq!(queue(100, f64::NAN).err().as_deref(), Some("retries per second: more than 0"));
/// ```
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
