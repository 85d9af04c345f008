//! The queue beside its peers.
//!
//! Ids are `fifo_GROUP/CONTESTANT/KEYS`; each iteration is one key. `fifo_report` has the time in
//! queue and the cost of idle consumers.
#![allow(missing_docs)]

mod contestants;

use std::hint::black_box;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use contestants::{DashmapSegqueue, KubeScheduler, MutexMap, Queue, TokioMpscSet};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use watchcache::{Batch, Fifo};
use watchcache_benches::Item;

const KEYS: [usize; 2] = [1_000, 10_000];
const BATCH: usize = 64;
/// Long enough for every consumer to be fast asleep.
const ASLEEP: Duration = Duration::from_micros(200);

fn items(keys: usize) -> Vec<Arc<Item>> {
    (0..keys).map(|i| Arc::new(Item::new(i, 1))).collect()
}

fn measure<Q: Queue>(c: &mut Criterion, group: &str, keys: usize, run: &dyn Fn(u64) -> Duration) {
    let mut group = c.benchmark_group(format!("fifo_{group}"));
    group.throughput(Throughput::Elements(1));
    group.sample_size(20);
    group.warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(1));
    group.bench_function(BenchmarkId::new(Q::NAME, keys), |b| b.iter_custom(run));
    group.finish();
}

/// What a queue does for one thread.
fn alone<Q: Queue>(c: &mut Criterion) {
    for keys in KEYS {
        let items = items(keys);
        measure::<Q>(c, "add_new", keys, &|n| alternate::<Q>(&items, n).0);
        measure::<Q>(c, "pop", keys, &|n| alternate::<Q>(&items, n).1);
        measure::<Q>(c, "add_new_pop", keys, &|n| {
            let (adding, popping) = alternate::<Q>(&items, n);
            adding + popping
        });
        measure::<Q>(c, "add_queued", keys, &|n| {
            let queue = Q::new();
            items.iter().for_each(|item| queue.add(item));
            let start = Instant::now();
            items.iter().cycle().take(n as usize).for_each(|item| queue.add(item));
            start.elapsed()
        });
        let batches: Vec<_> = items
            .chunks(BATCH)
            .map(|chunk| {
                let mut batch = Batch::new();
                for item in chunk {
                    batch.add(Arc::clone(item)).expect("keys are valid");
                }
                batch
            })
            .collect();
        measure::<Q>(c, "add_batch_64", keys, &|n| {
            // Into a queue that grows as add_new's does.
            let queue = Q::new();
            let (mut added, mut elapsed) = (0, Duration::ZERO);
            while added < n {
                for batch in &batches {
                    let start = Instant::now();
                    queue.add_all(batch);
                    elapsed += start.elapsed();
                    added += batch.changes().len() as u64;
                }
                while queue.pop().is_some() {}
            }
            elapsed.mul_f64(n as f64 / added as f64)
        });
    }
}

/// Fills and empties one queue in turns; the time that adding took, and that popping took.
fn alternate<Q: Queue>(items: &[Arc<Item>], n: u64) -> (Duration, Duration) {
    let queue = Q::new();
    let (mut adding, mut popping) = Default::default();
    let mut left = n as usize;
    while left > 0 {
        let round = &items[..left.min(items.len())];
        left -= round.len();
        let start = Instant::now();
        round.iter().for_each(|item| queue.add(item));
        adding += start.elapsed();
        let start = Instant::now();
        while queue.pop().is_some() {}
        popping += start.elapsed();
    }
    (adding, popping)
}

/// A worker's part: taking a key and finishing it.
fn leases<Q: Queue>(c: &mut Criterion) {
    for keys in KEYS {
        let items = items(keys);
        measure::<Q>(c, "take_done", keys, &|n| {
            let queue = Q::new();
            let (mut taken, mut elapsed) = (0, Duration::ZERO);
            while taken < n {
                items.iter().for_each(|item| queue.add(item));
                queue.settle();
                let start = Instant::now();
                while let Some(lease) = queue.take() {
                    queue.done(black_box(lease));
                    taken += 1;
                }
                elapsed += start.elapsed();
            }
            elapsed.mul_f64(n as f64 / taken as f64)
        });
    }
}

/// What it does for several.
fn together<Q: Queue>(c: &mut Criterion) {
    for keys in KEYS {
        let items = items(keys);
        measure::<Q>(c, "transfer", keys, &|n| race::<Q>(&items, n, 1));
        if Q::SHARED {
            measure::<Q>(c, "contended", keys, &|n| race::<Q>(&items, n, 2));
        }
    }
}

/// `n` adds by `pairs` producers on the same keys, until as many blocking consumers have drained them.
fn race<Q: Queue>(items: &[Arc<Item>], n: u64, pairs: usize) -> Duration {
    let queue = Q::new();
    let each = (n as usize).div_ceil(pairs);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..pairs {
            scope.spawn(|| while queue.pop_blocking().is_some() {});
        }
        let producers: Vec<_> = (0..pairs)
            .map(|p| {
                let (items, queue) = (&items, &queue);
                let from = p * items.len() / 2 % items.len();
                scope.spawn(move || {
                    items.iter().cycle().skip(from).take(each).for_each(|item| queue.add(item));
                })
            })
            .collect();
        for producer in producers {
            producer.join().expect("producers do not panic");
        }
        queue.close();
    });
    start.elapsed()
}

/// From a push until the parked thread has the object.
fn wake_thread<Q: Queue>(c: &mut Criterion) {
    let items = items(1);
    measure::<Q>(c, "wake_thread", 1, &|n| {
        let queue = Arc::new(Q::new());
        let (got, gets) = mpsc::channel();
        let consumer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                while queue.pop_blocking().is_some() {
                    got.send(Instant::now()).expect("the other side waits");
                }
            }
        });
        let elapsed = pushes(n, || queue.add(&items[0]), &gets);
        queue.close();
        consumer.join().expect("the consumer does not panic");
        elapsed
    });
}

/// From a push until the parked task has the object.
fn wake_task<Q: Queue>(c: &mut Criterion) {
    let items = items(1);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("a runtime can be made");
    measure::<Q>(c, "wake_task", 1, &|n| {
        let queue = Arc::new(Q::new());
        let (got, gets) = mpsc::channel();
        let consumer = runtime.spawn({
            let queue = Arc::clone(&queue);
            async move {
                while queue.pop_async().await.is_some() {
                    got.send(Instant::now()).expect("the other side waits");
                }
            }
        });
        let elapsed = pushes(n, || queue.add(&items[0]), &gets);
        queue.close();
        runtime.block_on(consumer).expect("the consumer does not panic");
        elapsed
    });
}

fn pushes(n: u64, push: impl Fn(), gets: &mpsc::Receiver<Instant>) -> Duration {
    (0..n)
        .map(|_| {
            thread::sleep(ASLEEP);
            let start = Instant::now();
            push();
            gets.recv().expect("the consumer runs").duration_since(start)
        })
        .sum()
}

criterion_group!(
    benches,
    alone::<Fifo<Item>>,
    alone::<MutexMap>,
    alone::<MutexMap<true>>,
    alone::<DashmapSegqueue>,
    alone::<TokioMpscSet>,
    leases::<Fifo<Item>>,
    leases::<MutexMap>,
    leases::<MutexMap<true>>,
    leases::<DashmapSegqueue>,
    leases::<TokioMpscSet>,
    leases::<KubeScheduler>,
    leases::<KubeScheduler<true>>,
    together::<Fifo<Item>>,
    together::<MutexMap>,
    together::<MutexMap<true>>,
    together::<DashmapSegqueue>,
    together::<TokioMpscSet>,
    wake_thread::<Fifo<Item>>,
    wake_thread::<MutexMap>,
    wake_thread::<MutexMap<true>>,
    wake_thread::<DashmapSegqueue>,
    wake_thread::<TokioMpscSet>,
    wake_task::<Fifo<Item>>,
    wake_task::<TokioMpscSet>,
    wake_task::<KubeScheduler>,
);
criterion_main!(benches);
