//! What a watch delivers.

use std::sync::Arc;

use super::Undecodable;
use crate::{Key, Object, ResourceVersion};

/// One event of a watch.
///
/// ```
/// use watchcache::Key;
/// use watchcache::reflector::WatchEvent;
///
/// /// A deletion, and that it was the last change of its version.
/// fn deleted(key: Key, revision: u64) -> [WatchEvent<Key>; 2] {
///     let version = revision.to_string();
///     [WatchEvent::Gone { key, version: (&*version).into() }, WatchEvent::Bookmark(version.into())]
/// }
/// assert!(matches!(deleted("a/web".parse()?, 7), [WatchEvent::Gone { .. }, WatchEvent::Bookmark(_)]));
/// # Ok::<(), watchcache::KeyError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum WatchEvent<T> {
    /// The object is new.
    Added(Arc<T>),
    /// The object changed.
    Modified(Arc<T>),
    /// The object was deleted; this is its last state, with the version of the deletion.
    Deleted(Arc<T>),
    /// The key was deleted; the source does not send its last state.
    Gone {
        /// The key.
        key: Key,
        /// The version of the deletion.
        version: ResourceVersion,
    },
    /// Nothing up to this version is missing, and it is the source's newest. An empty version, or "0",
    /// carries no information: such a bookmark is counted, and at most shows that the source is alive.
    Bookmark(ResourceVersion),
    /// The initial events of a streaming list are complete, at this version. With an empty one the
    /// streaming list has failed.
    InitialEventsEnd(ResourceVersion),
    /// An event of a type that this crate does not know.
    Unknown {
        /// The type as the source wrote it.
        event_type: String,
    },
    /// An object that could not be decoded, or is not of the expected kind.
    Undecodable(Undecodable),
}

impl<T> WatchEvent<T> {
    /// The version that the event carries; an empty one means none.
    pub(in crate::reflector) fn version(&self) -> Option<&str>
    where
        T: Object,
    {
        let version = match self {
            Self::Added(object) | Self::Modified(object) | Self::Deleted(object) => {
                object.resource_version()
            }
            Self::Gone { version, .. } | Self::Bookmark(version) => Some(version.as_str()),
            Self::InitialEventsEnd(version) => Some(version.as_str()),
            Self::Undecodable(bad) => bad.resource_version.as_ref().map(ResourceVersion::as_str),
            Self::Unknown { .. } => None,
        };
        version.filter(|version| !version.is_empty())
    }
}
