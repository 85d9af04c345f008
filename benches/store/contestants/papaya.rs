//! A lock-free map. A batch is its events one by one under one guard.

use std::sync::Arc;

use ::papaya::HashMap;
use ::watchcache::Key;
use watchcache_benches::{Item, key};

use super::hashbrown_unsync::pairs;
use super::{Borrow, Hasher, Reader, Walk, Writer};

pub const NAME: &str = "papaya";

pub type Map = Arc<HashMap<Key, Arc<Item>, Hasher>>;

pub fn filled(objects: usize) -> Map {
    Arc::new(pairs(0..objects, 1).into_iter().collect())
}

impl Reader for Map {
    type Key = Key;
    type Object = Item;

    fn key(i: usize) -> Key {
        key(i)
    }

    fn get(&self, key: &Key) -> Option<Arc<Item>> {
        self.pin().get(key).cloned()
    }
}

impl Borrow for Map {
    fn look(&self, key: &Key) -> Option<u64> {
        self.pin().get(key).map(|item| item.body[0])
    }
}

impl Walk for Map {
    fn list(&self) -> impl Sized {
        self.pin().values().cloned().collect::<Vec<_>>()
    }

    fn sum(&self) -> u64 {
        self.pin().values().map(|item| item.body[0]).sum()
    }
}

impl Writer for Map {
    type Batch = Vec<(Key, Arc<Item>)>;
    type Spent = ();

    fn batch(objects: impl Iterator<Item = usize>, version: u64) -> Self::Batch {
        pairs(objects, version)
    }

    fn apply(&mut self, batch: Self::Batch) {
        let map = self.pin();
        for (key, item) in batch {
            map.insert(key, item);
        }
    }
}
