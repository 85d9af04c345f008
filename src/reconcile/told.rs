//! What the controller was told of each object, where what is gone is reconciled, too.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::panic::{catch, contain};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use crate::{Key, Object, Revision, version};

/// The keys of what is there, and the last states of what is gone, until that is reconciled.
///
/// The store is ahead of what was told. What came and went meanwhile may never be told; so nothing is handed out as
/// there that was not, or its end would not come. And a queue of keys keeps no states: the newest value of a key,
/// which another store may have led to, has none.
pub(super) struct Told<K> {
    states: Mutex<Map<K>>,
    /// Up to which revision of the store.
    revision: AtomicU64,
}

type Map<K> = HashMap<Key, State<K>, RandomState>;

pub(super) enum State<K> {
    /// With what was reconciled last, which may be newer than what was told.
    There(Option<Arc<K>>),
    Gone(Arc<K>),
    /// Gone, with that state of it or of another that the store has all the same, and a revision which has that.
    Again(Arc<K>, Arc<K>, Revision),
}

impl<K: Object> Told<K> {
    pub(super) fn new() -> Self {
        Self { states: Mutex::new(HashMap::default()), revision: AtomicU64::new(0) }
    }

    pub(super) fn get(&self, key: &Key) -> Option<State<K>> {
        self.map().get(key).cloned()
    }

    /// This state was told.
    pub(super) fn there(&self, key: Key, object: &K) {
        let reconciled = self.reconciled(&key).filter(|reconciled| is_newer(&**reconciled, object));
        self.put(key, State::There(reconciled));
    }

    /// The end was told, with the last state that was told or published: the one that was reconciled last may be a
    /// newer one, that has what the reconcile itself has written to it.
    pub(super) fn gone(&self, key: Key, last: Arc<K>) {
        let reconciled = self.reconciled(&key).filter(|reconciled| is_newer(&**reconciled, &*last));
        self.put(key, State::Gone(reconciled.unwrap_or(last)));
    }

    /// What is there is reconciled in this state.
    pub(super) fn reconcile(&self, key: &Key, object: &Arc<K>) {
        self.put(key.clone(), State::There(Some(Arc::clone(object))));
    }

    /// All was told up to here.
    pub(super) fn progress(&self, revision: Revision) {
        // ORDERING: Relaxed: what is told, and who asks for it, is in one task.
        self.revision.store(revision.get(), Ordering::Relaxed);
    }

    /// The store has `object`, at `now` at the latest, under a key whose end was told. Returns whether that is not to
    /// be told any more: it was passed over, as where a filter failed, or answered otherwise.
    pub(super) fn has_passed(&self, key: &Key, object: &Arc<K>, now: Revision) -> bool {
        // ORDERING: Relaxed, as above.
        let told = self.revision.load(Ordering::Relaxed);
        let (last, at) = match self.get(key) {
            Some(State::Gone(last)) => (last, now),
            Some(State::Again(last, held, at)) => {
                let at = if Arc::ptr_eq(&held, object) { at } else { now };
                contain(|| drop(held));
                (last, at)
            }
            _ => return false,
        };
        self.put(key.clone(), State::Again(last, Arc::clone(object), at));
        told >= at.get()
    }

    fn reconciled(&self, key: &Key) -> Option<Arc<K>> {
        match self.get(key)? {
            State::There(reconciled) => reconciled,
            State::Gone(_) | State::Again(..) => None,
        }
    }

    fn put(&self, key: Key, state: State<K>) {
        let former = self.map().insert(key, state);
        // Its destructor is user code, which runs under no lock.
        contain(|| drop(former));
    }

    /// The end of that state was reconciled.
    pub(super) fn settle(&self, key: &Key, state: &Arc<K>) {
        let mut map = self.map();
        // What came and went meanwhile is another one's end.
        let is_same =
            map.get(key).and_then(State::last).is_some_and(|last| Arc::ptr_eq(last, state));
        let settled = if is_same { map.remove(key) } else { None };
        drop(map);
        contain(|| drop(settled));
    }

    fn map(&self) -> MutexGuard<'_, Map<K>> {
        // Only the map's own code runs under the lock.
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> State<K> {
    /// Of what is gone.
    fn last(&self) -> Option<&Arc<K>> {
        match self {
            Self::There(_) => None,
            Self::Gone(last) | Self::Again(last, ..) => Some(last),
        }
    }
}

/// Whether they may be states of one object, and not of two with the same key: they have the same uid, or none. Runs
/// user code.
pub(super) fn is_same<K: Object>(this: &K, that: &K) -> bool {
    catch(|| this.uid() == that.uid()).unwrap_or(false)
}

/// By their versions, if these have an order. Runs user code.
fn is_newer<K: Object>(this: &K, that: &K) -> bool {
    let is_newer = || {
        let (this, that) = (this.resource_version()?, that.resource_version()?);
        Some(version::compare(this, that)?.is_gt())
    };
    catch(is_newer).ok().flatten().unwrap_or(false)
}

// Not derived, so that `K` need not be `Clone`.
impl<K> Clone for State<K> {
    fn clone(&self) -> Self {
        match self {
            Self::There(reconciled) => Self::There(reconciled.clone()),
            Self::Gone(last) => Self::Gone(Arc::clone(last)),
            Self::Again(last, again, at) => Self::Again(Arc::clone(last), Arc::clone(again), *at),
        }
    }
}
