//! Building a controller: what it is about, and what it hears of.

use std::fmt;
use std::time::Duration;

use super::feeding::{Feeding, Inbox, Own, Related, SourceEnd};
use super::reconciler::Reconciler;
use super::selection::Selection;
use super::told::Told;
use super::{Action, Faults, Request};
use crate::fifo::Backoff;
use crate::store::feed::{Subscribe, SubscribeError};
use crate::sync::Arc;
use crate::{Fifo, Key, LabelSelector, Object, Store};

/// How many reconciles run at once, unless it is said.
const CONCURRENCY: usize = 16;

/// What is reconciled, and what leads to it; see the [module](super). [`reconcile`](Self::reconcile) says how,
/// and [`Reconciler::run`] begins.
///
/// It is to be built when it is to run: what it subscribes to keeps all that changes until it is told.
///
/// ```
/// use std::convert::Infallible;
/// use std::sync::Arc;
/// use std::time::Duration;
/// use watchcache::reconcile::{Action, Controller, Request};
/// use watchcache::{Key, Store};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = Arc::new(Store::<Key>::new());
/// for key in ["a/web", "b/web"] {
///     store.add(key.parse::<Key>()?)?;
/// }
/// store.mark_synced();
/// let (begun, mut told) = tokio::sync::mpsc::unbounded_channel();
/// let controller = Controller::new(&store)
///     .namespace("a")
///     .concurrency(4)
///     .grace(Duration::from_secs(30))
///     .reconcile(move |web: Request<Key>| {
///         let begun = begun.clone();
///         async move {
///             let _ = begun.send(web.key().to_string());
///             Ok::<_, Infallible>(Action::await_change())
///         }
///     });
/// controller.run(async { assert_eq!(told.recv().await.as_deref(), Some("a/web")) }).await?;
/// assert!(told.recv().await.is_none(), "the other is none of its own");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it reconciles nothing until it is run"]
pub struct Controller<K: Object> {
    pub(super) store: Arc<Store<K>>,
    pub(super) queue: Fifo<Key>,
    pub(super) selection: Selection<K>,
    pub(super) told: Option<Arc<Told<K>>>,
    faults: Faults,
    /// What was asked to be followed, or why that cannot be.
    pub(super) feedings: Result<Vec<Feeding>, SubscribeError>,
    pub(super) end: Arc<SourceEnd>,
    pub(super) settings: Settings,
    _closes: Closes,
}

/// Closes the queue when the controller has ended, or never began: nobody else takes from it.
struct Closes(Fifo<Key>);

impl Drop for Closes {
    fn drop(&mut self) {
        drop(self.0.close_now());
    }
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) concurrency: usize,
    pub(super) outlives_sources: bool,
    pub(super) synced_within: Option<Duration>,
    pub(super) grace: Option<Duration>,
}

impl<K: Object> Controller<K> {
    /// A controller of a store's objects, with a queue of its own: a key that fails comes back after client-go's
    /// [default](Backoff::default) back-off.
    pub fn new(store: &Arc<Store<K>>) -> Self {
        // A back-off is nothing that can be refused.
        let queue = Fifo::builder().backoff(Backoff::default()).build().unwrap_or_default();
        Self::with_queue(store, &queue)
    }

    /// As [`new`](Self::new), with a queue that says how often to retry, how fast, and who observes it. One that has
    /// no [limiter](crate::fifo::FifoBuilder::limiter) gets that default back-off, and never retries at once. The
    /// controller alone is to take from it, and closes it when it ends, or is dropped before it has begun: the next
    /// one needs another. One that hands out [deletions](crate::fifo::FifoBuilder::deletions) is refused when it is to
    /// run: [`deletions`](Self::deletions) are the controller's own. What it puts there counts as changes, the first content too, so that there is nothing of
    /// [lower priority](crate::fifo::FifoBuilder::lower_priority_for_lists).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// # use watchcache::{Fifo, KeyRef, Object, Store};
    /// # use watchcache::fifo::Backoff;
    /// # use watchcache::reconcile::Controller;
    /// # struct Web;
    /// # impl Object for Web {
    /// #     fn key(&self) -> KeyRef<'_> { "default/shop".into() }
    /// # }
    /// # let webs = Arc::new(Store::<Web>::new());
    /// let backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(60));
    /// let queue = Fifo::builder().backoff(backoff).retry_rate(50.0, 100).build()?;
    /// let controller = Controller::with_queue(&webs, &queue).concurrency(4);
    /// // Whatever else is a reason to look at one:
    /// controller.queue().add("default/shop".parse::<watchcache::Key>()?)?;
    /// assert_eq!(queue.stats().depth, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_queue(store: &Arc<Store<K>>, queue: &Fifo<Key>) -> Self {
        let faults = Faults::default();
        Self {
            store: Arc::clone(store),
            queue: queue.clone(),
            selection: Selection::all(faults.clone()),
            told: None,
            faults,
            feedings: if queue.has_deletions() {
                // What leads to a key never deletes it.
                Err(SubscribeError::NeverDeleted)
            } else {
                Ok(Vec::new())
            },
            end: Arc::default(),
            settings: Settings {
                concurrency: CONCURRENCY,
                outlives_sources: false,
                synced_within: None,
                grace: None,
            },
            _closes: Closes(queue.clone()),
        }
    }

    /// The queue of keys: for its figures, and to add what is to be looked at for a reason of one's own. A key
    /// without an object is left out when its turn comes.
    #[must_use]
    pub fn queue(&self) -> &Fifo<Key> {
        &self.queue
    }

    /// How often the functions that it was given have failed, reconciles aside: live figures.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// Also reconciles what a change of other objects leads to: of an update, what the object before leads to,
    /// and the one after; of a deletion, what the last state does. What is subscribed to may be
    /// [narrowed](Subscribe) first.
    ///
    /// `leads_to` runs in the controller's task. If it panics, that is reported by the panic hook and
    /// [counted](Self::faults), and that one state leads to nothing. Of a subscription to [changes of a part](Subscribe::changes_of), that part is to
    /// have all that `leads_to` looks at, and the [uid](Object::uid): a state that is left out leads to nothing
    /// either. So of one that [settles](Subscribe::settle), what came and went in between, although a reconcile may
    /// have read it in the store.
    pub fn watches<R, I, F>(mut self, related: Subscribe<'_, R>, leads_to: F) -> Self
    where
        R: Object,
        I: IntoIterator<Item = Key>,
        F: FnMut(&R) -> I + Send + 'static,
    {
        let inbox = Inbox::new(&self.queue, &self.end);
        let related = related.counts_failures(&self.faults.filters);
        let handler = Related::new(inbox, leads_to, self.faults.clone());
        self.follow(Feeding::new(related, handler));
        self
    }

    fn follow(&mut self, feeding: Result<Feeding, SubscribeError>) {
        match (&mut self.feedings, feeding) {
            (Ok(feedings), Ok(feeding)) => feedings.push(feeding),
            (Ok(_), Err(error)) => self.feedings = Err(error),
            (Err(_), _) => {}
        }
    }

    /// Only objects of one namespace; `None`, as well as an empty one, stands for those that are cluster-scoped, and
    /// not for all. What is not among them is not reconciled, whatever leads to it; so for each of these.
    pub fn namespace<'n>(mut self, namespace: impl Into<Option<&'n str>>) -> Self {
        let namespace = namespace.into().filter(|name| !name.is_empty()).map(str::to_owned);
        let listed = namespace.clone();
        // By the store's index; both, as this may be given twice.
        self.selection.narrow(move |subscribe| subscribe.namespace(listed.as_deref()));
        self.filter(move |object| object.key().namespace() == namespace.as_deref())
    }

    /// Only objects that a selector selects.
    pub fn labels(self, selector: LabelSelector) -> Self {
        self.filter(move |object| selector.matches(|label| object.label(label)))
    }

    /// Only objects of which this holds. It may run as often as it likes to be, and must say the same of the
    /// same object each time; where it panics, it does not hold.
    pub fn filter(mut self, wanted: impl Fn(&K) -> bool + Send + Sync + 'static) -> Self {
        self.selection.filter(wanted);
        self
    }

    /// Of updates of the objects, only those that change this part of them: their generation, say, so that what
    /// a reconcile writes to a status is no reason for the next one. If it is given several times, one of the
    /// parts has to change. One that was deleted and made anew, which may be told as an update, has another
    /// [uid](Object::uid), and is a change whatever its part. Where there are finalizers, the part is to have the
    /// deletion timestamp, which changes no spec: without it, what is to be deleted stays until something else changes.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use watchcache::{KeyRef, Object, Store};
    /// use watchcache::reconcile::{Action, Controller, Request};
    /// # struct Web { generation: u64, ready: bool }
    /// # impl Object for Web {
    /// #     fn key(&self) -> KeyRef<'_> { "default/shop".into() }
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let store = Arc::new(Store::new());
    /// store.add(Web { generation: 1, ready: false })?;
    /// # store.mark_synced();
    /// let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    /// let writes = Arc::clone(&store);
    /// let controller = Controller::new(&store)
    ///     .changes_of(|web: &Web| web.generation)
    ///     .reconcile(move |web: Request<Web>| {
    ///         let (tell, writes) = (tell.clone(), Arc::clone(&writes));
    ///         async move {
    ///             let _ = tell.send((web.generation, web.ready));
    ///             // Stands for a write to the API and its watch event, which is no reason to look again.
    ///             let written = writes.add(Web { generation: web.generation, ready: true });
    ///             written.map(|_| Action::await_change())
    ///         }
    ///     });
    /// controller
    ///     .run(async {
    ///         assert_eq!(told.recv().await, Some((1, false)));
    ///         store.add(Web { generation: 2, ready: true }).expect("a usable key");
    ///         assert_eq!(told.recv().await, Some((2, true)));
    ///     })
    ///     .await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn changes_of<P: PartialEq>(
        mut self,
        part: impl Fn(&K) -> P + Send + Sync + 'static,
    ) -> Self {
        let part = move |object: &K| (object.uid().map(Box::<str>::from), part(object));
        self.selection.narrow(|subscribe| subscribe.changes_of(part));
        self
    }

    /// Hears of changes of the objects no more often than this, and of what has come of them meanwhile; the first
    /// change after a quiet time is heard of at once. Others have [the same](Subscribe::settle).
    ///
    /// It is no debounce: nothing is waited for that may come soon, and each store has a time of its own. That the
    /// content is whole is heard of at once, so it does not delay the beginning. Where it is
    /// [about a part](Self::changes_of), a change that is taken back in that time is none.
    pub fn settle(mut self, at_most_each: Duration) -> Self {
        self.selection.narrow(move |subscribe| subscribe.settle(at_most_each));
        self
    }

    /// Also reconciles objects that are gone, or no longer ones that this is about ([`Request::is_deleted`]), until
    /// that works: for what has no finalizer, or nothing to clean up by one. By default only what is there is
    /// reconciled.
    ///
    /// It has worked when that returns [`Action::await_change`]. Anything else is another look at what is gone, which
    /// is kept until then: a reconcile that returns [`Action::requeue_after`] for all that is there is to ask first.
    ///
    /// It comes with the last state that was told, or reconciled if that is newer by its
    /// [version](Object::resource_version). A change that the source tells together with the deletion may be newer
    /// still, and is in neither. What was only [assumed](Store::assume), and is forgotten, is gone.
    ///
    /// A deletion that nobody was there to hear of, before the controller began, does not come. What is made anew
    /// before its deletion was reconciled is what there is to reconcile, with another uid.
    ///
    /// This takes memory for a key of each object, and keeps the state of it that was reconciled last until a newer
    /// one is told.
    pub fn deletions(mut self) -> Self {
        self.told = Some(Arc::new(Told::new()));
        self
    }

    /// How many keys are reconciled at once; 0 stands for no limit, as in kube-runtime. Default: 16.
    pub fn concurrency(mut self, reconciles: usize) -> Self {
        self.settings.concurrency = if reconciles == 0 { usize::MAX } else { reconciles };
        self
    }

    /// How long the stores may take to have their whole content. Default: as long as they like; one that nobody
    /// feeds, because its reflector was forgotten, keeps the controller waiting. While it waits it says so by
    /// `tracing`, every ten seconds for each of them, as a warning with the type of the objects and the last failure
    /// of their source.
    pub fn synced_within(mut self, timeout: Duration) -> Self {
        self.settings.synced_within = Some(timeout);
        self
    }

    /// How long reconciles may go on when the controller is to stop; those that have not ended by then are
    /// dropped. Default: as long as they like.
    pub fn grace(mut self, timeout: Duration) -> Self {
        self.settings.grace = Some(timeout);
        self
    }

    /// Goes on when the source of a store has ended for good, because the store will be given another one. By
    /// default the controller stops with the first source that ends: it would hear of nothing more from there.
    /// A source that ends before its content is there, as one whose first list is refused, is an error even so.
    pub fn outlives_sources(mut self) -> Self {
        self.settings.outlives_sources = true;
        self
    }

    /// Says how to reconcile: what is there is to be brought to what is wanted, whatever has happened. An error is
    /// tried again after the key's back-off.
    ///
    /// Reconciles run in the task that runs the controller, all of them. One that blocks, or computes for long,
    /// holds up the others, and what is heard of the stores: it is to spawn that, and wait for it
    /// (`tokio::spawn(..).await`). What was spawned is not dropped with the reconcile.
    ///
    /// The panic of one is reported by the panic hook, counts as a failure of that key, and harms no other.
    pub fn reconcile<F, Fut, E>(mut self, reconcile: F) -> Reconciler<K, F, E>
    where
        F: FnMut(Request<K>) -> Fut,
        Fut: Future<Output = Result<Action, E>>,
    {
        let own = Own::new(Inbox::new(&self.queue, &self.end), self.told.clone());
        let feeding = Feeding::new(self.selection.apply(self.store.subscribe()), own);
        self.follow(feeding);
        Reconciler::new(self, reconcile)
    }
}

impl<K: Object> fmt::Debug for Controller<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller")
            .field("queue", &self.queue)
            .field("deletions", &self.told.is_some())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
