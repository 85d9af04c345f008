//! The change feed: subscribers that are tasks, and read in place.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use watchcache::Store;
use watchcache::store::Subscription;

use crate::item::Item;
use crate::store::{BATCH, batches, filled};
use crate::{Bench, Case, nanoseconds, per_second};

/// So many batches at most the writer is ahead of the slowest subscriber.
const LEAD: u64 = 64;

pub(crate) fn cases() -> Vec<Case> {
    let deliveries = |subscribers: usize| -> Case {
        let name = format!("feed deliver {subscribers}");
        (name.clone(), Box::new(move |bench| per_second_of(bench, &name, subscribers)))
    };
    let writer = |subscribers: usize| -> Case {
        let name = format!("feed writer {subscribers}");
        (name.clone(), Box::new(move |bench| per_event(bench, &name, subscribers)))
    };
    vec![deliveries(100), deliveries(1_000), writer(0), writer(1_000)]
}

/// Where a subscriber is. On cache lines of its own: only the subscriber and the writer look at it.
#[repr(align(128))]
struct Place {
    seen: AtomicU64,
    revision: AtomicU64,
}

/// What a run comes to.
struct Outcome {
    deliveries: u64,
    elapsed: Duration,
    /// Of each batch, the time that writing it took.
    writes: Vec<Duration>,
}

fn per_second_of(bench: &Bench, name: &str, subscribers: usize) {
    let outcome = run(bench, subscribers);
    per_second(name, outcome.deliveries, outcome.elapsed);
}

fn per_event(bench: &Bench, name: &str, subscribers: usize) {
    let Outcome { mut writes, .. } = run(bench, subscribers);
    let events = writes.len() * BATCH;
    nanoseconds(&format!("{name}, mean"), writes.iter().sum(), events);
    writes.sort_unstable();
    nanoseconds(name, writes[writes.len() / 2], BATCH);
}

async fn follow(mut subscription: Subscription<Item>, place: Arc<Place>) {
    let mut seen = 0;
    while let Some(delivery) = subscription.next_async().await {
        for change in &delivery {
            let sum: u64 =
                [change.old, change.new].into_iter().flatten().map(|of| of.body[0]).sum();
            black_box((change.key.name().len(), sum));
            seen += 1;
        }
        // ORDERING: relaxed, how far it is guards nothing else.
        place.seen.store(seen, Ordering::Relaxed);
        place.revision.store(delivery.revision().get(), Ordering::Relaxed);
    }
}

fn run(bench: &Bench, subscribers: usize) -> Outcome {
    let store = filled(bench.objects);
    // Without a version every change counts, so that two rounds can be written again and again.
    let rounds = [batches(bench.objects, None, BATCH), batches(bench.objects, None, BATCH)];
    let runtime: Runtime = Builder::new_multi_thread().build().expect("a runtime can be made");
    let start = store.revision().get();
    let (mut places, mut tasks) = (Vec::new(), Vec::new());
    for _ in 0..subscribers {
        let place = Arc::new(Place { seen: AtomicU64::new(0), revision: AtomicU64::new(start) });
        let subscription = store.subscribe().start().expect("no snapshot is another store's");
        tasks.push(runtime.spawn(follow(subscription, Arc::clone(&place))));
        places.push(place);
    }
    let mut writes = Vec::new();
    let started = Instant::now();
    for batch in rounds.iter().flatten().cycle() {
        if started.elapsed() >= bench.duration {
            break;
        }
        let began = Instant::now();
        store.apply(batch);
        writes.push(began.elapsed());
        if writes.len().is_multiple_of(LEAD as usize / 4) {
            wait(&store, &places, LEAD);
        }
    }
    wait(&store, &places, 0);
    let elapsed = started.elapsed();
    // ORDERING: relaxed, as in `follow`.
    let deliveries = places.iter().map(|place| place.seen.load(Ordering::Relaxed)).sum();
    drop(store);
    runtime.block_on(async {
        for task in tasks {
            task.await.expect("subscribers do not panic");
        }
    });
    Outcome { deliveries, elapsed, writes }
}

/// Until all subscribers are at most so many batches behind.
fn wait(store: &Store<Item>, places: &[Arc<Place>], lead: u64) {
    let enough = store.revision().get().saturating_sub(lead);
    // ORDERING: relaxed, as in `follow`.
    while places.iter().any(|place| place.revision.load(Ordering::Relaxed) < enough) {
        thread::sleep(Duration::from_micros(20));
    }
}
