//! The reflector: lists a source, watches it from there, and feeds the result into sinks.
//!
//! ```text
//!          ┌────────── expired (410), or stuck ─────────┐
//!          v                                           │
//!   list pages ──> replace in every sink ──> watch ──> batches ──> apply in every sink
//!                                              ^          │
//!                                              └─ resume ─┘  stream ended or broke
//! ```
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use watchcache::reflector::{Poll, Reflector};
//! use watchcache::{Key, Store};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! // What can only be listed; the feature `kube` has a source that is watched.
//! let source = Poll::new(Duration::from_secs(10), async || Ok(vec!["a/web".parse::<Key>().unwrap()]));
//! let store = Arc::new(Store::new());
//! let reflector = Reflector::builder(source).sink(store.clone()).build();
//! let monitor = reflector.monitor();
//! reflector.run(async { assert!(monitor.synced().await.is_ok()) }).await?;
//! assert!(store.contains("a/web"));
//! # Ok::<(), watchcache::reflector::SourceError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backoff;
mod builder;
mod config;
mod doubt;
#[cfg(feature = "etcd")]
mod etcd;
mod facts;
mod failure;
mod filter;
mod interest;
#[cfg(feature = "kube")]
mod kube;
mod list;
mod merge;
mod mirror;
mod monitor;
mod order;
mod poll;
mod progress;
mod quarantine;
mod quiet;
mod recovery;
mod run;
mod shard;
mod shared;
mod source;
mod watch;

use std::fmt;
use std::future::{self, Future};
use std::pin::pin;
use std::sync::Arc;
use std::task;

use tracing::Instrument;

pub use self::builder::ReflectorBuilder;
use self::config::Config;
#[cfg(feature = "etcd")]
pub use self::etcd::{EtcdObject, EtcdSource};
pub use self::failure::{Failure, RequestKind};
pub use self::filter::ChangeFilter;
pub use self::interest::Interest;
#[cfg(feature = "kube")]
pub use self::kube::{
    Decode, DecodeError, Encoded, KubeSource, Lazy, LazyError, protobuf, renewing_client,
};
#[cfg(feature = "kube-runtime")]
pub use self::kube::{reflector, reflector_with_monitor};
pub use self::merge::{Merge, Part};
pub use self::monitor::{Monitor, Report, Stopped, WaitError};
pub use self::poll::{Poll, Polled, Row};
pub use self::progress::{Phase, Progress, RelistCauses};
pub use self::quarantine::Quarantined;
use self::run::Run;
pub use self::shard::{Shard, ShardOf};
use self::shared::Shared;
pub use self::source::{
    Item, Items, ListPage, ListRequest, Source, SourceError, Undecodable, WatchEvent, WatchRequest,
    WatchStart,
};
use crate::panic::catch;

/// Mirrors a [`Source`] into any number of [`Sink`](crate::Sink)s.
///
/// It lists, replaces the sinks' content, then watches from the list's version. Events are applied in
/// batches of whatever is ready: an idle stream applies each event at once, a busy one in large batches.
/// A stream that ends or breaks is resumed where it stopped; a new list is made only where the version
/// has expired, or where watches keep failing at one place. Failures back off, exponentially and with
/// jitter, and the back-off resets on progress only.
///
/// ```
/// use std::sync::Arc;
/// use watchcache::reflector::{
///     Item, ListPage, ListRequest, Reflector, Source, SourceError, WatchEvent, WatchRequest,
/// };
/// use watchcache::{KeyRef, Object, Store};
///
/// struct Node(&'static str);
/// impl Object for Node {
///     fn key(&self) -> KeyRef<'_> { self.0.into() }
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
/// reflector.run(async { assert!(monitor.synced().await.is_ok()) }).await?;
/// assert!(store.contains("node-1"));
/// # Ok::<(), SourceError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reflector<S: Source> {
    source: S,
    ending: Ending<S::Object>,
}

impl<S: Source> Reflector<S> {
    /// Starts to build a reflector of `source`.
    #[must_use]
    pub fn builder(source: S) -> ReflectorBuilder<S> {
        ReflectorBuilder::new(source)
    }

    fn new(source: S, config: Arc<Config<S::Object>>, shared: Arc<Shared>) -> Self {
        Self { source, ending: Ending { config, shared, ended: false } }
    }

    /// A handle that reports the reflector's state.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        Monitor::new(Arc::clone(&self.ending.shared))
    }

    /// Mirrors until `stop` completes. It needs a tokio runtime, of any kind, with its timers enabled; elsewhere it
    /// ends at once, with what tokio says of that:
    ///
    /// ```
    /// use std::time::Duration;
    /// use watchcache::Key;
    /// use watchcache::reflector::{Poll, Reflector};
    ///
    /// let source = Poll::new(Duration::from_secs(10), async || Ok(Vec::<Key>::new()));
    /// let reflector = Reflector::builder(source).build();
    /// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// let error = runtime.block_on(reflector.run(std::future::pending())).expect_err("it needs them");
    /// assert!(error.to_string().contains("timers are disabled"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the first list is refused in a way that asking again cannot mend (no such resource, not
    /// allowed, a selector that the source does not take), unless
    /// [`retry_refused`](ReflectorBuilder::retry_refused) is set. Every other failure is retried.
    ///
    /// If a sink panics, or the source does: [`SourceError::Panicked`]. That sink's content is then
    /// unknown, so no sink is fed any more. Other user code documents its own panics: one of a transform,
    /// a decoder or an object's method quarantines the object.
    ///
    /// # Cancel safety
    /// Dropping the future stops the reflector between two batches: sinks are only called between awaits,
    /// so each holds whole batches. Waits on its monitor end with it, even if the future, or the
    /// reflector itself, is dropped before it ran; the [sinks](crate::Sink::ended) are notified, too.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), SourceError> {
        let error = tokio::select! {
            biased;
            () = stop => None,
            error = self.mirror() => Some(error),
        };
        self.ending.end(error.as_ref());
        error.map_or(Ok(()), Err)
    }

    /// Mirrors until the source refuses for good, or user code panics.
    async fn mirror(&self) -> SourceError {
        let Ending { config, shared, .. } = &self.ending;
        let span = tracing::info_span!("reflector", name = config.name);
        let run = Run::new(&self.source, config, shared);
        let mut mirror = pin!(run.mirror().instrument(span));
        future::poll_fn(|context| {
            catch(|| mirror.as_mut().poll(context)).unwrap_or_else(|panic| {
                let error = SourceError::Panicked(panic);
                shared.ended_by(&error);
                task::Poll::Ready(error)
            })
        })
        .await
    }
}

/// Notifies all waiters that the reflector has ended, however it does.
struct Ending<T> {
    config: Arc<Config<T>>,
    shared: Arc<Shared>,
    ended: bool,
}

impl<T> Ending<T> {
    fn end(&mut self, error: Option<&SourceError>) {
        if !std::mem::replace(&mut self.ended, true) {
            self.shared.stop();
            self.config.end(error.map(|error| error as _));
        }
    }
}

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        self.end(None);
    }
}

impl<S: Source> fmt::Debug for Reflector<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reflector")
            .field("config", &self.ending.config)
            .field("progress", &self.monitor().progress())
            .finish_non_exhaustive()
    }
}
