//! Writers, failures and sleeps beside a controller on a thread of its own: what it has reconciled last of each
//! key is what is there in the end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::oneshot;
use watchcache::fifo::Backoff;
use watchcache::reconcile::{Action, Controller, Request};
use watchcache::{Fifo, Store};

use crate::common::watchdog::{eventually, watched};
use crate::driven::block_on;
use crate::thing::{Log, Thing, key, put, store};

const KEYS: u32 = 40;

/// What was reconciled last, by key: a value, or that it is gone.
type Known = Arc<Mutex<BTreeMap<String, Option<u32>>>>;

fn name(of: u32) -> String {
    format!("a/{of}")
}

fn write(things: &Store<Thing>, owned: &Store<Thing>, seed: u64, until: Instant) {
    let mut random = StdRng::seed_from_u64(seed);
    while Instant::now() < until {
        let name = name(random.random_range(0..KEYS));
        match random.random_range(0..10) {
            0 => drop(things.delete(&name)),
            1 => {
                let owner = Some(key(&name));
                owned.add(Thing { key: key("a/owned"), value: 0, owner }).unwrap();
            }
            _ => put(things, &name, random.random()),
        }
        // Long enough for it to fall asleep, now and then.
        if random.random_range(0..20) == 0 {
            thread::sleep(Duration::from_micros(random.random_range(0..300)));
        }
    }
}

#[test]
fn what_was_reconciled_last_is_what_is_there() {
    watched(|| {
        let (things, owned) = (store(&[]), store(&[]));
        let (log, known) = (Log::default(), Known::default());
        let backoff = Backoff::new(Duration::from_micros(100), Duration::from_millis(2));
        let queue = Fifo::builder().backoff(backoff).build().unwrap();
        let (reconcile, learn) = (log.clone(), Arc::clone(&known));
        let turns = AtomicU32::new(0);
        let controller = Controller::with_queue(&things, &queue)
            .concurrency(4)
            .deletions()
            .watches(owned.subscribe(), |owned: &Thing| owned.owner.clone())
            .reconcile(move |thing: Request<Thing>| {
                let running = reconcile.begin(&thing);
                let (turn, learn) = (turns.fetch_add(1, Ordering::Relaxed), Arc::clone(&learn));
                async move {
                    for _ in 0..turn % 4 {
                        tokio::task::yield_now().await;
                    }
                    let state = (!thing.is_deleted()).then_some(thing.value);
                    drop(running);
                    match turn % 7 {
                        0 => return Err("a bad turn"),
                        1 => panic!("a worse turn"),
                        _ => learn.lock().unwrap().insert(thing.key().to_string(), state),
                    };
                    Ok(match turn % 5 {
                        0 => Action::requeue_after(Duration::from_micros(200)),
                        _ => Action::await_change(),
                    })
                }
            });
        let (stop, stopped) = oneshot::channel::<()>();
        let running =
            thread::spawn(move || block_on(controller.run(async { drop(stopped.await) })));
        let until = Instant::now() + Duration::from_secs(1);
        thread::scope(|scope| {
            for seed in 0..3 {
                let (things, owned) = (&things, &owned);
                scope.spawn(move || write(things, owned, seed, until));
            }
        });
        for of in 0..KEYS {
            let name = name(of);
            eventually("the last state is reconciled", || {
                let there = things.get(&name).map(|thing| thing.value);
                let known = known.lock().unwrap().get(&name).copied();
                // Some keys are never made.
                known.unwrap_or_default() == there
            });
        }
        drop(stop);
        let stopped = running.join().unwrap().unwrap();
        assert!(stopped.cancelled.is_empty());
        assert!(log.most_at_once() <= 4);
    });
}
