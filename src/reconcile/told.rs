//! What the controller was told of each object, where what is gone is reconciled, too.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::panic::{catch, contain};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use crate::{Key, Object, version};

/// The keys of what is there, and the last states of what is gone, until that is reconciled.
///
/// The store is ahead of what was told. What came and went meanwhile may never be told; so nothing is handed out as
/// there that was not, or its end would not come. And a queue of keys keeps no states: the newest value of a key,
/// which another store may have led to, has none.
pub(super) struct Told<K>(Mutex<Map<K>>);

type Map<K> = HashMap<Key, State<K>, RandomState>;

pub(super) enum State<K> {
    /// With what was reconciled last, which may be newer than what was told.
    There(Option<Arc<K>>),
    Gone(Arc<K>),
}

impl<K: Object> Told<K> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(HashMap::default()))
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

    fn reconciled(&self, key: &Key) -> Option<Arc<K>> {
        match self.get(key)? {
            State::There(reconciled) => reconciled,
            State::Gone(_) => None,
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
        let is_same = map
            .get(key)
            .is_some_and(|told| matches!(told, State::Gone(last) if Arc::ptr_eq(last, state)));
        let settled = if is_same { map.remove(key) } else { None };
        drop(map);
        contain(|| drop(settled));
    }

    fn map(&self) -> MutexGuard<'_, Map<K>> {
        // Only the map's own code runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        }
    }
}
