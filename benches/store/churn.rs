//! Keys that come and go at a constant size, each round some others: what that costs, and what a get costs after
//! a long time of it.

use std::sync::Arc;

use ::watchcache::{Key, Store};
use criterion::{BenchmarkId, Criterion};
use watchcache_benches::{Item, key, shuffled};

use crate::contestants::{Reader, dashmap, hashbrown_unsync, watchcache};
use crate::field::Lazy;

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
    churned(c, watchcache::NAME, objects, |n| Churned::new(watchcache::filled(n), n));
    churned(c, hashbrown_unsync::NAME, objects, |n| Churned::new(hashbrown_unsync::filled(n), n));
    churned(c, dashmap::NAME, objects, |n| Churned::new(dashmap::filled(n), n));
}

/// A store after many turns, and which objects it holds.
struct Churned<S> {
    store: S,
    held: Vec<usize>,
    next: usize,
}

impl<S: Turnover> Churned<S> {
    fn new(store: S, objects: usize) -> Self {
        let mut this = Self { store, held: shuffled(objects), next: objects };
        (0..TURNS * objects).for_each(|_| this.turn());
        this
    }

    fn turn(&mut self) {
        // The oldest goes: they are replaced one after the other.
        let at = self.next % self.held.len();
        let gone = key(std::mem::replace(&mut self.held[at], self.next));
        let item = Arc::new(Item::new(self.next, 1));
        self.store.replace(&gone, (item.key.clone(), item));
        self.next += 1;
    }
}

fn churned<S: Turnover>(
    c: &mut Criterion,
    name: &str,
    objects: usize,
    make: fn(usize) -> Churned<S>,
) {
    let id = || BenchmarkId::new(name, objects);
    let mut churned = Lazy::new(objects, make);
    c.benchmark_group("churn").bench_function(id(), |b| {
        let churned = churned.get();
        b.iter(|| churned.turn());
    });
    let mut absent = Lazy::new(objects, |n| {
        shuffled(n).into_iter().map(|i| key(usize::MAX - i)).collect::<Vec<_>>()
    });
    c.benchmark_group("get_absent_churned").bench_function(id(), |b| {
        let (store, mut keys) = (&churned.get().store, absent.get().iter().cycle());
        b.iter(|| store.get(keys.next().expect("there are keys")));
    });
}
