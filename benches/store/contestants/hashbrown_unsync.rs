//! One thread's map, with no synchronisation at all: the limit.

use std::sync::Arc;

use ::watchcache::Key;
use hashbrown::HashMap;
use watchcache_benches::{Item, key, node};

use super::{Borrow, Hasher, Reader, Walk, Writer};

pub const NAME: &str = "hashbrown-unsync";

pub type Map = HashMap<Key, Arc<Item>, Hasher>;

pub fn filled(objects: usize) -> Map {
    holding((0..objects).map(|i| Item::new(i, 1)))
}

pub fn holding(items: impl IntoIterator<Item = Item>) -> Map {
    items.into_iter().map(|item| (item.key.clone(), Arc::new(item))).collect()
}

/// An index as client-go keeps it: from value to keys.
pub fn by_node(objects: usize) -> HashMap<String, Vec<Key>, Hasher> {
    let mut index: HashMap<String, Vec<Key>, Hasher> = HashMap::default();
    for i in 0..objects {
        index.entry(node(i)).or_default().push(key(i));
    }
    index
}

impl Reader for Map {
    type Key = Key;
    type Object = Item;

    fn key(i: usize) -> Key {
        key(i)
    }

    fn get(&self, key: &Key) -> Option<Arc<Item>> {
        Map::get(self, key).cloned()
    }
}

impl Borrow for Map {
    fn look(&self, key: &Key) -> Option<u64> {
        Map::get(self, key).map(|item| item.body[0])
    }
}

impl Walk for Map {
    fn list(&self) -> impl Sized {
        self.values().cloned().collect::<Vec<_>>()
    }

    fn sum(&self) -> u64 {
        self.values().map(|item| item.body[0]).sum()
    }
}

/// The events that maps take. A key shares its text with the object.
pub fn pairs(objects: impl Iterator<Item = usize>, version: u64) -> Vec<(Key, Arc<Item>)> {
    let pair = |i| {
        let item = Arc::new(Item::new(i, version));
        (item.key.clone(), item)
    };
    objects.map(pair).collect()
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
