//! Changing objects that exist, and listing them again.

use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use watchcache_benches::shuffled;

use crate::Group;
use crate::contestants::{
    Reader, Writer, hashbrown_unsync, kube_runtime, rwlock_hashmap, watchcache,
};
use crate::field::{Field, Filled, Lazy};
use crate::threads::longest_read;

pub fn bench(c: &mut Criterion, field: &mut Field) {
    let mut version = 1;
    for size in [1, 64, 1024] {
        apply(c, field, size, &mut version);
    }
    replace_same(c, field);
    replace_changed(c, field.objects);
}

/// Updates of random objects. The new objects are made outside the clock; dropping those that they
/// take the place of is inside.
fn apply(c: &mut Criterion, field: &mut Field, size: usize, version: &mut u64) {
    struct Updates<'a> {
        order: Vec<usize>,
        size: usize,
        version: &'a mut u64,
    }

    fn bench<R: Reader, W: Writer>(
        (group, updates): (&mut Group<'_>, &mut Updates<'_>),
        id: BenchmarkId,
        with: &mut Lazy<Filled<R, W>>,
    ) {
        group.bench_function(id, |b| {
            let writer = &mut with.get().writer;
            let mut order = updates.order.iter().copied().cycle();
            b.iter_batched(
                || {
                    *updates.version += 1;
                    W::batch(order.by_ref().take(updates.size), *updates.version)
                },
                |batch| writer.apply(batch),
                BatchSize::SmallInput,
            );
        });
    }

    let mut group = c.benchmark_group(format!("apply_{size}"));
    group.throughput(Throughput::Elements(size as u64));
    let mut updates = Updates { order: shuffled(field.objects), size, version };
    for_each!(field, bench((&mut group, &mut updates)), all);
}

/// The longest that a reader waited while the same objects were listed again. The maps that have no
/// lock over everything have no way to replace everything.
fn replace_same(c: &mut Criterion, field: &mut Field) {
    fn reads<R: Reader>(reader: &R, keys: &[R::Key], relist: impl FnOnce()) -> Duration {
        longest_read(|i| drop(reader.get(&keys[i % keys.len()])), relist)
    }
    let mut group = c.benchmark_group("replace_same");
    let n = field.objects;

    let mut listing = Lazy::new(n, watchcache::listing);
    // Not the one that was written to: its objects are newer than the listing's.
    let mut store = Lazy::new(n, watchcache::filled);
    group.bench_function(BenchmarkId::new(watchcache::NAME, n), |b| {
        let (listing, store) = (listing.get(), store.get());
        let keys = &field.watchcache.get().keys;
        b.iter_custom(|iterations| {
            (0..iterations).map(|_| reads(store, keys, || drop(store.replace(listing)))).sum()
        });
    });

    let mut listing = Lazy::new(n, |n| hashbrown_unsync::pairs(0..n, 1));
    group.bench_function(BenchmarkId::new(rwlock_hashmap::NAME, n), |b| {
        let (listing, with) = (listing.get(), field.rwlock_hashmap.get());
        b.iter_custom(|iterations| {
            let relist = || rwlock_hashmap::replace(&with.reader, listing);
            (0..iterations).map(|_| reads(&with.reader, &with.keys, relist)).sum()
        });
    });

    let mut listing = Lazy::new(n, kube_runtime::listing);
    group.bench_function(BenchmarkId::new(kube_runtime::NAME, n), |b| {
        let listing = listing.get();
        let Filled { reader, keys, writer } = field.kube_runtime.get();
        b.iter_custom(|iterations| {
            (0..iterations)
                .map(|_| reads(reader, keys, || kube_runtime::replace(writer, listing)))
                .sum()
        });
    });
}

/// The store's part of a relist of which one object in a hundred is another: the listing is made outside the clock.
fn replace_changed(c: &mut Criterion, objects: usize) {
    let mut with = Lazy::new(objects, |n| (watchcache::filled(n), watchcache::changed_listings(n)));
    let mut group = c.benchmark_group("replace_changed");
    group.bench_function(BenchmarkId::new(watchcache::NAME, objects), |b| {
        let (store, listings) = with.get();
        let mut listings = listings.iter().cycle();
        b.iter(|| store.replace(listings.next().expect("a cycle")));
    });
}
