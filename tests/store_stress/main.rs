//! Everything at once, from a seed: two stores, thousands of keys, shards that grow, slabs that empty
//! and fill, a hot key, relists, snapshots of every age, threads that end, and subscribers of every kind.
//! `.ci/sanitize` runs this under AddressSanitizer and ThreadSanitizer, `.ci/miri` a small one under Miri.
//!
//! `WATCHCACHE_STRESS_SECONDS` says for how long, `WATCHCACHE_SEED` from which seed.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code)]
#[path = "../feed/follower.rs"]
mod follower;
mod item;
mod readers;
mod run;
mod subscribers;
mod writers;

use std::sync::atomic::Ordering;
use std::time::Instant;

use watchcache::Store;
use watchcache::store::FeedLimits;

use common::watchdog::eventually;
use item::{BY_NUMBER, BY_PARITY, DROPPED, Item, MADE};
use run::{LOG, Run};
use writers::LAST;

#[test]
fn nobody_reads_what_was_freed_and_everything_is_freed_once() {
    let run = Run::from_environment();
    let feed = FeedLimits::default().log(LOG, usize::MAX).behind(4 * LOG, usize::MAX);
    let store = || Store::builder().index(&BY_PARITY).index(&BY_NUMBER).feed(feed).build();
    let stores = [store(), store()];
    let start = Instant::now();
    std::thread::scope(|scope| {
        let run = &run;
        let [one, other] = &stores;
        let writers = [
            scope.spawn(|| writers::tide(run, one, run.random(1))),
            scope.spawn(|| writers::tide(run, other, run.random(2))),
            scope.spawn(|| writers::hot(run, one, run.random(3))),
            scope.spawn(|| writers::anywhere(run, one, run.random(4))),
            scope.spawn(|| writers::anywhere(run, other, run.random(5))),
        ];
        scope.spawn(|| readers::reader(run, [one, other], run.random(6)));
        scope.spawn(|| readers::reader(run, [one, other], run.random(7)));
        scope.spawn(|| readers::short_threads(run, [one, other], run.random(8)));
        scope.spawn(|| subscribers::sleeps(run, one));
        scope.spawn(|| subscribers::tasks(run, other));
        scope.spawn(|| subscribers::falls_behind(one, run.random(9)));
        scope.spawn(|| subscribers::comes_and_goes(run, one, run.random(10)));
        scope.spawn(|| subscribers::comes_and_goes(run, other, run.random(11)));
        if !cfg!(miri) {
            std::thread::sleep(run.length.saturating_sub(start.elapsed()));
        }
        run.end();
        let ended = writers.map(|writer| writer.join());
        // Subscribers end when they are told of it.
        for store in [one, other] {
            store.add(Item::new(LAST)).unwrap();
        }
        ended.into_iter().for_each(Result::unwrap);
    });
    for store in &stores {
        // It sees that nobody follows any more.
        store.add(Item::new(LAST)).unwrap();
        readers::verify(&store.snapshot());
    }
    let made = MADE.load(Ordering::Relaxed);
    let held: usize = stores.iter().map(Store::len).sum();
    let retained = |store: &Store<Item>| store.stats().retained_versions;
    eventually("only what is stored is alive", || {
        let is_freed = stores.iter().all(|store| retained(store) == 0);
        is_freed && made - DROPPED.load(Ordering::Relaxed) == held as u64
    });
    for store in &stores {
        let stats = store.stats();
        assert_eq!((stats.live_snapshots, stats.retained_bytes), (0, 0), "{stats:?}");
    }
    drop(stores);
    assert_eq!(DROPPED.load(Ordering::Relaxed), made, "objects are dropped once each");
    println!("{made} objects were stored, in {:.1?}", start.elapsed());
}
