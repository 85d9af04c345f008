//! Monitors: a reflector's state, readable from any thread.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Undecodable;
use super::progress::Progress;
use super::quarantine::Quarantined;
use super::shared::Shared;
use crate::{Key, KeyRef, ResourceVersion};

/// Why a reflector's wait for a version ended without reaching it. (A store's is
/// [`feed::WaitError`](crate::store::feed::WaitError).)
///
/// ```
/// use std::time::Duration;
/// use watchcache::Key;
/// use watchcache::reflector::{Poll, Reflector, WaitError};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let source = Poll::new(Duration::from_secs(10), async || Ok(Vec::<Key>::new()));
/// let reflector = Reflector::builder(source).build();
/// let monitor = reflector.monitor();
/// drop(reflector);
/// // A poll's versions are milliseconds since 1970.
/// match monitor.wait_for(&"1798761600000".into()).await {
///     Ok(()) => panic!("reads include what was there by then"),
///     // Whoever runs the reflector has the reason. The cache stays as it is.
///     Err(WaitError::Stopped) => {}
///     // It is no use to wait; a read from the server is.
///     Err(error) => panic!("{error}"),
/// }
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The reflector stopped first.
    #[error(
        "the reflector stopped before it reached the version; `Reflector::run` returned why, and so does `Progress::last_error`"
    )]
    Stopped,
    /// The version and the reflector's have no order: not both are numbers, the source's list carries
    /// none, or its numbers have shown to be [without an order](super::Progress::unordered).
    #[error("the version cannot be compared with the source's")]
    Incomparable,
    /// The source's history was set back since the wait began, as by a server that was restored from a backup: later
    /// versions of the new one say nothing of this version, and what was written at it may be lost.
    #[error("the source has started over, so the version cannot be waited for")]
    StartedOver,
}

/// The reflector stopped, or was dropped, before its first list was complete. (A controller's end is
/// `reconcile::Stopped`.)
///
/// ```
/// use std::time::Duration;
/// use watchcache::Key;
/// use watchcache::reflector::{Poll, Reflector, Stopped};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let source = Poll::new(Duration::from_secs(10), async || Ok(Vec::<Key>::new()));
/// let reflector = Reflector::builder(source).build();
/// let monitor = reflector.monitor();
/// // It is told to stop before it has begun.
/// reflector.run(async {}).await?;
/// assert_eq!(monitor.synced().await, Err(Stopped));
/// # Ok::<(), watchcache::reflector::SourceError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the reflector stopped before its first list was complete; `Reflector::run` returned why, and so does `Progress::last_error`"
)]
pub struct Stopped;

/// A handle on a reflector's progress. Cheap to clone; it outlives the reflector. No call waits for the
/// reflector, unless its docs say so.
///
/// The reflector calls the wakers of waiting tasks, under no lock: one may use the monitor again, its
/// panic is contained, and one that blocks holds up the reflector.
///
/// ```
/// use std::time::Duration;
/// use watchcache::reflector::{Phase, Poll, Reflector};
/// use watchcache::{KeyRef, Object};
///
/// # #[derive(PartialEq)]
/// struct Setting(&'static str);
/// # impl Object for Setting { fn key(&self) -> KeyRef<'_> { self.0.into() } }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let source = Poll::new(Duration::from_secs(10), async || Ok(vec![Setting("limit")]));
/// let reflector = Reflector::builder(source).build();
/// let monitor = reflector.monitor();
/// assert!(!monitor.is_ready(Duration::MAX), "it has not run");
///
/// reflector.run(async {
///     monitor.synced().await.unwrap();
///     assert!(monitor.is_ready(Duration::from_secs(20)));
///     assert_eq!(monitor.progress().lists, 1);
/// }).await?;
/// assert_eq!(monitor.progress().phase, Phase::Stopped);
/// # Ok::<(), watchcache::reflector::SourceError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Monitor {
    shared: Arc<Shared>,
}

impl Monitor {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The counters as they are now.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress::clone(&self.shared.progress())
    }

    /// Returns whether the first list is in every sink, the reflector runs, and the content was known to
    /// be complete within `max_lag`: for a readiness probe. O(1).
    ///
    /// An idle Kubernetes API server confirms this about once a minute, by a bookmark.
    #[must_use]
    pub fn is_ready(&self, max_lag: Duration) -> bool {
        self.shared.progress().is_ready(max_lag)
    }

    /// The objects that the source has but that could not be decoded, or that a sink refused, by key.
    /// O(their number).
    #[must_use]
    pub fn quarantined(&self) -> Vec<(Key, Quarantined)> {
        self.shared.quarantine().to_vec()
    }

    /// Why a key's newest version is not in every sink, if it could not be decoded or was refused.
    #[must_use]
    pub fn quarantine_of<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Quarantined> {
        self.shared.quarantine().get(key.into())
    }

    /// Waits until every sink holds everything up to `version`: after a write that the source answered
    /// with a version, reads then include it, except for what is quarantined (check
    /// [`quarantine_of`](Self::quarantine_of)).
    ///
    /// # Errors
    /// When the reflector stops first, or was dropped without having run, or the versions have no
    /// order, or the source's history is [set back](super::Progress::restarts) meanwhile.
    ///
    /// # Cancel safety
    /// Nothing is lost; any number of tasks may wait at once. There is no time limit: the source may be
    /// unreachable for any length of time.
    ///
    /// Reading what was written:
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use futures_util::stream::{self, BoxStream, StreamExt};
    /// # use watchcache::reflector::{Item, ListPage, ListRequest, Source, WatchEvent, WatchRequest};
    /// # use watchcache::{KeyRef, Object, Store};
    /// use watchcache::reflector::{Reflector, SourceError};
    /// # struct Pod { version: &'static str }
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { "default/web".into() }
    /// #     fn resource_version(&self) -> Option<&str> { Some(self.version) }
    /// # }
    /// # struct Pods;
    /// # impl Source for Pods {
    /// #     type Object = Pod;
    /// #     type Watch = BoxStream<'static, Result<WatchEvent<Pod>, SourceError>>;
    /// #     async fn list(&self, _: ListRequest) -> Result<ListPage<Pod>, SourceError> {
    /// #         Ok(ListPage::new(vec![Item::Object(Arc::new(Pod { version: "7" }))], "7"))
    /// #     }
    /// #     async fn watch(&self, _: WatchRequest) -> Result<Self::Watch, SourceError> {
    /// #         let event = Ok(WatchEvent::Modified(Arc::new(Pod { version: "8" })));
    /// #         Ok(stream::iter([event]).chain(stream::pending()).boxed())
    /// #     }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let store = Arc::new(Store::new());
    /// let reflector = Reflector::builder(Pods).sink(store.clone()).build();
    /// let monitor = reflector.monitor();
    /// reflector
    ///     .run(async {
    ///         // The version that the server has answered a write with.
    ///         assert_eq!(monitor.wait_for(&"8".into()).await, Ok(()));
    ///         assert!(store.get("default/web").is_some_and(|pod| pod.version == "8"));
    ///         assert!(monitor.quarantine_of("default/web").is_none());
    ///     })
    ///     .await?;
    /// # Ok::<(), SourceError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_for(
        &self,
        version: &ResourceVersion,
    ) -> impl Future<Output = Result<(), WaitError>> + Send + use<> {
        let version = version.clone();
        let shared = Arc::clone(&self.shared);
        let restarts = shared.progress().restarts;
        async move {
            let answer = |progress: &Progress| match progress.restarts == restarts {
                true => reached(progress, &version),
                false => Some(Err(WaitError::StartedOver)),
            };
            shared.until(answer).await
        }
    }

    /// Waits until the first list is in every sink.
    ///
    /// # Errors
    /// When the reflector stopped before that, or was dropped, even without having run.
    ///
    /// # Cancel safety
    /// Nothing is lost; any number of tasks may wait at once.
    pub fn synced(&self) -> impl Future<Output = Result<(), Stopped>> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        async move {
            shared
                .until(|progress| match progress.phase {
                    _ if progress.synced => Some(Ok(())),
                    super::Phase::Stopped => Some(Err(Stopped)),
                    _ => None,
                })
                .await
        }
    }
}

fn reached(progress: &Progress, wanted: &ResourceVersion) -> Option<Result<(), WaitError>> {
    let order = progress.resource_version.as_ref().map(|held| match held == wanted {
        true => Some(Ordering::Equal),
        // Of two numbers without an order the larger one says nothing.
        false => held.compare(wanted).filter(|_| !progress.unordered),
    });
    match order {
        Some(Some(order)) if order.is_ge() => Some(Ok(())),
        Some(None) => Some(Err(WaitError::Incomparable)),
        _ if progress.phase == super::Phase::Stopped => Some(Err(WaitError::Stopped)),
        // The source gives none.
        None if progress.synced => Some(Err(WaitError::Incomparable)),
        _ => None,
    }
}

/// Returns whether a version of a key is what the sinks hold; `None` if none of them knows.
type IsCurrent = dyn Fn(&Undecodable) -> Option<bool> + Send + Sync;

/// Where a source reports an object that turned out undecodable after it was delivered, as a
/// lazily decoded one may.
///
/// ```
/// use std::sync::{Arc, OnceLock};
/// use futures_util::stream::{Pending, pending};
/// use watchcache::reflector::{
///     Interest, Item, ListPage, ListRequest, Reflector, Report, Source, SourceError, Undecodable,
///     WatchEvent, WatchRequest,
/// };
/// use watchcache::{KeyRef, Object, Store};
///
/// struct Row;
/// impl Object for Row {
///     fn key(&self) -> KeyRef<'_> { "limits/cpu".into() }
///     fn resource_version(&self) -> Option<&str> { Some("7") }
/// }
///
/// /// What is in a row is looked at later, by whoever reads it.
/// struct Table(Arc<OnceLock<Report>>);
/// impl Source for Table {
///     type Object = Row;
///     type Watch = Pending<Result<WatchEvent<Row>, SourceError>>;
///
///     fn attach(&mut self, report: Report, _: Interest<Row>) {
///         let _ = self.0.set(report);
///     }
///
///     async fn list(&self, _: ListRequest) -> Result<ListPage<Row>, SourceError> {
///         Ok(ListPage::new(vec![Item::Object(Arc::new(Row))], "7"))
///     }
///
///     async fn watch(&self, _: WatchRequest) -> Result<Self::Watch, SourceError> {
///         Ok(pending())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let report = Arc::new(OnceLock::new());
/// let store = Arc::new(Store::new());
/// let reflector = Reflector::builder(Table(report.clone())).sink(store).build();
/// let monitor = reflector.monitor();
/// reflector
///     .run(async {
///         assert!(monitor.synced().await.is_ok());
///         let bad = Undecodable::new("limits/cpu".parse().ok(), Some("7".into()), "no number");
///         report.get().expect("it is attached").undecodable(bad);
///         assert!(monitor.quarantine_of("limits/cpu").is_some_and(|it| it.error == "no number"));
///     })
///     .await?;
/// # Ok::<(), SourceError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Report {
    shared: Arc<Shared>,
    is_current: Arc<IsCurrent>,
}

impl Report {
    pub(super) fn new(
        shared: Arc<Shared>,
        is_current: impl Fn(&Undecodable) -> Option<bool> + Send + Sync + 'static,
    ) -> Self {
        Self { shared, is_current: Arc::new(is_current) }
    }

    /// Lists the object as quarantined, until another version of its key comes. An object that the
    /// sinks no longer hold in this version is only counted.
    pub fn undecodable(&self, bad: Undecodable) {
        self.shared.reported(bad, |bad| (self.is_current)(bad));
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").finish_non_exhaustive()
    }
}
