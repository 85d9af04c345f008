//! What a reflector needs from its source, so that the rest need not be decoded.

use std::fmt;
use std::sync::Arc;

use super::config::Config;
use super::shared::Shared;
use crate::{KeyRef, Object};

/// What a reflector needs from its source: an object that is in another process's shard, or that a sink
/// holds unchanged, need not be decoded.
///
/// It only saves work: a source may ignore it.
///
/// A source that makes nothing of what belongs to other processes:
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use futures_util::stream::{Pending, pending};
/// use watchcache::Key;
/// use watchcache::reflector::{
///     Interest, Item, ListPage, ListRequest, Reflector, Report, Shard, Source, SourceError,
///     WatchEvent, WatchRequest,
/// };
///
/// #[derive(Default)]
/// struct Names { all: Vec<Key>, made: Arc<AtomicUsize>, interest: Option<Interest<Key>> }
///
/// impl Source for Names {
///     type Object = Key;
///     type Watch = Pending<Result<WatchEvent<Key>, SourceError>>;
///
///     fn attach(&mut self, _: Report, interest: Interest<Key>) {
///         self.interest = Some(interest);
///     }
///
///     async fn list(&self, _: ListRequest) -> Result<ListPage<Key>, SourceError> {
///         let wanted = |key: &&Key| self.interest.as_ref().is_none_or(|it| it.wants((*key).into()));
///         let items = self.all.iter().filter(wanted).map(|key| Item::Object(Arc::new(key.clone())));
///         let items: Vec<_> = items.collect();
///         self.made.fetch_add(items.len(), Ordering::Relaxed);
///         let mut page = ListPage::new(items, "7");
///         // What is left out is there nevertheless.
///         page.count = self.all.len();
///         Ok(page)
///     }
///
///     async fn watch(&self, _: WatchRequest) -> Result<Self::Watch, SourceError> {
///         Ok(pending())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let all = (0..6).map(|n| format!("web-{n}").parse()).collect::<Result<Vec<Key>, _>>()?;
/// let made = Arc::new(AtomicUsize::new(0));
/// for shard in (0..3).filter_map(|index| Shard::by_key(index, 3)) {
///     let names = Names { all: all.clone(), made: made.clone(), ..Names::default() };
///     let reflector = Reflector::builder(names).shard(shard).build();
///     let monitor = reflector.monitor();
///     reflector.run(async { assert!(monitor.synced().await.is_ok()) }).await?;
/// }
/// assert_eq!(made.load(Ordering::Relaxed), 6, "each by one of the three");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Interest<T> {
    config: Arc<Config<T>>,
    shared: Arc<Shared>,
}

impl<T> Interest<T> {
    pub(super) fn new(config: Arc<Config<T>>, shared: Arc<Shared>) -> Self {
        Self { config, shared }
    }

    /// Returns whether nothing can be skipped: there is no [`Shard`](super::Shard), and nothing is held
    /// yet.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.config.shard.is_none() && !self.shared.is_synced()
    }

    /// Returns whether objects of this key are wanted at all.
    #[must_use]
    pub fn wants(&self, key: KeyRef<'_>) -> bool {
        self.config.wants(key)
    }

    /// Returns whether some objects are not wanted at all.
    #[must_use]
    pub fn is_sharded(&self) -> bool {
        self.config.shard.is_some()
    }
}

impl<T: Object> Interest<T> {
    /// The object of this key in this very version, if one of the sinks holds it.
    #[must_use]
    pub fn held(
        &self,
        key: KeyRef<'_>,
        uid: Option<&str>,
        resource_version: &str,
    ) -> Option<Arc<T>> {
        self.config.held(key, uid, resource_version)
    }
}

// Not derived: what is cloned are `Arc`s, so `T` need not be `Clone`.
impl<T> Clone for Interest<T> {
    fn clone(&self) -> Self {
        Self { config: Arc::clone(&self.config), shared: Arc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for Interest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interest").field("shard", &self.config.shard).finish_non_exhaustive()
    }
}
