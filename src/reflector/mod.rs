//! The reflector: lists a source, watches it from there, and feeds what it learns into sinks.
//!
//! ```text
//!          ┌────────────── expired (410) ──────────────┐
//!          v                                           │
//!   list pages ──> replace in every sink ──> watch ──> batches ──> apply in every sink
//!                                              ^          │
//!                                              └─ resume ─┘  stream ended or broke
//! ```

mod backoff;
#[cfg(feature = "kube")]
mod kube;
mod monitor;
mod source;

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, Stream, StreamExt};

use self::backoff::Backoff;
#[cfg(feature = "kube")]
pub use self::kube::KubeSource;
use self::monitor::Shared;
pub use self::monitor::{Monitor, Phase, Progress};
pub use self::source::{Item, ListPage, ListRequest, Source, SourceError, Undecodable, WatchEvent};
use crate::{Batch, Change, Key, Listing, Object, ResourceVersion, Sink};

/// Mirrors a [`Source`] into any number of [`Sink`]s.
///
/// It lists, replaces the sinks' content, then watches from the list's version. Events are applied
/// in batches of whatever is ready: an idle stream applies each event at once, a busy one in large
/// batches. A stream that ends or breaks is resumed where it stopped; only an expired version
/// costs a fresh list. Failures back off, exponentially and with jitter, and the back-off resets on
/// progress only.
///
/// ```
/// use std::sync::Arc;
/// use watchcache::reflector::{
///     Item, ListPage, ListRequest, Reflector, Source, SourceError, WatchEvent,
/// };
/// use watchcache::{Key, KeyError, Object, ResourceVersion, Store};
///
/// struct Node(&'static str);
/// impl Object for Node {
///     fn key(&self) -> Result<Key, KeyError> { Key::cluster_scoped(self.0) }
/// }
///
/// /// A source with one object and no changes.
/// struct Fixed;
/// impl Source for Fixed {
///     type Object = Node;
///     type Watch = futures_util::stream::Pending<Result<WatchEvent<Node>, SourceError>>;
///
///     async fn list(&self, _: ListRequest) -> Result<ListPage<Node>, SourceError> {
///         Ok(ListPage {
///             items: vec![Item::Object(Arc::new(Node("node-1")))],
///             resource_version: Some("7".into()),
///             continue_token: None,
///             remaining: None,
///         })
///     }
///
///     async fn watch(&self, _: &ResourceVersion) -> Result<Self::Watch, SourceError> {
///         Ok(futures_util::stream::pending())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let store = Arc::new(Store::new());
/// let reflector = Reflector::builder(Fixed).sink(store.clone()).build();
/// let monitor = reflector.monitor();
/// reflector.run(monitor.synced()).await?;
/// assert!(store.contains("node-1"));
/// # Ok::<(), SourceError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reflector<S: Source> {
    source: S,
    sinks: Vec<Box<dyn Sink<S::Object>>>,
    page_size: Option<u32>,
    batch_limit: usize,
    shared: Arc<Shared>,
}

/// Builds a [`Reflector`].
pub struct Builder<S: Source> {
    source: S,
    sinks: Vec<Box<dyn Sink<S::Object>>>,
    page_size: Option<u32>,
    batch_limit: usize,
}

impl<S: Source> Builder<S> {
    /// Adds a sink. Sinks are fed in the order in which they were added.
    #[must_use]
    pub fn sink(mut self, sink: impl Sink<S::Object> + 'static) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// Objects per list page; `None` asks for the whole list at once. Default: 500, as client-go.
    #[must_use]
    pub fn page_size(mut self, objects: Option<u32>) -> Self {
        self.page_size = objects;
        self
    }

    /// Most events in one batch; 0 counts as 1. Default: 1024.
    #[must_use]
    pub fn batch_limit(mut self, events: usize) -> Self {
        self.batch_limit = events.max(1);
        self
    }

    /// The reflector. Nothing happens until it [runs](Reflector::run).
    #[must_use]
    pub fn build(self) -> Reflector<S> {
        Reflector {
            source: self.source,
            sinks: self.sinks,
            page_size: self.page_size,
            batch_limit: self.batch_limit,
            shared: Arc::new(Shared::new()),
        }
    }
}

impl<S: Source> fmt::Debug for Builder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("sinks", &self.sinks.len())
            .field("page_size", &self.page_size)
            .field("batch_limit", &self.batch_limit)
            .finish_non_exhaustive()
    }
}

/// How one list-and-watch round ended.
enum Round {
    /// The version expired: only a fresh list helps.
    Relist,
    /// The first list was refused for good.
    Refused(SourceError),
}

impl<S: Source> Reflector<S> {
    /// Starts to build a reflector of `source`.
    #[must_use]
    pub fn builder(source: S) -> Builder<S> {
        Builder { source, sinks: Vec::new(), page_size: Some(500), batch_limit: 1024 }
    }

    /// A handle that tells how the reflector is doing.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        Monitor::new(Arc::clone(&self.shared))
    }

    /// Mirrors until `stop` completes.
    ///
    /// # Errors
    /// If the first list is refused in a way that asking again cannot mend (no such resource, not
    /// allowed, a selector that the source does not take). Every other failure is retried.
    ///
    /// # Cancel safety
    /// Dropping the future stops the reflector between two batches: sinks are only called between
    /// awaits, so each holds whole batches.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), SourceError> {
        let shared = Arc::clone(&self.shared);
        let stop = pin!(stop);
        let result = tokio::select! {
            biased;
            () = stop => Ok(()),
            error = self.mirror() => Err(error),
        };
        shared.set_phase(Phase::Stopped);
        result
    }

    async fn mirror(&mut self) -> SourceError {
        let mut backoff = Backoff::new();
        loop {
            match self.list_and_watch(&mut backoff).await {
                Round::Relist => self.shared.count_relist(),
                Round::Refused(error) => return error,
            }
        }
    }

    async fn list_and_watch(&mut self, backoff: &mut Backoff) -> Round {
        let mut version = loop {
            match self.list().await {
                Ok(version) => break version,
                Err(error) if error.is_permanent() && !self.shared.is_synced() => {
                    self.shared.failed(&error);
                    return Round::Refused(error);
                }
                Err(error) => self.pause(backoff, "list", &error).await,
            }
        };
        loop {
            self.shared.set_phase(Phase::Watching);
            let before = version.clone();
            let end = match self.source.watch(&version).await {
                Ok(watch) => self.follow(watch, &mut version).await,
                Err(error) => Err(error),
            };
            if version != before {
                backoff.reset();
            }
            match end {
                // A stream that ends after progress ended in the ordinary way, by its timeout.
                Ok(()) if version != before => {}
                Ok(()) => self.sleep(backoff, None).await,
                Err(error) if error.is_expired() => {
                    tracing::info!(version = %version, "watch expired, listing anew");
                    self.shared.failed(&error);
                    if version == before {
                        self.sleep(backoff, None).await;
                    }
                    return Round::Relist;
                }
                Err(error) => self.pause(backoff, "watch", &error).await,
            }
        }
    }

    /// Lists all pages, then replaces the sinks' content.
    async fn list(&mut self) -> Result<ResourceVersion, SourceError> {
        self.shared.start_listing();
        let mut objects: Vec<(Key, Arc<S::Object>)> = Vec::new();
        let mut request = ListRequest { limit: self.page_size, continue_token: None };
        let version = loop {
            let page = self.source.list(request.clone()).await?;
            for item in page.items {
                match item {
                    Item::Object(object) => match object.key() {
                        Ok(key) => objects.push((key, object)),
                        Err(error) => self.shared.undecodable(None, &error.to_string()),
                    },
                    Item::Undecodable(bad) => {
                        self.shared.undecodable(bad.key.as_ref(), &bad.error);
                    }
                }
            }
            self.shared.listed(objects.len() as u64, page.remaining);
            match page.continue_token {
                Some(token) if !token.is_empty() => request.continue_token = Some(token),
                _ => break page.resource_version,
            }
        };
        let version = version.ok_or_else(|| {
            SourceError::Protocol("the list carries no resource version to watch from".to_owned())
        })?;
        let listing = Listing::from_keyed(objects, Some(version.clone()));
        for sink in &self.sinks {
            sink.replace(&listing);
        }
        self.shared.synced(&version);
        Ok(version)
    }

    /// Applies a watch's events until it ends. `version` is where to resume.
    async fn follow(
        &mut self,
        watch: S::Watch,
        version: &mut ResourceVersion,
    ) -> Result<(), SourceError> {
        let mut watch = pin!(watch);
        let mut batch = Batch::new();
        loop {
            let mut next = watch.next().await;
            // Whatever else is ready goes into the same batch; the first thing that is not closes it.
            let end = loop {
                match next {
                    Some(Ok(event)) => self.shared.collect(event, &mut batch),
                    Some(Err(error)) => break Some(Err(error)),
                    None => break Some(Ok(())),
                }
                if batch.len() >= self.batch_limit {
                    break None;
                }
                match ready(&mut watch) {
                    Some(ready) => next = ready,
                    None => break None,
                }
            };
            self.flush(&mut batch, version);
            if let Some(end) = end {
                return end;
            }
        }
    }

    fn flush(&self, batch: &mut Batch<S::Object>, version: &mut ResourceVersion) {
        if let Some(reached) = batch.resource_version() {
            *version = reached.clone();
        } else if batch.is_empty() {
            return;
        }
        for sink in &self.sinks {
            sink.apply(batch);
        }
        self.shared.applied(batch.len() as u64, version);
        batch.clear();
    }

    async fn pause(&self, backoff: &mut Backoff, what: &str, error: &SourceError) {
        tracing::warn!(%error, "{what} failed, backing off");
        self.shared.failed(error);
        self.sleep(backoff, error.retry_after()).await;
    }

    async fn sleep(&self, backoff: &mut Backoff, at_least: Option<Duration>) {
        self.shared.set_phase(Phase::BackingOff);
        let delay = backoff.next_delay().max(at_least.unwrap_or_default());
        tokio::time::sleep(delay).await;
    }
}

/// The stream's next item if it is there without waiting.
fn ready<W: Stream + ?Sized>(watch: &mut std::pin::Pin<&mut W>) -> Option<Option<W::Item>> {
    watch.next().now_or_never()
}

impl Shared {
    /// Adds an event to the batch; what cannot be used is logged and counted, and the version
    /// still moves on.
    fn collect<T: Object>(&self, event: WatchEvent<T>, batch: &mut Batch<T>) {
        let (object, delete) = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => (object, false),
            WatchEvent::Deleted(object) => (object, true),
            WatchEvent::Bookmark(version) => return batch.set_resource_version(version),
            WatchEvent::Unknown { event_type } => return self.unknown_event(&event_type),
            WatchEvent::Undecodable(bad) => {
                self.undecodable(bad.key.as_ref(), &bad.error);
                if let Some(version) = bad.resource_version {
                    batch.set_resource_version(version);
                }
                return;
            }
        };
        if let Some(version) = object.resource_version() {
            batch.set_resource_version(version.into());
        }
        match object.key() {
            Ok(key) if delete => batch.push(key, Change::Delete(Some(object))),
            Ok(key) => batch.push(key, Change::Put(object)),
            Err(error) => self.undecodable(None, &error.to_string()),
        }
    }
}

impl<S: Source> fmt::Debug for Reflector<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reflector")
            .field("sinks", &self.sinks.len())
            .field("page_size", &self.page_size)
            .field("batch_limit", &self.batch_limit)
            .field("progress", &self.monitor().progress())
            .finish_non_exhaustive()
    }
}
