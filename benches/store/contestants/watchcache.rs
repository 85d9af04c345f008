use std::sync::{Arc, LazyLock};

use ::watchcache::store::{Index, Pinned};
use ::watchcache::{Batch, Key, Listing, ResourceVersion, Store};
use watchcache_benches::{Item, key};

use super::{Borrow, Reader, Walk, Writer};

pub const NAME: &str = "watchcache";

pub fn filled(objects: usize) -> Arc<Store<Item>> {
    holding((0..objects).map(|i| Item::new(i, 1)))
}

pub fn holding(items: impl IntoIterator<Item = Item>) -> Arc<Store<Item>> {
    let store = Store::new();
    store.replace(&relist(items));
    Arc::new(store)
}

pub static BY_NODE: LazyLock<Index<Item, str>> =
    LazyLock::new(|| Index::new("node", |item: &Item| [item.node()]));

pub fn filled_by_node(objects: usize) -> Arc<Store<Item>> {
    filled_by(objects, &BY_NODE)
}

pub fn filled_by(objects: usize, index: &Index<Item, str>) -> Arc<Store<Item>> {
    let store = Store::builder().index(index).build();
    store.replace(&listing(objects));
    Arc::new(store)
}

/// A relist of everything in its first version.
pub fn listing(objects: usize) -> Listing<Item> {
    relist((0..objects).map(|i| Item::new(i, 1)))
}

fn relist(items: impl IntoIterator<Item = Item>) -> Listing<Item> {
    Listing::new(items, None::<ResourceVersion>).expect("keys are valid")
}

/// Two relists, each of which changes every hundredth object after the other: those have no version.
pub fn changed_listings(objects: usize) -> [Listing<Item>; 2] {
    [(); 2].map(|()| relist((0..objects).map(|i| Item::new(i, u64::from(i % 100 > 0)))))
}

impl Reader for Arc<Store<Item>> {
    type Key = Key;
    type Object = Item;

    fn key(i: usize) -> Key {
        key(i)
    }

    fn get(&self, key: &Key) -> Option<Arc<Item>> {
        Store::get(self, key)
    }
}

pub fn look(pinned: &Pinned<'_, Item>, key: &Key) -> Option<u64> {
    pinned.get(key).map(|item| item.body[0])
}

impl Borrow for Arc<Store<Item>> {
    fn look(&self, key: &Key) -> Option<u64> {
        look(&self.pin(), key)
    }
}

impl Walk for Arc<Store<Item>> {
    fn list(&self) -> impl Sized {
        Store::list(self)
    }

    fn sum(&self) -> u64 {
        self.snapshot().objects().map(|item| item.body[0]).sum()
    }
}

impl Writer for Arc<Store<Item>> {
    type Batch = Batch<Item>;
    type Spent = ();

    fn batch(objects: impl Iterator<Item = usize>, version: u64) -> Batch<Item> {
        let mut batch = Batch::new();
        for i in objects {
            batch.add(Item::new(i, version)).expect("keys are valid");
        }
        batch
    }

    fn apply(&mut self, batch: Batch<Item>) {
        Store::apply(self, &batch);
        // The batch is dropped here, inside the clock, as the maps drop what they are given.
    }
}
