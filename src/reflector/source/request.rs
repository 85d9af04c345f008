//! What a source is asked for: pages of a list, and a watch from a place on.

use std::time::Duration;

use crate::ResourceVersion;

/// Which page of a list to fetch. A list always asks for the newest state, so that it can never
/// be older than what is already known.
///
/// ```
/// use watchcache::reflector::ListRequest;
///
/// let request = ListRequest::pages(500).after("token");
/// assert_eq!((request.limit, request.continue_token.as_deref()), (Some(500), Some("token")));
/// assert_eq!(ListRequest::default().limit, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListRequest {
    /// At most this many objects; `None` asks for all at once.
    pub limit: Option<u32>,
    /// The previous page's continue token.
    pub continue_token: Option<String>,
}

impl ListRequest {
    /// A list in pages of at most this many objects; the default is one at once.
    #[must_use]
    pub fn pages(limit: u32) -> Self {
        Self { limit: Some(limit), ..Self::default() }
    }

    /// The page behind the one that had this continue token.
    #[must_use]
    pub fn after(self, continue_token: impl Into<String>) -> Self {
        Self { continue_token: Some(continue_token.into()), ..self }
    }
}

/// What a watch is to deliver.
///
/// ```
/// use std::time::Duration;
/// use watchcache::reflector::{WatchRequest, WatchStart};
///
/// let request = WatchRequest::new(WatchStart::After("7".into()), Duration::from_secs(300));
/// assert_eq!(request.start, WatchStart::After("7".into()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchRequest {
    /// Where it starts.
    pub start: WatchStart,
    /// After how long the source should end it.
    pub timeout: Duration,
}

impl WatchRequest {
    /// A watch from a place on, for as long as this.
    #[must_use]
    pub fn new(start: WatchStart, timeout: Duration) -> Self {
        Self { start, timeout }
    }
}

/// Where a watch starts. A source refuses what it does not know, with
/// [`Status::bad_request`](crate::Status::bad_request).
///
/// ```
/// use std::time::Duration;
/// use watchcache::Status;
/// use watchcache::reflector::{SourceError, WatchStart};
///
/// /// Behind which change of a numbered log a watch begins.
/// fn begins(start: &WatchStart, last: u64) -> Result<u64, SourceError> {
///     let WatchStart::After(version) = start else {
///         return Err(Status::bad_request("this source has no streaming lists").into());
///     };
///     match version.number() {
///         Some(number) if number <= last => Ok(number),
///         // It may come yet.
///         Some(number) => {
///             let soon = Duration::from_secs(1);
///             Err(Status::resource_version_too_large(number, last, soon).into())
///         }
///         // Of a history that is not this one: a new list has the versions of this one.
///         None => Err(Status::expired(format!("no version {version} is known")).into()),
///     }
/// }
/// assert_eq!(begins(&WatchStart::After("7".into()), 9).ok(), Some(7));
/// assert!(begins(&WatchStart::After("10".into()), 9).is_err_and(|error| error.is_version_too_large()));
/// assert!(begins(&WatchStart::After("abc".into()), 9).is_err_and(|error| error.is_expired()));
/// assert!(begins(&WatchStart::InitialEvents, 9).is_err_and(|error| error.is_unsupported()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchStart {
    /// Everything after this version. An empty one means none, after a list without one: the existing
    /// objects, as far as the source sends them, and then every change.
    After(ResourceVersion),
    /// First all objects there are, as [`WatchEvent::Added`](super::WatchEvent::Added), then
    /// [`WatchEvent::InitialEventsEnd`](super::WatchEvent::InitialEventsEnd), then every change: a streaming list
    /// ([KEP-3157](https://kep.k8s.io/3157)).
    InitialEvents,
}
