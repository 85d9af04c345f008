//! Building a reflector.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::config::{Config, Resync, bounded, bounded_range};
use super::failure::Failure;
use super::shared::Shared;
use super::{Interest, Reflector, Report, Shard, Source};
use crate::{Batch, Object, Sink};

/// Builds a [`Reflector`].
///
/// For any duration, [`Duration::MAX`] means "never".
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
/// use watchcache::reflector::{Poll, Reflector, SourceError};
/// use watchcache::{KeyRef, Object, Store};
///
/// # #[derive(PartialEq)]
/// struct Setting(&'static str);
/// # impl Object for Setting { fn key(&self) -> KeyRef<'_> { self.0.into() } }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let lists = AtomicUsize::new(0);
/// let source = Poll::new(Duration::from_secs(10), move || {
///     let is_first = lists.fetch_add(1, Ordering::Relaxed) == 0;
///     async move {
///         if is_first { Err(SourceError::transport("no route")) } else { Ok(vec![Setting("limit")]) }
///     }
/// });
///
/// let (store, failures) = (Arc::new(Store::new()), Arc::new(Mutex::new(Vec::new())));
/// let told = Arc::clone(&failures);
/// let reflector = Reflector::builder(source)
///     .sink(store.clone())
///     .backoff(Duration::from_millis(10), Duration::from_secs(1))
///     .on_failure(move |failure| told.lock().unwrap().push(failure.error.to_string()))
///     .build();
/// let monitor = reflector.monitor();
/// reflector.run(async { monitor.synced().await.unwrap() }).await?;
/// assert!(store.contains("limit"));
/// assert_eq!(*failures.lock().unwrap(), ["no route"]);
/// # Ok::<(), SourceError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ReflectorBuilder<S: Source> {
    source: S,
    config: Config<S::Object>,
}

impl<S: Source> ReflectorBuilder<S> {
    pub(super) fn new(source: S) -> Self {
        Self { source, config: Config::default() }
    }

    /// Adds a sink. Sinks are fed in the order in which they were added.
    #[must_use]
    pub fn sink(mut self, sink: impl Sink<S::Object> + 'static) -> Self {
        self.config.sinks.push(Box::new(sink));
        self
    }

    /// Objects per list page; `None` asks for the whole list at once. Default: 500, as client-go.
    #[must_use]
    pub fn page_size(mut self, objects: Option<u32>) -> Self {
        self.config.page_size = objects;
        self
    }

    /// About how many events make one batch at most; 0 counts as 1. Changes of one version that
    /// come together stay together, so a batch may be larger. Default: 1024.
    #[must_use]
    pub fn batch_limit(mut self, events: usize) -> Self {
        self.config.batch_limit = events.max(1);
        self
    }

    /// Gets the initial state by a watch that begins with all objects
    /// ([KEP-3157](https://kep.k8s.io/3157)), which saves the server much memory. If that fails, the list
    /// comes in pages; if the list succeeds, the source is not asked for a stream again. Default: pages.
    #[must_use]
    pub fn streaming_list(mut self, streaming: bool) -> Self {
        self.config.streaming_list = streaming;
        self
    }

    /// The range from which each watch's length is drawn, so that watches which were opened together
    /// do not all end together; an empty one counts as its start. The source's
    /// [`bookmark_interval`](Source::bookmark_interval) comes on top. Default: 200 s to 290 s.
    #[must_use]
    pub fn watch_timeout(mut self, range: Range<Duration>) -> Self {
        self.config.limits.watch_timeout = bounded_range(range);
        self
    }

    /// How long a watch may be silent, without even a bookmark, before it is considered dead and reopened
    /// at the last version, beyond the source's [`bookmark_interval`](Source::bookmark_interval). Kubernetes sends a
    /// bookmark about once a minute. Default: 120 s.
    #[must_use]
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.config.limits.silence = bounded(limit);
        self
    }

    /// How long the opening of a watch may take, and how long a list page may bring nothing. A page that
    /// keeps receiving bytes, as [`Source::received_bytes`] counts them, may take ten times that, and so
    /// may a list that comes without pages. Default: 60 s.
    #[must_use]
    pub fn answer_limit(mut self, limit: Duration) -> Self {
        self.config.limits.answer = bounded(limit);
        self
    }

    /// The longest wait that a source can ask for, as by `Retry-After`. Default: 5 minutes.
    #[must_use]
    pub fn retry_after_limit(mut self, limit: Duration) -> Self {
        self.config.limits.retry_after = bounded(limit);
        self
    }

    /// How many bytes one list may bring, all pages together, before it counts as failed: counted
    /// as the source counts what it receives, else by [`Object::size`]. Default: 8 GiB, the most
    /// that etcd is recommended to hold in all.
    #[must_use]
    pub fn list_limit(mut self, bytes: u64) -> Self {
        self.config.limits.list_bytes = bytes;
        self
    }

    /// The first delay after a failure, and the longest: it doubles in between, and each is spread
    /// over one to two times its length. The first is at least a millisecond. Relists that follow
    /// each other are spaced the same way, beginning with at least 0.8 s. Default: 0.8 s to 30 s, as
    /// client-go.
    #[must_use]
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        let first = bounded(first).max(Duration::from_millis(1));
        self.config.backoff = (first, bounded(longest).max(first));
        self
    }

    /// Sets whether to mirror a source whose history was set back (etcd restored from a backup): one
    /// whose lists stay older than what it had sent before, three times in a row and for at least five
    /// seconds. Its content then replaces what is held, although that is newer. Otherwise the mirror
    /// stays as it is, and shows this by [`Progress::behind`](super::Progress::behind) and a growing lag.
    /// Default: yes.
    #[must_use]
    pub fn start_over(mut self, start_over: bool) -> Self {
        self.config.start_over = start_over;
        self
    }

    /// Sets whether to keep asking when the first list is refused in a way that asking again cannot
    /// mend: for a program that starts before its custom resource exists, or before it is allowed to read
    /// it. [`on_failure`](Self::on_failure) and the monitor's progress report the refusal meanwhile.
    /// Default: no, [`Reflector::run`] returns it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use watchcache::reflector::{Poll, Reflector, SourceError};
    /// use watchcache::{Key, Status};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let refused = || Poll::new(Duration::from_secs(10), async || -> Result<Vec<Key>, _> {
    ///     Err(Status::forbidden("", "settings", "", "not yet").into())
    /// });
    /// let ended = Reflector::builder(refused()).build().run(std::future::pending()).await;
    /// assert!(ended.is_err_and(|error| error.is_permanent()));
    ///
    /// let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    /// let patient = Reflector::builder(refused()).retry_refused(true);
    /// let patient = patient.on_failure(move |failure| _ = tell.send(failure.error.is_permanent())).build();
    /// patient.run(async { assert_eq!(told.recv().await, Some(true)) }).await?;
    /// # Ok::<(), SourceError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn retry_refused(mut self, retry: bool) -> Self {
        self.config.retry_refused = retry;
        self
    }

    /// Called for each failed list or watch, as it happens, in the task that runs the reflector, and
    /// under no lock. The reflector waits for it; a panic in it is logged and changes nothing.
    #[must_use]
    pub fn on_failure(mut self, call: impl Fn(&Failure<'_>) + Send + Sync + 'static) -> Self {
        self.config.on_failure = Some(Box::new(call));
        self
    }

    /// Changes each object before any sink sees it, exactly once per object received: to drop
    /// what is not needed, say. Key, uid and version must stay the same. An object for which it
    /// panics is quarantined.
    ///
    /// An object fresh from the source has one holder, so `Arc::get_mut` succeeds on it; not so those of a
    /// [`Poll`](super::Poll), which keeps what it has listed.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use watchcache::{Reflector, Store};
    /// # use futures_util::stream::{Pending, pending};
    /// # use watchcache::reflector::{
    /// #     Item, ListPage, ListRequest, Source, SourceError, WatchEvent, WatchRequest,
    /// # };
    /// # use watchcache::{KeyRef, Object};
    /// # struct Setting { history: String }
    /// # impl Object for Setting {
    /// #     fn key(&self) -> KeyRef<'_> { "limit".into() }
    /// # }
    /// # struct Settings;
    /// # impl Source for Settings {
    /// #     type Object = Setting;
    /// #     type Watch = Pending<Result<WatchEvent<Setting>, SourceError>>;
    /// #     async fn list(&self, _: ListRequest) -> Result<ListPage<Setting>, SourceError> {
    /// #         let setting = Setting { history: "who set it, and why".into() };
    /// #         Ok(ListPage::new(vec![Item::Object(Arc::new(setting))], "7"))
    /// #     }
    /// #     async fn watch(&self, _: WatchRequest) -> Result<Self::Watch, SourceError> { Ok(pending()) }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let store = Arc::new(Store::new());
    /// let reflector = Reflector::builder(Settings)
    ///     .sink(store.clone())
    ///     .transform(|mut setting| {
    ///         if let Some(setting) = Arc::get_mut(&mut setting) {
    ///             setting.history = String::new();
    ///         }
    ///         setting
    ///     })
    ///     .build();
    /// let monitor = reflector.monitor();
    /// reflector.run(async { assert!(monitor.synced().await.is_ok()) }).await?;
    /// assert!(store.get("limit").is_some_and(|setting| setting.history.is_empty()));
    /// # Ok::<(), SourceError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn transform(
        mut self,
        transform: impl Fn(Arc<S::Object>) -> Arc<S::Object> + Send + Sync + 'static,
    ) -> Self {
        self.config.transform = Some(Box::new(transform));
        self
    }

    /// Sends what `content` returns to every sink again, once per period: for workers that must check
    /// everything from time to time. `content` returns what is mirrored already, usually by a store, as the
    /// source said it ([`Store::list_confirmed`](crate::Store::list_confirmed)); a store is not changed by it.
    ///
    /// ```
    /// # #![allow(dead_code)]
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use watchcache::{Fifo, Reflector, Store};
    /// # use watchcache::reflector::Source;
    /// # pub fn mirror(source: impl Source) {
    /// let (store, fifo) = (Arc::new(Store::new()), Fifo::new());
    /// let mirrored = Arc::clone(&store);
    /// let reflector = Reflector::builder(source)
    ///     .sink(store)
    ///     .sink(fifo)
    ///     .resync(Duration::from_secs(600), move || mirrored.list_confirmed())
    ///     .build();
    /// # drop(reflector);
    /// # }
    /// # fn main() {}
    /// ```
    ///
    /// Costs O(objects) per period; a period of zero counts as one millisecond.
    #[must_use]
    pub fn resync<I>(
        mut self,
        every: Duration,
        content: impl Fn() -> I + Send + Sync + 'static,
    ) -> Self
    where
        I: IntoIterator<Item = Arc<S::Object>>,
    {
        let content = Box::new(move || adds(content()));
        let every = bounded(every).max(Duration::from_millis(1));
        self.config.resync = Some(Resync { every, content });
        self
    }

    /// What this reflector is called in `tracing`: its span `reflector` carries the name, and holds
    /// the spans `list` and `watch`. Default: the name of the objects' type.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.config.name = name.into();
        self
    }

    /// Mirrors only a shard of the keys, so that several processes split one resource. Each still
    /// receives the whole stream, but decodes, quarantines and holds only its own.
    #[must_use]
    pub fn shard(mut self, shard: Shard) -> Self {
        self.config.shard = Some(shard);
        self
    }

    /// Fixes the jitter of delays and timeouts, so that a run can be repeated. Default: random.
    #[must_use]
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.config.jitter_seed = Some(seed);
        self
    }

    /// The reflector. Nothing happens until it [runs](Reflector::run).
    #[must_use]
    pub fn build(mut self) -> Reflector<S> {
        let shared = Arc::new(Shared::new());
        let config = Arc::new(self.config);
        let interest = Interest::new(Arc::clone(&config), Arc::clone(&shared));
        // Weak: the sinks hold objects, which may hold the report.
        let sinks = Arc::downgrade(&config);
        let report = Report::new(Arc::clone(&shared), move |bad| {
            let key = bad.key.as_ref()?.as_ref();
            sinks.upgrade()?.is_current(key, bad.resource_version.as_ref()?)
        });
        self.source.attach(report, interest);
        Reflector::new(self.source, config, shared)
    }
}

fn adds<T: Object>(objects: impl IntoIterator<Item = Arc<T>>) -> Batch<T> {
    let mut batch = Batch::new();
    for object in objects {
        // An object without a usable key is mirrored nowhere.
        let _ = batch.add(object);
    }
    batch
}

impl<S: Source> fmt::Debug for ReflectorBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReflectorBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}
