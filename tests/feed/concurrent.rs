//! Subscribers of every speed beside writers: each one's sum is the store, whatever it missed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use watchcache::Store;
use watchcache::store::FeedLimits;

use crate::common::watchdog::{sized, watched};
use crate::follower::take;
use crate::thing::{Thing, app, batch, listing, put};

fn write(store: &Store<Thing>, random: &mut StdRng) {
    let keys: Vec<_> = (0..20).map(|i| format!("{}/{i}", ["a", "b"][i % 2])).collect();
    let key = |random: &mut StdRng| keys[random.random_range(0..keys.len())].as_str();
    match random.random_range(0..10) {
        0..=5 => put(store, key(random), random.random_range(0..100)),
        6 => drop(store.delete(key(random))),
        7 | 8 => {
            let changes: Vec<_> = (0..random.random_range(1..40))
                .map(|_| {
                    let value = random.random_range(0..150);
                    (key(random), Some(value).filter(|value| *value < 100))
                })
                .collect();
            drop(store.apply(&batch(&changes)));
        }
        _ => {
            let things: BTreeMap<_, _> =
                (0..10).map(|_| (key(random), random.random_range(0..100))).collect();
            drop(store.replace(&listing(&things.into_iter().collect::<Vec<_>>(), None)));
        }
    }
}

#[test]
fn every_subscriber_ends_with_what_the_store_has() {
    watched(|| {
        let limits = FeedLimits::default().log(200, usize::MAX).behind(300, usize::MAX);
        let store = Arc::new(Store::builder().feed(limits).build());
        let done = Arc::new(AtomicBool::new(false));
        let subscribers: Vec<_> = (0..sized(6, 3) as u64)
            .map(|speed| {
                let (store, done) = (Arc::clone(&store), Arc::clone(&done));
                std::thread::spawn(move || {
                    let mut random = StdRng::seed_from_u64(speed);
                    while !done.load(Ordering::SeqCst) {
                        follow(&store, &done, speed, &mut random);
                    }
                })
            })
            .collect();
        let writers: Vec<_> = (100..102)
            .map(|seed| {
                let store = Arc::clone(&store);
                std::thread::spawn(move || {
                    let mut random = StdRng::seed_from_u64(seed);
                    (0..sized(4_000, 6)).for_each(|_| write(&store, &mut random));
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::SeqCst);
        subscribers.into_iter().for_each(|subscriber| subscriber.join().unwrap());
    });
}

/// Follows for some time, or to the end of the writing.
fn follow(store: &Store<Thing>, done: &AtomicBool, speed: u64, random: &mut StdRng) {
    let from_content = random.random_bool(0.5);
    let selector = "app=even".parse().unwrap();
    let filtered = random.random_bool(0.3);
    let snapshot = store.snapshot();
    let subscribe = store.subscribe();
    let subscribe = if filtered { subscribe.labels(selector) } else { subscribe };
    let (subscribe, mut known) = if from_content {
        (subscribe.with_content(), BTreeMap::new())
    } else {
        let wanted = |thing: &Thing| !filtered || app(thing.value) == "even";
        let known = snapshot.iter().filter(|(_, thing)| wanted(thing));
        let known = known.map(|(key, thing)| (key.to_string(), thing.to_arc())).collect();
        (subscribe.since(&snapshot), known)
    };
    let mut subscription = subscribe.start().unwrap();
    let last = random.random_range(10..400);
    for _ in 0..last {
        // What is there after the writers have ended is there to be told.
        let is_over = done.load(Ordering::SeqCst);
        match subscription.try_next() {
            Ok(delivery) => take(&mut known, &delivery),
            Err(_) if is_over => {
                let held = store.snapshot();
                let held = held.iter().filter(|(_, thing)| !filtered || app(thing.value) == "even");
                let held: BTreeMap<_, _> =
                    held.map(|(key, thing)| (key.to_string(), thing.to_arc())).collect();
                assert_eq!(known, held);
                return;
            }
            Err(_) => std::thread::yield_now(),
        }
        for _ in 0..random.random_range(0..=speed * speed * 20) {
            std::hint::spin_loop();
        }
    }
}
