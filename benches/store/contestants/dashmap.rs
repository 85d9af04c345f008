//! A sharded map with a lock per shard. A batch is its events one by one: it has no other way.

use std::sync::Arc;

use ::dashmap::DashMap;
use ::watchcache::Key;
use watchcache_benches::{Item, key};

use super::hashbrown_unsync::pairs;
use super::{Borrow, Hasher, Reader, Walk, Writer};

pub const NAME: &str = "dashmap";

pub type Map = Arc<DashMap<Key, Arc<Item>, Hasher>>;

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
        DashMap::get(self, key).map(|item| Arc::clone(&item))
    }
}

impl Borrow for Map {
    fn look(&self, key: &Key) -> Option<u64> {
        DashMap::get(self, key).map(|item| item.body[0])
    }
}

impl Walk for Map {
    fn list(&self) -> impl Sized {
        self.iter().map(|item| Arc::clone(&item)).collect::<Vec<_>>()
    }

    fn sum(&self) -> u64 {
        self.iter().map(|item| item.body[0]).sum()
    }
}

impl Writer for Map {
    type Batch = Vec<(Key, Arc<Item>)>;
    type Spent = ();

    fn batch(objects: impl Iterator<Item = usize>, version: u64) -> Self::Batch {
        pairs(objects, version)
    }

    fn apply(&mut self, batch: Self::Batch) {
        for (key, item) in batch {
            self.insert(key, item);
        }
    }
}
