//! The writer's time per batch of 64, beside draining subscribers of which one in a hundred is stalled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use nix::time::{ClockId, clock_gettime};
use watchcache::Store;
use watchcache::store::{FeedLimits, Subscription};
use watchcache_benches::Item;

use crate::readings::{Readings, median};
use crate::workload::{BATCH, Updates, filled, look};

const SUBSCRIBERS: [usize; 3] = [1, 100, 1_000];
/// How much longer a batch may take with the most subscribers than with one.
const BAR: f64 = 1.5;
/// Per event.
const BAR_MICROSECONDS: f64 = 1.0;
/// So many batches at most the writer is ahead of the slowest that drains, where it waits at all: a
/// quarter of the log.
const LEAD: u64 = 256;
/// Of subscribers, one in so many never looks.
const STALLED: usize = 100;

/// How subscribers drain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// Two threads ask all of them in turn, so none sleeps; the writer keeps within the log.
    Awake,
    /// The same, with a writer that never waits, so that they fall behind the log again and again.
    FullSpeed,
    /// Each is a thread, and all sleep when a batch comes.
    Threads,
    /// Each is a task, and all sleep when a batch comes.
    Tasks,
}

impl How {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Awake, "awake"),
        (Self::FullSpeed, "awake, writer never waits"),
        (Self::Threads, "sleeping threads"),
        (Self::Tasks, "sleeping tasks"),
    ];
}

/// Per batch, in microseconds.
#[derive(Clone, Copy)]
struct Times {
    /// The median of what a clock on the wall says: one that was interrupted does not count.
    median: f64,
    /// The mean of what the thread itself was given of a processor: all count, interruptions do not.
    processor: f64,
}

pub fn measure(readings: &mut Readings) {
    let objects = if readings.test { 1_000 } else { 100_000 };
    let counts = if readings.test { [1, 10, 20] } else { SUBSCRIBERS };
    readings.table("Writer's time per batch of 64, median; in brackets processor time, mean");
    let mut updates = Updates::new(objects, BATCH);
    for (how, name) in How::ALL {
        let times = counts.map(|count| {
            let times = time(how, count, objects, &mut updates, readings.test);
            let figure = |what: &str| format!("{name}, {count}{what}");
            readings.add(&figure(""), "us", times.median, None);
            readings.add(&figure(" (processor)"), "us", times.processor, None);
            times
        });
        let [one, _, most] = times;
        let ratio = |of: fn(&Times) -> f64| of(&most) / of(&one);
        readings.add(&format!("{name}, most over one"), "x", ratio(|t| t.median), BAR);
        let over = format!("{name}, most over one (processor)");
        readings.add(&over, "x", ratio(|t| t.processor), BAR);
        let per_event = most.median / BATCH as f64;
        readings.add(&format!("{name}, most, per event"), "us", per_event, BAR_MICROSECONDS);
    }
}

/// Where each subscriber is, and how to make them end.
struct Crowd {
    at: Vec<CachePadded<AtomicU64>>,
    over: AtomicBool,
}

impl Crowd {
    fn slowest(&self) -> u64 {
        // ORDERING: Relaxed: only how far they are.
        self.at.iter().map(|at| at.load(Ordering::Relaxed)).min().unwrap_or(u64::MAX)
    }

    fn is_over(&self) -> bool {
        // ORDERING: Relaxed: it guards nothing.
        self.over.load(Ordering::Relaxed)
    }

    fn drain(&self, number: usize, subscription: &mut Subscription<Item>) -> bool {
        let mut found = false;
        while let Ok(delivery) = subscription.try_next() {
            look(&delivery);
            // ORDERING: Relaxed, as in `slowest`.
            self.at[number].store(delivery.revision().get(), Ordering::Relaxed);
            found = true;
        }
        found
    }

    /// One that sleeps whenever there is nothing.
    fn follow(&self, number: usize, mut subscription: Subscription<Item>) {
        while let Some(delivery) = subscription.next() {
            look(&delivery);
            // ORDERING: Relaxed, as in `slowest`.
            self.at[number].store(delivery.revision().get(), Ordering::Relaxed);
        }
    }

    async fn follow_async(&self, number: usize, mut subscription: Subscription<Item>) {
        while let Some(delivery) = subscription.next_async().await {
            look(&delivery);
            // ORDERING: Relaxed, as in `slowest`.
            self.at[number].store(delivery.revision().get(), Ordering::Relaxed);
        }
    }
}

fn time(how: How, count: usize, objects: usize, updates: &mut Updates, test: bool) -> Times {
    let store = filled(objects, FeedLimits::default());
    let subscribe = || store.subscribe().start().expect("no snapshot is another store's");
    let stalled: Vec<_> = (0..count / STALLED).map(|_| subscribe()).collect();
    let draining: Vec<_> = (stalled.len()..count).map(|_| subscribe()).collect();
    let at = || CachePadded::new(AtomicU64::new(store.revision().get()));
    let crowd = Arc::new(Crowd {
        at: draining.iter().map(|_| at()).collect(),
        over: AtomicBool::new(false),
    });
    let mut ends: Vec<Box<dyn FnOnce()>> = Vec::new();
    match how {
        How::Awake | How::FullSpeed => {
            let mut parts = [Vec::new(), Vec::new()];
            for (number, subscription) in draining.into_iter().enumerate() {
                parts[number % 2].push((number, subscription));
            }
            for mut part in parts.into_iter().filter(|part| !part.is_empty()) {
                let crowd = Arc::clone(&crowd);
                let thread = thread::spawn(move || {
                    while !crowd.is_over() {
                        let mut found = false;
                        for (number, subscription) in &mut part {
                            found |= !crowd.is_over() && crowd.drain(*number, subscription);
                        }
                        if !found {
                            thread::yield_now();
                        }
                    }
                });
                ends.push(Box::new(|| thread.join().expect("it does not panic")));
            }
        }
        How::Threads => {
            for (number, subscription) in draining.into_iter().enumerate() {
                let crowd = Arc::clone(&crowd);
                let thread = thread::Builder::new().stack_size(64 << 10);
                let thread = thread.spawn(move || crowd.follow(number, subscription));
                let thread = thread.expect("threads can be started");
                ends.push(Box::new(|| thread.join().expect("it does not panic")));
            }
        }
        How::Tasks => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .build()
                .expect("a runtime can be made");
            let tasks: Vec<_> = draining
                .into_iter()
                .enumerate()
                .map(|(number, subscription)| {
                    let crowd = Arc::clone(&crowd);
                    runtime.spawn(async move { crowd.follow_async(number, subscription).await })
                })
                .collect();
            ends.push(Box::new(move || {
                for task in tasks {
                    runtime.block_on(task).expect("it does not panic");
                }
            }));
        }
    }
    let times = write(how, &store, &crowd, updates, test);
    // ORDERING: Relaxed, as in `is_over`.
    crowd.over.store(true, Ordering::Relaxed);
    drop(store);
    ends.into_iter().for_each(|end| end());
    drop(stalled);
    times
}

fn write(how: How, store: &Store<Item>, crowd: &Crowd, updates: &mut Updates, test: bool) -> Times {
    let (at_least, batches) = match test {
        true => (Duration::ZERO, 20),
        false => (Duration::from_secs(2), 1_000),
    };
    let at_most = if test { Duration::from_millis(200) } else { Duration::from_secs(10) };
    // Sleepers are fast asleep only some time after they have seen everything.
    let (lead, asleep) = match how {
        How::Awake => (LEAD, Duration::ZERO),
        How::FullSpeed => (u64::MAX, Duration::ZERO),
        How::Threads | How::Tasks => (0, Duration::from_micros(300)),
    };
    let (mut walls, mut processor) = (Vec::new(), Duration::ZERO);
    let began = Instant::now();
    loop {
        let elapsed = began.elapsed();
        if walls.len() >= batches && elapsed >= at_least || elapsed >= at_most {
            break;
        }
        while store.revision().get().saturating_sub(crowd.slowest()) > lead {
            thread::sleep(Duration::from_micros(50));
        }
        thread::sleep(asleep);
        let batch = updates.next_batch();
        let before = processor_time();
        let start = Instant::now();
        store.apply(batch);
        walls.push(start.elapsed().as_nanos() as f64 / 1e3);
        processor += processor_time() - before;
    }
    let processor = processor.as_nanos() as f64 / 1e3 / walls.len() as f64;
    Times { median: median(walls), processor }
}

/// What this thread has had.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("the system tells").into()
}
