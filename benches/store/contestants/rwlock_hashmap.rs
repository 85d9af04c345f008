//! A map behind one lock; a batch takes the lock once.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use ::watchcache::Key;
use watchcache_benches::{Item, key};

use super::hashbrown_unsync::{self, Map, pairs};
use super::{Borrow, Reader, Walk, Writer};

pub const NAME: &str = "rwlock-hashmap";

pub type Locked = Arc<RwLock<Map>>;

pub fn filled(objects: usize) -> Locked {
    Arc::new(RwLock::new(hashbrown_unsync::filled(objects)))
}

pub fn read(map: &Locked) -> RwLockReadGuard<'_, Map> {
    map.read().unwrap_or_else(PoisonError::into_inner)
}

impl Reader for Locked {
    type Key = Key;
    type Object = Item;

    fn key(i: usize) -> Key {
        key(i)
    }

    fn get(&self, key: &Key) -> Option<Arc<Item>> {
        read(self).get(key).cloned()
    }
}

impl Borrow for Locked {
    fn look(&self, key: &Key) -> Option<u64> {
        read(self).get(key).map(|item| item.body[0])
    }
}

impl Walk for Locked {
    fn list(&self) -> impl Sized {
        read(self).values().cloned().collect::<Vec<_>>()
    }

    fn sum(&self) -> u64 {
        read(self).values().map(|item| item.body[0]).sum()
    }
}

impl Writer for Locked {
    type Batch = Vec<(Key, Arc<Item>)>;
    type Spent = ();

    fn batch(objects: impl Iterator<Item = usize>, version: u64) -> Self::Batch {
        pairs(objects, version)
    }

    fn apply(&mut self, batch: Self::Batch) {
        let mut map = self.write().unwrap_or_else(PoisonError::into_inner);
        for (key, item) in batch {
            map.insert(key, item);
        }
    }
}

/// A relist: what takes long is done outside the lock.
pub fn replace(map: &Locked, listing: &[(Key, Arc<Item>)]) {
    let mut new: Map = listing.iter().cloned().collect();
    std::mem::swap(&mut *map.write().unwrap_or_else(PoisonError::into_inner), &mut new);
}
