//! Keys that come and go at a constant size, each round some others: what that costs, and what a get costs after
//! a long time of it.

use std::sync::Arc;

use ::watchcache::{Key, Store};
use criterion::{BenchmarkId, Criterion};
use watchcache_benches::{Item, key, shuffled};

use crate::contestants::{Reader, dashmap, hashbrown_unsync, watchcache};

/// Turns of the whole content before anything is measured.
const TURNS: usize = 10;

/// A deletion and an add.
trait Turnover: Reader<Key = Key> {
    fn replace(&mut self, gone: &Key, new: (Key, Arc<Item>));
}

impl Turnover for Arc<Store<Item>> {
    fn replace(&mut self, gone: &Key, (_, item): (Key, Arc<Item>)) {
        Store::delete(self, gone);
        Store::add(self, item).expect("the key is valid");
    }
}

impl Turnover for hashbrown_unsync::Map {
    fn replace(&mut self, gone: &Key, (key, item): (Key, Arc<Item>)) {
        self.remove(gone);
        self.insert(key, item);
    }
}

impl Turnover for dashmap::Map {
    fn replace(&mut self, gone: &Key, (key, item): (Key, Arc<Item>)) {
        self.remove(gone);
        self.insert(key, item);
    }
}

pub fn bench(c: &mut Criterion, objects: usize) {
    churned(c, watchcache::NAME, watchcache::filled(objects), objects);
    churned(c, hashbrown_unsync::NAME, hashbrown_unsync::filled(objects), objects);
    churned(c, dashmap::NAME, dashmap::filled(objects), objects);
}

fn churned<S: Turnover>(c: &mut Criterion, name: &str, mut store: S, objects: usize) {
    let id = || BenchmarkId::new(name, objects);
    let absent: Vec<_> = shuffled(objects).into_iter().map(|i| key(usize::MAX - i)).collect();
    let mut held = shuffled(objects);
    let (mut next, mut at) = (objects, 0);
    let mut turn = |store: &mut S| {
        let gone = key(std::mem::replace(&mut held[at], next));
        let item = Arc::new(Item::new(next, 1));
        store.replace(&gone, (item.key.clone(), item));
        (next, at) = (next + 1, (at + 1) % objects);
    };
    for _ in 0..TURNS * objects {
        turn(&mut store);
    }
    c.benchmark_group("churn").bench_function(id(), |b| {
        b.iter(|| turn(&mut store));
    });
    c.benchmark_group("get_absent_churned").bench_function(id(), |b| {
        let mut keys = absent.iter().cycle();
        b.iter(|| store.get(keys.next().expect("there are keys")));
    });
}
