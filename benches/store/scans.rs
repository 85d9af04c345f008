//! Reading many objects at once.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use watchcache_benches::{node, shuffled};

use crate::Group;
use crate::contestants::{
    Reader, Walk, hashbrown_unsync, kube_runtime, rwlock_hashmap, watchcache,
};
use crate::field::{Field, Filled, Lazy};

pub fn bench(c: &mut Criterion, field: &mut Field) {
    snapshot(c, field);
    list(c, field);
    iterate(c, field);
    index_lookup(c, field);
}

/// A view of everything that changes no more. Neither dashmap nor papaya has one.
fn snapshot(c: &mut Criterion, field: &mut Field) {
    let mut group = c.benchmark_group("snapshot");
    let n = field.objects;
    group.bench_function(BenchmarkId::new(watchcache::NAME, n), |b| {
        let store = &field.watchcache.get().reader;
        b.iter(|| store.snapshot());
    });
    group.bench_function(BenchmarkId::new(hashbrown_unsync::NAME, n), |b| {
        let map = &field.hashbrown_unsync.get().reader;
        b.iter(|| map.clone());
    });
    group.bench_function(BenchmarkId::new(rwlock_hashmap::NAME, n), |b| {
        let map = &field.rwlock_hashmap.get().reader;
        b.iter(|| rwlock_hashmap::read(map).clone());
    });
    group.bench_function(BenchmarkId::new(kube_runtime::NAME, n), |b| {
        let store = &field.kube_runtime.get().reader;
        b.iter(|| store.state());
    });
}

fn list(c: &mut Criterion, field: &mut Field) {
    fn bench<R: Walk, W>(group: &mut Group<'_>, id: BenchmarkId, with: &mut Lazy<Filled<R, W>>) {
        group.bench_function(id, |b| {
            let reader = &with.get().reader;
            b.iter(|| black_box(reader.list()));
        });
    }
    let mut group = c.benchmark_group("list");
    for_each!(field, bench(&mut group), all);
}

fn iterate(c: &mut Criterion, field: &mut Field) {
    fn bench<R: Walk, W>(group: &mut Group<'_>, id: BenchmarkId, with: &mut Lazy<Filled<R, W>>) {
        group.bench_function(id, |b| {
            let reader = &with.get().reader;
            b.iter(|| reader.sum());
        });
    }
    let mut group = c.benchmark_group("iterate");
    for_each!(field, bench(&mut group), all);
}

/// The hundred objects of one node. Where there is no index, all objects are looked at.
fn index_lookup(c: &mut Criterion, field: &mut Field) {
    let mut group = c.benchmark_group("index_lookup");
    let n = field.objects;
    let nodes: Vec<usize> = shuffled(n / 100);
    let names: Vec<String> = nodes.iter().map(|i| node(i * 100)).collect();

    let mut indexed = Lazy::new(n, watchcache::filled_by_node);
    group.bench_function(BenchmarkId::new(watchcache::NAME, n), |b| {
        let store = indexed.get();
        let mut names = names.iter().cycle();
        b.iter(|| {
            let snapshot = store.snapshot();
            let entries = snapshot.by(&watchcache::BY_NODE, names.next().expect("there are nodes"));
            entries.map(|(_, item)| item.body[0]).sum::<u64>()
        });
    });

    let mut index = Lazy::new(n, hashbrown_unsync::by_node);
    group.bench_function(BenchmarkId::new(hashbrown_unsync::NAME, n), |b| {
        let (map, index) = (&field.hashbrown_unsync.get().reader, index.get());
        let mut names = names.iter().cycle();
        b.iter(|| {
            let keys = &index[names.next().expect("there are nodes")];
            keys.iter()
                .filter_map(|key| Reader::get(map, key))
                .map(|item| item.body[0])
                .sum::<u64>()
        });
    });

    group.bench_function(BenchmarkId::new(kube_runtime::NAME, n), |b| {
        let store = &field.kube_runtime.get().reader;
        let mut nodes = nodes.iter().cycle();
        b.iter(|| {
            let node = *nodes.next().expect("there are nodes") as u64;
            let found = store.state_filter(|item| item.number / 100 == node);
            found.iter().map(|item| item.body[0]).sum::<u64>()
        });
    });
}
