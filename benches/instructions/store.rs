//! The store's cases.

use std::hint::black_box;
use std::sync::Arc;

use watchcache::store::Index;
use watchcache::{Batch, Key, Listing, ResourceVersion, Store};

use crate::measured;
use crate::object::{Item, Owned, cluster_scoped, key};

const ROUNDS: u64 = 4;

fn keys(objects: usize, of: fn(usize) -> Key) -> Vec<Key> {
    // Far from each other, one after the other.
    (0..objects).map(|i| of(i * 7_919 % objects)).collect()
}

fn listing(keys: &[Key]) -> Listing<Item> {
    let items = keys.iter().map(|key| Item::new(key.clone(), 1));
    Listing::new(items, None::<ResourceVersion>).expect("keys are valid")
}

fn filled(keys: &[Key]) -> Store<Item> {
    let store = Store::new();
    store.replace(&listing(keys));
    store
}

fn reads(objects: usize, of: fn(usize) -> Key, read: impl Fn(&Store<Item>, &Key)) -> usize {
    let keys = keys(objects, of);
    let store = filled(&keys);
    read(&store, &keys[0]);
    measured(|| keys.iter().for_each(|key| read(&store, key)));
    objects
}

fn owned(store: &Store<Item>, key: &Key) {
    black_box(store.get(key));
}

fn borrowed(store: &Store<Item>, key: &Key) {
    black_box(store.pin().get(key).map(|item| item.body[0]));
}

pub(crate) fn get(objects: usize) -> usize {
    reads(objects, key, owned)
}

pub(crate) fn get_cluster_scoped(objects: usize) -> usize {
    reads(objects, cluster_scoped, owned)
}

pub(crate) fn get_borrowed(objects: usize) -> usize {
    reads(objects, key, borrowed)
}

pub(crate) fn get_borrowed_cluster_scoped(objects: usize) -> usize {
    reads(objects, cluster_scoped, borrowed)
}

pub(crate) fn get_many_64(objects: usize) -> usize {
    let keys = keys(objects, key);
    let store = filled(&keys);
    black_box(store.get(&keys[0]));
    measured(|| {
        for keys in keys.chunks(64) {
            black_box(store.get_many(keys));
        }
    });
    objects
}

pub(crate) fn add(objects: usize) -> usize {
    let keys = keys(objects, key);
    let store = filled(&keys);
    for round in 0..ROUNDS {
        let items: Vec<_> =
            keys.iter().map(|key| Arc::new(Item::new(key.clone(), round + 2))).collect();
        measured(|| {
            for item in items {
                black_box(store.add(item)).expect("keys are valid");
            }
        });
    }
    objects * ROUNDS as usize
}

pub(crate) fn apply<const CHANGES: usize>(objects: usize) -> usize {
    let keys = keys(objects, key);
    let store = filled(&keys);
    for round in 0..ROUNDS {
        let batches: Vec<_> = keys.chunks(CHANGES).map(|keys| batch(keys, round + 2)).collect();
        measured(|| {
            for batch in batches {
                black_box(store.apply(&batch));
            }
        });
    }
    objects * ROUNDS as usize
}

fn batch(keys: &[Key], version: u64) -> Batch<Item> {
    let mut batch = Batch::new();
    for key in keys {
        batch.add(Item::new(key.clone(), version)).expect("keys are valid");
    }
    batch
}

/// With an index by a text and one by a number.
fn apply_64_indexed(objects: usize, place: fn(u64) -> u64) -> usize {
    let by_owner = Index::lending("owner", |object: &Owned, lend| lend(object.owner.as_str()));
    let by_zone = Index::new("zone", |object: &Owned| [object.zone]);
    let store = Store::builder().index(&by_owner).index(&by_zone).build();
    let order: Vec<_> = (0..objects).map(|i| i * 7_919 % objects).collect();
    let listing = order.iter().map(|i| Owned::new(*i, 1, place(1)));
    store.replace(&Listing::new(listing, None::<ResourceVersion>).expect("keys are valid"));
    for version in 2..2 + ROUNDS {
        let batch = |order: &[usize]| {
            let mut batch = Batch::new();
            for i in order {
                batch.add(Owned::new(*i, version, place(version))).expect("keys are valid");
            }
            batch
        };
        let batches: Vec<_> = order.chunks(64).map(batch).collect();
        measured(|| {
            for batch in batches {
                black_box(store.apply(&batch));
            }
        });
    }
    objects * ROUNDS as usize
}

pub(crate) fn apply_64_indexed_same(objects: usize) -> usize {
    apply_64_indexed(objects, |_| 0)
}

pub(crate) fn apply_64_indexed_moved(objects: usize) -> usize {
    apply_64_indexed(objects, |version| version)
}

/// What ten changes cost a difference in ten times as many objects as are asked for.
pub(crate) fn diff_10_of_100000(objects: usize) -> usize {
    const CHANGED: usize = 10;
    let keys = keys(10 * objects, key);
    let store = filled(&keys);
    let before = store.snapshot();
    store.apply(&batch(&keys[..CHANGED], 2));
    let after = store.snapshot();
    measured(|| {
        black_box(after.diff(&before)).expect("they are of one store");
    });
    CHANGED
}

pub(crate) fn replace_same(objects: usize) -> usize {
    let keys = keys(objects, key);
    let store = filled(&keys);
    let listing = listing(&keys);
    store.replace(&listing);
    measured(|| {
        black_box(store.replace(&listing));
    });
    objects
}

/// Turns of the whole content before anything is counted.
const TURNS: usize = 10;

/// The keys that go in a turn, each with what comes for it.
fn turn(turn: usize, objects: usize) -> Vec<(Key, Arc<Item>)> {
    let pair = |i| (key(i), Arc::new(Item::new(key(i + objects), 1)));
    (turn * objects..(turn + 1) * objects).map(pair).collect()
}

fn turn_over(store: &Store<Item>, turn: Vec<(Key, Arc<Item>)>) {
    for (gone, new) in turn {
        store.delete(&gone);
        store.add(new).expect("keys are valid");
    }
}

fn churned(objects: usize) -> Store<Item> {
    let store = filled(&keys(objects, key));
    (0..TURNS).for_each(|i| turn_over(&store, turn(i, objects)));
    store
}

/// Looks up keys that are not there, where others have come and gone for a long time.
pub(crate) fn get_absent_churned(objects: usize) -> usize {
    let store = churned(objects);
    let absent: Vec<_> = (0..objects).map(|i| key(usize::MAX - i)).collect();
    measured(|| absent.iter().for_each(|key| owned(&store, key)));
    objects
}

/// Deletions, each with an add of another key.
pub(crate) fn churn(objects: usize) -> usize {
    let store = churned(objects);
    let last = turn(TURNS, objects);
    measured(|| turn_over(&store, last));
    objects
}
