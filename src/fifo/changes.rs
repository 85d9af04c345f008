//! A queue fed with what the changes of a store's objects mean to it, deletions included.

use std::fmt;
use std::panic::resume_unwind;

use super::Fifo;
use super::enqueue::Feeding;
use crate::panic::catch;
use crate::store::feed::{Handler, Handling, Item, Subscribe, SubscribeError};
use crate::{ArcRef, Change, Object, ResourceVersion, Revision};

impl<T: Object> Subscribe<'_, T> {
    /// Queues what each change of the objects that this is about means: the mapping has the object before and after, and
    /// says what is added and what is deleted. For keys of another type with the last state of what is gone, and for
    /// values that depend on what happened; [`enqueue_mapped`](Self::enqueue_mapped) is the simpler one, and has the
    /// rest.
    ///
    /// Of changes that come to the same key the last counts, and those of one delivery are in no particular
    /// order: where several objects lead to a key, whether it is deleted is to be asked elsewhere.
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    /// use std::sync::Arc;
    /// use watchcache::fifo::Request;
    /// use watchcache::{Change, Fifo};
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Pod { name: &'static str, address: Ipv4Addr }
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
    /// # }
    /// let pods = Store::<Pod>::new();
    /// let fifo = Fifo::<Request<Ipv4Addr, Arc<Pod>>>::builder().deletions().build()?;
    /// let by_address = |pod: &Arc<Pod>| Request::with_value(pod.address, pod.clone()).ok().map(Arc::new);
    /// let feeding = pods.subscribe().enqueue_changes(&fifo, move |item| {
    ///     let gone = item.old.and_then(|pod| by_address(&pod)).map(|last| Change::Delete(Some(last)));
    ///     let there = item.new.and_then(|pod| by_address(&pod)).map(Change::Add);
    ///     // Where the address stays, it is changed.
    ///     gone.into_iter().chain(there)
    /// })?;
    /// let feeding = feeding.spawn()?;
    /// pods.add(Pod { name: "web-0", address: Ipv4Addr::LOCALHOST })?;
    /// fifo.lease()?.done();
    ///
    /// pods.delete("default/web-0");
    /// let lease = fifo.lease()?;
    /// assert!(lease.is_deleted());
    /// assert_eq!((*lease.target(), lease.value().name), (Ipv4Addr::LOCALHOST, "web-0"));
    /// # lease.done();
    /// # drop(pods);
    /// # drop(feeding.join());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn enqueue_changes<O, I, F>(
        self,
        fifo: &Fifo<O>,
        means: F,
    ) -> Result<Handling<T, EnqueueChanges<O, F>>, SubscribeError>
    where
        O: Object,
        I: IntoIterator<Item = Change<O>>,
        F: FnMut(Item<'_, T>) -> I,
    {
        self.confirmed().handle(EnqueueChanges { queue: Feeding::new(fifo), means })
    }
}

/// Feeds a queue with what changes of a store's objects mean; from [`Subscribe::enqueue_changes`].
///
/// What comes and what goes, and no update:
///
/// ```
/// use watchcache::fifo::EnqueueChanges;
/// use watchcache::store::feed::{Handling, Item, SubscribeError};
/// use watchcache::{Change, Fifo, Key, Store};
///
/// type ComesAndGoes = EnqueueChanges<Key, fn(Item<'_, Key>) -> Option<Change<Key>>>;
///
/// fn feed(store: &Store<Key>, fifo: &Fifo<Key>) -> Result<Handling<Key, ComesAndGoes>, SubscribeError> {
///     store.subscribe().enqueue_changes(fifo, |item| match (item.old, item.new) {
///         (None, Some(new)) => Some(Change::Add(new.to_arc())),
///         (Some(last), None) => Some(Change::Delete(Some(last.to_arc()))),
///         _ => None,
///     })
/// }
/// let (store, fifo) = (Store::new(), Fifo::builder().deletions().build()?);
/// let feeding = feed(&store, &fifo)?.spawn()?;
/// store.add("a/web".parse::<Key>()?)?;
/// fifo.lease()?.done();
/// store.delete("a/web");
/// let lease = fifo.lease()?;
/// assert!(lease.is_deleted());
/// # lease.done();
/// # drop(store);
/// # drop(feeding.join());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EnqueueChanges<O, F> {
    queue: Feeding<O>,
    means: F,
}

impl<O: Object, F> EnqueueChanges<O, F> {
    /// A panic, of the mapping or of an object that has no usable key, keeps nothing else from being queued; the
    /// first is resumed at the end.
    fn push<'t, T, I>(&mut self, old: Option<ArcRef<'t, T>>, new: Option<ArcRef<'t, T>>)
    where
        T: Object,
        I: IntoIterator<Item = Change<O>>,
        F: FnMut(Item<'_, T>) -> I,
    {
        let Self { queue, means } = self;
        let Some(object) = new.or(old) else { return };
        let mut first = None;
        let mapped = catch(|| {
            for change in means(Item { key: object.object().key(), old, new }) {
                let pushed = catch(|| queue.push(change));
                first = first.take().or(pushed.err());
            }
        });
        if let Some(panic) = first.or(mapped.err()) {
            // It was reported.
            resume_unwind(Box::new(panic));
        }
    }
}

impl<T, O, I, F> Handler<T> for EnqueueChanges<O, F>
where
    T: Object,
    O: Object,
    I: IntoIterator<Item = Change<O>>,
    F: FnMut(Item<'_, T>) -> I,
{
    fn on_add(&mut self, object: ArcRef<'_, T>, _: bool) {
        self.push(None, Some(object));
    }

    fn on_update(&mut self, old: ArcRef<'_, T>, new: ArcRef<'_, T>) {
        self.push(Some(old), Some(new));
    }

    fn on_delete(&mut self, last: ArcRef<'_, T>) {
        self.push(Some(last), None);
    }

    fn on_progress(&mut self, _: Revision, _: Option<&ResourceVersion>) {
        self.queue.flush();
    }

    fn on_ended(&mut self, error: Option<&str>) {
        self.queue.source_ended(error);
    }
}

impl<O: Object, F> fmt::Debug for EnqueueChanges<O, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnqueueChanges").field("fifo", self.queue.fifo()).finish_non_exhaustive()
    }
}
