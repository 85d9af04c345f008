//! The `Source` trait: anything that can list at a version and watch from there.

mod error;
mod event;
mod page;
mod request;

use std::future::Future;
use std::time::Duration;

use futures_util::stream::Stream;

pub use self::error::SourceError;
#[cfg(feature = "kube")]
pub(super) use self::error::with_causes;
pub use self::event::WatchEvent;
pub use self::page::{Item, Items, ListPage, Undecodable};
pub use self::request::{ListRequest, WatchRequest, WatchStart};
use super::{Interest, Report};
use crate::Object;

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
///   answers [`Status::resource_version_too_large`](crate::Status::resource_version_too_large).
/// - **Bookmarks and silence.** What says that the content is complete is a list, an event or a
///   [`Bookmark`](WatchEvent::Bookmark); that a watch was opened does not. A source without changes sends bookmarks,
///   and sends none that it does not know to be true: readiness goes by them. A watch that is silent for
///   `silence_limit`, beyond the source's own [`bookmark_interval`](Source::bookmark_interval), is opened anew; watches that open and never say anything lead to a list.
/// - **Failures.** A watch that yields an error or ends has ended. Nothing that was sent is lost with it: the next
///   one begins where the last event was. A source does not retry by itself, nor does it wait; it passes on what it
///   was asked to wait for ([`Status::with_retry_after`](crate::Status::with_retry_after)).
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
    /// [`Status`](crate::Status) for which [`SourceError::is_permanent`] is true, such as
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
