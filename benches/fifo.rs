//! The queue beside a mutex around a map and a line, the shape of client-go's FIFO.
//!
//! Ids are `fifo_GROUP/CONTESTANT/KEYS`.
#![allow(missing_docs)]

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use watchcache::{Batch, Fifo, Key, Object};
use watchcache_benches::Item;

const KEYS: [usize; 2] = [1_000, 10_000];
const BATCH: usize = 64;

/// What each contestant does; values are made beforehand, keys are each contestant's own affair.
trait Queue: Sync {
    const NAME: &'static str;
    fn new() -> Self;
    fn add(&self, item: &Arc<Item>);
    fn add_all(&self, batch: &Batch<Item>);
    /// `None` if nothing waits.
    fn pop(&self) -> Option<Arc<Item>>;
    /// Blocks; `None` once closed and drained.
    fn pop_blocking(&self) -> Option<Arc<Item>>;
    fn close(&self);
}

impl Queue for Fifo<Item> {
    const NAME: &'static str = "watchcache";

    fn new() -> Self {
        Self::new()
    }

    fn add(&self, item: &Arc<Item>) {
        Self::add(self, Arc::clone(item)).expect("open");
    }

    fn add_all(&self, batch: &Batch<Item>) {
        Self::apply(self, batch).expect("open");
    }

    fn pop(&self) -> Option<Arc<Item>> {
        self.try_pop().ok()
    }

    fn pop_blocking(&self) -> Option<Arc<Item>> {
        Self::pop(self).ok()
    }

    fn close(&self) {
        Self::close(self);
    }
}

/// One lock, a map of values, a line of keys, a condition variable.
#[derive(Default)]
struct MutexMap {
    state: Mutex<Line>,
    arrived: Condvar,
}

#[derive(Default)]
struct Line {
    // The hasher that watchcache uses, so that the shapes are compared and not the hashers.
    values: HashMap<Key, Arc<Item>, foldhash::fast::RandomState>,
    line: VecDeque<Key>,
    closed: bool,
}

impl Line {
    fn add(&mut self, key: Key, item: Arc<Item>) -> bool {
        let new = self.values.insert(key.clone(), item).is_none();
        if new {
            self.line.push_back(key);
        }
        new
    }

    fn pop(&mut self) -> Option<Arc<Item>> {
        self.values.remove(&self.line.pop_front()?)
    }
}

impl Queue for MutexMap {
    const NAME: &'static str = "mutex-map";

    fn new() -> Self {
        Self::default()
    }

    fn add(&self, item: &Arc<Item>) {
        let key = item.key().expect("keys are valid");
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let new = state.add(key, Arc::clone(item));
        drop(state);
        if new {
            self.arrived.notify_one();
        }
    }

    fn add_all(&self, batch: &Batch<Item>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, change) in batch.changes() {
            if let watchcache::Change::Put(item) = change {
                state.add(key.clone(), Arc::clone(item));
            }
        }
        drop(state);
        self.arrived.notify_all();
    }

    fn pop(&self) -> Option<Arc<Item>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn pop_blocking(&self) -> Option<Arc<Item>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(item) = state.pop() {
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.arrived.notify_all();
    }
}

fn items(keys: usize) -> Vec<Arc<Item>> {
    (0..keys).map(|i| Arc::new(Item::new(i, 1))).collect()
}

/// One iteration is one key in each group.
fn bench<Q: Queue>(c: &mut Criterion) {
    for keys in KEYS {
        let items = items(keys);
        let mut measure = |group: &str, run: &dyn Fn(u64) -> std::time::Duration| {
            let mut group = c.benchmark_group(format!("fifo_{group}"));
            group.throughput(Throughput::Elements(1));
            group.bench_function(BenchmarkId::new(Q::NAME, keys), |b| b.iter_custom(run));
            group.finish();
        };
        measure("add_new", &|n| alternate::<Q>(&items, n).0);
        measure("pop", &|n| alternate::<Q>(&items, n).1);
        measure("add_queued", &|n| {
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
                    batch.put(Arc::clone(item)).expect("keys are valid");
                }
                batch
            })
            .collect();
        measure("add_batch_64", &|n| {
            let queue = Q::new();
            let (mut added, mut elapsed) = (0, std::time::Duration::ZERO);
            for batch in batches.iter().cycle() {
                let start = Instant::now();
                queue.add_all(batch);
                elapsed += start.elapsed();
                added += batch.changes().len() as u64;
                while queue.pop().is_some() {}
                if added >= n {
                    break;
                }
            }
            elapsed.mul_f64(n as f64 / added as f64)
        });
        measure("transfer", &|n| race::<Q>(&items, n, 1));
        measure("contended", &|n| race::<Q>(&items, n, 2));
    }
}

/// Fills and empties one queue in turns; the time that adding took, and that popping took.
fn alternate<Q: Queue>(items: &[Arc<Item>], n: u64) -> (std::time::Duration, std::time::Duration) {
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

/// `n` adds by `pairs` producers on the same keys, until as many blocking consumers have drained them.
fn race<Q: Queue>(items: &[Arc<Item>], n: u64, pairs: usize) -> std::time::Duration {
    let queue = Q::new();
    let each = (n as usize).div_ceil(pairs);
    let start = Instant::now();
    std::thread::scope(|scope| {
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

criterion_group!(benches, bench::<Fifo<Item>>, bench::<MutexMap>);
criterion_main!(benches);
