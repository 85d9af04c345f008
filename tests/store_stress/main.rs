//! Everything at once, from a seed: two stores, thousands of keys, shards that grow, slabs that empty
//! and fill, a hot key, relists, snapshots of every age, and threads that end. `.ci/sanitize` runs
//! this under AddressSanitizer and ThreadSanitizer, `.ci/miri` a small one under Miri.
//!
//! `WATCHCACHE_STRESS_SECONDS` says for how long, `WATCHCACHE_SEED` from which seed.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod item;
mod readers;
mod run;
mod writers;

use std::sync::atomic::Ordering;
use std::time::Instant;

use watchcache::Store;

use common::watchdog::eventually;
use item::{BY_PARITY, DROPPED, MADE};
use run::Run;

#[test]
fn nobody_reads_what_was_freed_and_everything_is_freed_once() {
    let run = Run::from_environment();
    let store = || Store::builder().index(&BY_PARITY).build();
    let stores = [store(), store()];
    let start = Instant::now();
    std::thread::scope(|scope| {
        let run = &run;
        let [one, other] = &stores;
        scope.spawn(|| writers::tide(run, one, run.random(1)));
        scope.spawn(|| writers::tide(run, other, run.random(2)));
        scope.spawn(|| writers::hot(run, one, run.random(3)));
        scope.spawn(|| writers::anywhere(run, one, run.random(4)));
        scope.spawn(|| writers::anywhere(run, other, run.random(5)));
        scope.spawn(|| readers::reader(run, [one, other], run.random(6)));
        scope.spawn(|| readers::reader(run, [one, other], run.random(7)));
        scope.spawn(|| readers::short_threads(run, [one, other], run.random(8)));
        if !cfg!(miri) {
            std::thread::sleep(run.length.saturating_sub(start.elapsed()));
        }
        run.end();
    });
    for store in &stores {
        readers::verify(&store.snapshot());
        eventually("everything freed", || store.stats().retained_versions == 0);
        let stats = store.stats();
        assert_eq!((stats.live_snapshots, stats.retained_bytes), (0, 0), "{stats:?}");
    }
    let made = MADE.load(Ordering::Relaxed);
    let held: usize = stores.iter().map(Store::len).sum();
    assert_eq!(made - DROPPED.load(Ordering::Relaxed), held as u64, "alive, and nobody sees it");
    drop(stores);
    assert_eq!(DROPPED.load(Ordering::Relaxed), made, "objects are dropped once each");
    println!("{made} objects were stored, in {:.1?}", start.elapsed());
}
