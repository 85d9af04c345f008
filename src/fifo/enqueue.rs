//! A queue fed by a store's subscription: with its objects, or with what they lead to.

use std::fmt;
use std::panic::resume_unwind;

use super::Fifo;
use crate::panic::{catch, let_go};
use crate::store::feed::{Handler, Handling, Subscribe, SubscribeError};
use crate::sync::Arc;
use crate::{ArcRef, Batch, Change, Key, Object, ResourceVersion, Revision};

/// Feeding a queue. What comes of it is [run](Handling), waited for and removed as any handler. Each
/// delivery is one batch, which no [capacity](super::FifoBuilder::capacity) refuses. A closed queue ignores
/// what comes.
///
/// A queue is told what the source said, and nothing of what is only [assumed](crate::Store::assume): see
/// [`confirmed`](Self::confirmed), also for when that waits for the store's writer. So a Pod whose assumed binding fails is still the Pod that was leased,
/// and comes back after its back-off.
///
/// When the store's source has [ended](Handler::on_ended), the queue is closed, as by a reflector that feeds
/// it itself: consumers get what was accepted, and then [`Closed`](super::Closed). One that has other sources
/// is built to [outlive](super::FifoBuilder::outlives_source) it. A store that is dropped, and a handler that
/// is removed, are no end of a source: the queue stays open.
impl<T: Object> Subscribe<'_, T> {
    /// Queues the objects that this is about: the present content, then each object that changes. What is
    /// gone, or is no longer what this is about, is deleted from the queue; one that hands out
    /// [deletions](super::FifoBuilder::deletions) does so with the last state.
    ///
    /// A scheduler's Pods that have no node:
    ///
    /// ```
    /// # use watchcache::{Fifo, KeyRef, Object, Store};
    /// # struct Pod { name: &'static str, node: Option<&'static str> }
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
    /// # }
    /// let pods = Store::new();
    /// pods.add(Pod { name: "web-0", node: None })?;
    /// pods.add(Pod { name: "web-1", node: Some("n1") })?;
    /// pods.mark_synced();
    ///
    /// let fifo = Fifo::<Pod>::new();
    /// let unbound = pods.subscribe().filter(|pod: &Pod| pod.node.is_none());
    /// let feeding = unbound.enqueue(&fifo)?.spawn()?;
    /// feeding.registration.wait_synced(None)?;
    /// assert_eq!(fifo.keys(), ["default/web-0".parse()?]);
    ///
    /// // It is bound, by whomever: nobody is to schedule it any more.
    /// pods.add(Pod { name: "web-0", node: Some("n2") })?;
    /// drop(pods);
    /// drop(feeding.join());
    /// assert!(fifo.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn enqueue(self, fifo: &Fifo<T>) -> Result<Handling<T, Enqueue<T>>, SubscribeError> {
        self.confirmed().handle(Enqueue { queue: Feeding::new(fifo) })
    }

    /// Queues the keys of the objects that this is about: a controller's own. What is gone is queued as
    /// well, for whoever looks it up to find out. [`enqueue_mapped`](Self::enqueue_mapped) has the rest.
    ///
    /// ```
    /// # use watchcache::{Fifo, Key, KeyRef, Object, Store};
    /// # struct Web(&'static str);
    /// # impl Object for Web {
    /// #     fn key(&self) -> KeyRef<'_> { ("default", self.0).into() }
    /// # }
    /// let webs = Store::new();
    /// let fifo = Fifo::<Key>::new();
    /// let feeding = webs.subscribe().enqueue_keys(&fifo)?.spawn()?;
    /// webs.add(Web("shop"))?;
    ///
    /// let lease = fifo.lease()?;
    /// assert!(webs.get(lease.key()).is_some());
    /// lease.done();
    /// webs.delete("default/shop");
    /// assert!(webs.get(fifo.lease()?.key()).is_none());
    /// # drop(webs);
    /// # drop(feeding.join());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`enqueue_mapped`](Self::enqueue_mapped).
    pub fn enqueue_keys(
        self,
        fifo: &Fifo<Key>,
    ) -> Result<Handling<T, EnqueueKeys<T>>, SubscribeError> {
        // The store has checked it, so there is one.
        self.enqueue_mapped(fifo, |object| object.key().to_key().ok())
    }

    /// Queues what the objects that this is about lead to: their owners, or whatever their labels select.
    /// Of an update that is what the object before leads to, and the one after; of a deletion, what the last
    /// state does.
    ///
    /// `leads_to` runs where the handler does. A panic of it is contained and counted as [a
    /// handler's](super::super::store::feed::Registration::panics), and so is an object without a usable
    /// key. What other objects lead to is queued all the same, and so is what the state after an update does
    /// where it panics on the one before. Where two objects lead to one key, the value that came last is handed out, and
    /// those of one delivery come in no particular order. With [`changes_of`](Self::changes_of), the part has to have all that
    /// it looks at.
    ///
    /// A worker looks things up in every store of its controller, and would take what one has not been told
    /// yet for gone. So a controller waits for all of them before its first worker leases anything
    /// ([`Store::wait_synced`](crate::Store::wait_synced)). Its queue has several sources, and is built to
    /// outlive each.
    ///
    /// A controller that has an owner's key queued for changes of the owner, and of the ConfigMaps it owns:
    ///
    /// ```
    /// # use watchcache::{Fifo, Key, KeyRef, Object, Store};
    /// # struct Web(&'static str);
    /// # impl Object for Web {
    /// #     fn key(&self) -> KeyRef<'_> { ("default", self.0).into() }
    /// # }
    /// # struct ConfigMap { name: &'static str, owner: Option<Key> }
    /// # impl Object for ConfigMap {
    /// #     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
    /// # }
    /// let (webs, maps) = (Store::new(), Store::new());
    /// let fifo = Fifo::<Key>::builder().outlives_source().build()?;
    /// let own = webs.subscribe().enqueue_keys(&fifo)?.spawn()?;
    /// let owners = maps.subscribe().enqueue_mapped(&fifo, |map: &ConfigMap| map.owner.clone())?;
    /// let owned = owners.spawn()?;
    /// maps.add(ConfigMap { name: "settings", owner: Some("default/web".parse()?) })?;
    /// maps.add(ConfigMap { name: "nobodys", owner: None })?;
    /// webs.add(Web("web"))?;
    /// # webs.mark_synced();
    /// # maps.mark_synced();
    /// webs.wait_synced(None)?;
    /// maps.wait_synced(None)?;
    /// own.registration.wait_synced(None)?;
    /// owned.registration.wait_synced(None)?;
    ///
    /// // One run, for both.
    /// assert_eq!(fifo.len(), 1);
    /// let lease = fifo.lease()?;
    /// assert_eq!(lease.key().as_str(), "default/web");
    /// lease.done();
    /// // The owner is to be told that what it owned is gone.
    /// maps.delete("default/settings");
    /// assert_eq!(fifo.lease()?.key().as_str(), "default/web");
    /// # drop((webs, maps));
    /// # drop((own.join(), owned.join()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`start`](Self::start); and if the queue hands out [deletions](super::FifoBuilder::deletions), as this
    /// leads to none: [`enqueue_changes`](Self::enqueue_changes) does.
    pub fn enqueue_mapped<O, I, F>(
        self,
        fifo: &Fifo<O>,
        leads_to: F,
    ) -> Result<Handling<T, EnqueueMapped<O, F>>, SubscribeError>
    where
        O: Object,
        I: IntoIterator,
        I::Item: Into<Arc<O>>,
        F: FnMut(&T) -> I,
    {
        if fifo.has_deletions() {
            return Err(SubscribeError::NeverDeleted);
        }
        self.confirmed().handle(EnqueueMapped { queue: Feeding::new(fifo), leads_to })
    }
}

/// Feeds a queue with the objects of a store; from [`Subscribe::enqueue`].
///
/// For a function that returns what is to be run:
///
/// ```
/// use watchcache::fifo::Enqueue;
/// use watchcache::store::feed::{Handling, SubscribeError};
/// use watchcache::{Fifo, Key, Store};
///
/// fn feed(store: &Store<Key>, fifo: &Fifo<Key>) -> Result<Handling<Key, Enqueue<Key>>, SubscribeError> {
///     store.subscribe().namespace("a").enqueue(fifo)
/// }
/// let (store, fifo) = (Store::new(), Fifo::new());
/// let feeding = feed(&store, &fifo)?;
/// store.add("a/web".parse::<Key>()?)?;
/// store.add("b/web".parse::<Key>()?)?;
/// // It has ended with the store, so this returns.
/// drop(store);
/// feeding.run();
/// assert_eq!(fifo.keys(), ["a/web".parse()?]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Enqueue<T> {
    queue: Feeding<T>,
}

/// Feeds a queue with the keys of a store's objects; from [`Subscribe::enqueue_keys`].
///
/// For a controller that keeps the handle on its feeding:
///
/// ```
/// use watchcache::fifo::EnqueueKeys;
/// use watchcache::store::feed::Running;
/// use watchcache::{Fifo, Key, KeyRef, Object, Store};
///
/// struct Pod(&'static str);
/// impl Object for Pod {
///     fn key(&self) -> KeyRef<'_> { self.0.into() }
/// }
///
/// struct Controller { keys: Fifo<Key>, feeding: Running<Pod, EnqueueKeys<Pod>> }
///
/// let (store, keys) = (Store::new(), Fifo::new());
/// let feeding = store.subscribe().enqueue_keys(&keys)?.spawn()?;
/// let controller = Controller { keys, feeding };
/// store.add(Pod("a/web"))?;
/// assert_eq!(controller.keys.pop()?.as_str(), "a/web");
/// controller.feeding.registration.remove();
/// assert!(controller.feeding.join().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type EnqueueKeys<T> = EnqueueMapped<Key, fn(&T) -> Option<Key>>;

/// Feeds a queue with what the objects of a store lead to; from [`Subscribe::enqueue_mapped`].
///
/// By a pointer to a function, its type can be named:
///
/// ```
/// use watchcache::fifo::EnqueueMapped;
/// use watchcache::store::feed::{Handling, SubscribeError};
/// use watchcache::{Fifo, Key, KeyRef, Object, Store};
///
/// struct Pod { name: &'static str, owner: Key }
/// impl Object for Pod {
///     fn key(&self) -> KeyRef<'_> { self.name.into() }
/// }
///
/// type Owners = EnqueueMapped<Key, fn(&Pod) -> Option<Key>>;
///
/// fn owners(pods: &Store<Pod>, fifo: &Fifo<Key>) -> Result<Handling<Pod, Owners>, SubscribeError> {
///     pods.subscribe().enqueue_mapped(fifo, |pod| Some(pod.owner.clone()))
/// }
/// let (pods, fifo) = (Store::new(), Fifo::new());
/// let feeding = owners(&pods, &fifo)?;
/// pods.add(Pod { name: "a/web-0", owner: "a/web".parse()? })?;
/// drop(pods);
/// feeding.run();
/// assert_eq!(fifo.keys(), ["a/web".parse()?]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EnqueueMapped<O, F> {
    queue: Feeding<O>,
    leads_to: F,
}

/// A queue, and what the delivery of the moment is to change in it.
pub(super) struct Feeding<O> {
    fifo: Fifo<O>,
    batch: Batch<O>,
}

impl<T: Object> Enqueue<T> {
    fn add(&mut self, object: ArcRef<'_, T>) {
        self.push(object.object(), Change::Add(object.to_arc()));
    }

    fn push(&mut self, object: &T, change: Change<T>) {
        // The store has checked it.
        let _ = self.queue.batch.push(object.key(), change);
    }
}

impl<T: Object> Handler<T> for Enqueue<T> {
    fn on_add(&mut self, object: ArcRef<'_, T>, _: bool) {
        self.add(object);
    }

    fn on_update(&mut self, _: ArcRef<'_, T>, new: ArcRef<'_, T>) {
        self.add(new);
    }

    fn on_delete(&mut self, last: ArcRef<'_, T>) {
        self.push(last.object(), Change::Delete(Some(last.to_arc())));
    }

    fn on_progress(&mut self, _: Revision, _: Option<&ResourceVersion>) {
        self.queue.flush();
    }

    fn on_ended(&mut self, error: Option<&str>) {
        self.queue.source_ended(error);
    }
}

impl<O: Object, F> EnqueueMapped<O, F> {
    /// Adds what these states of an object lead to. A panic, on one of them or of an object that has no usable
    /// key, keeps nothing else from being queued; the first is resumed at the end.
    fn add<'t, T: 't, I>(&mut self, states: impl IntoIterator<Item = ArcRef<'t, T>>)
    where
        I: IntoIterator,
        I::Item: Into<Arc<O>>,
        F: FnMut(&T) -> I,
    {
        let Self { queue, leads_to } = self;
        let mut first = None;
        for state in states {
            let mapped = catch(|| {
                for object in leads_to(state.object()) {
                    let added = catch(|| queue.push(Change::Add(object.into())));
                    first = first.take().or(added.err());
                }
            });
            first = first.or(mapped.err());
        }
        if let Some(panic) = first {
            // It was reported.
            resume_unwind(Box::new(panic));
        }
    }
}

impl<T, O, I, F> Handler<T> for EnqueueMapped<O, F>
where
    T: Object,
    O: Object,
    I: IntoIterator,
    I::Item: Into<Arc<O>>,
    F: FnMut(&T) -> I,
{
    fn on_add(&mut self, object: ArcRef<'_, T>, _: bool) {
        self.add([object]);
    }

    fn on_update(&mut self, old: ArcRef<'_, T>, new: ArcRef<'_, T>) {
        self.add([old, new]);
    }

    fn on_delete(&mut self, last: ArcRef<'_, T>) {
        self.add([last]);
    }

    fn on_progress(&mut self, _: Revision, _: Option<&ResourceVersion>) {
        self.queue.flush();
    }

    fn on_ended(&mut self, error: Option<&str>) {
        self.queue.source_ended(error);
    }
}

impl<O> Feeding<O> {
    pub(super) fn new(fifo: &Fifo<O>) -> Self {
        Self { fifo: fifo.clone(), batch: Batch::new() }
    }

    /// Applies what the delivery changes. It is not applied once more if that panics, as the destructor of an
    /// object that it displaces may; and the memory of a large one is not kept.
    pub(super) fn flush(&mut self)
    where
        O: Object,
    {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        // A closed queue has no use for it.
        let applied = catch(|| self.fifo.apply(&batch));
        let_go(batch.into_changes());
        if let Err(panic) = applied {
            // It was reported.
            resume_unwind(Box::new(panic));
        }
    }
}

impl<O: Object> Feeding<O> {
    /// # Panics
    /// If it has no usable key, as a deletion without a last state.
    pub(super) fn push(&mut self, change: Change<O>) {
        let added = match change {
            Change::Add(object) => self.batch.add(object),
            Change::Delete(Some(last)) => {
                let object = Arc::clone(&last);
                self.batch.push(object.key(), Change::Delete(Some(last)))
            }
            Change::Delete(None) => panic!("cannot be deleted: it has no last state with a key"),
        };
        if let Err(error) = added {
            panic!("cannot be queued: {error}");
        }
    }

    pub(super) fn source_ended(&self, error: Option<&str>) {
        self.fifo.shared.source_ended(error);
    }

    pub(super) fn fifo(&self) -> &Fifo<O> {
        &self.fifo
    }
}

impl<O> Drop for Feeding<O> {
    fn drop(&mut self) {
        let_go(std::mem::take(&mut self.batch).into_changes());
    }
}

impl<T: Object> fmt::Debug for Enqueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enqueue").field("fifo", &self.queue.fifo).finish_non_exhaustive()
    }
}

impl<O: Object, F> fmt::Debug for EnqueueMapped<O, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnqueueMapped").field("fifo", &self.queue.fifo).finish_non_exhaustive()
    }
}
