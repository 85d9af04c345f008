//! The reflector against a server that does everything wrong, in virtual time.
//!
//! Each seed is one history of changes and faults, and always the same one. A failure prints its
//! seed; `SIMULATION_SEED=<seed>` runs that one alone, and `SIMULATION_SEEDS=<n>` that many from 0.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;
mod server;
mod source;
mod world;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use watchcache::{Fifo, Reflector, Store};

use server::Server;
use source::Faulty;

/// How many seeds a plain test run takes.
const SEEDS: u64 = 3_000;

/// How long, in virtual time, the reflector may take to catch up once the faults are over: the
/// longest back-off, a silence and a hanging request among them.
const PATIENCE: Duration = Duration::from_secs(1_200);

#[test]
fn whatever_goes_wrong_the_store_equals_the_server() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let seeds = match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATION_SEEDS").unwrap_or(SEEDS),
    };
    let total = seeds.end - seeds.start;
    let left = Mutex::new(seeds);
    let work = || {
        let mut sum = Tally::default();
        loop {
            // In a statement of its own: the lock is not held while the seed runs.
            let seed = left.lock().unwrap().next();
            let Some(seed) = seed else { return sum };
            sum.add(run(seed));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut sum = Tally::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            sum.add(worker.join().expect("the seed that failed is printed above"));
        }
    });
    println!("{total} seeds: {sum:?}");
    if total >= 1_000 {
        assert!(sum.is_mixed(), "some fault never happened: {sum:?}");
    }
}

fn run(seed: u64) -> Tally {
    let _named = NameOnPanic(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(simulate(seed))
}

struct NameOnPanic(u64);

impl Drop for NameOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay with SIMULATION_SEED={}", self.0);
        }
    }
}

/// What happened over all seeds, so that a run shows that it tested something.
#[derive(Debug, Default)]
struct Tally {
    events: u64,
    relists: u64,
    stale: u64,
    silences: u64,
    quarantined: u64,
    mixed_lists: u64,
    failures: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.events += other.events;
        self.relists += other.relists;
        self.stale += other.stale;
        self.silences += other.silences;
        self.quarantined += other.quarantined;
        self.mixed_lists += other.mixed_lists;
        self.failures += other.failures;
    }

    fn is_mixed(&self) -> bool {
        let Self { events, relists, stale, silences, quarantined, mixed_lists, failures } = self;
        [events, relists, stale, silences, quarantined, mixed_lists, failures]
            .into_iter()
            .all(|count| *count > 0)
    }
}

async fn simulate(seed: u64) -> Tally {
    let mut random = StdRng::seed_from_u64(seed);
    let server = Arc::new(Server::new(random.random()));
    server.world().churn(random.random_range(0..40));
    let store = Arc::new(Store::new());
    let fifo = Fifo::new();
    let reflector = Reflector::builder(Faulty::new(Arc::clone(&server)))
        .sink(store.clone())
        .sink(fifo.clone())
        .page_size([None, Some(1), Some(7), Some(100)][random.random_range(0..4)])
        .batch_limit(random.random_range(1..50))
        .streaming_list(random.random_bool(0.3))
        .jitter_seed(random.random())
        .build();
    let monitor = reflector.monitor();

    let seen: Arc<Mutex<HashMap<String, u64>>> = Arc::default();
    let worker = tokio::spawn({
        let (fifo, seen) = (fifo.clone(), Arc::clone(&seen));
        async move {
            while let Ok(pod) = fifo.pop_async().await {
                let before = seen.lock().unwrap().insert(pod.key.clone(), pod.version());
                assert!(before <= Some(pod.version()), "{} went back from {before:?}", pod.key);
            }
        }
    });

    let started = tokio::time::Instant::now();
    let stop = async {
        for _ in 0..random.random_range(1..60) {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..20_000))).await;
            server.world().churn(random.random_range(0..12));
            if random.random_bool(0.1) {
                server.world().compact();
            }
        }
        server.end_faults();
        let last = server.world().touch();
        let caught_up = tokio::time::timeout(PATIENCE, monitor.wait_for(&last.to_string().into()));
        caught_up.await.expect("it never caught up").unwrap();
        // The worker, too.
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    reflector.run(stop).await.unwrap();
    let took = started.elapsed();
    fifo.close();
    worker.await.unwrap();

    let world = server.world();
    let quarantined: HashMap<_, _> = monitor
        .quarantined()
        .into_iter()
        .map(|(key, bad)| (key.as_str().to_owned(), bad.resource_version.unwrap()))
        .collect();
    let seen = seen.lock().unwrap();
    for (key, object) in world.objects() {
        if object.bad {
            let version = quarantined.get(key).unwrap_or_else(|| panic!("{key} silently missing"));
            assert_eq!(version.as_str(), object.version.to_string(), "{key}");
            continue;
        }
        let held = store.get(key.as_str()).unwrap_or_else(|| panic!("{key} is missing"));
        assert_eq!(held.version(), object.version, "{key} in the store");
        assert_eq!(seen.get(key), Some(&object.version), "{key} as the worker saw it");
        assert!(!quarantined.contains_key(key), "{key} is good");
    }
    let bad = world.objects().values().filter(|object| object.bad).count();
    assert_eq!(quarantined.len(), bad, "quarantined and no longer there");
    for pod in store.list().iter() {
        assert!(world.objects().contains_key(&pod.key), "{} is gone", pod.key);
    }

    let progress = monitor.progress();
    let counts = server.counts();
    assert_eq!(progress.relist_causes.expired, counts.expired, "relists without need");
    assert!(progress.relist_causes.protocol * 3 <= counts.garbage, "relists without need");
    assert_eq!(progress.relist_causes.version_too_large, 0, "relists without need");
    let bound = 30 + 10 * took.as_secs() + counts.pages;
    assert!(counts.requests <= bound, "{} requests within {took:?}", counts.requests);

    Tally {
        events: progress.events,
        relists: progress.relists,
        stale: progress.stale_events,
        silences: progress.silences,
        quarantined: progress.undecodable,
        mixed_lists: counts.mixed_lists,
        failures: progress.failures,
    }
}
