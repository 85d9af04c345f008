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
mod builder;
#[cfg(feature = "etcd")]
mod etcd;
mod interest;
#[cfg(feature = "kube")]
mod kube;
mod list;
mod merge;
mod monitor;
mod order;
mod quarantine;
mod run;
mod share;
mod source;
mod watch;

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use tracing::Instrument;

pub use self::builder::Builder;
use self::builder::Config;
#[cfg(feature = "etcd")]
pub use self::etcd::{EtcdObject, EtcdSource};
pub use self::interest::Interest;
#[cfg(feature = "kube-runtime")]
pub use self::kube::reflector;
#[cfg(feature = "kube")]
pub use self::kube::{Decode, KubeSource, Lazy, LazyError, renewing_client};
pub use self::merge::{Merge, Part};
use self::monitor::Shared;
pub use self::monitor::{Monitor, Phase, Progress, RelistCauses, Report, WaitError};
pub use self::quarantine::Quarantined;
use self::run::Run;
pub use self::share::{Share, ShareOf};
pub use self::source::{
    Item, Items, ListPage, ListRequest, Source, SourceError, Undecodable, WatchEvent, WatchRequest,
    WatchStart,
};

/// Mirrors a [`Source`] into any number of [`Sink`](crate::Sink)s.
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
///     Item, ListPage, ListRequest, Reflector, Source, SourceError, WatchEvent, WatchRequest,
/// };
/// use watchcache::{Key, KeyError, Object, Store};
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
///         Ok(ListPage::new(vec![Item::Object(Arc::new(Node("node-1")))], "7"))
///     }
///
///     async fn watch(&self, _: WatchRequest) -> Result<Self::Watch, SourceError> {
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
    config: Arc<Config<S::Object>>,
    shared: Arc<Shared>,
}

impl<S: Source> Reflector<S> {
    /// Starts to build a reflector of `source`.
    #[must_use]
    pub fn builder(source: S) -> Builder<S> {
        Builder { source, config: Config::default() }
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
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), SourceError> {
        // Also when the future is dropped: whoever waits for a version or the sync must learn it.
        let _stopped = StopOnDrop(&self.shared);
        let stop = pin!(stop);
        let run = Run::new(&self.source, &self.config, &self.shared);
        let span = tracing::info_span!("reflector", name = self.config.name);
        tokio::select! {
            biased;
            () = stop => Ok(()),
            error = run.mirror().instrument(span) => Err(error),
        }
    }
}

struct StopOnDrop<'a>(&'a Shared);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.set_phase(Phase::Stopped);
    }
}

impl<S: Source> fmt::Debug for Reflector<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reflector")
            .field("config", &self.config)
            .field("progress", &self.monitor().progress())
            .finish_non_exhaustive()
    }
}
