//! Assumed objects: what the source is expected to send, such as what a scheduler has just decided.
//!
//! An assumed object lies in the store like any other, so readers find it. The source's last state is
//! kept beside it. Before the source's next change to the key is applied, that state is restored in the
//! same publication, so the write rules, those of a relist too, compare only source states. If the change
//! brings nothing new, the assumed object is put back.

use std::sync::Weak;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::engine::{self, Engine};
use super::error::{Rejected, WriteError};
use super::feed::{Feed, Overlay};
use super::precedence;
use super::report::{Applied, Written};
use super::write::{self, Writing};
use super::{Cow, Snapshot, Store};
use crate::fifo::state::clock::Tick;
use crate::fifo::state::timer::Timer;
use crate::panic::catch;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use crate::{Batch, Change, Key, KeyRef, Object};

/// The assumed objects of a store. They change only under the store's write lock.
pub(super) struct Assumed<T> {
    engine: Arc<Engine<T>>,
    feed: Arc<Feed<T>>,
    count: AtomicUsize,
    keys: Mutex<Assumptions<T>>,
    /// Keys of which an assumption began or ended since the last publication.
    touched: Mutex<Vec<Key>>,
    is_touched: AtomicBool,
    timer: OnceLock<Timer>,
}

type Assumptions<T> = HashMap<Key, Assumption<T>, foldhash::fast::RandomState>;

struct Assumption<T> {
    object: Arc<T>,
    /// The source's last state; `None` if it holds no object for the key.
    told: Option<Arc<T>>,
    until: Option<Instant>,
}

impl<T> Assumption<T> {
    fn is_due(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    fn as_told(&self) -> engine::Assumption<T> {
        engine::Assumption { object: Arc::clone(&self.object), told: self.told.clone() }
    }
}

impl<T: Object> Assumed<T> {
    pub(super) fn new(engine: &Arc<Engine<T>>, feed: &Arc<Feed<T>>) -> Arc<Self> {
        Arc::new(Self {
            engine: Arc::clone(engine),
            feed: Arc::clone(feed),
            count: AtomicUsize::new(0),
            keys: Mutex::new(Assumptions::default()),
            touched: Mutex::new(Vec::new()),
            is_touched: AtomicBool::new(false),
            timer: OnceLock::new(),
        })
    }

    #[inline]
    fn is_empty(&self) -> bool {
        // ORDERING: Relaxed: changed only under the writer's lock, which every writer holds. A reader
        // without the lock may as well have run before the change.
        self.count.load(Ordering::Relaxed) == 0
    }

    fn keys(&self) -> MutexGuard<'_, Assumptions<T>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the assumptions. Only for a writer.
    fn change<R>(&self, change: impl FnOnce(&mut Assumptions<T>) -> R) -> R {
        let mut keys = self.keys();
        let result = change(&mut keys);
        // ORDERING: Relaxed, as in `is_empty`.
        self.count.store(keys.len(), Ordering::Relaxed);
        result
    }

    /// Notes that something else is assumed of a key, or nothing any more; a writer's.
    fn touch(&self, key: Key) {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).push(key);
        // ORDERING: Relaxed: as in `is_empty`.
        self.is_touched.store(true, Ordering::Relaxed);
    }

    /// What is assumed now of the keys that were touched since this was last asked; a writer's, for a
    /// publication.
    pub(super) fn take_touched(&self) -> Vec<(Key, Option<engine::Assumption<T>>)> {
        // ORDERING: Relaxed: as in `is_empty`.
        if !self.is_touched.load(Ordering::Relaxed) {
            return Vec::new();
        }
        // ORDERING: Relaxed: as in `is_empty`.
        self.is_touched.store(false, Ordering::Relaxed);
        let touched =
            std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner));
        let keys = self.keys();
        let now = |key: Key| {
            let now = keys.get(&key).map(Assumption::as_told);
            (key, now)
        };
        touched.into_iter().map(now).collect()
    }

    /// The content, and what is assumed in it. Waits for the writer.
    pub(super) fn content(&self) -> (Snapshot<T>, Overlay<T>) {
        let writing = self.engine.write();
        let content = Snapshot::new(&self.engine);
        let keys = self.keys();
        let assumed = keys.iter().map(|(key, assumption)| (key.clone(), assumption.as_told()));
        let assumed = assumed.collect();
        drop(keys);
        drop(writing);
        (content, assumed)
    }

    /// What the source said last of a key of which something else is assumed.
    pub(super) fn told(&self, key: KeyRef<'_>) -> Option<Option<Arc<T>>> {
        if self.is_empty() {
            return None;
        }
        self.keys().get(&key).map(|assumption| assumption.told.clone())
    }

    /// Drops the assumptions that have expired, and returns the time until the next one does.
    fn forget_due(&self) -> Option<Duration> {
        let now = Instant::now();
        let is_due = self.keys().values().any(|assumption| assumption.is_due(now));
        if is_due {
            let mut writing = Writing::new(self.engine.write(), &self.feed, self);
            let due = self.change(|keys| {
                keys.extract_if(|_, assumption| assumption.is_due(now)).collect::<Vec<_>>()
            });
            for (key, assumption) in due {
                writing.forget(key.as_ref(), assumption);
            }
            writing.publish();
        }
        let keys = self.keys();
        let next = keys.values().filter_map(|assumption| assumption.until).min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }
}

impl<T: Object> Tick for Assumed<T> {
    fn tick(&self) -> Option<Duration> {
        self.forget_due()
    }
}

/// The keys that a change from the source is about.
pub(super) enum Says<'a, T> {
    Of(KeyRef<'a>),
    Batch(&'a Batch<T>),
    All,
}

/// Assumptions that are withdrawn while a change from the source is applied, each with whether the change
/// deletes the key.
pub(super) struct Withdrawn<T>(HashMap<Key, (Assumption<T>, bool), foldhash::fast::RandomState>);

impl<T> Withdrawn<T> {
    /// The source's last state of a key for which the store holds `held`.
    pub(super) fn told<'a>(&'a self, key: KeyRef<'_>, held: &'a Arc<T>) -> Option<&'a Arc<T>> {
        self.0.get(&key).map_or(Some(held), |(assumption, _)| assumption.told.as_ref())
    }
}

impl<T> Says<'_, T> {
    /// Takes out the assumptions for these keys.
    fn take(self, keys: &mut Assumptions<T>) -> Withdrawn<T> {
        let mut withdrawn = Withdrawn(HashMap::default());
        let mut take = |key: KeyRef<'_>, says_gone| {
            if let Some((key, assumption)) = keys.remove_entry(&key) {
                withdrawn.0.insert(key, (assumption, says_gone));
            } else if let Some((_, is_gone)) = withdrawn.0.get_mut(&key) {
                *is_gone = says_gone;
            }
        };
        match self {
            Self::Of(key) => take(key, false),
            Self::Batch(batch) => batch
                .changes()
                .for_each(|(key, change)| take(key, matches!(change, Change::Delete(_)))),
            Self::All => {
                let all = keys.drain().map(|(key, assumption)| (key, (assumption, false)));
                withdrawn.0.extend(all);
            }
        }
        withdrawn
    }
}

impl<T: Object> Writing<'_, T> {
    /// Applies a change from the source to the source's last state, and puts the assumed objects back
    /// where it brings nothing new.
    pub(super) fn told<R>(
        &mut self,
        says: Says<'_, T>,
        rule: impl FnOnce(&mut Self, &Withdrawn<T>) -> R,
    ) -> R {
        if self.assumed.is_empty() {
            return rule(self, &Withdrawn(HashMap::default()));
        }
        let withdrawn = self.assumed.change(|keys| says.take(keys));
        for (key, (assumption, _)) in &withdrawn.0 {
            self.put_told(key.as_ref(), assumption);
            self.assumed.touch(key.clone());
        }
        let result = rule(self, &withdrawn);
        for (key, (assumption, is_gone)) in withdrawn.0 {
            match is_gone {
                true => self.let_go_of(assumption),
                false => self.assume_again(key, assumption),
            }
        }
        result
    }

    fn assume(
        &mut self,
        key: KeyRef<'_>,
        object: &Arc<T>,
        until: Option<Instant>,
    ) -> Result<Written, Box<Rejected>> {
        let number = catch(|| precedence::number(&**object));
        let number = number.map_err(|message| write::panicked(key, message))?;
        let hashed = self.guard.hash(key);
        let slot = self.guard.slot(hashed);
        let held = slot.held().map(|(held, _)| Arc::clone(held));
        let outcome = write::store(slot, object, number.unwrap_or(0))?;
        let new = Assumption { object: Arc::clone(object), told: held, until };
        let before = self.assumed.change(|keys| {
            let before = keys.remove(&key);
            let told = before.as_ref().map(|before| before.told.clone());
            let told = told.unwrap_or_else(|| new.told.clone());
            keys.insert(key.to_key_unchecked(), Assumption { told, ..new });
            before
        });
        self.assumed.touch(key.to_key_unchecked());
        before.into_iter().for_each(|before| self.let_go_of(before));
        Ok(Written { revision: self.revision(), outcome })
    }

    /// Puts the assumed object back, unless the source has sent something new.
    fn assume_again(&mut self, key: Key, mut assumption: Assumption<T>) {
        let hashed = self.guard.hash(key.as_ref());
        let slot = self.guard.slot(hashed);
        let held = slot.held().map(|(held, _)| Arc::clone(held));
        let same = match (&held, &assumption.told) {
            (Some(held), Some(told)) => Arc::ptr_eq(held, told),
            (held, told) => held.is_none() && told.is_none(),
        };
        // The source's state may be older than the assumed object, if that is the response to a write:
        // then it is not new.
        let object = &assumption.object;
        let is_older =
            |held: &Arc<T>| catch(|| precedence::is_older(&**held, &**object)).unwrap_or(false);
        let stays = same || held.as_ref().is_some_and(is_older);
        let number = catch(|| precedence::number(&**object)).ok().flatten().unwrap_or(0);
        // If an index function fails now, the assumption is dropped, as for a new state.
        if stays && write::store(slot, object, number).is_ok() {
            let before = std::mem::replace(&mut assumption.told, held);
            before.into_iter().for_each(|before| self.guard.discard(before));
            self.assumed.change(|keys| keys.insert(key, assumption));
            return;
        }
        held.into_iter().for_each(|held| self.guard.discard(held));
        self.let_go_of(assumption);
    }

    /// Restores the source's last state.
    fn put_told(&mut self, key: KeyRef<'_>, assumption: &Assumption<T>) {
        let hashed = self.guard.hash(key);
        let slot = self.guard.slot(hashed);
        match &assumption.told {
            Some(told) => {
                let number = catch(|| precedence::number(&**told)).ok().flatten().unwrap_or(0);
                // If an index function fails now, the assumed object stays.
                let _ = write::store(slot, told, number);
            }
            None => slot.delete().into_iter().for_each(|object| self.guard.discard(object)),
        }
    }

    fn forget(&mut self, key: KeyRef<'_>, assumption: Assumption<T>) {
        self.put_told(key, &assumption);
        self.assumed.touch(key.to_key_unchecked());
        self.let_go_of(assumption);
    }

    /// Drops the assumption for a key: what the key holds now is final.
    pub(super) fn no_longer_assume(&mut self, key: KeyRef<'_>) {
        if !self.assumed.is_empty()
            && let Some(assumption) = self.assumed.change(|keys| keys.remove(&key))
        {
            self.assumed.touch(key.to_key_unchecked());
            self.let_go_of(assumption);
        }
    }

    fn let_go_of(&mut self, Assumption { object, told, .. }: Assumption<T>) {
        self.guard.discard(object);
        told.into_iter().for_each(|told| self.guard.discard(told));
    }
}

/// Assumed objects: what the source is expected to send.
impl<T: Object> Store<T> {
    /// Stores an object that the source has not sent yet, such as what a scheduler has just decided.
    /// Readers, indexes and subscriptions see it at once, like any other object.
    /// Only [confirmed](super::feed::Subscribe::confirmed) subscriptions, such as those of queues, do not.
    ///
    /// It stays until the source sends something new for its key: an update, a deletion, or a relist that
    /// lacks a key which the source had sent before. A repetition is not new, and neither is a state with
    /// an older resource version than the assumed one. If nothing new arrives in time, the assumption is
    /// dropped and the source's last state is restored. Writes and relists are never compared with an
    /// assumed object.
    ///
    /// The first assumption of a store starts a thread, which sleeps until an assumption expires and ends
    /// with the store. If the system refuses the thread, expired assumptions are dropped with the next
    /// call. The end of an assumption is not reported to the store's [observer](super::Observer).
    /// While anything is assumed, a batch costs an extra lookup for each of its keys, and a relist an
    /// extra O(assumptions).
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
    /// // The source repeats its last state, and then reports another outcome.
    /// store.replace(&Listing::new([Pod { version: "7", node: None }], Some("8".into()))?);
    /// assert_eq!(node(&store), Some("n1"));
    /// store.add(Pod { version: "9", node: Some("n2") })?;
    /// assert_eq!(node(&store), Some("n2"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`add`](Self::add).
    ///
    /// # Panics
    /// If [`Object::key`] does.
    pub fn assume(
        &self,
        object: impl Into<Arc<T>>,
        for_at_most: Duration,
    ) -> Result<Written, WriteError> {
        let object = object.into();
        let until = Instant::now().checked_add(for_at_most);
        let assume = || {
            let key = object.key();
            key.check()?;
            let mut writing = self.writing();
            let result = writing.assume(key, &object, until);
            self.finish(writing);
            result.map_err(|rejected| (*rejected).into())
        };
        let result = self
            .observed(assume, |put| Applied::of_put(put.as_ref(), self.revision()).map(Cow::Owned));
        if result.is_ok() && until.is_some() {
            let weak: Weak<dyn Tick> = Arc::downgrade(&self.assumed) as _;
            self.assumed.timer.get_or_init(|| Timer::new(weak)).wake();
        }
        result
    }

    /// Drops the assumption for a key, for instance when a write was refused after all, and restores the
    /// source's last state. Returns the assumed object.
    pub fn forget<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Arc<T>> {
        let key = key.into();
        if self.assumed.is_empty() {
            return None;
        }
        let mut writing = self.writing();
        let assumption = self.assumed.change(|keys| keys.remove(&key))?;
        let object = Arc::clone(&assumption.object);
        writing.forget(key, assumption);
        self.finish(writing);
        Some(object)
    }

    /// The object that is assumed for a key, if any.
    pub fn assumed<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Arc<T>> {
        if self.assumed.is_empty() {
            return None;
        }
        let key = key.into();
        self.assumed.keys().get(&key).map(|assumption| Arc::clone(&assumption.object))
    }
}
