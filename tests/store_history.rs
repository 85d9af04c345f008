//! Recorded histories of concurrent reads and writes are linearizable, key by key: there is an order
//! of the operations, in keeping with the clock, in which each read returns what the last write put.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};

use common::Pod;
use watchcache::{Batch, KeyRef, Store};

/// What an operation did: put a number, deleted, or read this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    Put(u64),
    Delete,
    Read(Option<u64>),
}

#[derive(Clone, Copy, Debug)]
struct Event {
    key: usize,
    did: Did,
    called: u64,
    returned: u64,
}

/// Wing and Gong's search with Lowe's memory: try every operation that may come next, depth first,
/// and try no state twice.
fn is_linearizable(history: &[Event]) -> bool {
    assert!(history.len() <= 64, "a set of operations is a word");
    fn search(
        history: &[Event],
        done: u64,
        held: Option<u64>,
        seen: &mut HashSet<(u64, Option<u64>)>,
    ) -> bool {
        if done.count_ones() as usize == history.len() {
            return true;
        }
        if !seen.insert((done, held)) {
            return false;
        }
        let open = || history.iter().enumerate().filter(|(i, _)| done & (1 << i) == 0);
        // Only what was called before everything else that is open had returned may come next.
        let first_return = open().map(|(_, event)| event.returned).min().unwrap();
        open().filter(|(_, event)| event.called <= first_return).any(|(i, event)| {
            let next = match event.did {
                Did::Put(number) => Some(number),
                Did::Delete => None,
                Did::Read(read) if read == held => held,
                Did::Read(_) => return false,
            };
            search(history, done | 1 << i, next, seen)
        })
    }
    search(history, 0, None, &mut HashSet::new())
}

#[test]
fn the_checker_tells_good_from_bad() {
    let event = |did, called, returned| Event { key: 0, did, called, returned };
    let put = event(Did::Put(1), 0, 4);
    assert!(is_linearizable(&[put, event(Did::Read(None), 1, 2), event(Did::Read(Some(1)), 3, 6)]));
    assert!(!is_linearizable(&[
        put,
        event(Did::Read(Some(1)), 1, 2),
        event(Did::Read(None), 3, 6)
    ]));
    assert!(
        !is_linearizable(&[put, event(Did::Read(None), 5, 6)]),
        "a write that returned is there"
    );
}

const KEYS: usize = 3;
const THREADS: u64 = 4;
const STEPS: u64 = 12;

fn name(key: usize) -> String {
    format!("ns/{key}")
}

fn one_round(seed: u64) -> Vec<Event> {
    let store = Store::new();
    let (clock, numbers) = (AtomicU64::new(0), AtomicU64::new(1));
    let barrier = Barrier::new(THREADS as usize);
    // The clock's order is real time's: each tick is one atomic step.
    let tick = || clock.fetch_add(1, Ordering::SeqCst);
    let run = |thread: u64| {
        let mut random = (seed * 31 + thread).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut below = move |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let mut events = Vec::new();
        barrier.wait();
        for _ in 0..STEPS {
            let key = below(KEYS as u64) as usize;
            let what = below(6);
            let called = tick();
            let did = match what {
                0 => {
                    let number = numbers.fetch_add(1, Ordering::SeqCst);
                    let pod = Pod::new(&name(key), number);
                    store.add(Versionless(pod)).unwrap();
                    Did::Put(number)
                }
                1 => {
                    let number = numbers.fetch_add(1, Ordering::SeqCst);
                    let pod = Pod::new(&name(key), number);
                    let mut batch = Batch::new();
                    batch.add(Versionless(pod)).unwrap();
                    store.apply(&batch);
                    Did::Put(number)
                }
                2 => {
                    store.delete(&name(key));
                    Did::Delete
                }
                3 => Did::Read(store.get(&name(key)).map(|pod| pod.0.version())),
                4 => Did::Read(store.snapshot().get(&name(key)).map(|pod| pod.0.version())),
                _ => Did::Read(store.pin().get(&name(key)).map(|pod| pod.0.version())),
            };
            events.push(Event { key, did, called, returned: tick() });
        }
        events
    };
    let run = &run;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || run(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// A pod that tells no resource version, so that the last put wins.
struct Versionless(Pod);

impl watchcache::Object for Versionless {
    fn key(&self) -> KeyRef<'_> {
        (&self.0.key).into()
    }
}

#[test]
fn histories_are_linearizable() {
    let rounds = std::env::var("WATCHCACHE_ROUNDS").map_or(150, |text| text.parse().unwrap());
    for seed in 1..=rounds {
        let events = one_round(seed);
        for key in 0..KEYS {
            let history: Vec<_> = events.iter().filter(|event| event.key == key).copied().collect();
            assert!(is_linearizable(&history), "seed {seed}, key {key}: {history:#?}");
        }
    }
}
