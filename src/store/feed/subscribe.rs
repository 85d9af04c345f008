//! Building a subscription: what it is about, and where it begins.

use std::fmt;
use std::time::Duration;

use super::confirmed::Confirmed;
use super::filter::{Filter, indexed};
use super::subscription::{Options, Start, Subscription};
use super::{Feed, SubscribeError};
use crate::store::{DifferentStores, Index, IndexValue, Snapshot, Store};
use crate::sync::Arc;
#[cfg(feature = "reconcile")]
use crate::sync::atomic::AtomicU64;
use crate::{LabelSelector, Object};

/// The longest settling time. A later moment may be one that no clock has.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Makes a [`Subscription`]; from [`Store::subscribe`].
///
/// What it is about can be narrowed, by each of [`namespace`](Self::namespace),
/// [`labels`](Self::labels), [`index`](Self::index) and [`filter`](Self::filter), each given any number of
/// times: all have to hold. An object that comes to be what the subscription is about, by an update, is new to
/// it; one that ceases to be is gone, with the last state in which it was.
///
/// [`Object::label`], index functions and what `filter` and [`changes_of`](Self::changes_of) are given run
/// on the subscriber's thread, for the object before and after each change. They must give the same answer
/// for the same object each time. Where one panics or fails, the object counts as not matching, before and
/// after alike, or the update as one to be told; and it is counted:
/// [`Subscription::failures`], [`Registration::failures`](super::Registration::failures). Nobody else notices; so an
/// object on which one comes to fail seems to be deleted.
///
/// ```
/// use watchcache::{KeyRef, Object, Store};
///
/// struct Pod { key: &'static str, app: &'static str }
/// impl Object for Pod {
///     fn key(&self) -> KeyRef<'_> { self.key.into() }
///     fn label(&self, name: &str) -> Option<&str> { (name == "app").then_some(self.app) }
/// }
///
/// let store = Store::new();
/// let narrowed = store.subscribe().namespace("a").labels("app=web".parse()?);
/// let mut subscription = narrowed.with_content().start()?;
/// for (key, app) in [("a/web", "web"), ("a/db", "db"), ("b/web", "web")] {
///     store.add(Pod { key, app })?;
/// }
/// let mut keys = Vec::new();
/// while let Ok(delivery) = subscription.try_next() {
///     keys.extend(delivery.iter().map(|item| item.key.to_string()));
/// }
/// assert_eq!(keys, ["a/web"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it subscribes when it is started"]
pub struct Subscribe<'s, T: Object> {
    store: &'s Store<T>,
    filter: Filter<T>,
    start: From<T>,
    options: Options,
    is_confirmed: bool,
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
    /// Subscribing takes no lock and waits for no writer, unless it is [`confirmed`](Subscribe::confirmed), as
    /// a queue's is. O(1).
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
        Subscribe { store: self, filter, start, options: Options::default(), is_confirmed: false }
    }
}

impl<T: Object> Subscribe<'_, T> {
    /// Only objects of this namespace; `None`, as well as an empty one, stands for the cluster-scoped ones, and not
    /// for all.
    pub fn namespace<'n>(mut self, namespace: impl Into<Option<&'n str>>) -> Self {
        self.filter.namespaces.push(namespace.into().unwrap_or_default().into());
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
        self.filter.labels.push(selector);
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
        self.filter.indexed.push(indexed(index, value.into()));
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
    ///
    /// ```
    /// use watchcache::{Key, Store};
    ///
    /// let store = Store::<Key>::new();
    /// store.add("a/web".parse::<Key>()?)?;
    /// // Something is made of the content, which takes its time.
    /// let snapshot = store.snapshot();
    /// let mut names: Vec<_> = snapshot.keys().map(|key| key.name().to_owned()).collect();
    /// store.add("a/db".parse::<Key>()?)?;
    /// // Nothing between the two is missed.
    /// let mut subscription = store.subscribe().since(&snapshot).start()?;
    /// while let Ok(delivery) = subscription.try_next() {
    ///     names.extend(delivery.iter().map(|item| item.key.name().to_owned()));
    /// }
    /// assert_eq!(names, ["web", "db"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn since(mut self, snapshot: &Snapshot<T>) -> Self {
        self.start = From::Snapshot(snapshot.clone());
        self
    }

    /// Deliveries come no more often than this; what is published meanwhile is coalesced. The first
    /// change after a quiet time comes at once, and so does the first that is of the
    /// [whole content](super::Delivery::is_synced), and what is left when the store is gone, when a
    /// handler's source has ended, or when it is removed.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// use std::time::Duration;
    /// # struct Pod(u32);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { "default/web".into() }
    /// # }
    ///
    /// let store = Store::new();
    /// let mut subscription = store.subscribe().settle(Duration::from_millis(20)).start()?;
    /// store.add(Pod(0))?;
    /// assert!(!subscription.try_next()?.is_coalesced(), "the first comes at once");
    /// for value in 1..10 {
    ///     store.add(Pod(value))?;
    /// }
    /// let rest = subscription.next().expect("the store is there");
    /// let values = rest.iter().map(|item| (item.old.map(|pod| pod.0), item.new.map(|pod| pod.0)));
    /// assert_eq!(values.collect::<Vec<_>>(), [(Some(0), Some(9))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn settle(mut self, at_most_each: Duration) -> Self {
        let each = at_most_each.min(FOREVER);
        self.options.settle = Some(each).filter(|each| !each.is_zero());
        self
    }

    /// Only objects of which this holds.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Pod { name: &'static str, node: Option<&'static str> }
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
    /// # }
    /// let store = Store::new();
    /// store.add(Pod { name: "web", node: None })?;
    /// let mut unbound = store.subscribe().filter(|pod: &Pod| pod.node.is_none()).start()?;
    /// store.add(Pod { name: "web", node: Some("n1") })?;
    /// // What is bound is gone, for this subscription.
    /// let delivery = unbound.try_next()?;
    /// assert!(delivery.iter().all(|item| item.new.is_none()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn filter(mut self, wanted: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.filter.predicates.push(Box::new(wanted));
        self
    }

    /// Of updates, only those that change this part of an object. May be given several times: one of the
    /// parts has to change.
    ///
    /// The next item's `old` is what an update that was left out has made, and not what was told last. So the
    /// part has to have all that whoever is told looks at in `old`: for
    /// [`enqueue_mapped`](Self::enqueue_mapped), what the mapping looks at, or an owner that was left is
    /// never queued. In Kubernetes a generation does not change with labels or owners; give a part with both.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Pod { generation: u64, ready: bool }
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { "default/web".into() }
    /// # }
    /// let store = Store::new();
    /// store.add(Pod { generation: 1, ready: false })?;
    /// let mut specs = store.subscribe().changes_of(|pod: &Pod| pod.generation).start()?;
    /// store.add(Pod { generation: 1, ready: true })?;
    /// assert!(specs.try_next().is_err());
    /// store.add(Pod { generation: 2, ready: false })?;
    /// assert!(specs.try_next()?.iter().all(|item| item.old.is_some_and(|pod| pod.ready)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn changes_of<P: PartialEq>(
        mut self,
        part: impl Fn(&T) -> P + Send + Sync + 'static,
    ) -> Self {
        self.filter.differences.push(Box::new(move |old, new| part(old) != part(new)));
        self
    }

    /// Never given a [`Reset`](super::DeliveryKind::Reset): however far it falls behind, it is told the
    /// difference, with the last state of what is gone.
    ///
    /// What it keeps for that counts to no [limit](super::FeedLimits::behind): at most the objects that
    /// the store held when it was told something last, an eighth of the log, and one publication.
    ///
    /// ```
    /// use watchcache::store::FeedLimits;
    /// use watchcache::store::feed::DeliveryKind;
    /// use watchcache::{Key, Store};
    ///
    /// // Nothing is kept for those who are late.
    /// let limits = FeedLimits::default().log(0, 0).behind(0, 0);
    /// let store = Store::<Key>::builder().feed(limits).build();
    /// store.add("a/web".parse::<Key>()?)?;
    /// let mut late = store.subscribe().start()?;
    /// let mut keeps = store.subscribe().keep_place().start()?;
    /// store.delete("a/web");
    /// for index in 0..1000 {
    ///     store.add(format!("a/{index}").parse::<Key>()?)?;
    /// }
    /// assert_eq!(late.try_next()?.kind(), DeliveryKind::Reset);
    /// let difference = keeps.try_next()?;
    /// assert_eq!(difference.kind(), DeliveryKind::Coalesced);
    /// let gone = difference.iter().find(|item| item.new.is_none()).and_then(|item| item.old);
    /// assert_eq!(gone.map(|last| last.name().to_owned()).as_deref(), Some("web"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keep_place(mut self) -> Self {
        self.options.keeps_place = true;
        self
    }

    /// Told what the source said, and nothing of what is only [assumed](Store::assume): neither when it is
    /// assumed, nor when it is forgotten. A [queue](Self::enqueue) is fed so.
    ///
    /// The store is ahead of what such a subscription was told: reading it shows what is assumed. One that
    /// begins behind a [snapshot](Self::since) takes what was assumed in that for said. Beginning, the first
    /// content, and catching up from behind the log wait for a writer that is at work, also in
    /// [`try_next`](Subscription::try_next) and in a task, and cost O(assumptions).
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # use std::time::Duration;
    /// # struct Pod { node: Option<&'static str> }
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { "default/web".into() }
    /// # }
    /// let store = Store::new();
    /// let mut said = store.subscribe().confirmed().start()?;
    /// store.add(Pod { node: None })?;
    /// assert!(!said.try_next()?.is_empty());
    /// store.assume(Pod { node: Some("n1") }, Duration::from_secs(30))?;
    /// assert!(said.try_next()?.is_empty());
    /// store.add(Pod { node: Some("n2") })?;
    /// assert!(said.try_next()?.iter().any(|item| item.old.is_some_and(|pod| pod.node.is_none())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn confirmed(mut self) -> Self {
        self.is_confirmed = true;
        self
    }

    /// Counts failures of its functions there.
    #[cfg(feature = "reconcile")]
    pub(crate) fn counts_failures(mut self, failures: &Arc<AtomicU64>) -> Self {
        self.filter.failures = Arc::clone(failures);
        self
    }

    /// Begins with the content, unless it begins behind a snapshot.
    pub(super) fn with_content_unless_since(self) -> Self {
        if matches!(self.start, From::Now) { self.with_content() } else { self }
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
        let confirmed = self.is_confirmed.then(|| Confirmed::new(Arc::clone(&self.store.assumed)));
        Ok(Subscription::new(Arc::clone(feed), self.filter, start, self.options, confirmed))
    }
}

#[cfg(feature = "kube")]
impl<T: kube::Resource + Send + Sync + 'static> Subscribe<'_, T> {
    /// Of updates, only those that change the object's generation, which the API server raises when what is
    /// wanted changes, and when an object is to be deleted; for one without a generation, all. One that was made
    /// anew is a change, although its generation is 1 again. As [`changes_of`](Self::changes_of), of which it is
    /// one.
    ///
    /// Labels, annotations, owners, finalizers and the status are in no generation.
    ///
    /// ```
    /// use k8s_openapi::api::apps::v1::Deployment;
    /// use watchcache::Store;
    ///
    /// let web = |generation, ready| {
    ///     let mut web = Deployment::default();
    ///     web.metadata.name = Some("web".into());
    ///     web.metadata.generation = Some(generation);
    ///     web.status.get_or_insert_default().ready_replicas = Some(ready);
    ///     web
    /// };
    /// let store = Store::new();
    /// store.add(web(1, 0))?;
    /// let mut specs = store.subscribe().changes_of_generation().start()?;
    /// store.add(web(1, 1))?;
    /// assert!(specs.try_next().is_err());
    /// store.add(web(2, 1))?;
    /// assert!(specs.try_next().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn changes_of_generation(self) -> Self {
        self.changes_of(|object| {
            let meta = object.meta();
            let version = meta.resource_version.as_ref().filter(|_| meta.generation.is_none());
            (meta.uid.clone(), meta.generation, version.cloned())
        })
    }
}

impl<T: Object> fmt::Debug for Subscribe<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe")
            .field("namespaces", &self.filter.namespaces)
            .field("labels", &self.filter.labels)
            .field("indexed", &self.filter.indexed.len())
            .field("settle", &self.options.settle)
            .finish_non_exhaustive()
    }
}
