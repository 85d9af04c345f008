//! What a reflector reads from: anything that can list at a version and watch from there.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;

use crate::status::{Status, StatusReason};
use crate::{Key, Object, ResourceVersion};

/// A list+watch stream of one kind of object.
///
/// The Kubernetes API is the first of them; see `KubeSource` under the feature `kube`.
pub trait Source: Send + Sync + 'static {
    /// What the source holds.
    type Object: Object;

    /// A running watch.
    type Watch: Stream<Item = Result<WatchEvent<Self::Object>, SourceError>> + Send;

    /// Fetches one page of the list.
    fn list(
        &self,
        request: ListRequest,
    ) -> impl Future<Output = Result<ListPage<Self::Object>, SourceError>> + Send;

    /// Opens a watch of everything after `version`.
    fn watch(
        &self,
        version: &ResourceVersion,
    ) -> impl Future<Output = Result<Self::Watch, SourceError>> + Send;
}

/// Which page of a list to fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// At most this many objects; `None` leaves it to the source.
    pub limit: Option<u32>,
    /// Where the page before this one said to go on.
    pub continue_token: Option<String>,
}

/// One page of a list.
#[derive(Debug)]
pub struct ListPage<T> {
    /// The objects of this page, in the source's order.
    pub items: Vec<Item<T>>,
    /// The version at which the whole list holds.
    pub resource_version: Option<ResourceVersion>,
    /// Where the next page starts; `None` on the last.
    pub continue_token: Option<String>,
    /// How many objects follow this page, if the source says so.
    pub remaining: Option<u64>,
}

/// An object as it came from the source.
#[derive(Debug)]
pub enum Item<T> {
    /// It decoded.
    Object(Arc<T>),
    /// It did not; the stream goes on without it.
    Undecodable(Undecodable),
}

/// An object that is there but could not be used.
#[derive(Clone, Debug)]
pub struct Undecodable {
    /// Its key, if at least that could be read.
    pub key: Option<Key>,
    /// Its version, if at least that could be read, so that the watch can go on after it.
    pub resource_version: Option<ResourceVersion>,
    /// What is wrong with it.
    pub error: String,
}

/// One event of a watch.
#[derive(Debug)]
pub enum WatchEvent<T> {
    /// The object is new.
    Added(Arc<T>),
    /// The object changed.
    Modified(Arc<T>),
    /// The object is gone; this is its last state, with the version of the deletion.
    Deleted(Arc<T>),
    /// Nothing up to this version is missing.
    Bookmark(ResourceVersion),
    /// An event of a type that this crate does not know.
    Unknown {
        /// The type as the source wrote it.
        event_type: String,
    },
    /// An object that could not be decoded, or is not of the expected kind.
    Undecodable(Undecodable),
}

/// Why a list or a watch failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The version asked for is no longer in the source's history: only a fresh list helps.
    #[error("the resource version is too old: {0}")]
    Expired(String),
    /// The source answered with a failure.
    #[error("{0}")]
    Status(Box<Status>),
    /// The source could not be reached, or the connection broke.
    #[error("{message}")]
    Transport {
        /// What happened, in a sentence.
        message: String,
        /// The error below.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The source answered with something that is not of its protocol.
    #[error("unexpected answer: {0}")]
    Protocol(String),
}

impl SourceError {
    /// How long the source asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status(status) => status.retry_after(),
            _ => None,
        }
    }

    /// Whether only a fresh list can help.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        matches!(self, Self::Expired(_))
    }

    /// Whether asking again cannot help until somebody changes something: no such resource, not
    /// allowed, not understood.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Status(status) => matches!(
                status.reason(),
                StatusReason::Unauthorized
                    | StatusReason::Forbidden
                    | StatusReason::NotFound
                    | StatusReason::BadRequest
                    | StatusReason::Invalid
                    | StatusReason::MethodNotAllowed
                    | StatusReason::NotAcceptable
            ),
            _ => false,
        }
    }
}

impl From<Status> for SourceError {
    fn from(status: Status) -> Self {
        if status.is_expired() {
            Self::Expired(status.message().to_owned())
        } else {
            Self::Status(Box::new(status))
        }
    }
}
