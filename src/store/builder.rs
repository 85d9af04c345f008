//! Building a store.

use std::fmt;

use super::assume::Assumed;
use super::engine::{Engine, NewIndex};
use super::feed::{Feed, FeedLimits};
use super::{Index, Observer, Store};
use crate::sync::{Arc, SegQueue, random_hasher};
use crate::{Object, panic};

/// Builds a [`Store`] with indexes, an observer, or limits of its change feed.
///
/// ```
/// use std::net::IpAddr;
/// use watchcache::store::Index;
/// use watchcache::{KeyRef, Object, Store};
///
/// struct Pod { name: &'static str, addresses: Vec<IpAddr> }
/// impl Object for Pod {
///     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
/// }
///
/// let by_address = Index::new("address", |pod: &Pod| pod.addresses.clone());
/// let store = Store::builder().index(&by_address).build();
/// store.add(Pod { name: "web-0", addresses: vec!["10.0.0.7".parse()?, "fd00::7".parse()?] })?;
/// assert_eq!(store.snapshot().by(&by_address, &"fd00::7".parse()?).len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StoreBuilder<T> {
    indexes: Vec<NewIndex<T>>,
    observer: Option<Box<dyn Observer>>,
    feed: FeedLimits,
}

impl<T: Object> StoreBuilder<T> {
    pub(super) fn new() -> Self {
        Self { indexes: Vec::new(), observer: None, feed: FeedLimits::default() }
    }

    /// Adds an index. Adding one twice changes nothing.
    #[must_use]
    pub fn index<V>(mut self, index: &Index<T, V>) -> Self
    where
        V: Ord + Send + Sync + ?Sized + 'static,
    {
        if self.indexes.iter().all(|held| held.id() != index.id()) {
            self.indexes.push(index.of_a_store(None));
        }
        self
    }

    /// Adds an index by the values of a label, which [`Snapshot::select`](super::Snapshot::select) uses for
    /// selectors that ask for such values. Adding one twice changes nothing.
    #[must_use]
    pub fn label_index(mut self, label: &str) -> Self {
        if self.indexes.iter().all(|held| held.label().is_none_or(|held| &**held != label)) {
            let name = label.to_owned();
            let index = Index::lending(&format!("label:{label}"), move |object: &T, lend| {
                object.label(&name).into_iter().for_each(lend);
            });
            self.indexes.push(index.of_a_store(Some(label)));
        }
        self
    }

    /// Sets an observer, which is called after each write.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// use std::time::Duration;
    /// use watchcache::store::Applied;
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Node(&'static str);
    /// # impl Object for Node {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let added = Arc::new(AtomicUsize::new(0));
    /// let count = Arc::clone(&added);
    /// let observer = move |applied: &Applied, _took: Duration| {
    ///     count.fetch_add(applied.added, Ordering::Relaxed);
    /// };
    /// let store = Store::builder().observer(observer).build();
    /// store.add(Node("node-1"))?;
    /// store.delete("node-1");
    /// assert_eq!(added.load(Ordering::Relaxed), 1);
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    #[must_use]
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Limits how much the store keeps for its [subscriptions](Store::subscribe).
    #[must_use]
    pub fn feed(mut self, limits: FeedLimits) -> Self {
        self.feed = limits;
        self
    }

    /// Builds the store, which is empty.
    #[must_use]
    pub fn build(self) -> Store<T> {
        let engine = Arc::new(Engine::new(random_hasher(), size_of_object));
        let feed = Feed::new(&engine, self.feed);
        let store = Store {
            assumed: Assumed::new(&engine, &feed),
            feed,
            engine,
            waiting: SegQueue::new(),
            observer: self.observer,
        };
        let mut guard = store.engine.write();
        for index in self.indexes {
            let added = guard.add_index(index);
            debug_assert!(added.is_ok(), "there is no object to fail on");
        }
        drop(guard);
        store
    }
}

fn size_of_object<T: Object>(object: &T) -> usize {
    panic::catch(|| object.size()).unwrap_or(0)
}

impl<T> fmt::Debug for StoreBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.indexes.iter().map(|index| index.name()).collect();
        f.debug_struct("StoreBuilder").field("indexes", &names).finish_non_exhaustive()
    }
}
