//! Errors of writing and reading a store.

use std::fmt;

use super::engine::Unindexed;
use crate::sync::Arc;
use crate::{Key, KeyError, KeyRef, Revision};

/// An object that was not stored.
///
/// ```
/// # use watchcache::{Batch, KeyRef, Object, Store};
/// use watchcache::store::Index;
/// # struct Pod { name: &'static str, port: &'static str }
/// # impl Object for Pod {
/// #     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
/// # }
///
/// let by_port = Index::try_new("port", |pod: &Pod| pod.port.parse::<u16>().map(|port| [port]));
/// let store = Store::builder().index(&by_port).build();
/// let mut batch = Batch::new();
/// batch.add(Pod { name: "web", port: "80" })?;
/// batch.add(Pod { name: "odd", port: "http" })?;
/// // The rest of the batch is stored.
/// let applied = store.apply(&batch);
/// assert_eq!((applied.added, applied.rejected.len()), (1, 1));
/// assert_eq!(
///     applied.rejected[0].to_string(),
///     "object default/odd was rejected: index \"port\" failed: invalid digit found in string"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// # use watchcache::{KeyRef, Object, Store};
/// use watchcache::store::{Index, RejectReason, WriteError};
/// # struct Pod { port: &'static str }
/// # impl Object for Pod {
/// #     fn key(&self) -> KeyRef<'_> { "default/web".into() }
/// # }
///
/// let by_port = Index::try_new("port", |pod: &Pod| pod.port.parse::<u16>().map(|port| [port]));
/// let store = Store::builder().index(&by_port).build();
/// let Err(WriteError::Rejected(rejected)) = store.add(Pod { port: "http" }) else {
///     unreachable!("it has no port");
/// };
/// match rejected.reason {
///     // The object's fault: to be told to whoever wrote it.
///     RejectReason::Index { index, .. } => assert_eq!(&*index, "port"),
///     // The program's: a bug in what the type implements.
///     RejectReason::Panicked(message) => panic!("{message}"),
///     other => panic!("{other}"),
/// }
/// ```
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
///
/// ```
/// # use watchcache::{KeyRef, Object, Store};
/// use watchcache::KeyError;
/// use watchcache::store::WriteError;
/// # struct Pod(&'static str);
/// # impl Object for Pod {
/// #     fn key(&self) -> KeyRef<'_> { ("default", self.0).into() }
/// # }
///
/// let store = Store::new();
/// match store.add(Pod("")) {
///     // It could never be looked up.
///     Err(WriteError::Key(error)) => assert!(matches!(error, KeyError::EmptyName(_))),
///     // An index, or one of its own methods, fails on it.
///     Err(WriteError::Rejected(rejected)) => panic!("{}: {}", rejected.key, rejected.reason),
///     other => panic!("{other:?}"),
/// }
/// assert!(store.is_empty());
/// ```
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
///
/// Changing what is held, whoever else does so:
///
/// ```
/// # use std::sync::Arc;
/// # use watchcache::{KeyRef, Object, Store};
/// use watchcache::store::UpdateError;
/// # struct Counter(u32);
/// # impl Object for Counter {
/// #     fn key(&self) -> KeyRef<'_> { "hits".into() }
/// # }
///
/// fn count(
///     store: &Store<Counter>,
///     mut seen: Option<Arc<Counter>>,
/// ) -> Result<(), UpdateError<Counter>> {
///     loop {
///         let next = Counter(seen.as_ref().map_or(1, |counter| counter.0 + 1));
///         match store.compare_and_update(seen.as_ref(), next) {
///             Ok(_) => return Ok(()),
///             Err(UpdateError::Conflict { held, .. }) => seen = held,
///             Err(error) => return Err(error),
///         }
///     }
/// }
/// let store = Store::new();
/// store.add(Counter(8))?;
/// count(&store, None)?;
/// assert_eq!(store.get("hits").map(|counter| counter.0), Some(9));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// use watchcache::store::DifferentStores;
/// use watchcache::{Key, Store};
///
/// let (pods, others) = (Store::<Key>::new().snapshot(), Store::new().snapshot());
/// assert_eq!(pods.diff(&others).err(), Some(DifferentStores));
/// assert!(pods.diff(&pods.clone()).is_ok_and(|diff| diff.is_empty()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the snapshots are of different stores")]
pub struct DifferentStores;

/// A page token cannot be continued on this snapshot.
///
/// What a server answers whose clients may come back late:
///
/// ```
/// use watchcache::store::{Page, PageError, PageToken, Snapshot};
/// use watchcache::{Key, Status, Store};
///
/// fn page<'a>(content: &'a Snapshot<Key>, token: &str) -> Result<Page<'a, Key>, Status> {
///     let page = token.parse::<PageToken>().and_then(|token| content.page("", 100, Some(&token)));
///     page.map_err(|error| match error {
///         PageError::Expired { .. } => Status::expired(error.to_string()),
///         _ => Status::bad_request(error.to_string()),
///     })
/// }
/// let store = Store::<Key>::new();
/// store.add("a/web".parse::<Key>()?)?;
/// let content = store.snapshot();
/// assert_eq!(page(&content, "1:a/db").map(|page| page.entries.len()), Ok(1));
/// assert!(page(&content, "0:a/db").is_err_and(|status| status.is_expired()));
/// assert!(page(&content, "next").is_err_and(|status| status.is_bad_request()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
