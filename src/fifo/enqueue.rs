//! A queue fed by a store's subscription: with its objects, or with what they lead to.

use std::fmt;

use super::Fifo;
use crate::store::feed::{Handler, Handling, Subscribe, SubscribeError};
use crate::sync::Arc;
use crate::{ArcRef, Batch, Change, Object, ResourceVersion, Revision};

/// Feeding a queue. What comes of it is [run](Handling), waited for and removed as any handler. Each delivery
/// is one batch, which no [capacity](super::FifoBuilder::capacity) refuses. The queue stays open when the
/// store has gone, as it may have other sources; a closed one ignores what comes.
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
    /// let unbound = pods.subscribe().filter(|pod: &Pod| pod.node.is_none()).enqueue(&fifo)?;
    /// let registration = unbound.registration();
    /// let thread = unbound.spawn()?;
    /// registration.wait_synced(None)?;
    /// assert_eq!(fifo.keys(), ["default/web-0".parse()?]);
    ///
    /// // It is bound, by whomever: nobody is to schedule it any more.
    /// pods.add(Pod { name: "web-0", node: Some("n2") })?;
    /// drop(pods);
    /// drop(thread.join());
    /// assert!(fifo.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn enqueue(self, fifo: &Fifo<T>) -> Result<Handling<T, Enqueue<T>>, SubscribeError> {
        self.handle(Enqueue { fifo: fifo.clone(), batch: Batch::new() })
    }

    /// Queues what the objects that this is about lead to: their owners, or whatever their labels select.
    /// Of an update that is what the object before leads to, and the one after; of a deletion, what the last
    /// state does.
    ///
    /// `leads_to` runs where the handler does. A panic of it is contained and counted as [a
    /// handler's](super::super::store::feed::Registration::panics), and so is an object without a usable
    /// key.
    ///
    /// A controller's owners of ConfigMaps, by key:
    ///
    /// ```
    /// # use watchcache::{Fifo, Key, KeyRef, Object, Store};
    /// # struct ConfigMap { name: &'static str, owner: Option<Key> }
    /// # impl Object for ConfigMap {
    /// #     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
    /// # }
    /// let maps = Store::new();
    /// let fifo = Fifo::<Key>::new();
    /// let owners = maps.subscribe().enqueue_mapped(&fifo, |map: &ConfigMap| map.owner.clone())?;
    /// let thread = owners.spawn()?;
    /// maps.add(ConfigMap { name: "settings", owner: Some("default/web".parse()?) })?;
    /// maps.add(ConfigMap { name: "nobodys", owner: None })?;
    ///
    /// let lease = fifo.lease()?;
    /// assert_eq!(lease.key().as_str(), "default/web");
    /// lease.done();
    /// // The owner is to be told that what it owned is gone.
    /// maps.delete("default/settings");
    /// assert_eq!(fifo.lease()?.key().as_str(), "default/web");
    /// # drop(maps);
    /// # drop(thread.join());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`start`](Self::start).
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
        self.handle(EnqueueMapped { fifo: fifo.clone(), batch: Batch::new(), leads_to })
    }
}

/// Feeds a queue with the objects of a store; from [`Subscribe::enqueue`].
pub struct Enqueue<T> {
    fifo: Fifo<T>,
    batch: Batch<T>,
}

/// Feeds a queue with what the objects of a store lead to; from [`Subscribe::enqueue_mapped`].
pub struct EnqueueMapped<O, F> {
    fifo: Fifo<O>,
    batch: Batch<O>,
    leads_to: F,
}

impl<T: Object> Enqueue<T> {
    fn add(&mut self, object: ArcRef<'_, T>) {
        self.push(object.object(), Change::Add(object.to_arc()));
    }

    fn push(&mut self, object: &T, change: Change<T>) {
        // The store has checked it.
        let _ = self.batch.push(object.key(), change);
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
        flush(&self.fifo, &mut self.batch);
    }
}

impl<O: Object, F> EnqueueMapped<O, F> {
    fn add<T, I>(&mut self, object: &T)
    where
        I: IntoIterator,
        I::Item: Into<Arc<O>>,
        F: FnMut(&T) -> I,
    {
        for object in (self.leads_to)(object) {
            self.batch.add(object).unwrap_or_else(|error| panic!("cannot be queued: {error}"));
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
        self.add(object.object());
    }

    fn on_update(&mut self, old: ArcRef<'_, T>, new: ArcRef<'_, T>) {
        self.add(old.object());
        self.add(new.object());
    }

    fn on_delete(&mut self, last: ArcRef<'_, T>) {
        self.add(last.object());
    }

    fn on_progress(&mut self, _: Revision, _: Option<&ResourceVersion>) {
        flush(&self.fifo, &mut self.batch);
    }
}

fn flush<O: Object>(fifo: &Fifo<O>, batch: &mut Batch<O>) {
    if !batch.is_empty() {
        // A closed queue has no use for it.
        let _ = fifo.apply(batch);
        batch.clear();
    }
}

impl<T: Object> fmt::Debug for Enqueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enqueue").field("fifo", &self.fifo).finish_non_exhaustive()
    }
}

impl<O: Object, F> fmt::Debug for EnqueueMapped<O, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnqueueMapped").field("fifo", &self.fifo).finish_non_exhaustive()
    }
}
