//! The store: point reads, snapshots, lists and batches.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use watchcache::{Batch, Key, Listing, Store};
use watchcache_benches::{Item, key};

const SIZES: [usize; 2] = [10_000, 100_000];

fn filled(objects: usize) -> (Store<Item>, Vec<Key>) {
    let store = Store::new();
    let items = (0..objects).map(|i| Item::new(i, 1));
    store.replace(&Listing::new(items, None).expect("keys are valid"));
    // Read in another order than that of insertion.
    let keys = (0..objects).map(|i| key(i * 7_919 % objects)).collect();
    (store, keys)
}

fn reads(c: &mut Criterion) {
    for objects in SIZES {
        let (store, keys) = filled(objects);
        let mut next = keys.iter().cycle();
        c.bench_function(&format!("get/watchcache/{objects}"), |b| {
            b.iter(|| black_box(store.get(next.next().expect("keys are not empty"))));
        });
        c.bench_function(&format!("snapshot/watchcache/{objects}"), |b| {
            b.iter(|| black_box(store.snapshot()));
        });
        c.bench_function(&format!("list/watchcache/{objects}"), |b| {
            b.iter(|| black_box(store.list()));
        });
    }
}

fn writes(c: &mut Criterion) {
    for size in [1_usize, 64, 1024] {
        let mut group = c.benchmark_group(format!("apply_{size}"));
        group.throughput(Throughput::Elements(size as u64));
        for objects in SIZES {
            let (store, _) = filled(objects);
            let mut version = 1;
            group.bench_function(BenchmarkId::new("watchcache", objects), |b| {
                b.iter_batched(
                    || {
                        version += 1;
                        let mut batch = Batch::new();
                        for i in 0..size {
                            let i = (version as usize * size + i) * 7_919 % objects;
                            batch.put(Item::new(i, version)).expect("keys are valid");
                        }
                        batch
                    },
                    |batch| black_box(store.apply(&batch)),
                    BatchSize::SmallInput,
                );
            });
        }
    }
}

criterion_group!(benches, reads, writes);
criterion_main!(benches);
