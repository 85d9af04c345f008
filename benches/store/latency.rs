//! How long one read takes beside a writer at full speed.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use watchcache_benches::shuffled;

use crate::contestants::{Reader, Writer, dashmap, kube_runtime, rwlock_hashmap, watchcache};
use crate::threads::{batches, beside_writer};

const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 100.0];

/// In nanoseconds; a read that takes longer counts as this.
const LONGEST: u64 = 60_000_000_000;

/// Prints the percentiles, and returns what they are of.
pub fn print(objects: usize, duration: Duration) -> Vec<(&'static str, Histogram<u64>)> {
    println!("ns per get at {objects} objects beside a writer of batches of 64, clock included:");
    println!();
    println!("| | p50 | p90 | p99 | p99.9 | p99.99 | max | reads |");
    println!("|---|---|---|---|---|---|---|---|");
    let store = watchcache::filled(objects);
    let ours = measure(objects, duration, &store.clone(), store);
    let map = dashmap::filled(objects);
    let sharded = measure(objects, duration, &map.clone(), map);
    let map = rwlock_hashmap::filled(objects);
    let locked = measure(objects, duration, &map.clone(), map);
    let (reader, writer) = kube_runtime::filled(objects);
    let kube = measure(objects, duration, &reader, writer);
    let all = vec![
        (watchcache::NAME, ours),
        (dashmap::NAME, sharded),
        (rwlock_hashmap::NAME, locked),
        (kube_runtime::NAME, kube),
    ];
    for (name, histogram) in &all {
        let cells = PERCENTILES.map(|at| histogram.value_at_percentile(at).to_string());
        println!("| {name} | {} | {} |", cells.join(" | "), histogram.len());
    }
    all
}

fn measure<R: Reader, W: Writer>(
    objects: usize,
    duration: Duration,
    reader: &R,
    mut writer: W,
) -> Histogram<u64> {
    let batches = batches::<W>(objects);
    let keys: Vec<R::Key> = shuffled(objects).into_iter().map(R::key).collect();
    let mut histogram =
        Histogram::<u64>::new_with_bounds(1, LONGEST, 3).expect("the bounds are in order");
    beside_writer(&mut writer, &batches, || {
        let began = Instant::now();
        let mut last = began;
        for key in keys.iter().cycle() {
            std::hint::black_box(reader.get(key));
            let now = Instant::now();
            histogram.saturating_record((now - last).as_nanos() as u64);
            // Recording is not part of the read.
            last = Instant::now();
            if last - began >= duration {
                break;
            }
        }
    });
    histogram
}
