//! The change feed beside its peers.
//!
//! Ids are `feed_GROUP/CONTESTANT/SUBSCRIBERS`. One thread does everything in turn, so that figures are
//! of work and not of the scheduler; `feed_report` has several threads. Batches are of 64 updates.
//!
//! | group | an iteration | subscribers |
//! |---|---|---|
//! | `publish` | the writer's part in a batch | have seen all before it |
//! | `deliver` | each subscriber looks at a batch | the same |
//! | `subscribe` | one more subscribes | are there already |
//! | `slow_tax` | a batch is published, and one subscriber looks at it | others, that never look |
#![allow(missing_docs, unreachable_pub)]

mod contestants;

use std::sync::Arc;
use std::time::{Duration, Instant};

use contestants::{AsyncBroadcast, Feed, KubeStoreShared};
use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group,
    criterion_main,
};
use watchcache::Store;
use watchcache_benches::{Item, shuffled};

// One good allocator for all, so that it is not the allocator that is compared.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 64;
const SUBSCRIBERS: [usize; 3] = [1, 100, 1_000];
const STALLED: [usize; 2] = [0, 100];
/// How many objects are changed, one after the other and then again.
const CHANGED: usize = 1 << 14;

/// Objects in the store.
fn objects() -> usize {
    // `cargo test --benches` only wants to know that it runs.
    if std::env::args().any(|argument| argument == "--test") { 1_000 } else { 100_000 }
}

/// A feed, its subscribers, and what is published.
struct Arena<F: Feed> {
    feed: F,
    subscribers: Vec<F::Subscriber>,
    batches: Vec<F::Batch>,
    published: usize,
}

impl<F: Feed> Arena<F> {
    fn new(subscribers: usize) -> Self {
        let mut feed = F::filled(objects());
        let changed = &shuffled(objects())[..CHANGED.min(objects())];
        // Twice, as an object is not to be published while it is the newest already.
        let batches = [changed, changed].into_iter().flat_map(|changed| changed.chunks(BATCH));
        let batches = batches.map(|chunk| F::batch(chunk.iter().copied())).collect();
        let subscribers = (0..subscribers).map(|_| feed.subscribe()).collect();
        let mut this = Self { feed, subscribers, batches, published: 0 };
        // From the first batch on it is followed.
        let first = this.next_batch();
        assert!(this.feed.publish(first), "there is room for a batch");
        this
    }

    fn next_batch(&mut self) -> F::Batch {
        self.published += 1;
        self.batches[self.published % self.batches.len()].clone()
    }

    fn drain(&mut self) -> usize {
        self.feed.tidy();
        self.subscribers.iter_mut().map(F::drain).sum()
    }
}

fn group<'c>(c: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = c.benchmark_group(format!("feed_{name}"));
    group.sampling_mode(SamplingMode::Flat);
    group
}

fn publish<F: Feed>(c: &mut Criterion) {
    let mut group = group(c, "publish");
    group.throughput(Throughput::Elements(BATCH as u64));
    for subscribers in SUBSCRIBERS {
        let mut arena = None;
        group.bench_function(BenchmarkId::new(F::NAME, subscribers), |b| {
            let arena = arena.get_or_insert_with(|| Arena::<F>::new(subscribers));
            arena.drain();
            let mut publish = || {
                let batch = arena.next_batch();
                let start = Instant::now();
                let all = arena.feed.publish(batch);
                let elapsed = start.elapsed();
                assert!(all, "everybody has read everything");
                arena.drain();
                elapsed
            };
            b.iter_custom(|n| (0..n).map(|_| publish()).sum());
        });
    }
}

fn deliver<F: Feed>(c: &mut Criterion) {
    let mut group = group(c, "deliver");
    for subscribers in SUBSCRIBERS {
        group.throughput(Throughput::Elements((BATCH * subscribers) as u64));
        let mut arena = None;
        group.bench_function(BenchmarkId::new(F::NAME, subscribers), |b| {
            let arena = arena.get_or_insert_with(|| Arena::<F>::new(subscribers));
            arena.drain();
            let mut deliver = || {
                let batch = arena.next_batch();
                assert!(arena.feed.publish(batch), "everybody has read everything");
                arena.feed.tidy();
                let start = Instant::now();
                let seen: usize = arena.subscribers.iter_mut().map(F::drain).sum();
                let elapsed = start.elapsed();
                assert_eq!(seen % subscribers, 0, "all see the same");
                elapsed
            };
            b.iter_custom(|n| (0..n).map(|_| deliver()).sum());
        });
    }
}

fn subscribe<F: Feed>(c: &mut Criterion) {
    let mut group = group(c, "subscribe");
    for subscribers in SUBSCRIBERS {
        let mut arena = None;
        group.bench_function(BenchmarkId::new(F::NAME, subscribers), |b| {
            let arena = arena.get_or_insert_with(|| Arena::<F>::new(subscribers));
            arena.drain();
            let feed = &mut arena.feed;
            // Those that are there already stay, and so do up to so many others.
            b.iter_batched(|| (), |()| feed.subscribe(), BatchSize::NumIterations(BATCH as u64));
        });
    }
}

/// Some cannot publish while a subscriber has no room. Then all that are stalled subscribe anew, as
/// kube-apiserver ends a watch that it cannot get rid of an event to; that is on the clock.
fn slow_tax<F: Feed>(c: &mut Criterion) {
    let mut group = group(c, "slow_tax");
    group.throughput(Throughput::Elements(BATCH as u64));
    for stalled in STALLED {
        let mut arena = None;
        group.bench_function(BenchmarkId::new(F::NAME, stalled), |b| {
            let arena = arena.get_or_insert_with(|| Arena::<F>::new(stalled));
            let mut healthy = arena.feed.subscribe();
            F::drain(&mut healthy);
            let mut publish = || -> Duration {
                let batch = arena.next_batch();
                let start = Instant::now();
                let mut all = arena.feed.publish(batch);
                let mut seen = F::drain(&mut healthy);
                while !all {
                    arena.subscribers.clear();
                    arena.feed.tidy();
                    arena.subscribers.extend((0..stalled).map(|_| arena.feed.subscribe()));
                    all = arena.feed.go_on();
                    seen += F::drain(&mut healthy);
                }
                let elapsed = start.elapsed();
                assert!(seen > 0, "the healthy one has what was published");
                arena.feed.tidy();
                elapsed
            };
            b.iter_custom(|n| (0..n).map(|_| publish()).sum());
        });
    }
}

fn groups<F: Feed>(c: &mut Criterion) {
    publish::<F>(c);
    deliver::<F>(c);
    subscribe::<F>(c);
    slow_tax::<F>(c);
}

fn all(c: &mut Criterion) {
    groups::<Store<Item>>(c);
    groups::<KubeStoreShared>(c);
    groups::<AsyncBroadcast<Arc<Item>>>(c);
    groups::<AsyncBroadcast<Arc<[Arc<Item>]>>>(c);
}

fn settings() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .nresamples(2_000)
}

criterion_group! { name = benches; config = settings(); targets = all }
criterion_main!(benches);
