//! The time that keys spend in each queue under load, their order, and what idle consumers cost.
//!
//! `cargo bench --package watchcache-benches --bench fifo_report`
#![allow(missing_docs)]

#[allow(dead_code, reason = "`fifo` uses the rest")]
mod contestants;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use contestants::{DashmapSegqueue, MutexMap, Queue, TokioMpscSet};
use hdrhistogram::Histogram;
use nix::sys::resource::{UsageWho, getrusage};
use watchcache::Fifo;
use watchcache_benches::Item;

const KEYS: usize = 10_000;
const PER_SECOND: u64 = 50_000;
const LOAD: Duration = Duration::from_secs(2);
const CONSUMERS: usize = 2;
/// In nanoseconds; nothing waits longer.
const HOUR: u64 = 3_600_000_000_000;

fn main() {
    println!("{PER_SECOND} adds a second, {CONSUMERS} consumers, {KEYS} keys, {LOAD:?}");
    println!(
        "{:18}{:>10}{:>10}{:>10}{:>10}{:>12}",
        "time in queue", "p50", "p99", "p99.9", "max", "overtaken"
    );
    for _ in 0..2 {
        latency::<Fifo<Item>>();
        latency::<MutexMap>();
        latency::<MutexMap<true>>();
        latency::<DashmapSegqueue>();
        latency::<TokioMpscSet>();
    }
    idle();
}

/// Adds at a steady rate while consumers take; the time of each key from its first add.
fn latency<Q: Queue>() {
    let queue = Q::new();
    let items: Vec<_> = (0..KEYS).map(|i| Arc::new(Item::new(i, 1))).collect();
    // When each key was added first, in nanoseconds, or 0; and as which.
    let added: Vec<_> = (0..KEYS).map(|_| (AtomicU64::new(0), AtomicU64::new(0))).collect();
    let begin = Instant::now();
    let now = || begin.elapsed().as_nanos() as u64 + 1;
    let measured: Vec<(Histogram<u64>, u64)> = thread::scope(|scope| {
        let consumers: Vec<_> = (0..CONSUMERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut histogram = Histogram::new_with_bounds(1, HOUR, 3).expect("bounds");
                    let (mut last, mut overtaken) = (0, 0);
                    while let Some(item) = queue.pop_blocking() {
                        let (since, number) = &added[item.number as usize];
                        let number = number.load(Ordering::Relaxed);
                        let since = since.swap(0, Ordering::AcqRel);
                        if since > 0 {
                            histogram.saturating_record(now() - since);
                        }
                        overtaken += u64::from(number < last);
                        last = last.max(number);
                    }
                    (histogram, overtaken)
                })
            })
            .collect();
        let interval = Duration::from_secs(1).as_nanos() as u64 / PER_SECOND;
        for i in 0..PER_SECOND * LOAD.as_secs() {
            // Sleeping is too coarse for the rate, and a core of its own would be unfair to consumers.
            while now() < i * interval {
                thread::yield_now();
            }
            let item = &items[i as usize % KEYS];
            let (since, number) = &added[item.number as usize];
            if since.compare_exchange(0, now(), Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                number.store(i, Ordering::Relaxed);
            }
            queue.add(item);
        }
        queue.close();
        consumers.into_iter().map(|consumer| consumer.join().expect("no panic")).collect()
    });
    let mut all = Histogram::<u64>::new_with_bounds(1, HOUR, 3).expect("bounds");
    measured.iter().for_each(|(one, _)| all.add(one).expect("of one kind"));
    let micros = |nanos: u64| format!("{:.1} us", nanos as f64 / 1e3);
    println!(
        "{:18}{:>10}{:>10}{:>10}{:>10}{:>12}",
        Q::NAME,
        micros(all.value_at_quantile(0.5)),
        micros(all.value_at_quantile(0.99)),
        micros(all.value_at_quantile(0.999)),
        micros(all.max()),
        measured.iter().map(|(_, overtaken)| overtaken).sum::<u64>(),
    );
}

fn processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the system tells");
    let of = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000)
    };
    of(usage.user_time()) + of(usage.system_time())
}

/// A thousand consumers with nothing to do: half of them threads, half tasks.
fn idle() {
    const EACH: usize = 500;
    const WATCHED: Duration = Duration::from_secs(5);
    let fifo = Fifo::<Item>::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime can be made");
    let threads: Vec<_> = (0..EACH)
        .map(|_| {
            let fifo = fifo.clone();
            thread::Builder::new()
                .stack_size(64 << 10)
                .spawn(move || fifo.pop().is_err())
                .expect("threads can be started")
        })
        .collect();
    let tasks: Vec<_> = (0..EACH)
        .map(|_| {
            let fifo = fifo.clone();
            runtime.spawn(async move { fifo.pop_async().await.is_err() })
        })
        .collect();
    thread::sleep(Duration::from_secs(1));
    let before = processor_time();
    thread::sleep(WATCHED);
    let used = processor_time() - before;
    println!("{} parked consumers used {used:?} of the processor in {WATCHED:?}", 2 * EACH);
    let start = Instant::now();
    fifo.close();
    assert!(threads.into_iter().all(|thread| thread.join().expect("no panic")));
    runtime.block_on(async {
        for task in tasks {
            assert!(task.await.expect("no panic"));
        }
    });
    println!("a close reached all of them within {:?}", start.elapsed());
}
