//! What a store pays that nobody follows, and what it takes to follow it.

use std::time::{Duration, Instant};

use watchcache::Store;
use watchcache::store::{FeedLimits, Subscription};
use watchcache_benches::Item;

use crate::readings::{Readings, median};
use crate::workload::{BATCH, Updates, filled, look};

const BAR_SUBSCRIBE: f64 = 1_000.0;
/// How many subscriptions are there at once while the time of one more is taken.
const AT_ONCE: usize = 64;

pub fn measure(readings: &mut Readings) {
    let (objects, rounds) = if readings.test { (1_000, 1) } else { (100_000, 31) };
    readings.table(&format!("apply at {objects} objects, per event, medians of all batches"));
    for size in [1, BATCH] {
        let store = filled(objects, FeedLimits::default());
        let mut updates = Updates::new(objects, size);
        let events = if readings.test { BATCH } else { BATCH * 200 };
        round(&store, &mut updates, events / size, None);
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            times[0].extend(round(&store, &mut updates, events / size, None));
            let mut one = subscribe(&store);
            // The first write begins the log.
            round(&store, &mut updates, 1, Some(&mut one));
            times[1].extend(round(&store, &mut updates, events / size, Some(&mut one)));
            drop(one);
            // The next one lets go of it.
            round(&store, &mut updates, 1, None);
        }
        let [alone, followed] = times.map(|times| median(times) / size as f64);
        readings.add(&format!("nobody follows, batches of {size}"), "ns", alone, None);
        readings.add(&format!("one follows, batches of {size}"), "ns", followed, None);
        readings.add(&format!("one over nobody, batches of {size}"), "x", followed / alone, None);
    }
    readings.table(&format!("subscribe at {objects} objects, medians of {rounds} rounds"));
    for others in [0, 1_000] {
        let (subscribed, left) = subscribing(objects, others, rounds);
        let figure = format!("beside {others} others");
        readings.add(&figure, "ns", subscribed, BAR_SUBSCRIBE);
        readings.add(&format!("{figure}: to leave again"), "ns", left, None);
    }
}

fn subscribe(store: &Store<Item>) -> Subscription<Item> {
    store.subscribe().start().expect("no snapshot is another store's")
}

/// Nanoseconds of each batch; who follows reads off the clock.
fn round(
    store: &Store<Item>,
    updates: &mut Updates,
    batches: usize,
    mut one: Option<&mut Subscription<Item>>,
) -> Vec<f64> {
    let mut apply = || {
        let batch = updates.next_batch();
        let start = Instant::now();
        store.apply(batch);
        let spent = start.elapsed();
        if let Some(one) = &mut one {
            while let Ok(delivery) = one.try_next() {
                look(&delivery);
            }
        }
        spent.as_nanos() as f64
    };
    (0..batches).map(|_| apply()).collect()
}

/// Nanoseconds to subscribe and to leave.
fn subscribing(objects: usize, others: usize, rounds: usize) -> (f64, f64) {
    let store = filled(objects, FeedLimits::default());
    let others: Vec<_> = (0..others).map(|_| subscribe(&store)).collect();
    round(&store, &mut Updates::new(objects, BATCH), 1, None);
    let per_one = |elapsed: Duration| elapsed.as_nanos() as f64 / AT_ONCE as f64;
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..rounds * 10 {
        let start = Instant::now();
        let these: Vec<_> = (0..AT_ONCE).map(|_| subscribe(&store)).collect();
        times[0].push(per_one(start.elapsed()));
        let start = Instant::now();
        drop(these);
        times[1].push(per_one(start.elapsed()));
    }
    drop(others);
    let [subscribed, left] = times.map(median);
    (subscribed, left)
}
