//! One seed from beginning to end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use crate::mirror::{Mirror, Mirrors, aspect};
use crate::plan::{Bad, Plan, Topology};
use crate::server::Server;
use crate::source::{Counts, uid};
use crate::tally::Tally;

/// How long, in virtual time, the reflector may take to catch up once the faults are over: the
/// longest back-off, a silence and a hanging request among them.
const PATIENCE: Duration = Duration::from_secs(1_200);

/// Lists and watches that a reflector may ask for within a minute.
const PER_MINUTE: usize = 40;

pub(crate) async fn simulate(seed: u64) -> Tally {
    let mut random = StdRng::seed_from_u64(seed);
    let plan = Plan::new(&mut random);
    if std::env::var("SIMULATION_SEED").is_ok() {
        println!("{plan:?}");
    }
    let server = Arc::new(Server::new(random.random(), plan));
    let initial = if plan.size.names > 100 { 3_000 } else { 40 };
    server.world().churn(random.random_range(0..initial));
    let mut mirrors = Mirrors::start(&server, &mut random);
    let rounds = random.random_range(1..60);
    let special = (random.random_range(0..rounds), random.random_range(0..rounds));
    for round in 0..rounds {
        tokio::time::sleep(Duration::from_millis(random.random_range(0..20_000))).await;
        server.world().churn(random.random_range(0..12));
        mirrors.read(&mut random, false);
        if random.random_bool(0.1) {
            server.world().compact();
        }
        if random.random_bool(0.02) {
            server.poison();
        }
        if plan.transaction > 0 && (round == special.0 || round == special.1) {
            server.world().transaction(plan.transaction);
        }
        if plan.moves && round == special.0 {
            server.world().move_here();
        }
        if plan.restore.is_some() && round == special.1 {
            restore(&server, &mirrors).await;
        }
    }
    server.end_faults();
    catch_up(&server, &mirrors).await;
    if plan.topology == Topology::Merged {
        // What happened while another part fed the sinks, a part hears with its next change.
        catch_up(&server, &mirrors).await;
    }
    // The workers, too.
    tokio::time::sleep(Duration::from_secs(1)).await;
    mirrors.read(&mut random, true);
    compare(&mirrors);
    let tally = count(&mirrors);
    finish(mirrors).await;
    tally
}

/// Makes the last changes, and waits until everybody has them.
async fn catch_up(server: &Server, mirrors: &Mirrors) {
    let last = server.world().touch();
    for mirror in &mirrors.mirrors {
        let caught_up = mirror.monitor.wait_for(&last.to_string().into());
        let caught_up = tokio::time::timeout(PATIENCE, caught_up).await;
        caught_up.expect("it never caught up").unwrap();
    }
}

/// Sets the history back, and waits until everybody has found out.
async fn restore(server: &Server, mirrors: &Mirrors) {
    let checks = || mirrors.caches.iter().map(|cache| &cache.check.on);
    checks().for_each(|on| on.store(false, Ordering::Relaxed));
    server.restore();
    let newest = server.world().version();
    let started = Instant::now();
    let behind = |mirror: &Mirror| {
        let version = mirror.monitor.progress().resource_version.and_then(|it| it.number());
        match server.plan.topology {
            // What only the lost history had may stay until the other part has come as far.
            Topology::Merged => version != Some(newest),
            _ => version.is_none_or(|version| version > newest),
        }
    };
    while mirrors.mirrors.iter().any(behind) {
        // Faults go on meanwhile, and a list of many pages seldom comes whole.
        if started.elapsed() >= 20 * PATIENCE {
            let progress: Vec<_> =
                mirrors.mirrors.iter().map(|mirror| mirror.monitor.progress()).collect();
            panic!("set back to {newest}, it never found out: {progress:#?}");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    checks().for_each(|on| on.store(true, Ordering::Relaxed));
}

fn compare(mirrors: &Mirrors) {
    let plan = &mirrors.server.plan;
    let world = mirrors.server.world();
    for (index, cache) in mirrors.caches.iter().enumerate() {
        let shard = cache.check.shard;
        let own = |key: &str| shard.is_none_or(|shard| shard.owns(key));
        let seen = cache.worker.seen.lock().unwrap();
        let filtered = cache.filtered.seen.lock().unwrap();
        for (key, object) in world.objects().iter().filter(|(key, _)| own(key)) {
            if object.bad && plan.bad != Bad::Lazy {
                continue;
            }
            let held = cache.store.get(key.as_str());
            let held = held.unwrap_or_else(|| panic!("{key} is missing from cache {index}"));
            let expected = (uid(*object), object.version);
            assert_eq!((held.uid.clone(), held.version()), expected, "{key} in the store");
            assert_eq!(seen.get(key), Some(&object.version), "{key} as the worker saw it");
            let looked_at = |version: &u64| aspect(&version.to_string()).to_owned();
            let last = filtered.get(key).map(looked_at);
            let now = Some(looked_at(&object.version));
            assert_eq!(last, now, "what the worker behind a filter looks at, of {key}");
        }
        for pod in cache.store.list().iter() {
            assert!(world.objects().contains_key(&pod.key), "{} is gone", pod.key);
            assert!(own(&pod.key), "{} is another's", pod.key);
        }
    }
    for (index, mirror) in mirrors.mirrors.iter().enumerate() {
        let own = |key: &str| mirror.shard.is_none_or(|shard| shard.owns(key));
        let listed: Vec<(String, String)> = mirror
            .monitor
            .quarantined()
            .into_iter()
            .map(|(key, bad)| (key.to_string(), bad.resource_version.unwrap().to_string()))
            .collect();
        let mut expected: Vec<(String, String)> = world
            .objects()
            .iter()
            .filter(|(key, object)| object.bad && own(key) && plan.selects(index, key))
            .map(|(key, object)| (key.clone(), object.version.to_string()))
            .collect();
        expected.sort();
        let mut listed = listed;
        listed.sort();
        assert_eq!(listed, expected, "quarantined by reflector {index}");
    }
}

/// The most lists and watches that were asked for within a minute.
fn most_per_minute(counts: &Counts) -> usize {
    let requests = &counts.requests;
    let minute = Duration::from_secs(60);
    let within = |(first, from): (usize, &Instant)| {
        requests[first..].iter().take_while(|at| **at - *from < minute).count()
    };
    requests.iter().enumerate().map(within).max().unwrap_or(0)
}

fn count(mirrors: &Mirrors) -> Tally {
    let mut tally = Tally::default();
    for mirror in &mirrors.mirrors {
        let (progress, counts) = (mirror.monitor.progress(), mirror.counts.lock().unwrap());
        let causes = progress.relist_causes;
        let most = most_per_minute(&counts);
        assert!(most <= PER_MINUTE, "{most} requests within a minute");
        assert_eq!(causes.expired, counts.expired, "relists without need");
        // The first takes three failures at one place; while that goes on, each further one takes one.
        let needed = counts.failed_watches.saturating_sub(2);
        assert!(causes.protocol + causes.stalled <= needed, "relists without need");
        assert!(causes.quiet <= progress.watches / 2, "each takes two watches that said nothing");
        assert!(!progress.unordered, "its versions have an order, whatever goes wrong");
        tally.add(&Tally::of([
            ("reflectors", 1),
            ("events", progress.events),
            ("stale events", progress.stale_events),
            ("silences", progress.silences),
            ("undecodable", progress.undecodable),
            ("refused", progress.refused),
            ("empty bookmarks", progress.empty_bookmarks),
            ("failures", progress.failures),
            ("relists", progress.relists),
            ("relists: expired", causes.expired),
            ("relists: stalled", causes.stalled),
            ("relists: behind or out of order", causes.behind + causes.out_of_order),
            ("restarts", progress.restarts),
            ("lists of mixed versions", counts.mixed_lists),
            ("old lists", counts.old_lists),
            ("torn streaming lists", counts.torn),
            ("garbage", counts.garbage),
            ("foreign deletions", counts.foreign),
            ("most in one batch", progress.largest_batch),
            ("most requests in a minute", most as u64),
        ]));
    }
    tally.count("moved objects", mirrors.server.world().moved());
    for cache in &mirrors.caches {
        tally.count("snapshots compared", cache.check.looks.load(Ordering::Relaxed));
        tally.count("taken by workers", cache.worker.taken.load(Ordering::Relaxed));
        tally.count("taken behind filters", cache.filtered.taken.load(Ordering::Relaxed));
    }
    tally
}

async fn finish(mirrors: Mirrors) {
    // A part that ends lets go of its keys.
    mirrors.caches.iter().for_each(|cache| cache.check.on.store(false, Ordering::Relaxed));
    for mirror in mirrors.mirrors {
        mirror.stop.notify_one();
        mirror.run.await.unwrap();
    }
    for cache in mirrors.caches {
        cache.worker.end().await;
        cache.filtered.end().await;
    }
}
