//! What the controller was told of each object, where what is gone is reconciled, too.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::Key;
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The keys of what is there, and the last states of what is gone, until that is reconciled.
///
/// The store is ahead of what was told. What came and went meanwhile may never be told; so nothing is handed out as
/// there that was not, or its end would not come. And a queue of keys keeps no states: the newest value of a key,
/// which another store may have led to, has none.
pub(super) struct Told<K>(Mutex<Map<K>>);

type Map<K> = HashMap<Key, State<K>, RandomState>;

pub(super) enum State<K> {
    There,
    Gone(Arc<K>),
}

impl<K> Told<K> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(HashMap::default()))
    }

    pub(super) fn get(&self, key: &Key) -> Option<State<K>> {
        self.map().get(key).cloned()
    }

    pub(super) fn put(&self, key: Key, state: State<K>) {
        let former = self.map().insert(key, state);
        // Its destructor is user code, which runs under no lock.
        drop(former);
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
        drop(settled);
    }

    fn map(&self) -> MutexGuard<'_, Map<K>> {
        // Only the map's own code runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// Not derived, so that `K` need not be `Clone`.
impl<K> Clone for State<K> {
    fn clone(&self) -> Self {
        match self {
            Self::There => Self::There,
            Self::Gone(last) => Self::Gone(Arc::clone(last)),
        }
    }
}
