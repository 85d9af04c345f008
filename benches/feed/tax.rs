//! What stalled subscribers cost a healthy one: the workload of kube-apiserver's `BenchmarkSlowWatcherTax`.
//!
//! One event at a time on a fixed schedule, from just before it is published until a subscriber that
//! always reads has it. Upstream has one companion beside it, here there are a hundred. The log is so
//! short that they fall behind it, and are told anew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use watchcache::Store;
use watchcache::store::FeedLimits;
use watchcache_benches::Item;

use crate::contestants::{Feed, KubeStoreShared};
use crate::readings::{Readings, median, percentile};
use crate::workload::filled;

const BAR: f64 = 1.1;
const OBJECTS: usize = 1_000;
const STALLED: usize = 100;
/// As upstream.
const RECONNECT: Duration = Duration::from_millis(500);

/// Who is there beside the healthy subscriber.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nobody,
    Stalled,
    /// They never read, and are replaced again and again.
    Reconnecting,
}

impl Beside {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Nobody, "alone"),
        (Self::Stalled, "beside 100 stalled"),
        (Self::Reconnecting, "beside 100 stalled that reconnect"),
    ];
}

pub fn measure(readings: &mut Readings) {
    let (rounds, seconds) = if readings.test { (1, 0.05) } else { (5, 5.0) };
    for per_second in [100, 1_000] {
        readings.table(&format!(
            "Delay of a healthy subscriber at {per_second} events a second, medians of {rounds} rounds"
        ));
        let mut all = Beside::ALL.map(|_| [Vec::new(), Vec::new(), Vec::new()]);
        for round in 0..rounds {
            // In turn, and not always in the same, so that a busy minute meets all.
            for turn in 0..Beside::ALL.len() {
                let which = (turn + round) % Beside::ALL.len();
                let delays = delays(Beside::ALL[which].0, per_second, seconds);
                for (at, part) in all[which].iter_mut().zip([0.5, 0.9, 0.99]) {
                    at.push(percentile(delays.iter().copied(), part));
                }
            }
        }
        let alone = median(all[0][2].iter().copied());
        for ((beside, name), at) in Beside::ALL.into_iter().zip(&all) {
            for (at, percentile) in at.iter().zip(["p50", "p90", "p99"]) {
                let figure = format!("{percentile} {name}, {per_second} a second");
                readings.add(&figure, "us", median(at.iter().copied()), None);
            }
            if beside != Beside::Nobody {
                let figure = format!("p99 {name} over alone, {per_second} a second");
                readings.add(&figure, "x", median(at[2].iter().copied()) / alone, BAR);
            }
        }
        let highest = all[0][2].iter().copied().fold(0.0, f64::max);
        let figure = format!("worst p99 alone over their median, {per_second} a second");
        readings.add(&figure, "x", highest / alone, None);
    }
    readings.note(&format!(
        "kube-runtime's shared store beside one stalled handle: stops for good after {} events.",
        until_stuck()
    ));
}

/// In microseconds.
fn delays(beside: Beside, per_second: u32, seconds: f64) -> Vec<f64> {
    let limits = FeedLimits::default().log(256, 1 << 20).behind(1_024, 4 << 20);
    let store = filled(OBJECTS, limits);
    let subscribe = || store.subscribe().start().expect("no snapshot is another store's");
    let mut healthy = subscribe();
    let companions = if beside == Beside::Nobody { 0 } else { STALLED };
    let mut stalled: Vec<_> = (0..companions).map(|_| subscribe()).collect();
    let events = (f64::from(per_second) * seconds) as usize;
    let (published, times) = mpsc::channel::<Instant>();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut delays = Vec::with_capacity(events);
            while delays.len() < events {
                let Some(delivery) = healthy.next() else { break };
                let now = Instant::now();
                for _ in &delivery {
                    let published = times.recv().expect("the writer told before it published");
                    delays.push((now - published).as_nanos() as f64 / 1e3);
                }
            }
            delays
        });
        let (store, over) = (&store, &over);
        scope.spawn(move || {
            let mut next = Instant::now();
            while beside == Beside::Reconnecting && !over.load(Ordering::Relaxed) {
                next += RECONNECT;
                // Looks whether it is over more often than it reconnects.
                while Instant::now() < next && !over.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(5));
                }
                stalled.clear();
                let subscribe = || store.subscribe().start();
                stalled.extend((0..companions).filter_map(|_| subscribe().ok()));
            }
            // They are there until the end.
            while !over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(5));
            }
        });
        let interval = Duration::from_secs(1) / per_second;
        publish(store, events, interval, &published);
        let delays = reader.join().expect("the reader does not panic");
        over.store(true, Ordering::Relaxed);
        delays
    })
}

fn publish(
    store: &Store<Item>,
    events: usize,
    interval: Duration,
    published: &mpsc::Sender<Instant>,
) {
    let items: Vec<_> = (0..events).map(|i| Item::new(i % OBJECTS, 0)).collect();
    let start = Instant::now();
    for (i, item) in items.into_iter().enumerate() {
        let due = start + interval * (i as u32 + 1);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        published.send(Instant::now()).expect("the reader waits");
        store.add(item).expect("keys are valid");
    }
}

/// How many events kube-runtime's shared store publishes beside a handle that is not read.
fn until_stuck() -> usize {
    let mut feed = KubeStoreShared::filled(OBJECTS);
    let _stalled = feed.subscribe();
    let mut events = 0;
    while feed.publish(KubeStoreShared::batch(std::iter::once(events % OBJECTS))) {
        feed.tidy();
        events += 1;
    }
    events
}
