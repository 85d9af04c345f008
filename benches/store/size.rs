//! A store that is ten times as large: how long writes take while it grows, reads while it is listed again,
//! and updates beside those of the smaller one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::watchcache::Store;
use watchcache_benches::{Item, key, shuffled};

use crate::contestants::{Reader, Writer, watchcache};
use crate::figures::{Figures, median};
use crate::threads::{longest_read, time_of};

const ROUNDS: usize = 5;
const BATCH: usize = 64;
/// In a round of updates.
const BATCHES: usize = 256;

pub fn print(smaller: usize, figures: &mut Figures) {
    let objects = 10 * smaller;
    let growth = longest_growth_write(objects);
    let relist = longest_read_during_relist(objects);
    let [small, large] = updates([smaller, objects]);
    let times = large.as_secs_f64() / small.as_secs_f64();
    let microseconds = |time: Duration| time.as_nanos() as f64 / 1e3;
    println!("| {objects} objects, medians of {ROUNDS} rounds | us |");
    println!("|---|---|");
    println!("| longest write while they come one by one | {:.1} |", microseconds(growth));
    println!("| longest read while 1 % are listed anew | {:.1} |", microseconds(relist));
    println!("| update of {BATCH} | {:.1} |", microseconds(large));
    println!("| the same with {smaller}, a factor of {times:.2} | {:.1} |", microseconds(small));
    figures.set("longest_growth_write_us", microseconds(growth));
    figures.set("longest_read_during_relist_us", microseconds(relist));
    figures.set("update_64_at_1000000_over_100000", times);
}

fn longest_growth_write(objects: usize) -> Duration {
    let rounds = (0..ROUNDS).map(|_| {
        let store = Store::<Item>::new();
        let add = |i| {
            let item = Arc::new(Item::new(i, 1));
            time_of(|| store.add(item)).1
        };
        let longest = (0..objects).map(add).max().unwrap_or_default();
        (store, longest)
    });
    // No store is dropped before: malloc would put together what a round frees in a write of the next one.
    let (_stores, longest) = rounds.unzip::<_, _, Vec<_>, Vec<_>>();
    median(longest)
}

fn longest_read_during_relist(objects: usize) -> Duration {
    let (store, listings) = (watchcache::filled(objects), watchcache::changed_listings(objects));
    let keys: Vec<_> = shuffled(objects).into_iter().map(key).collect();
    let read = |i: usize| drop(Reader::get(&store, &keys[i % objects]));
    let rounds = listings.iter().cycle().take(ROUNDS);
    median(rounds.map(|listing| longest_read(read, || drop(store.replace(listing)))).collect())
}

/// The time of a batch of random updates, of each size. The two take turns, so that a busy hour meets both.
fn updates(sizes: [usize; 2]) -> [Duration; 2] {
    let mut stores = sizes.map(|objects| {
        (watchcache::filled(objects), shuffled(objects).into_iter().cycle(), Vec::new())
    });
    for version in 2..2 + ROUNDS as u64 {
        for (store, order, times) in &mut stores {
            let batches: Vec<_> = (0..BATCHES)
                .map(|_| <Arc<Store<Item>>>::batch(order.by_ref().take(BATCH), version))
                .collect();
            let began = Instant::now();
            batches.iter().for_each(|batch| drop(Store::apply(store, batch)));
            times.push(began.elapsed() / BATCHES as u32);
        }
    }
    stores.map(|(.., times)| median(times))
}
