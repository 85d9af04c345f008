//! The `Source` trait: anything that can list at a version and watch from there.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, Stream, StreamExt};

use super::{Interest, Report};
use crate::panic::OneByOne;
use crate::status::{CauseType, Status, StatusReason};
use crate::{Key, Object, Refused, ResourceVersion};

/// A list+watch stream of one kind of object.
///
/// The Kubernetes API is the first of them, `KubeSource` under the feature `kube`; etcd the second,
/// `EtcdSource` under the feature `etcd`. What can only be listed is one by [`Poll`](super::Poll), whose code is
/// an example of a source, too.
///
/// # The contract
///
/// A source has a history, of which a version names a place. A list is the whole content at one version, and a
/// watch everything after a version. The reflector does the rest: it asks again, backs off, and tells news from
/// repetitions.
///
/// - **Versions.** Decimal numbers that grow are compared, anything else only resumed from. A list's is no older
///   than its objects', and an event's is the one it is made at: an object's own, for a deletion that of the
///   deletion. A source that numbers its objects and has no common order gives its lists a version that is no
///   number. Any number of changes may have one version; they belong together, and a bookmark ends them.
/// - **What has one version is one state.** Two objects of the same key, uid and version are taken for equal: what
///   a sink holds is not replaced by it. So a change without a new version is not seen. Another uid is another object.
/// - **[`Expired`](SourceError::Expired).** A source that no longer knows what came after a version says so,
///   instead of leaving something out. It costs a list, of which only the changes reach the sinks. This is also the
///   answer to a version of which the source cannot tell whether it is its own. To a newer one than it has it
///   answers [`Status::resource_version_too_large`].
/// - **Bookmarks and silence.** What says that the content is complete is a list, an event or a
///   [`Bookmark`](WatchEvent::Bookmark); that a watch was opened does not. A source without changes sends bookmarks,
///   and sends none that it does not know to be true: readiness goes by them. A watch that is silent for
///   `silence_limit`, beyond the source's own [`bookmark_interval`](Source::bookmark_interval), is opened anew; watches that open and never say anything lead to a list.
/// - **Failures.** A watch that yields an error or ends has ended. Nothing that was sent is lost with it: the next
///   one begins where the last event was. A source does not retry by itself, nor does it wait; it passes on what it
///   was asked to wait for ([`Status::with_retry_after`]).
/// - **One object that cannot be used** is [`Undecodable`], in a list or a watch, and ends neither.
/// - **Cancel safety.** The reflector drops a list, the opening of a watch or a watch at any await, and asks anew
///   from what it has received.
/// - **Panics.** One of the source's ends the reflector, with [`SourceError::Panicked`].
///
/// [`Reflector`](super::Reflector) has a source in a few lines.
///
/// A log of settings, to which a program appends; the version is its length:
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::Arc;
/// use std::time::Duration;
/// use futures_util::stream::{self, BoxStream, StreamExt};
/// use tokio::sync::watch;
/// use watchcache::reflector::{
///     Item, ListPage, ListRequest, Reflector, Source, SourceError, WatchEvent, WatchRequest,
///     WatchStart,
/// };
/// use watchcache::{KeyRef, Object, Status, Store};
///
/// struct Setting { name: String, value: u32, version: String }
/// impl Object for Setting {
///     fn key(&self) -> KeyRef<'_> { (&*self.name).into() }
///     fn resource_version(&self) -> Option<&str> { Some(&self.version) }
/// }
///
/// type Entry = (&'static str, u32);
///
/// struct Log(watch::Receiver<Vec<Entry>>);
///
/// /// The setting that the entry at this place of the log makes.
/// fn setting(place: usize, (name, value): Entry) -> Arc<Setting> {
///     Arc::new(Setting { name: name.into(), value, version: (place + 1).to_string() })
/// }
///
/// impl Source for Log {
///     type Object = Setting;
///     type Watch = BoxStream<'static, Result<WatchEvent<Setting>, SourceError>>;
///
///     async fn list(&self, _: ListRequest) -> Result<ListPage<Setting>, SourceError> {
///         let log = self.0.borrow();
///         let placed = log.iter().enumerate().map(|(place, entry)| (entry.0, (place, *entry)));
///         let newest: BTreeMap<_, _> = placed.collect();
///         let items = newest.values().map(|(place, entry)| Item::Object(setting(*place, *entry)));
///         Ok(ListPage::new(items.collect(), log.len().to_string()))
///     }
///
///     async fn watch(&self, request: WatchRequest) -> Result<Self::Watch, SourceError> {
///         let WatchStart::After(version) = request.start else {
///             return Err(Status::bad_request("no streaming lists").into());
///         };
///         let newest = self.0.borrow().len() as u64;
///         let Some(after) = version.number() else {
///             return Err(Status::expired("not a version of this log").into());
///         };
///         if after > newest {
///             let soon = Duration::from_secs(1);
///             return Err(Status::resource_version_too_large(after, newest, soon).into());
///         }
///         let events = stream::unfold((self.0.clone(), after as usize), async |(mut log, place)| {
///             let entry = log.wait_for(|log| log.len() > place).await.ok()?[place];
///             Some((Ok(WatchEvent::Modified(setting(place, entry))), (log, place + 1)))
///         });
///         Ok(events.boxed())
///     }
///
///     /// Within a process nothing breaks unseen: that there is no news is no fault.
///     fn bookmark_interval(&self) -> Duration {
///         Duration::MAX
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let (log, receiver) = watch::channel(vec![("limit", 10), ("limit", 20)]);
/// let store = Arc::new(Store::new());
/// let reflector = Reflector::builder(Log(receiver)).sink(store.clone()).build();
/// reflector
///     .run(async {
///         log.send_modify(|log| log.push(("limit", 30)));
///         let waited = store.wait_for_version_async(&"3".into(), None).await;
///         assert_eq!(waited, Ok(()));
///     })
///     .await?;
/// assert!(store.get("limit").is_some_and(|limit| limit.value == 30));
/// # Ok::<(), SourceError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Source: Send + Sync + 'static {
    /// What the source holds.
    type Object: Object;

    /// A running watch.
    ///
    /// Changes of one version that are there at once become visible together; so where a version
    /// stands for a transaction, the stream yields all of it without waiting in between.
    type Watch: Stream<Item = Result<WatchEvent<Self::Object>, SourceError>> + Send + 'static;

    /// Fetches one page of the list. The page's items may decode as they are taken, so that the
    /// next page is under way meanwhile.
    ///
    /// # Errors
    /// Whatever fails is retried after a back-off, except a first list that is refused for good: by a
    /// [`Status`] for which [`SourceError::is_permanent`] is true, such as
    /// `Status::forbidden(..).into()`. That ends the reflector, unless its builder allows retries.
    fn list(
        &self,
        request: ListRequest,
    ) -> impl Future<Output = Result<ListPage<Self::Object>, SourceError>> + Send;

    /// Opens a watch. While nothing changes it should send a [`WatchEvent::Bookmark`] more often than the
    /// reflector's `silence_limit` (120 s): a watch that is silent for longer is reopened, and
    /// [`Progress::lag`](super::Progress::lag) grows meanwhile. A source that cannot says so by its
    /// [`bookmark_interval`](Self::bookmark_interval).
    ///
    /// # Errors
    /// As for [`list`](Self::list); none of them ends the reflector.
    fn watch(
        &self,
        request: WatchRequest,
    ) -> impl Future<Output = Result<Self::Watch, SourceError>> + Send;

    /// For how long a watch of this source has nothing to say while all is well, as one that looks once an hour. The
    /// reflector adds it to its `silence_limit`, to the length of each watch, and to how long it believes watches that
    /// say nothing; it asks before each watch. Default: zero, for a source that speaks well within these.
    fn bookmark_interval(&self) -> Duration {
        Duration::ZERO
    }

    /// Called once, when the reflector is built: where to report an object that turns out
    /// undecodable only after it was delivered, and where to learn what need not be decoded.
    fn attach(&mut self, report: Report, interest: Interest<Self::Object>) {
        let _ = (report, interest);
    }

    /// Bytes received so far, as the protocol frames them; 0 if not counted.
    fn received_bytes(&self) -> u64 {
        0
    }
}

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

/// Where a watch starts. A source refuses what it does not know, with [`Status::bad_request`].
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
    /// First all objects there are, as [`WatchEvent::Added`], then
    /// [`WatchEvent::InitialEventsEnd`], then every change: a streaming list
    /// ([KEP-3157](https://kep.k8s.io/3157)).
    InitialEvents,
}

/// One page of a list.
///
/// ```
/// use std::sync::Arc;
/// use watchcache::Key;
/// use watchcache::reflector::{Item, ListPage};
///
/// let mut page = ListPage::new(vec![Item::Object(Arc::new("node-1".parse::<Key>()?))], "7");
/// page.continue_token = Some("after node-1".to_owned());
/// assert_eq!((page.count, page.remaining), (1, None));
/// # Ok::<(), watchcache::KeyError>(())
/// ```
#[non_exhaustive]
pub struct ListPage<T> {
    /// The objects of this page, in the source's order.
    pub items: Items<T>,
    /// The version of the page; an empty one means none. A list without one is used, but each watch that
    /// ends is followed by another list.
    pub resource_version: Option<ResourceVersion>,
    /// Where the next page starts; `None` on the last.
    pub continue_token: Option<String>,
    /// How many objects follow this page, if the source says so.
    pub remaining: Option<u64>,
    /// How many objects the page has at the source, those included that are left out of `items`
    /// because nobody [wants](super::Interest::wants) them: such a page is no empty one.
    pub count: usize,
}

/// The objects of a page; a stream, so that they may decode as they are taken, on other threads. What does not decode
/// is an item, too: what a list leaves out is deleted. (A delivery's are [`feed::Items`](crate::store::feed::Items).)
///
/// ```
/// use std::sync::Arc;
/// use futures_util::stream::{self, StreamExt};
/// use watchcache::Key;
/// use watchcache::reflector::{Item, Items, ListPage, Undecodable};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let lines = ["a/web", ""];
/// let items: Items<Key> = stream::iter(lines)
///     .map(|line| match line.parse::<Key>() {
///         Ok(key) => Item::Object(Arc::new(key)),
///         Err(error) => Item::Undecodable(Undecodable::new(None, None, format!("{line:?}: {error}"))),
///     })
///     .boxed();
/// let page = ListPage::streamed(items, lines.len());
/// assert_eq!((page.count, page.items.count().await), (2, 2));
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Items<T> = BoxStream<'static, Item<T>>;

impl<T: Send + Sync + 'static> ListPage<T> {
    /// A page of items that are already decoded, and the last one.
    #[must_use]
    pub fn new(items: Vec<Item<T>>, resource_version: impl Into<ResourceVersion>) -> Self {
        let count = items.len();
        let mut page = Self::streamed(stream::iter(OneByOne(items.into_iter())).boxed(), count);
        page.resource_version = Some(resource_version.into());
        page
    }

    /// A page of items that decode as they are taken, of [`count`](Self::count) objects at the source. It has no
    /// version, and is the last one.
    #[must_use]
    pub fn streamed(items: Items<T>, count: usize) -> Self {
        Self { items, count, resource_version: None, continue_token: None, remaining: None }
    }
}

impl<T> WatchEvent<T> {
    /// The version that the event carries; an empty one means none.
    pub(super) fn version(&self) -> Option<&str>
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

impl<T> fmt::Debug for ListPage<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListPage")
            .field("resource_version", &self.resource_version)
            .field("continue_token", &self.continue_token)
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}

/// An object as it came from the source.
///
/// ```
/// use std::sync::Arc;
/// use watchcache::Key;
/// use watchcache::reflector::{Item, Undecodable};
///
/// fn item(line: &str) -> Item<Key> {
///     match line.parse() {
///         Ok(key) => Item::Object(Arc::new(key)),
///         Err(error) => {
///             let mut bad = Undecodable::new(None, None, format!("{error}"));
///             bad.raw = Some(line.into());
///             Item::Undecodable(bad)
///         }
///     }
/// }
/// assert!(matches!(item("a/web"), Item::Object(key) if key.name() == "web"));
/// assert!(matches!(item("a/"), Item::Undecodable(bad) if bad.raw.as_deref() == Some("a/")));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Item<T> {
    /// It decoded.
    Object(Arc<T>),
    /// A sink holds it in this very version, and returned it: see [`Interest`].
    Held(Arc<T>),
    /// It did not; the stream goes on without it.
    Undecodable(Undecodable),
}

/// An object that is there but could not be used.
///
/// ```
/// use watchcache::reflector::Undecodable;
///
/// let key = "limits/cpu".parse().ok();
/// let mut bad = Undecodable::new(key, Some("7".into()), "expected a number, found \"many\"");
/// bad.raw = Some("{\"cpu\":\"many\"}".into());
/// assert!(!bad.deleted);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Undecodable {
    /// Its key, if at least that could be read.
    pub key: Option<Key>,
    /// Its version, if at least that could be read, so that the watch can go on after it.
    pub resource_version: Option<ResourceVersion>,
    /// Why it could not be used.
    pub error: String,
    /// The object as the source wrote it; as JSON, if it wrote protobuf that reads as such.
    pub raw: Option<Arc<str>>,
    /// Whether it came as a deletion: then the key is deleted, whatever the object contains.
    pub deleted: bool,
}

impl Undecodable {
    /// One of this key and version, as far as they are known, that is there and cannot be used for this reason.
    #[must_use]
    pub fn new(
        key: Option<Key>,
        resource_version: Option<ResourceVersion>,
        error: impl Into<String>,
    ) -> Self {
        Self { key, resource_version, error: error.into(), raw: None, deleted: false }
    }
}

impl From<Refused> for Undecodable {
    fn from(refused: Refused) -> Self {
        let Refused { key, resource_version, error } = refused;
        Self { key: Some(key), resource_version, error, ..Self::default() }
    }
}

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

/// Why a list or a watch failed.
///
/// ```
/// use std::time::Duration;
/// use watchcache::Status;
/// use watchcache::reflector::SourceError;
///
/// // What a source answers with, and what a reflector makes of it.
/// let gone = SourceError::from(Status::expired("version 7 is too old"));
/// assert!(gone.is_expired(), "only a list helps");
/// let refused = SourceError::from(Status::forbidden("", "pods", "", "not yours"));
/// assert!(refused.is_permanent(), "asking again does not help");
/// let busy = SourceError::from(Status::too_many_requests(Duration::from_secs(5)));
/// assert_eq!(busy.retry_after(), Some(Duration::from_secs(5)));
/// let broken = SourceError::transport("connection reset");
/// assert!(!broken.is_permanent() && broken.retry_after().is_none());
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The version asked for is no longer in the source's history: only a fresh list helps.
    #[error("the resource version is too old: {message}")]
    Expired {
        /// The source's message.
        message: String,
        /// For a list that had to stop between two pages: where the rest can be fetched, at a newer
        /// version.
        continue_token: Option<String>,
    },
    /// The source answered with a failure.
    #[error("{0}")]
    Status(Box<Status>),
    /// The source could not be reached, or the connection broke.
    #[error("{message}")]
    Transport {
        /// What happened, in a sentence.
        message: String,
        /// The error that says so, to look into. The message has its text and its causes', so that this is no
        /// [`source`](Error::source), which would repeat them.
        error: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The source answered with something that is not of its protocol.
    #[error("unexpected answer: {0}")]
    Protocol(String),
    /// The list is larger than
    /// [`list_limit`](super::ReflectorBuilder::list_limit) allows.
    #[error("the list has more than {limit} bytes, which is the limit set for it")]
    ListTooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The source is at a version older than what it had sent before: one of its servers lags, or its
    /// history was set back.
    #[error("the source is at version {version} only, {known} was already mirrored")]
    Behind {
        /// The source's version.
        version: ResourceVersion,
        /// The version that was mirrored before.
        known: ResourceVersion,
    },
    /// An event came in a version older than what had come before it, and is no repetition of that: the list
    /// before it was wrong, the source's history was set back, or its versions have no order.
    #[error(
        "an event of version {version} came after {known}, and does not repeat what came before"
    )]
    OutOfOrder {
        /// The event's version.
        version: ResourceVersion,
        /// The version that was mirrored before.
        known: ResourceVersion,
    },
    /// A sink panicked, or the source did, with this text. It ends the reflector.
    #[error("the reflector ended by a panic of a sink or of the source: {0}")]
    Panicked(String),
}

impl SourceError {
    /// The source could not be reached, or what it is made of failed: any error, or a sentence.
    ///
    /// ```
    /// use watchcache::reflector::SourceError;
    ///
    /// let missing = std::fs::read("/no/such/file").map_err(SourceError::transport);
    /// assert!(missing.unwrap_err().to_string().starts_with("No such file"));
    /// let error = SourceError::transport("no route");
    /// assert_eq!(error.to_string(), "no route");
    /// assert!(std::error::Error::source(&error).is_none(), "nothing is said twice");
    /// ```
    #[must_use]
    pub fn transport(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = error.into();
        Self::Transport { message: with_causes(&*error), error: Some(error) }
    }

    /// How long the source asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status(status) => status.retry_after(),
            _ => None,
        }
    }

    /// Returns whether only a new list can help.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        matches!(self, Self::Expired { .. })
    }

    /// Returns whether the version asked for is one that the source has not reached (yet).
    #[must_use]
    pub fn is_version_too_large(&self) -> bool {
        match self {
            Self::Status(status) => status.has_cause(&CauseType::ResourceVersionTooLarge),
            _ => false,
        }
    }

    /// Returns whether the source does not support this kind of request, as an older server refuses a
    /// streaming list.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        match self {
            Self::Status(status) => {
                status.is_bad_request()
                    || status.is_invalid()
                    || status.is_method_not_allowed()
                    || status.is_not_acceptable()
                    || status.is_unsupported_media_type()
            }
            _ => false,
        }
    }

    /// Returns whether a retry cannot help until someone changes something: no such resource, not
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
            Self::Expired {
                message: status.message().to_owned(),
                continue_token: status.continue_token().map(str::to_owned),
            }
        } else {
            Self::Status(Box::new(status))
        }
    }
}

/// An error with what caused it, in one line; causes often repeat each other's text.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
