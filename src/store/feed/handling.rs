//! Driving a handler: on a thread of its own, or by whoever likes to.

use std::future::poll_fn;
use std::sync::Weak;
use std::task::Poll;
use std::time::Duration;
use std::{fmt, io, thread};

use super::goal::deadline;
use super::readiness::Outcome;
use super::subscription::Stop;
use super::{Delivery, Feed, Handler, Subscribe, SubscribeError, Subscription, SyncError};
use crate::Object;
use crate::panic::{catch, let_go};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Arc, Mutex, PoisonError};

/// After how many deliveries a task leaves others of its thread their turn, while there are more.
const TURN: usize = 64;

/// A handler with its subscription; from [`Subscribe::handle`]. It is told nothing until it is run:
///
/// | | |
/// |---|---|
/// | [`spawn`](Self::spawn) | on a thread of its own |
/// | [`run`](Self::run) | on this thread |
/// | [`run_async`](Self::run_async) | in a task, on any runtime |
///
/// Dropping it removes the handler.
///
/// In a task:
///
/// ```
/// use watchcache::store::feed::Handler;
/// use watchcache::{ArcRef, Key, Store};
///
/// struct Names(Vec<String>);
/// impl Handler<Key> for Names {
///     fn on_add(&mut self, key: ArcRef<'_, Key>, _: bool) {
///         self.0.push(key.name().to_owned());
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = Store::<Key>::new();
/// store.add("a/web".parse::<Key>()?)?;
/// store.mark_synced();
/// let handling = store.subscribe().handle(Names(Vec::new()))?;
/// let registration = handling.registration();
/// let task = tokio::spawn(handling.run_async());
/// registration.wait_synced_async(None).await?;
/// registration.remove();
/// assert_eq!(task.await?.0, ["web"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a handler is told nothing until it is run"]
pub struct Handling<T: Object, H> {
    subscription: Subscription<T>,
    teller: Teller<T, H>,
}

/// A handler that runs on a thread of its own; from [`Handling::spawn`]. It goes on when this is dropped.
///
/// ```
/// use watchcache::store::feed::{Handler, Running};
/// use watchcache::{ArcRef, Key, Store};
///
/// struct Count(usize);
/// impl Handler<Key> for Count {
///     fn on_add(&mut self, _: ArcRef<'_, Key>, _: bool) {
///         self.0 += 1;
///     }
/// }
///
/// let store = Store::<Key>::new();
/// let running: Running<Key, Count> = store.subscribe().handle(Count(0))?.spawn()?;
/// store.add("a/web".parse::<Key>()?)?;
/// // It is told everything first, and then given back.
/// drop(store);
/// assert_eq!(running.join().map_err(|_| "it does not panic")?.0, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub struct Running<T: Object, H> {
    /// To wait for the handler, and to remove it.
    pub registration: Registration<T>,
    thread: thread::JoinHandle<Given<H>>,
}

/// A handler that its thread gives back. If nobody takes it, it is dropped at the thread's end, where a panic
/// of its destructor would end the process.
struct Given<H>(Option<H>);

impl<H> Drop for Given<H> {
    fn drop(&mut self) {
        let_go(self.0.take());
    }
}

impl<T: Object, H> Running<T, H> {
    /// Blocks until the handler has ended, with its store or since it was
    /// [removed](Registration::remove), and gives it back.
    ///
    /// # Errors
    /// If the thread panicked, as none does by a panic of the handler.
    pub fn join(self) -> thread::Result<H> {
        let mut given = self.thread.join()?;
        Ok(given.0.take().expect("only this takes it"))
    }
}

/// A handle on a handler: whether it is in step, and its end. Cheap to clone; it outlives the handler, which
/// goes on when this is dropped, and keeps nothing of the store.
///
/// ```
/// use watchcache::store::feed::Handler;
/// use watchcache::{ArcRef, Key, Store};
///
/// struct Careless;
/// impl Handler<Key> for Careless {
///     fn on_add(&mut self, key: ArcRef<'_, Key>, _: bool) {
///         key.namespace().expect("a namespace");
///     }
/// }
///
/// let store = Store::<Key>::new();
/// for key in ["a/web", "node-1"] {
///     store.add(key.parse::<Key>()?)?;
/// }
/// store.mark_synced();
/// let running = store.subscribe().handle(Careless)?.spawn()?;
/// let registration = running.registration.clone();
/// registration.wait_synced(None)?;
/// // It goes on, and that is worth an alarm.
/// assert!(!registration.has_ended());
/// assert_eq!((registration.panics(), registration.last_panic().as_deref()), (1, Some("a namespace")));
/// registration.remove();
/// assert!(running.join().is_ok() && registration.has_ended());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Registration<T: Object> {
    /// Whoever waits, or is run, has it.
    feed: Weak<Feed<T>>,
    state: Arc<State>,
}

/// What a handler and its registrations share.
struct State {
    stop: Arc<Stop>,
    synced: AtomicBool,
    ended: AtomicBool,
    panics: AtomicU64,
    /// The filter's.
    failures: Arc<AtomicU64>,
    last_panic: Mutex<Option<Arc<str>>>,
}

struct Teller<T: Object, H> {
    handler: H,
    /// Whether it was told a whole content.
    is_synced: bool,
    alive: Alive<T>,
}

/// Says when it is over, however that came.
struct Alive<T: Object>(Registration<T>);

impl<T: Object> Subscribe<'_, T> {
    /// Has a [`Handler`] told of what this is about: of the present content first, unless it begins
    /// [behind a snapshot](Self::since), and then of each change. It keeps its [place](Self::keep_place), and
    /// ends with the store: see [`Handler`] for one that looks things up in it.
    ///
    /// ```
    /// use watchcache::store::feed::Handler;
    /// use watchcache::ArcRef;
    /// # use watchcache::{KeyRef, Listing, Object, Store};
    /// # #[derive(Clone)]
    /// # struct Pod(&'static str, u32);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    ///
    /// #[derive(Default)]
    /// struct Names(Vec<String>);
    /// impl Handler<Pod> for Names {
    ///     fn on_add(&mut self, pod: ArcRef<'_, Pod>, is_initial: bool) {
    ///         self.0.push(format!("{} {}", if is_initial { "=" } else { "+" }, pod.0));
    ///     }
    ///     fn on_delete(&mut self, last: ArcRef<'_, Pod>) {
    ///         self.0.push(format!("- {} {}", last.0, last.1));
    ///     }
    /// }
    ///
    /// let store = Store::new();
    /// store.replace(&Listing::new([Pod("a/web", 1)], None)?);
    /// let running = store.subscribe().handle(Names::default())?.spawn()?;
    /// running.registration.wait_synced(None)?;
    ///
    /// store.replace(&Listing::new([Pod("a/db", 1)], None)?);
    /// // The handler ends with the store, when it was told everything.
    /// drop(store);
    /// let mut told = running.join().map_err(|_| "it never panics")?.0;
    /// told[1..].sort();
    /// assert_eq!(told, ["= a/web", "+ a/db", "- a/web 1"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn handle<H: Handler<T>>(self, handler: H) -> Result<Handling<T, H>, SubscribeError> {
        let mut subscription = self.with_content_unless_since().keep_place().start()?;
        let state = Arc::new(State {
            stop: Arc::new(Stop::new()),
            synced: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            panics: AtomicU64::new(0),
            failures: Arc::clone(&subscription.filter.failures),
            last_panic: Mutex::new(None),
        });
        subscription.stopped_by(Arc::clone(&state.stop));
        subscription.interrupted_by_source();
        let alive = Alive(Registration { feed: Arc::downgrade(&subscription.feed), state });
        let is_synced = subscription.is_synced();
        if is_synced {
            alive.0.state.set_synced();
        }
        Ok(Handling { subscription, teller: Teller { handler, is_synced, alive } })
    }
}

impl<T: Object, H: Handler<T>> Handling<T, H> {
    /// A handle, to wait for it and to remove it.
    #[must_use]
    pub fn registration(&self) -> Registration<T> {
        self.teller.alive.0.clone()
    }

    /// Tells the handler everything, on this thread, until it is removed, or the store is gone and
    /// everything was told; gives it back. Blocks while there is nothing.
    pub fn run(self) -> H {
        let Self { mut subscription, mut teller } = self;
        loop {
            while let Some(delivery) = subscription.next() {
                teller.tell(&delivery);
            }
            if !teller.tell_end(&mut subscription) {
                return teller.handler;
            }
        }
    }

    /// As [`run`](Self::run), for a task.
    ///
    /// # Cancel safety
    /// A future that is dropped has removed the handler. No call is cut off: it waits between them.
    pub async fn run_async(self) -> H {
        let Self { mut subscription, mut teller } = self;
        loop {
            let mut told = 0_usize;
            while let Some(delivery) = subscription.next_async().await {
                teller.tell(&delivery);
                told += 1;
                if told.is_multiple_of(TURN) {
                    give_way().await;
                }
            }
            if !teller.tell_end(&mut subscription) {
                return teller.handler;
            }
        }
    }

    /// [Runs](Self::run) it on a thread of its own.
    ///
    /// ```
    /// # use watchcache::{ArcRef, KeyRef, Object, Store};
    /// # use watchcache::store::feed::Handler;
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// struct Count(u32);
    /// impl Handler<Pod> for Count {
    ///     fn on_add(&mut self, _: ArcRef<'_, Pod>, _: bool) { self.0 += 1; }
    /// }
    ///
    /// let store = Store::new();
    /// store.add(Pod("a/web"))?;
    /// store.mark_synced();
    /// let running = store.subscribe().handle(Count(0))?.spawn()?;
    /// running.registration.wait_synced(None)?;
    /// running.registration.remove();
    /// assert_eq!(running.join().map_err(|_| "it never panics")?.0, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the system has no thread to give; the handler is removed.
    pub fn spawn(self) -> io::Result<Running<T, H>>
    where
        H: Send + 'static,
    {
        let registration = self.registration();
        let thread = thread::Builder::new().name("watchcache-handler".into());
        Ok(Running { registration, thread: thread.spawn(|| Given(Some(self.run())))? })
    }
}

/// Leaves other tasks of the thread their turn.
async fn give_way() {
    let mut has_given = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_given, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<T: Object, H: Handler<T>> Teller<T, H> {
    fn tell(&mut self, delivery: &Delivery<'_, T>) {
        let Self { handler, is_synced, alive: Alive(registration) } = self;
        let state = &registration.state;
        for item in delivery {
            if state.stop.is_stopped() {
                return;
            }
            state.contain(|| match (item.old, item.new) {
                (None, Some(new)) => handler.on_add(new, !*is_synced),
                (Some(old), Some(new)) => handler.on_update(old, new),
                (Some(old), None) => handler.on_delete(old),
                (None, None) => {}
            });
        }
        state.contain(|| handler.on_progress(delivery.revision(), delivery.resource_version()));
        if !*is_synced && delivery.is_synced() {
            *is_synced = true;
            state.set_synced();
            registration.tell_waiters();
        }
    }

    /// Tells the handler that the source has ended, if that is what the subscription stopped for.
    fn tell_end(&mut self, subscription: &mut Subscription<T>) -> bool {
        let Some(end) = subscription.take_source_end() else { return false };
        if let Some(error) = end {
            self.alive.0.state.contain(|| self.handler.on_ended(error.as_deref()));
        }
        true
    }
}

impl State {
    /// Runs a call of the handler.
    fn contain(&self, call: impl FnOnce()) {
        if let Err(panic) = catch(call) {
            *self.last_panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic.into());
            // ORDERING: Relaxed: a figure orders nothing.
            self.panics.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn set_synced(&self) {
        // ORDERING: Release pairs with the Acquire in `is_synced`: what the handler did is seen.
        self.synced.store(true, Ordering::Release);
    }

    fn is_synced(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `set_synced`.
        self.synced.load(Ordering::Acquire)
    }

    fn set_ended(&self) {
        // ORDERING: Release pairs with the Acquire in `is_ended`: what the handler did is seen.
        self.ended.store(true, Ordering::Release);
    }

    fn is_ended(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `set_ended`.
        self.ended.load(Ordering::Acquire)
    }
}

impl<T: Object> Drop for Alive<T> {
    fn drop(&mut self) {
        self.0.state.set_ended();
        self.0.tell_waiters();
    }
}

impl<T: Object> Registration<T> {
    /// Removes the handler. No later change is told to it: a call that has begun, or is about to begin,
    /// is its last. Waits for nothing, and may be called by the handler itself; what ran the handler ends.
    pub fn remove(&self) {
        self.state.stop.stop();
        if let Some(feed) = self.feed.upgrade() {
            let _ends = feed.tell_ends();
            drop(feed.tell_waiters());
        }
    }

    /// Wakes those who wait for the handler, if anybody does.
    fn tell_waiters(&self) {
        if let Some(feed) = self.feed.upgrade() {
            drop(feed.tell_waiters());
        }
    }

    /// Whether the handler was told the whole content: what was there when it was added, and where the source
    /// had not told all by then, the rest up to there. Stays true. For one that begins behind a
    /// [snapshot](Subscribe::since) with the whole content, that is told already: it is true from the start, before the
    /// handler was told what has changed since.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.state.is_synced()
    }

    /// Blocks until [that is so](Self::is_synced), or the time is over; `None` is no limit. A panic of the
    /// handler does not keep it from coming about.
    ///
    /// A handler that waits for itself does so in vain.
    ///
    /// # Errors
    /// If the time runs out, the source has ended before it told all, or the handler was removed or
    /// has ended.
    pub fn wait_synced(&self, timeout: Option<Duration>) -> Result<(), SyncError> {
        let Some(feed) = self.feed.upgrade() else { return self.last_outcome() };
        feed.wait_until(timeout, || self.outcome(&feed))
    }

    /// As [`wait_synced`](Self::wait_synced), for async tasks on any runtime.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub fn wait_synced_async(
        &self,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<(), SyncError>> + Send + use<T> {
        let (this, deadline) = (self.clone(), deadline(timeout));
        async move {
            let Some(feed) = this.feed.upgrade() else { return this.last_outcome() };
            let looks = Arc::clone(&feed);
            feed.wait_until_async(deadline, move || this.outcome(&looks)).await
        }
    }

    fn outcome(&self, feed: &Feed<T>) -> Option<Outcome> {
        if self.state.is_ended() || self.state.stop.is_stopped() || self.state.is_synced() {
            return Some(self.last_outcome());
        }
        // What the source has told, the handler is still to be told.
        let readiness = feed.readiness();
        readiness.filter(|readiness| matches!(readiness, Err(SyncError::SourceEnded { .. })))
    }

    /// The outcome for a handler that is in step, or is told nothing any more.
    fn last_outcome(&self) -> Outcome {
        if self.state.is_synced() { Ok(()) } else { Err(SyncError::Ended) }
    }

    /// Whether the handler is told nothing any more, and what ran it is done with it.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state.is_ended()
    }

    /// How many calls of the handler panicked.
    #[must_use]
    pub fn panics(&self) -> u64 {
        // ORDERING: Relaxed: a figure orders nothing.
        self.state.panics.load(Ordering::Relaxed)
    }

    /// As [`Subscription::failures`]: how often it could not be told whether the handler is about an object, which
    /// then looks like one that is gone, or about an update, which is told.
    #[must_use]
    pub fn failures(&self) -> u64 {
        // ORDERING: Relaxed: a figure orders nothing.
        self.state.failures.load(Ordering::Relaxed)
    }

    /// The text of the last panic of the handler.
    #[must_use]
    pub fn last_panic(&self) -> Option<Arc<str>> {
        self.state.last_panic.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<T: Object> Clone for Registration<T> {
    fn clone(&self) -> Self {
        Self { feed: Weak::clone(&self.feed), state: Arc::clone(&self.state) }
    }
}

impl<T: Object, H> fmt::Debug for Handling<T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handling").field("subscription", &self.subscription).finish_non_exhaustive()
    }
}

impl<T: Object, H> fmt::Debug for Running<T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("registration", &self.registration).finish_non_exhaustive()
    }
}

impl<T: Object> fmt::Debug for Registration<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("is_synced", &self.is_synced())
            .field("has_ended", &self.has_ended())
            .field("panics", &self.panics())
            .field("failures", &self.failures())
            .finish()
    }
}
