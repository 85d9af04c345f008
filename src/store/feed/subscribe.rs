//! Building a subscription: what it is about, and where it begins.

use std::fmt;
use std::time::Duration;

use super::filter::{Filter, indexed};
use super::subscription::{Start, Subscription};
use super::{Feed, SubscribeError};
use crate::store::{DifferentStores, Index, IndexValue, Snapshot, Store};
use crate::sync::Arc;
use crate::{LabelSelector, Object};

/// Makes a [`Subscription`]; from [`Store::subscribe`].
///
/// What it is about can be narrowed, by each of [`namespace`](Self::namespace),
/// [`labels`](Self::labels) and [`index`](Self::index). An object that comes to be what the subscription is
/// about, by an update, is new to it; one that ceases to be is gone, with the last state in which it was.
///
/// [`Object::label`] and index functions run on the subscriber's thread, for the object before and after
/// each change. They must give the same answer for the same object each time. Where one panics or fails,
/// the object counts as not matching, before and after alike, and is counted:
/// [`Subscription::failures`]. Nobody else notices.
#[must_use = "it subscribes when it is started"]
pub struct Subscribe<'s, T: Object> {
    store: &'s Store<T>,
    filter: Filter<T>,
    start: From<T>,
    settle: Option<Duration>,
}

/// Where a subscription begins.
enum From<T> {
    Now,
    Content,
    Snapshot(Snapshot<T>),
}

impl<T: Object> Store<T> {
    /// Subscribes to every change from now on; what is returned narrows that, or begins elsewhere.
    ///
    /// Subscribing takes no lock and waits for no writer. O(1).
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Pod(&'static str, u32);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let store = Store::new();
    /// store.add(Pod("default/web-0", 1))?;
    /// let mut subscription = store.subscribe().start()?;
    /// store.add(Pod("default/web-0", 2))?;
    /// store.delete("default/web-0");
    ///
    /// let mut seen = Vec::new();
    /// while let Ok(delivery) = subscription.try_next() {
    ///     for item in &delivery {
    ///         seen.push((item.old.map(|pod| pod.1), item.new.map(|pod| pod.1)));
    ///     }
    /// }
    /// assert_eq!(seen, [(Some(1), Some(2)), (Some(2), None)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe(&self) -> Subscribe<'_, T> {
        let (filter, start) = (Filter::all(), From::Now);
        Subscribe { store: self, filter, start, settle: None }
    }
}

impl<T: Object> Subscribe<'_, T> {
    /// Only objects of this namespace; `None` stands for the cluster-scoped ones.
    pub fn namespace<'n>(mut self, namespace: impl Into<Option<&'n str>>) -> Self {
        self.filter.namespace = Some(namespace.into().unwrap_or_default().into());
        self
    }

    /// Only objects that a selector selects.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Pod(&'static str);
    /// impl Object for Pod {
    ///     fn key(&self) -> KeyRef<'_> { ("default", "web-0").into() }
    ///     fn label(&self, name: &str) -> Option<&str> { (name == "app").then_some(self.0) }
    /// }
    ///
    /// let store = Store::new();
    /// let mut subscription = store.subscribe().labels("app=web".parse()?).start()?;
    /// store.add(Pod("web"))?;
    /// store.add(Pod("api"))?;
    /// let added = subscription.try_next()?;
    /// assert!(added.iter().all(|item| item.old.is_none() && item.new.is_some()));
    /// let left = subscription.try_next()?;
    /// let gone = left.iter().next().is_some_and(|item| item.new.is_none());
    /// assert!(gone, "what is no longer selected is gone");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn labels(mut self, selector: LabelSelector) -> Self {
        self.filter.labels = Some(selector);
        self
    }

    /// Only objects that have this value of an index. The store need not have the index: then what is told
    /// is the same, and finding the content to begin with costs a look at each object.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # use watchcache::store::Index;
    /// # struct Pod { name: &'static str, node: &'static str }
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
    /// # }
    /// let by_node = Index::new("node", |pod: &Pod| [pod.node]);
    /// let store = Store::builder().index(&by_node).build();
    /// let mut on_n1 = store.subscribe().index(&by_node, "n1").start()?;
    /// store.add(Pod { name: "web-0", node: "n2" })?;
    /// store.add(Pod { name: "web-1", node: "n1" })?;
    /// let told: Vec<_> = std::iter::from_fn(|| Some(on_n1.try_next().ok()?.iter().count())).collect();
    /// assert_eq!(told.iter().sum::<usize>(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn index<V>(mut self, index: &Index<T, V>, value: impl IndexValue<Value = V>) -> Self
    where
        V: Ord + Send + Sync + ?Sized + 'static,
    {
        self.filter.indexed = Some(indexed(index, value.into_shared()));
        self
    }

    /// Begins with the content, as the first delivery ([`DeliveryKind::Initial`](super::DeliveryKind)).
    /// It is that of the moment when it is asked for; what comes later follows it.
    pub fn with_content(mut self) -> Self {
        self.start = From::Content;
        self
    }

    /// Begins behind a snapshot: what changed since is told first, each publication if the log has them
    /// all, or else as a difference.
    pub fn since(mut self, snapshot: &Snapshot<T>) -> Self {
        self.start = From::Snapshot(snapshot.clone());
        self
    }

    /// Deliveries come no more often than this; what is published meanwhile is coalesced. The first
    /// change after a quiet time comes at once.
    pub fn settle(mut self, at_most_each: Duration) -> Self {
        self.settle = Some(at_most_each).filter(|each| !each.is_zero());
        self
    }

    /// Subscribes.
    ///
    /// # Errors
    /// If the snapshot is another store's.
    pub fn start(self) -> Result<Subscription<T>, SubscribeError> {
        let feed: &Arc<Feed<T>> = &self.store.feed;
        let start = match self.start {
            From::Now => Start::Now,
            From::Content => Start::Content,
            From::Snapshot(snapshot) if !snapshot.is_of(&self.store.engine) => {
                return Err(DifferentStores.into());
            }
            From::Snapshot(snapshot) => Start::Since(snapshot),
        };
        Ok(Subscription::new(Arc::clone(feed), self.filter, start, self.settle))
    }
}

impl<T: Object> fmt::Debug for Subscribe<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe")
            .field("namespace", &self.filter.namespace)
            .field("labels", &self.filter.labels)
            .field("indexed", &self.filter.indexed.is_some())
            .field("settle", &self.settle)
            .finish_non_exhaustive()
    }
}
