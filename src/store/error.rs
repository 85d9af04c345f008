//! What can go wrong with a write or a read of the store.

use std::fmt;

use crate::sync::Arc;
use crate::{Key, KeyError, Revision};

/// An object that was not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("object {key} was rejected: {reason}")]
#[non_exhaustive]
pub struct Rejected {
    /// Its key; what was held under it stays.
    pub key: Key,
    /// Why.
    pub reason: RejectReason,
}

/// Why an object was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectReason {
    /// An index function returned an error, or panicked.
    Index {
        /// The index.
        index: Arc<str>,
        /// The error's or the panic's text.
        message: String,
    },
    /// One of the object's own methods panicked, with this text.
    Panicked(String),
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index { index, message } => write!(f, "index {index:?} failed: {message}"),
            Self::Panicked(message) => write!(f, "the object's methods panicked: {message}"),
        }
    }
}

/// Why a write of one object failed. The store is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The object has no usable key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The object could not be indexed.
    #[error(transparent)]
    Rejected(#[from] Rejected),
}

/// Why a conditional update failed. The store is unchanged, and the object comes back.
#[non_exhaustive]
pub enum UpdateError<T> {
    /// Something else is held than what the caller saw.
    Conflict {
        /// The object that was not stored.
        object: Arc<T>,
        /// What is held, if anything is.
        held: Option<Arc<T>>,
    },
    /// The object itself cannot be stored.
    Write {
        /// The object that was not stored.
        object: Arc<T>,
        /// What is wrong with it.
        error: WriteError,
    },
}

impl<T> UpdateError<T> {
    /// The object that was not stored.
    #[must_use]
    pub fn into_object(self) -> Arc<T> {
        match self {
            Self::Conflict { object, .. } | Self::Write { object, .. } => object,
        }
    }
}

impl<T> fmt::Debug for UpdateError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict { held, .. } => {
                f.debug_struct("Conflict").field("held", &held.is_some()).finish_non_exhaustive()
            }
            Self::Write { error, .. } => {
                f.debug_struct("Write").field("error", error).finish_non_exhaustive()
            }
        }
    }
}

impl<T> fmt::Display for UpdateError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict { held: Some(_), .. } => f.write_str(
                "the key holds another object than the one that was seen, or a newer version \
                 than this one: read it again and retry",
            ),
            Self::Conflict { held: None, .. } => f.write_str("the key holds nothing any more"),
            Self::Write { error, .. } => error.fmt(f),
        }
    }
}

impl<T> std::error::Error for UpdateError<T> {}

/// Why an index could not be added. The store is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddIndexError {
    /// The name is taken.
    #[error("there is an index {0:?} already")]
    Exists(String),
    /// An object that is held cannot be indexed.
    #[error(transparent)]
    Rejected(#[from] Rejected),
}

/// A snapshot has no index of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no index {name:?}; this snapshot has {}", if .known.is_empty() { "none".to_owned() } else { .known.join(", ") })]
#[non_exhaustive]
pub struct UnknownIndex {
    /// The name that was asked for.
    pub name: String,
    /// The names there are.
    pub known: Vec<String>,
}

/// Two snapshots of different stores were compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the snapshots are of different stores")]
pub struct DifferentStores;

/// A page token cannot be continued on this snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// The text is no page token.
    #[error("{0:?} is no page token: expected \"revision:key\"")]
    Malformed(String),
    /// The token continues a listing of another revision.
    #[error(
        "the page token continues revision {token}, and this snapshot is of revision {snapshot}"
    )]
    Expired {
        /// The token's revision.
        token: Revision,
        /// The snapshot's.
        snapshot: Revision,
    },
}
