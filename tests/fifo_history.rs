//! What many producers and consumers did at once, written down and then checked.
//!
//! `WATCHCACHE_SOAK_SECONDS` makes the soak last; `WATCHCACHE_SEED` repeats one.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use watchcache::fifo::{Added, Backoff, PopError};
use watchcache::{Batch, Fifo, KeyRef, Listing, Object};

use crate::common::watchdog::{patience, watched};

struct Item {
    name: String,
    key: u64,
    version: u64,
}

impl Item {
    fn new(key: u64, version: u64) -> Self {
        Self { name: format!("ns/{key}"), key, version }
    }
}

impl Object for Item {
    fn key(&self) -> KeyRef<'_> {
        (&self.name).into()
    }
}

/// One call: when it began and ended, by a count that all threads share, and what it was about.
#[derive(Clone, Copy)]
struct Call {
    began: u64,
    ended: u64,
    /// When the key was in nobody's hands any more.
    released: u64,
    key: u64,
    version: u64,
    /// An add that took a place, or a hand-out.
    placed: bool,
}

#[derive(Default)]
struct Count(AtomicU64);

impl Count {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

const PRODUCERS: u64 = 3;
const KEYS: u64 = 12;
const ADDS: u64 = if cfg!(miri) { 40 } else { 1_500 };

#[test]
fn no_value_is_lost_doubled_or_overtaken() {
    for seed in 0..if cfg!(miri) { 1 } else { 4 } {
        watched(move || history(seed));
    }
}

fn history(seed: u64) {
    let (fifo, count) = (Fifo::<Item>::new(), Count::default());
    let (adds, pops) = thread::scope(|scope| {
        let consumers: Vec<_> = (0..3)
            .map(|which| {
                let (fifo, count) = (&fifo, &count);
                scope.spawn(move || {
                    let mut calls = Vec::new();
                    loop {
                        let began = count.next();
                        // One consumer of three works on leases.
                        let (popped, lease) = if which == 0 {
                            let Ok(lease) = fifo.lease() else { break };
                            (lease.object().to_arc(), Some(lease))
                        } else {
                            let Ok(popped) = fifo.pop() else { break };
                            (popped, None)
                        };
                        let ended = count.next();
                        let Item { key, version, .. } = *popped;
                        let mut released = ended;
                        if let Some(lease) = lease {
                            thread::yield_now();
                            lease.done();
                            released = count.next();
                        }
                        calls.push(Call { began, ended, released, key, version, placed: true });
                    }
                    calls
                })
            })
            .collect();
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                let (fifo, count) = (&fifo, &count);
                scope.spawn(move || {
                    let mut random = StdRng::seed_from_u64(seed * 100 + producer);
                    let add = |version| {
                        // Each key has one producer, so its versions come in order.
                        let key = random.random_range(0..KEYS) * PRODUCERS + producer;
                        let began = count.next();
                        let added = fifo.add(Item::new(key, version)).unwrap();
                        let ended = count.next();
                        let placed = added == Added::Queued;
                        Call { began, ended, released: ended, key, version, placed }
                    };
                    (1..=ADDS).map(add).collect::<Vec<_>>()
                })
            })
            .collect();
        let adds: Vec<_> = producers.into_iter().flat_map(|p| p.join().unwrap()).collect();
        fifo.close();
        let pops: Vec<_> = consumers.into_iter().flat_map(|c| c.join().unwrap()).collect();
        (adds, pops)
    });
    check(&adds, &pops);
    assert_eq!(pops.len() as u64, fifo.stats().popped);
    assert_eq!(fifo.stats().adds, fifo.stats().popped + fifo.stats().coalesced);
}

fn check(adds: &[Call], pops: &[Call]) {
    let mut of_key: HashMap<u64, (Vec<Call>, Vec<Call>)> = HashMap::new();
    adds.iter().for_each(|add| of_key.entry(add.key).or_default().0.push(*add));
    pops.iter().for_each(|pop| of_key.entry(pop.key).or_default().1.push(*pop));
    // For each hand-out the add that took the place that it came from.
    let mut placed = Vec::new();
    for (key, (adds, pops)) in &mut of_key {
        adds.sort_by_key(|add| add.version);
        pops.sort_by_key(|pop| pop.version);
        for (one, next) in pops.iter().zip(&pops[1..]) {
            assert!(one.version < next.version, "key {key}: {} twice", one.version);
            // A later version may not have been had before an earlier one was asked for.
            assert!(next.ended > one.began, "key {key}: {} after {}", one.version, next.version);
        }
        assert_eq!(
            pops.last().unwrap().version,
            adds.last().unwrap().version,
            "the newest is lost"
        );
        let places: Vec<_> = adds.iter().filter(|add| add.placed).collect();
        assert_eq!(places.len(), pops.len(), "key {key}: each place is handed out once");
        for (add, pop) in places.iter().zip(&*pops) {
            assert!(add.began < pop.ended, "handed out before it was added");
            placed.push((**add, *pop));
        }
    }
    // First in, first out, as far as calls that do not overlap can tell. Leased keys wait longer.
    placed.sort_by_key(|(add, _)| add.ended);
    let unleased = placed.iter().filter(|(add, popped)| {
        let mut others = of_key[&add.key].1.iter();
        others.all(|pop| pop.released < add.began || pop.began >= popped.began)
    });
    let placed: Vec<_> = unleased.collect();
    for (i, (first, popped)) in placed.iter().enumerate() {
        for (second, overtaking) in &placed[i + 1..] {
            let before = first.ended < second.began;
            assert!(!(before && overtaking.ended < popped.began), "{} was overtaken", first.key);
        }
    }
}

#[test]
fn after_a_soak_the_sums_are_equal() {
    let seconds = std::env::var("WATCHCACHE_SOAK_SECONDS").map_or(0, |text| text.parse().unwrap());
    let seed = std::env::var("WATCHCACHE_SEED").map_or(7, |text| text.parse().unwrap());
    let (begin, mut round) = (Instant::now(), 0);
    while round < 4 || begin.elapsed() < Duration::from_secs(seconds) {
        watched(move || soak(seed + round));
        round += 1;
    }
}

/// How consumers of a soak wait.
#[derive(Clone, Copy, PartialEq)]
enum Consumers {
    /// They look, wait for a while, are cancelled, and look again.
    Restless,
    /// They sleep until they are woken, so that what nobody is woken for stays.
    Patient,
}

fn micros(n: u64) -> Duration {
    Duration::from_micros(n)
}

/// A thread's work, until the queue is closed.
fn consume(fifo: &Fifo<Item>, consumers: Consumers, mut random: StdRng) {
    loop {
        match random.random_range(0..4) {
            0 if consumers == Consumers::Restless => {
                if let Err(PopError::Closed) = fifo.pop_timeout(micros(random.random_range(0..50)))
                {
                    break;
                }
            }
            1 if consumers == Consumers::Restless => _ = fifo.try_pop(),
            0 if fifo.pop().is_err() => break,
            0 => {}
            _ => match fifo.lease() {
                Err(_) => break,
                Ok(lease) => match random.random_range(0..8) {
                    0 => lease.retry(),
                    1 => drop(lease),
                    2 => lease.after(micros(random.random_range(0..200))),
                    _ => lease.done(),
                },
            },
        }
    }
}

/// A task's work, until the queue is closed.
async fn consume_async(fifo: Fifo<Item>, consumers: Consumers, mut random: StdRng) {
    loop {
        let lease = match consumers {
            Consumers::Patient => fifo.lease_async().await,
            Consumers::Restless => {
                // Cancelled again and again, woken or not.
                let patience = micros(random.random_range(0..100));
                match tokio::time::timeout(patience, fifo.lease_async()).await {
                    Err(_) => continue,
                    Ok(lease) => lease,
                }
            }
        };
        match lease {
            Err(_) => break,
            Ok(lease) if random.random_bool(0.2) => lease.retry(),
            Ok(lease) => lease.done(),
        }
    }
}

fn produce(fifo: &Fifo<Item>, versions: &AtomicU64, mut random: StdRng) {
    const OPS: u64 = if cfg!(miri) { 30 } else { 3_000 };
    let new = |key| Item::new(key, versions.fetch_add(1, Ordering::Relaxed));
    for _ in 0..OPS {
        let key = random.random_range(0..40);
        match random.random_range(0..20) {
            0 => {
                let listed = (0..random.random_range(0..30)).map(new);
                fifo.replace(&Listing::new(listed, None).unwrap()).unwrap();
            }
            1..4 => {
                let mut batch = Batch::new();
                for i in 0..random.random_range(1..20) {
                    match random.random_bool(0.8) {
                        true => batch.add(new((key + i) % 40)).unwrap(),
                        false => batch.delete(new((key + i) % 40).key()),
                    }
                }
                fifo.apply(&batch).unwrap();
            }
            4..7 => _ = fifo.delete(&format!("ns/{key}")),
            7..9 => {
                fifo.add_after(new(key), micros(random.random_range(0..300))).unwrap();
            }
            9 => _ = fifo.add_if_absent(new(key)).unwrap(),
            // Now and then all consumers have fallen asleep.
            10 => thread::sleep(micros(random.random_range(0..200))),
            _ => _ = fifo.add(new(key)).unwrap(),
        }
    }
}

fn soak(seed: u64) {
    let consumers = if seed % 4 < 2 { Consumers::Patient } else { Consumers::Restless };
    let builder = Fifo::<Item>::builder()
        .backoff(Backoff::new(micros(20), micros(500)).jitter(0.5))
        .lower_priority_for_lists(seed.is_multiple_of(2));
    let builder = if seed.is_multiple_of(3) { builder.deletions() } else { builder };
    let fifo = builder.build().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let versions = AtomicU64::new(1);
    let random = |kind: u64, n: u64| StdRng::seed_from_u64(seed * 10_000 + kind * 1_000 + n);
    thread::scope(|scope| {
        for n in 0..3 {
            let (fifo, random) = (&fifo, random(0, n));
            scope.spawn(move || consume(fifo, consumers, random));
        }
        let tasks: Vec<_> = (0..3)
            .map(|n| runtime.spawn(consume_async(fifo.clone(), consumers, random(1, n))))
            .collect();
        let producers: Vec<_> = (0..3)
            .map(|n| {
                let (fifo, versions, random) = (&fifo, &versions, random(2, n));
                scope.spawn(move || produce(fifo, versions, random))
            })
            .collect();
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        // Before a close wakes everybody: nothing may lie there beside sleepers.
        let begin = Instant::now();
        loop {
            let stats = fifo.stats();
            if stats.depth + stats.delayed + stats.processing == 0 {
                break;
            }
            if begin.elapsed() > Duration::from_secs(45) * patience() {
                // The sleepers would keep the test from ending.
                fifo.close();
                panic!("seed {seed}: nobody was woken for {stats:?}");
            }
            thread::sleep(Duration::from_millis(1));
        }
        let drained = fifo.drain(Duration::from_secs(60));
        assert!(drained.is_complete(), "seed {seed}: {drained:?}");
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
    let stats = fifo.stats();
    assert_eq!((stats.depth, stats.delayed, stats.processing), (0, 0, 0), "seed {seed}");
    assert_eq!(
        stats.adds + stats.requeued,
        stats.popped + stats.coalesced + stats.deleted,
        "seed {seed}: {stats:?}"
    );
    assert!(fifo.has_synced());
}

/// Each producer has keys of its own, so that the last change of each is known.
#[test]
fn the_last_run_of_each_key_is_of_its_last_change() {
    for seed in 0..if cfg!(miri) { 1 } else { 4 } {
        watched(move || last_runs(seed));
    }
}

fn last_runs(seed: u64) {
    const KEYS: u64 = 10;
    const CHANGES: u64 = if cfg!(miri) { 40 } else { 2_000 };
    let backoff = Backoff::new(micros(20), micros(200));
    let fifo = Fifo::<Item>::builder().deletions().backoff(backoff).build().unwrap();
    // Version and deletion, by key.
    let runs = Mutex::new(HashMap::new());
    let last = thread::scope(|scope| {
        for n in 0..3 {
            let (fifo, runs) = (&fifo, &runs);
            let mut random = StdRng::seed_from_u64(seed * 100 + n);
            scope.spawn(move || {
                while let Ok(lease) = fifo.lease() {
                    if random.random_bool(0.3) {
                        lease.retry();
                        continue;
                    }
                    let run = (lease.version, lease.is_deleted());
                    runs.lock().unwrap().insert(lease.object().key, run);
                    lease.done();
                }
            });
        }
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|n| {
                let fifo = &fifo;
                let random = StdRng::seed_from_u64(seed * 100 + 50 + n);
                scope.spawn(move || change(fifo, n * KEYS..(n + 1) * KEYS, CHANGES, random))
            })
            .collect();
        let last: HashMap<_, _> =
            producers.into_iter().flat_map(|producer| producer.join().unwrap()).collect();
        assert!(fifo.drain(Duration::from_secs(60)).is_complete());
        last
    });
    assert_eq!(runs.into_inner().unwrap(), last, "seed {seed}");
}

/// Adds and deletes these keys; what each came to.
fn change(
    fifo: &Fifo<Item>,
    keys: std::ops::Range<u64>,
    changes: u64,
    mut random: StdRng,
) -> HashMap<u64, (u64, bool)> {
    let mut last = HashMap::new();
    for version in 1..=changes {
        let key = random.random_range(keys.clone());
        if random.random_bool(0.5) {
            fifo.add(Item::new(key, version)).unwrap();
            last.insert(key, (version, false));
        } else if let Some(deleted) = fifo.delete(&format!("ns/{key}")) {
            assert_eq!(last.insert(key, (deleted.version, true)), Some((deleted.version, false)));
        }
    }
    last
}
