//! What a reflector is made of.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::monitor::Shared;
use super::{Interest, Reflector, Report, Share, Source};
use crate::{Batch, Change, Object, Sink, Store};

/// How patient a reflector is; the defaults suit a Kubernetes API server.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// A watch asks to be ended after a time in this range, so that watches which were opened
    /// together do not all end together. `kube`'s client allows less than 295 s.
    pub(super) watch_timeout: std::ops::Range<Duration>,
    /// A watch from which nothing came for this long is opened anew.
    pub(super) silence: Duration,
    /// A request that is not answered within this time has failed.
    pub(super) answer: Duration,
}

/// An object before and after a transform.
pub(super) type Transform<T> = Box<dyn Fn(Arc<T>) -> Arc<T> + Send + Sync>;

/// How to send everything to the sinks again.
pub(super) struct Resync<T> {
    pub(super) every: Duration,
    pub(super) content: Box<dyn Fn() -> Batch<T> + Send + Sync>,
}

/// Everything that shapes a reflector, beside its source.
pub(super) struct Config<T> {
    pub(super) sinks: Vec<Box<dyn Sink<T>>>,
    pub(super) page_size: Option<u32>,
    pub(super) batch_limit: usize,
    pub(super) streaming_list: bool,
    pub(super) limits: Limits,
    /// What its spans call it.
    pub(super) name: String,
    pub(super) share: Option<Share>,
    pub(super) transform: Option<Transform<T>>,
    pub(super) resync: Option<Resync<T>>,
    pub(super) jitter_seed: Option<u64>,
}

impl<T> Default for Config<T> {
    fn default() -> Self {
        Self {
            sinks: Vec::new(),
            page_size: Some(500),
            batch_limit: 1024,
            streaming_list: false,
            limits: Limits {
                watch_timeout: Duration::from_secs(200)..Duration::from_secs(290),
                silence: Duration::from_secs(120),
                answer: Duration::from_secs(60),
            },
            name: std::any::type_name::<T>().to_owned(),
            share: None,
            transform: None,
            resync: None,
            jitter_seed: None,
        }
    }
}

/// Builds a [`Reflector`].
pub struct Builder<S: Source> {
    pub(super) source: S,
    pub(super) config: Config<S::Object>,
}

impl<S: Source> Builder<S> {
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

    /// Most events in one batch; 0 counts as 1. Default: 1024.
    #[must_use]
    pub fn batch_limit(mut self, events: usize) -> Self {
        self.config.batch_limit = events.max(1);
        self
    }

    /// Gets the initial state by a watch that begins with all objects
    /// ([KEP-3157](https://kep.k8s.io/3157)), which spares the server much memory. A server that
    /// refuses is asked for pages instead, and is not asked for a stream again. Default: pages.
    #[must_use]
    pub fn streaming_list(mut self, streaming: bool) -> Self {
        self.config.streaming_list = streaming;
        self
    }

    /// The range from which each watch's length is drawn; an empty one counts as its start.
    /// Default: 200 s to 290 s.
    #[must_use]
    pub fn watch_timeout(mut self, range: std::ops::Range<Duration>) -> Self {
        let end = range.end.max(range.start + Duration::from_millis(1));
        self.config.limits.watch_timeout = range.start..end;
        self
    }

    /// How long a watch may say nothing, not even a bookmark, before it is taken for dead and
    /// opened anew at the last version. Kubernetes sends a bookmark about once a minute.
    /// Default: 120 s.
    #[must_use]
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.config.limits.silence = limit;
        self
    }

    /// How long a list page, or the opening of a watch, may take. Default: 60 s.
    #[must_use]
    pub fn answer_limit(mut self, limit: Duration) -> Self {
        self.config.limits.answer = limit;
        self
    }

    /// Changes each object before any sink sees it, exactly once per object received: to drop
    /// what is not needed, say. The key must stay the same.
    ///
    /// An object fresh from the source has one holder, so `Arc::get_mut` succeeds on it.
    #[must_use]
    pub fn transform(
        mut self,
        transform: impl Fn(Arc<S::Object>) -> Arc<S::Object> + Send + Sync + 'static,
    ) -> Self {
        self.config.transform = Some(Box::new(transform));
        self
    }

    /// Sends the store's whole content to every sink again, once per period, as puts: for workers
    /// that must look at everything from time to time. A store changes nothing by it.
    ///
    /// Costs O(objects) per period; a period of zero counts as one millisecond.
    #[must_use]
    pub fn resync(mut self, every: Duration, store: Arc<Store<S::Object>>) -> Self {
        let content = Box::new(move || puts(store.snapshot().iter().map(|(_, object)| object)));
        let every = every.max(Duration::from_millis(1));
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

    /// Mirrors only a share of the keys, so that several processes split one resource. Each still
    /// receives the whole stream, but decodes, quarantines and holds only its own.
    #[must_use]
    pub fn share(mut self, share: Share) -> Self {
        self.config.share = Some(share);
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
        self.source.attach(Report::new(Arc::clone(&shared)), interest);
        Reflector { source: self.source, config, shared }
    }
}

fn puts<'a, T: Object>(objects: impl IntoIterator<Item = &'a Arc<T>>) -> Batch<T> {
    let mut batch = Batch::new();
    for object in objects {
        if let Ok(key) = object.key() {
            batch.push(key, Change::Put(Arc::clone(object)));
        }
    }
    batch
}

impl<T> fmt::Debug for Config<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("name", &self.name)
            .field("sinks", &self.sinks.len())
            .field("page_size", &self.page_size)
            .field("batch_limit", &self.batch_limit)
            .field("streaming_list", &self.streaming_list)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl<S: Source> fmt::Debug for Builder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}
