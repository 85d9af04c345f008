//! What is assumed of objects until their source says more: what a scheduler has just decided, for one.
//!
//! An assumed object lies in the store as any other, so readers find it. Beside it is remembered what
//! the source said last. Before the source's next word on a key, that is put back, in the same
//! publication, so that its rules meet what it knows; and if the word says nothing new, what was assumed
//! is put in its place again. So no rule of writing, and no arithmetic of a relist, ever sees an assumed
//! object.

use std::sync::Weak;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::engine::Engine;
use super::error::{Rejected, WriteError};
use super::feed::Feed;
use super::precedence;
use super::report::{Applied, Written};
use super::write::{self, Writing};
use super::{Cow, Store};
use crate::panic::catch;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use crate::timer::{Tick, Timer};
use crate::{Batch, Change, Key, KeyRef, Object};

/// The objects of a store that are assumed. They change under the store's writing lock alone.
pub(super) struct Assumed<T> {
    engine: Arc<Engine<T>>,
    feed: Arc<Feed<T>>,
    count: AtomicUsize,
    keys: Mutex<Assumptions<T>>,
    timer: OnceLock<Timer>,
}

type Assumptions<T> = HashMap<Key, Assumption<T>, foldhash::fast::RandomState>;

struct Assumption<T> {
    object: Arc<T>,
    /// What the source said last.
    told: Option<Arc<T>>,
    until: Option<Instant>,
}

impl<T> Assumption<T> {
    fn is_due(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl<T: Object> Assumed<T> {
    pub(super) fn new(engine: &Arc<Engine<T>>, feed: &Arc<Feed<T>>) -> Arc<Self> {
        Arc::new(Self {
            engine: Arc::clone(engine),
            feed: Arc::clone(feed),
            count: AtomicUsize::new(0),
            keys: Mutex::new(Assumptions::default()),
            timer: OnceLock::new(),
        })
    }

    #[inline]
    fn is_empty(&self) -> bool {
        // ORDERING: Relaxed: it changes under the writer's lock, which a writer has. Whoever reads without
        // it may come before the change as well.
        self.count.load(Ordering::Relaxed) == 0
    }

    fn keys(&self) -> MutexGuard<'_, Assumptions<T>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is assumed; a writer's.
    fn change<R>(&self, change: impl FnOnce(&mut Assumptions<T>) -> R) -> R {
        let mut keys = self.keys();
        let result = change(&mut keys);
        // ORDERING: Relaxed, as in `is_empty`.
        self.count.store(keys.len(), Ordering::Relaxed);
        result
    }

    /// What the source said last of a key of which something else is assumed.
    pub(super) fn told(&self, key: KeyRef<'_>) -> Option<Option<Arc<T>>> {
        if self.is_empty() {
            return None;
        }
        self.keys().get(&key).map(|assumption| assumption.told.clone())
    }

    /// Forgets what is due; when the next one will be.
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

/// Of which keys the source says something.
pub(super) enum Says<'a, T> {
    Of(KeyRef<'a>),
    Batch(&'a Batch<T>),
    All,
}

/// What was assumed, out of the way while the source speaks: with whether it says that the key is gone.
pub(super) struct Withdrawn<T>(HashMap<Key, (Assumption<T>, bool), foldhash::fast::RandomState>);

impl<T> Withdrawn<T> {
    /// What the source said last of a key, of which this is held.
    pub(super) fn told<'a>(&'a self, key: KeyRef<'_>, held: &'a Arc<T>) -> Option<&'a Arc<T>> {
        self.0.get(&key).map_or(Some(held), |(assumption, _)| assumption.told.as_ref())
    }
}

impl<T> Says<'_, T> {
    /// Takes out what is assumed of these keys.
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
    /// Runs what the source says on what it said before, and puts what was assumed back where it says
    /// nothing new.
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
        before.into_iter().for_each(|before| self.let_go_of(before));
        Ok(Written { revision: self.revision(), outcome })
    }

    /// Puts what was assumed in its place again, unless the source has said something new.
    fn assume_again(&mut self, key: Key, mut assumption: Assumption<T>) {
        let hashed = self.guard.hash(key.as_ref());
        let slot = self.guard.slot(hashed);
        let held = slot.held().map(|(held, _)| Arc::clone(held));
        let same = match (&held, &assumption.told) {
            (Some(held), Some(told)) => Arc::ptr_eq(held, told),
            (held, told) => held.is_none() && told.is_none(),
        };
        // A word that is older than what was assumed, as of what a write was answered, is no news.
        let object = &assumption.object;
        let is_older =
            |held: &Arc<T>| catch(|| precedence::is_older(&**held, &**object)).unwrap_or(false);
        let stays = same || held.as_ref().is_some_and(is_older);
        let number = catch(|| precedence::number(&**object)).ok().flatten().unwrap_or(0);
        // An index function that fails by now is as good as a word of the source.
        if stays && write::store(slot, object, number).is_ok() {
            let before = std::mem::replace(&mut assumption.told, held);
            before.into_iter().for_each(|before| self.guard.discard(before));
            self.assumed.change(|keys| keys.insert(key, assumption));
            return;
        }
        held.into_iter().for_each(|held| self.guard.discard(held));
        self.let_go_of(assumption);
    }

    /// Puts back what the source said.
    fn put_told(&mut self, key: KeyRef<'_>, assumption: &Assumption<T>) {
        let hashed = self.guard.hash(key);
        let slot = self.guard.slot(hashed);
        match &assumption.told {
            Some(told) => {
                let number = catch(|| precedence::number(&**told)).ok().flatten().unwrap_or(0);
                // Where an index function fails by now, what is assumed stands for it.
                let _ = write::store(slot, told, number);
            }
            None => slot.delete().into_iter().for_each(|object| self.guard.discard(object)),
        }
    }

    fn forget(&mut self, key: KeyRef<'_>, assumption: Assumption<T>) {
        self.put_told(key, &assumption);
        self.let_go_of(assumption);
    }

    /// What the key holds now is all that is known of it.
    pub(super) fn no_longer_assume(&mut self, key: KeyRef<'_>) {
        if !self.assumed.is_empty()
            && let Some(assumption) = self.assumed.change(|keys| keys.remove(&key))
        {
            self.let_go_of(assumption);
        }
    }

    fn let_go_of(&mut self, Assumption { object, told, .. }: Assumption<T>) {
        self.guard.discard(object);
        told.into_iter().for_each(|told| self.guard.discard(told));
    }
}

/// Objects that are assumed: what the source is expected to say.
impl<T: Object> Store<T> {
    /// Puts an object that the source has not told yet, as a scheduler does with what it has just decided.
    /// Readers, indexes and subscriptions see it at once, as any other object.
    ///
    /// It stays until the source says something new of its key: an update, a deletion, or a relist
    /// without it where it had told it before. A repetition is nothing new, and neither is a state of an
    /// older resource version than the assumed one's. If none of that has come in time, the assumption
    /// is forgotten, and what the source said last is back. No write and no relist compares with what is
    /// assumed.
    ///
    /// The first assumption of a store starts a thread, which sleeps until one is due and ends with the
    /// store. Where the system refuses one, what is due is forgotten with the next assumption.
    /// Forgetting is not told to the store's [observer](super::Observer). While something is assumed, a
    /// batch costs a look for each of its keys, and a relist O(assumptions), beside what they cost
    /// otherwise.
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

    /// Forgets what is assumed of a key, as when a write was refused after all: what the source said last is
    /// back. Returns what was assumed.
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

    /// What is assumed of a key, if something is.
    pub fn assumed<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<Arc<T>> {
        if self.assumed.is_empty() {
            return None;
        }
        let key = key.into();
        self.assumed.keys().get(&key).map(|assumption| Arc::clone(&assumption.object))
    }
}
