//! Reading one object.

use criterion::{BenchmarkId, Criterion, Throughput};

use crate::Group;
use crate::contestants::{Borrow, Reader, Writer, hashbrown_unsync, kube_runtime, watchcache};
use crate::field::{Field, Filled, Lazy};
use crate::threads;

pub fn bench(c: &mut Criterion, field: &mut Field) {
    one_thread(c, field);
    many(c, field);
    borrowed(c, field);
    borrowed_cluster_scoped(c, field.objects);
    two_threads(c, field);
    hot_key(c, field);
    beside_writer(c, field);
}

fn one_thread(c: &mut Criterion, field: &mut Field) {
    fn bench<R: Reader, W>(group: &mut Group<'_>, id: BenchmarkId, with: &mut Lazy<Filled<R, W>>) {
        group.bench_function(id, |b| {
            let Filled { reader, keys, .. } = &*with.get();
            let mut keys = keys.iter().cycle();
            b.iter(|| reader.get(keys.next().expect("there are keys")));
        });
    }
    let mut group = c.benchmark_group("get");
    for_each!(field, bench(&mut group), all);
    // For those of its users who are handed the `ObjectRef`, as reconcilers are.
    let mut refs = Vec::new();
    group.bench_function(BenchmarkId::new("kube-runtime-by-held-ref", field.objects), |b| {
        let Filled { reader, keys, .. } = &*field.kube_runtime.get();
        if refs.is_empty() {
            refs = keys.iter().map(|(space, name)| kube_runtime::object_ref(space, name)).collect();
        }
        let mut refs = refs.iter().cycle();
        b.iter(|| {
            kube::runtime::reflector::Store::get(reader, refs.next().expect("there are keys"))
        });
    });
}

/// 64 keys in one call.
fn many(c: &mut Criterion, field: &mut Field) {
    let mut group = c.benchmark_group("get_many_64");
    group.throughput(Throughput::Elements(64));
    group.bench_function(BenchmarkId::new(watchcache::NAME, field.objects), |b| {
        let Filled { reader, keys, .. } = field.watchcache.get();
        let mut chunks = keys.chunks_exact(64).cycle();
        b.iter(|| reader.get_many(chunks.next().expect("there are keys")));
    });
}

fn borrow<R: Borrow, W>(group: &mut Group<'_>, id: BenchmarkId, with: &mut Lazy<Filled<R, W>>) {
    group.bench_function(id, |b| {
        let Filled { reader, keys, .. } = &*with.get();
        let mut keys = keys.iter().cycle();
        b.iter(|| reader.look(keys.next().expect("there are keys")));
    });
}

fn borrowed(c: &mut Criterion, field: &mut Field) {
    let mut group = c.benchmark_group("get_borrowed");
    // kube-runtime's store lends nothing.
    for_each!(field, borrow(&mut group), maps);
    group.bench_function(BenchmarkId::new("watchcache-pinned", field.objects), |b| {
        let Filled { reader, keys, .. } = field.watchcache.get();
        let mut keys = keys.iter().cycle();
        let pinned = reader.pin();
        b.iter(|| watchcache::look(&pinned, keys.next().expect("there are keys")));
    });
}

/// By keys without a namespace.
fn borrowed_cluster_scoped(c: &mut Criterion, objects: usize) {
    let mut group = c.benchmark_group("get_borrowed_cluster_scoped");
    let id = |name| BenchmarkId::new(name, objects);
    let mut ours = Lazy::new(objects, |n| Filled::cluster_scoped(n, watchcache::holding));
    borrow(&mut group, id(watchcache::NAME), &mut ours);
    let mut map = Lazy::new(objects, |n| Filled::cluster_scoped(n, hashbrown_unsync::holding));
    borrow(&mut group, id(hashbrown_unsync::NAME), &mut map);
}

fn two_threads(c: &mut Criterion, field: &mut Field) {
    fn bench<R: Reader, W>(group: &mut Group<'_>, id: BenchmarkId, with: &mut Lazy<Filled<R, W>>) {
        group.bench_function(id, |b| {
            let Filled { reader, keys, .. } = &*with.get();
            b.iter_custom(|iterations| {
                threads::two(iterations, |thread| {
                    // Each thread reads everything, from another place on.
                    let (start, mut keys) = (thread * keys.len() / 2, keys.iter().cycle());
                    keys.by_ref().take(start).for_each(drop);
                    move || reader.get(keys.next().expect("there are keys"))
                })
            });
        });
    }
    let mut group = c.benchmark_group("get_two_threads");
    for_each!(field, bench(&mut group), all);
}

fn hot_key(c: &mut Criterion, field: &mut Field) {
    fn bench<R: Reader, W>(group: &mut Group<'_>, id: BenchmarkId, with: &mut Lazy<Filled<R, W>>) {
        group.bench_function(id, |b| {
            let Filled { reader, keys, .. } = &*with.get();
            b.iter_custom(|iterations| threads::two(iterations, |_| || reader.get(&keys[0])));
        });
    }
    let mut group = c.benchmark_group("get_hot_key");
    for_each!(field, bench(&mut group), all);
}

fn beside_writer(c: &mut Criterion, field: &mut Field) {
    fn bench<R: Reader, W: Writer>(
        group: &mut Group<'_>,
        id: BenchmarkId,
        with: &mut Lazy<Filled<R, W>>,
    ) {
        let mut batches = Vec::new();
        group.bench_function(id, |b| {
            let Filled { reader, keys, writer } = with.get();
            if batches.is_empty() {
                batches = threads::batches::<W>(keys.len());
            }
            let mut keys = keys.iter().cycle();
            b.iter_custom(|iterations| {
                threads::beside_writer(writer, &batches, || {
                    threads::timed(iterations, || reader.get(keys.next().expect("there are keys")))
                })
            });
        });
    }
    let mut group = c.benchmark_group("get_beside_writer");
    for_each!(field, bench(&mut group), shared);
}
