//! What is assumed of objects until their source says more: what a scheduler has just decided, for one.
//!
//! An assumed object lies in the store as any other, so readers find it. Beside it is remembered what the
//! source said last, and that is what the source's next word meets: no rule of writing, and no arithmetic of
//! a relist, ever sees an assumed object.
//!
//! | file | idea |
//! |---|---|
//! | `ledger` | what is assumed, by key and by deadline |
//! | `hear` | what the source's word does where something is assumed |

mod hear;
mod ledger;

use std::sync::Weak;
use std::time::{Duration, Instant};

use self::ledger::{Entry, Ledger};
use super::engine::{Assumption, Engine, Unlocked};
use super::error::{Rejected, WriteError};
use super::feed::{Feed, Overlay};
use super::precedence::{self, is_older};
use super::report::{Applied, Outcome, Written};
use super::write::{self, Writing};
use super::{Cow, Snapshot, Store};
use crate::panic::catch;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use crate::timer::{Tick, Timer};
use crate::{Key, KeyRef, Object, version};

/// How many assumptions one write forgets at most, so that it keeps no other waiting for long.
const FORGOTTEN: usize = 256;

/// The objects of a store that are assumed. They change under the store's writing lock alone.
pub(super) struct Assumed<T> {
    engine: Arc<Engine<T>>,
    feed: Arc<Feed<T>>,
    count: AtomicUsize,
    /// Whether the source's versions have no order.
    is_unordered: AtomicBool,
    /// There from the first assumption on. No user code runs under its lock.
    state: OnceLock<Mutex<State<T>>>,
    timer: OnceLock<Timer>,
}

struct State<T> {
    ledger: Ledger<T>,
    /// Whether the timer's thread may be writing.
    is_ticking: bool,
    is_closed: bool,
}

impl<T: Object> Assumed<T> {
    pub(super) fn new(engine: &Arc<Engine<T>>, feed: &Arc<Feed<T>>) -> Arc<Self> {
        Arc::new(Self {
            engine: Arc::clone(engine),
            feed: Arc::clone(feed),
            count: AtomicUsize::new(0),
            is_unordered: AtomicBool::new(false),
            state: OnceLock::new(),
            timer: OnceLock::new(),
        })
    }

    /// Whether nothing is assumed; a writer's.
    #[inline]
    fn is_empty(&self) -> bool {
        // ORDERING: Relaxed: it changes under the writer's lock.
        self.count.load(Ordering::Relaxed) == 0
    }

    /// Notes whether the source's versions have an order, as its last word says; a writer's.
    #[inline]
    pub(super) fn set_unordered(&self, unordered: bool) {
        // ORDERING: Relaxed, as in `is_empty`.
        if self.is_unordered.load(Ordering::Relaxed) != unordered {
            self.is_unordered.store(unordered, Ordering::Relaxed);
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        let new =
            || Mutex::new(State { ledger: Ledger::new(), is_ticking: false, is_closed: false });
        self.state.get_or_init(new).lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, key: KeyRef<'_>) -> Option<Assumption<T>> {
        let state = self.state();
        state.ledger.get(key).map(|assumption| assumption.known.clone())
    }

    fn tell(&self, key: KeyRef<'_>, told: Option<Arc<T>>) -> Option<Arc<T>> {
        self.state().ledger.tell(key, told)
    }

    fn end(&self, key: KeyRef<'_>) {
        self.state().ledger.end(key);
    }

    fn insert(
        &self,
        key: KeyRef<'_>,
        object: &Arc<T>,
        told: Option<Arc<T>>,
        until: Option<Instant>,
    ) -> (Option<Entry<T>>, bool) {
        let mut state = self.state();
        let inserted = state.ledger.insert(key, Arc::clone(object), told, until);
        self.count(&state);
        inserted
    }

    fn settle(&self) -> Vec<Entry<T>> {
        let mut state = self.state();
        let gone = state.ledger.settle();
        self.count(&state);
        gone
    }

    fn count(&self, state: &State<T>) {
        // ORDERING: Relaxed, as in `is_empty`.
        self.count.store(state.ledger.len(), Ordering::Relaxed);
    }

    fn due(&self, now: Instant) -> Option<Key> {
        self.state().ledger.due(now).cloned()
    }

    /// What the source said of the keys of which something else is assumed; a writer's.
    pub(super) fn all_told(&self) -> Vec<(Key, Arc<T>)> {
        if self.is_empty() {
            return Vec::new();
        }
        let state = self.state();
        let told = state.ledger.iter().map(|(key, entry)| (key, &entry.known.told));
        told.filter_map(|(key, told)| Some((key.clone(), Arc::clone(told.as_ref()?)))).collect()
    }

    /// What is assumed now for the keys for which that has changed since this was last called; a writer's, for
    /// a publication.
    pub(super) fn take_touched(&self) -> Vec<(Key, Option<Assumption<T>>)> {
        if self.state.get().is_none() {
            return Vec::new();
        }
        self.state().ledger.take_touched()
    }

    /// The content, and what is assumed in it. Waits for the writer.
    pub(super) fn content(&self) -> (Snapshot<T>, Overlay<T>) {
        let writing = self.engine.write();
        let content = Snapshot::new(&self.engine);
        let assumed = if self.is_empty() {
            Overlay::new()
        } else {
            let state = self.state();
            state.ledger.iter().map(|(key, entry)| (key.clone(), entry.known.clone())).collect()
        };
        drop(writing);
        (content, assumed)
    }

    /// The store is gone. A thread that is writing for it closes the feed once it has published.
    pub(super) fn close(&self) {
        let is_ticking = self.state.get().is_some_and(|_| {
            let mut state = self.state();
            state.is_closed = true;
            state.is_ticking
        });
        if !is_ticking {
            self.feed.close();
        }
    }
}

/// While the timer's thread may be writing.
struct Ticking<'a, T: Object>(&'a Assumed<T>);

impl<'a, T: Object> Ticking<'a, T> {
    /// Unless the store is gone.
    fn begin(assumed: &'a Assumed<T>) -> Option<Self> {
        let mut state = assumed.state();
        state.is_ticking = !state.is_closed;
        state.is_ticking.then(|| Self(assumed))
    }
}

impl<T: Object> Assumed<T> {
    /// The timer's thread is not writing any more. Closes the feed if the store has gone meanwhile.
    fn end_tick(&self) {
        let mut state = self.state();
        state.is_ticking = false;
        let is_closed = state.is_closed;
        drop(state);
        if is_closed {
            self.feed.close();
        }
    }
}

impl<T: Object> Drop for Ticking<'_, T> {
    fn drop(&mut self) {
        self.0.end_tick();
    }
}

/// What the timer's thread wrote is published: it ends before wakers and destructors run, since these may block, and a
/// store that is dropped meanwhile has its sleepers to tell.
impl<T: Object> Unlocked for Assumed<T> {
    fn unlocked(&self) {
        self.end_tick();
        self.feed.unlocked();
    }
}

impl<T: Object> Tick for Assumed<T> {
    /// Forgets what is due.
    fn tick(&self) -> Option<Duration> {
        let _ticking = Ticking::begin(self)?;
        let now = Instant::now();
        let is_due = self.state().ledger.due(now).is_some();
        if is_due {
            let mut writing = Writing::new(self.engine.write(), &self.feed, self);
            writing.forget_due(now);
            writing.publish();
            writing.guard.when_unlocked(self);
        }
        let next = self.state().ledger.first_deadline()?;
        Some(next.saturating_duration_since(Instant::now()))
    }
}

impl<T: Object> Writing<'_, T> {
    /// Whether the assumption is due before all others, with what became of the object.
    fn assume(
        &mut self,
        key: KeyRef<'_>,
        object: &Arc<T>,
        until: Option<Instant>,
    ) -> Result<(Written, bool), Box<Rejected>> {
        let hashed = self.guard.hash(key);
        let seen = self.guard.slot(hashed).held().map(|(seen, _)| seen.to_arc());
        let told = self.known(key).map_or_else(|| seen.clone(), |known| known.told);
        let judged = catch(|| {
            let is_stale = self.is_behind(object, seen.as_ref(), told.as_ref());
            (precedence::number(&**object).unwrap_or(0), is_stale)
        });
        let (number, is_stale) = judged.map_err(|message| write::panicked(key, message))?;
        if is_stale {
            let written = Written { revision: self.revision(), outcome: Outcome::Stale };
            return Ok((written, false));
        }
        let outcome = write::store(self.guard.slot(hashed), object, number)?;
        let (before, is_first) = self.assumed.insert(key, object, told, until);
        let before = before.into_iter().flat_map(|before| before.known.into_objects());
        before.for_each(|object| self.guard.discard(object));
        Ok((Written { revision: self.revision(), outcome }, is_first))
    }

    /// Whether the source, or what readers see, has come further than an object: with a key that it has not
    /// told, the source has come to the version of its last word.
    fn is_behind(&self, object: &T, seen: Option<&Arc<T>>, told: Option<&Arc<T>>) -> bool {
        // ORDERING: Relaxed, as in `Assumed::is_empty`.
        if self.assumed.is_unordered.load(Ordering::Relaxed) {
            return false;
        }
        let at = self.guard.resource_version().filter(|_| told.is_none());
        let order = object.resource_version().zip(at);
        let order = order.and_then(|(this, at)| version::compare(this, at.as_str()));
        order.is_some_and(std::cmp::Ordering::is_le)
            || seen.into_iter().chain(told).any(|held| is_older(object, &**held))
    }

    /// Forgets some of what is due: the rest waits for the next call.
    fn forget_due(&mut self, now: Instant) {
        for _ in 0..FORGOTTEN {
            if self.assumed.is_empty() {
                return;
            }
            let Some(key) = self.assumed.due(now) else { return };
            self.forget(key.as_ref());
        }
    }

    /// After a publication: what it no longer shows is assumed no more.
    #[inline]
    pub(super) fn settle_assumed(&mut self) {
        if !self.assumed.is_empty() {
            let gone = self.assumed.settle().into_iter();
            let objects = gone.flat_map(|gone| gone.known.into_objects());
            objects.for_each(|object| self.guard.discard(object));
        }
    }
}

/// Objects that are assumed: what the source is expected to say.
impl<T: Object> Store<T> {
    /// Puts an object that the source has not told yet, as a scheduler does with what it has just decided.
    /// Readers, indexes and subscriptions see it at once, like any other object; only
    /// [confirmed](super::feed::Subscribe::confirmed) subscriptions, such as those of queues, do not.
    ///
    /// It stays until the source says something new of its key: an update, a deletion, or a relist
    /// without it. A repetition is nothing new, and neither is what is older than the assumed object by its
    /// resource version; nor is a relist without an object that the source never told, unless its version
    /// shows that it could have. If none of that has come in time, the assumption is forgotten, and what the
    /// source said last is back; if an index function takes that no longer, the key is gone. Nothing that
    /// the source says is compared with what is assumed; [`compare_and_update`](Self::compare_and_update)
    /// compares with what readers see, and ends the assumption unless it puts the very object that is assumed,
    /// as does [`delete`](Self::delete). A [resync](crate::Sink::resync) is no word of the source's; what
    /// it is to send is [`list_confirmed`](Self::list_confirmed).
    ///
    /// An object that is older than what the source said, or than what readers see, is
    /// [`Stale`](Outcome::Stale), and not assumed. So is one whose key the source has not told although the
    /// store's resource version is not older than the object's. Neither holds while the source's changes are
    /// [unordered](crate::Batch::set_unordered).
    ///
    /// The first assumption of a store starts a thread, which sleeps until one is due and ends with the
    /// store. Where the system refuses one, each assumption forgets up to 256 of those that are due, and asks
    /// again if it is due before all others.
    /// Forgetting is not told to the store's [observer](super::Observer). Assuming takes O(log assumptions).
    /// While something is assumed, a batch costs a look for each of its keys, and a relist, where the source
    /// has not told all that is assumed, a look at each key of the store, beside what they cost otherwise.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Listing, Object, Store};
    /// use std::time::Duration;
    ///
    /// struct Pod { version: &'static str, node: Option<&'static str> }
    /// impl Object for Pod {
    ///     fn key(&self) -> KeyRef<'_> { "default/web".into() }
    ///     fn resource_version(&self) -> Option<&str> { Some(self.version) }
    /// }
    /// let node = |store: &Store<Pod>| store.get("default/web").and_then(|pod| pod.node);
    ///
    /// let store = Store::new();
    /// store.add(Pod { version: "7", node: None })?;
    /// store.assume(Pod { version: "7", node: Some("n1") }, Duration::from_secs(30))?;
    /// assert_eq!(node(&store), Some("n1"));
    ///
    /// // The source repeats what it said, and then says that it came otherwise.
    /// store.replace(&Listing::new([Pod { version: "7", node: None }], Some("8".into()))?);
    /// assert_eq!(node(&store), Some("n1"));
    /// store.add(Pod { version: "9", node: Some("n2") })?;
    /// assert_eq!(node(&store), Some("n2"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`add`](Self::add); nothing is assumed then, and what was assumed before still is.
    ///
    /// # Panics
    /// If [`Object::key`] does.
    pub fn assume(
        &self,
        object: impl Into<Arc<T>>,
        for_at_most: Duration,
    ) -> Result<Written, WriteError> {
        let object = object.into();
        let now = Instant::now();
        let until = now.checked_add(for_at_most);
        let assume = || {
            let key = object.key();
            key.check()?;
            let mut writing = self.writing();
            // The system may have no thread for it.
            writing.forget_due(now);
            let result = writing.assume(key, &object, until);
            if matches!(result, Ok((_, true))) {
                // Before any code of the user's, which may wait for the end of an assumption.
                self.wake_timer();
            }
            self.finish(writing);
            let (written, _) = result.map_err(|rejected| WriteError::from(*rejected))?;
            Ok(written)
        };
        self.observed(assume, |put| Applied::of_put(put.as_ref(), self.revision()).map(Cow::Owned))
    }

    /// Has the timer's thread look for what is due first.
    fn wake_timer(&self) {
        let weak: Weak<dyn Tick> = Arc::downgrade(&self.assumed) as _;
        self.assumed.timer.get_or_init(|| Timer::new(weak)).wake();
    }

    /// Forgets what is assumed of a key, as when a write was refused after all: what the source said last is
    /// back. Returns what was assumed.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// use std::time::Duration;
    /// # struct Pod { node: Option<&'static str> }
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { "default/web".into() }
    /// # }
    ///
    /// let store = Store::new();
    /// store.add(Pod { node: None })?;
    /// store.assume(Pod { node: Some("n1") }, Duration::from_secs(30))?;
    /// assert!(store.assumed("default/web").is_some_and(|pod| pod.node == Some("n1")));
    /// // The API server has refused the binding.
    /// assert!(store.forget("default/web").is_some());
    /// assert!(store.get("default/web").is_some_and(|pod| pod.node.is_none()));
    /// assert!(store.assumed("default/web").is_none());
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    pub fn forget<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Arc<T>> {
        let mut writing = self.writing();
        let object = writing.forget(key.into());
        self.finish(writing);
        object
    }

    /// What is assumed of a key, if something is: of what [`get`](Self::get) returns at the same moment.
    pub fn assumed<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Arc<T>> {
        let Seen { held, is_assumed, .. } = self.seen(key.into());
        held.filter(|_| is_assumed)
    }

    /// All objects as the source said them last, in no particular order: as [`list`](Self::list), but of what
    /// is [assumed](Self::assume) what the source said, if it said anything. So it is what a
    /// [resync](crate::Sink::resync) sends. O(objects). From the first assumption on it waits for a writer that
    /// is at work.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # use std::time::Duration;
    /// # struct Pod { name: &'static str, node: Option<&'static str> }
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
    /// # }
    /// let store = Store::new();
    /// store.add(Pod { name: "web-0", node: None })?;
    /// store.assume(Pod { name: "web-0", node: Some("n1") }, Duration::from_secs(30))?;
    /// store.assume(Pod { name: "web-1", node: Some("n2") }, Duration::from_secs(30))?;
    /// let said: Vec<_> = store.list_confirmed().iter().map(|pod| (pod.name, pod.node)).collect();
    /// assert_eq!(said, [("web-0", None)]);
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    #[must_use]
    pub fn list_confirmed(&self) -> Vec<Arc<T>> {
        let content = self.snapshot();
        // If something in it is assumed, its publication brings the state along.
        if self.assumed.state.get().is_none() {
            return content.list();
        }
        let (content, assumed) = self.assumed.content();
        if assumed.is_empty() {
            return content.list();
        }
        let said = content.iter().filter(|(key, _)| assumed.get(*key).is_none());
        let said = said.map(|(_, object)| object.to_arc());
        said.chain(assumed.iter().filter_map(|(_, known)| known.told.clone())).collect()
    }

    /// What the source said last of a key, as far as it is published.
    pub(super) fn told(&self, key: KeyRef<'_>) -> Option<Arc<T>> {
        match self.seen(key) {
            Seen { known: Some(known), .. } => known.told,
            Seen { held, known: None, .. } => held,
        }
    }

    fn seen(&self, key: KeyRef<'_>) -> Seen<T> {
        let confirmed = |held| Seen { held, known: None, is_assumed: false };
        // If this is assumed, its publication brings the state along.
        let held = self.get(key);
        if self.assumed.state.get().is_none() {
            return confirmed(held);
        }
        let state = self.assumed.state();
        let Some(entry) = state.ledger.published(key) else {
            // While the ledger stands still, what is not in it is not shown.
            return confirmed(self.get(key));
        };
        let (known, has_ended, replaces) = (entry.known.clone(), entry.has_ended, entry.replaces);
        let held = self.get(key);
        let is_shown = held.as_ref().is_some_and(|held| Arc::ptr_eq(held, &known.object));
        drop(state);
        let known = Some(known).filter(|_| is_shown || !has_ended);
        Seen { held, known, is_assumed: is_shown || !has_ended && replaces }
    }
}

/// What readers see of a key.
struct Seen<T> {
    held: Option<Arc<T>>,
    /// What is known of it where something is assumed, be it not published yet.
    known: Option<Assumption<T>>,
    /// Whether `held` is assumed.
    is_assumed: bool,
}
