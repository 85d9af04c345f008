//! Errors of writing and reading a store.

use std::fmt;

use super::engine::Unindexed;
use crate::sync::Arc;
use crate::{Key, KeyError, KeyRef, Revision};

/// An object that was not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("object {key} was rejected: {reason}")]
#[non_exhaustive]
pub struct Rejected {
    /// Its key, which still holds what it held before.
    pub key: Key,
    /// Why.
    pub reason: RejectReason,
}

impl Rejected {
    pub(super) fn unindexed(key: KeyRef<'_>, unindexed: Unindexed) -> Self {
        let Unindexed { index, message } = unindexed;
        Self { key: key.to_key_unchecked(), reason: RejectReason::Index { index, message } }
    }
}

/// Why an object was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectReason {
    /// An index function returned an error, or panicked.
    Index {
        /// The index's name.
        index: Arc<str>,
        /// The message of the error or panic.
        message: String,
    },
    /// One of the object's own methods panicked, with this message.
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
    /// The object's key is invalid.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The object could not be indexed.
    #[error(transparent)]
    Rejected(#[from] Rejected),
}

/// Why a conditional update failed. The store is unchanged, and the error returns the object.
#[non_exhaustive]
pub enum UpdateError<T> {
    /// The key holds something else than the caller has seen.
    Conflict {
        /// The object that was not stored.
        object: Arc<T>,
        /// The object that the key holds, if any.
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

/// Two snapshots of different stores were compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the snapshots are of different stores")]
pub struct DifferentStores;

/// A page token cannot be continued on this snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// The text is not a page token.
    #[error("{0:?} is not a page token: expected \"revision:key\"")]
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
