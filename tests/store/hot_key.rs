//! What waits to be freed costs a bounded number of steps a write, whatever key is hot, however long
//! a guard has lived and however many there are. No time is measured: each test makes so many steps
//! that work which grows with what waits would not end before the watchdog's limit.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use watchcache::{Batch, Listing, Snapshot, Store};

use crate::common::Pod;
use crate::common::canary::{Ledger, Witness};
use crate::common::child::in_a_process_of_its_own;
use crate::common::watchdog::{eventually, sized};

const WRITES: u64 = sized(300_000, 60) as u64;

fn settled(store: &Store<Pod>) {
    eventually("everything freed", || store.stats().retained_versions == 0);
}

#[test]
fn a_hot_key_under_a_pin() {
    in_a_process_of_its_own(|| {
        let store = Store::new();
        store.add(Pod::new("ns/hot", 1)).unwrap();
        let (pinned, written) = (Barrier::new(2), Barrier::new(2));
        thread::scope(|scope| {
            scope.spawn(|| {
                let pin = store.pin();
                pinned.wait();
                written.wait();
                assert_eq!(pin.get("ns/hot").unwrap().version(), 1, "a pin is of one revision");
            });
            pinned.wait();
            for version in 2..=WRITES {
                store.add(Pod::new("ns/hot", version)).unwrap();
            }
            written.wait();
        });
        // Whoever writes now meets all that has gathered.
        store.add(Pod::new("ns/hot", WRITES + 1)).unwrap();
        let left = store.stats().retained_versions as u64;
        assert!(left + 10_000 > WRITES, "one write, and one look, freed all but {left}");
        settled(&store);
        assert_eq!(store.get("ns/hot").unwrap().version(), WRITES + 1);
    });
}

#[test]
fn a_hot_key_under_a_snapshot() {
    in_a_process_of_its_own(|| {
        let store = Store::new();
        store.add(Pod::new("ns/hot", 1)).unwrap();
        let snapshot = store.snapshot();
        for version in 2..=WRITES {
            store.add(Pod::new("ns/hot", version)).unwrap();
        }
        assert_eq!(snapshot.get("ns/hot").unwrap().version(), 1);
        drop(snapshot);
        settled(&store);
    });
}

/// A key that is deleted and put again leaves deletions in its chain.
#[test]
fn a_hot_key_that_comes_and_goes_under_a_pin_and_snapshots() {
    in_a_process_of_its_own(|| {
        let store = Store::new();
        store.add(Pod::new("ns/hot", 1)).unwrap();
        let (pinned, written) = (Barrier::new(2), Barrier::new(2));
        let mut snapshots = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                let pin = store.pin();
                pinned.wait();
                written.wait();
                assert!(pin.contains("ns/hot"));
            });
            pinned.wait();
            for version in 1..=WRITES / 2 {
                assert!(store.delete("ns/hot").object.is_some());
                store.add(Pod::new("ns/hot", version)).unwrap();
                if version % 1_000 == 0 {
                    snapshots.push((store.snapshot(), version));
                }
            }
            written.wait();
        });
        for (snapshot, version) in &snapshots {
            assert_eq!(snapshot.get("ns/hot").unwrap().version(), *version);
        }
        snapshots.clear();
        settled(&store);
    });
}

/// Eight readers pin in turn and hold on until the writer has come a long way, so that there is
/// always one far behind.
#[test]
fn a_hot_key_under_readers_that_fall_behind() {
    const BEHIND: u64 = WRITES / 4;
    in_a_process_of_its_own(|| {
        let store = Store::new();
        store.replace(
            &Listing::new((0..sized(1_000, 20)).map(|i| Pod::new(&format!("ns/{i}"), 1)), None)
                .unwrap(),
        );
        let (written, done) = (AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            for reader in 0..8 {
                let (store, written, done) = (&store, &written, &done);
                scope.spawn(move || {
                    let mut until = BEHIND * (reader + 1) / 8;
                    while !done.load(Ordering::Acquire) {
                        let pin = store.pin();
                        let seen = pin.get("ns/0").unwrap();
                        let version = seen.version();
                        while written.load(Ordering::Acquire) < until
                            && !done.load(Ordering::Acquire)
                        {
                            thread::yield_now();
                        }
                        assert_eq!(seen.version(), version, "what was pinned has changed");
                        drop(pin);
                        until += BEHIND;
                    }
                });
            }
            for version in 2..=WRITES {
                store.add(Pod::new("ns/0", version)).unwrap();
                written.store(version, Ordering::Release);
            }
            done.store(true, Ordering::Release);
        });
        settled(&store);
    });
}

/// Readers of one object, as fast as they can.
#[test]
fn a_hot_key_under_readers_in_a_loop() {
    in_a_process_of_its_own(|| {
        let store = Store::new();
        store.replace(
            &Listing::new((0..sized(1_000, 20)).map(|i| Pod::new(&format!("ns/{i}"), 1)), None)
                .unwrap(),
        );
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut last = 0;
                    while !done.load(Ordering::Relaxed) {
                        let version = store.get("ns/0").unwrap().version();
                        assert!(version >= last, "went back");
                        last = version;
                    }
                });
            }
            for version in 2..=WRITES / 3 {
                store.add(Pod::new("ns/0", version)).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        settled(&store);
    });
}

/// One batch after another changes the hot key many times; a reader looks on with a snapshot of each.
#[test]
fn a_hot_key_in_batches_with_a_snapshot_of_each() {
    in_a_process_of_its_own(|| {
        let store = Store::new();
        let mut snapshots: Vec<(Snapshot<Pod>, u64)> = Vec::new();
        for round in 1..=WRITES / 30 {
            let mut batch = Batch::new();
            for i in 0..10 {
                batch.add(Pod::new("ns/hot", round * 10 + i)).unwrap();
            }
            store.apply(&batch);
            snapshots.push((store.snapshot(), round * 10 + 9));
        }
        for (snapshot, version) in &snapshots {
            assert_eq!(snapshot.get("ns/hot").unwrap().version(), *version);
        }
        // Newest first, then the rest from the middle out.
        snapshots.truncate(snapshots.len() / 2);
        while !snapshots.is_empty() {
            snapshots.swap_remove(snapshots.len() / 2);
        }
        settled(&store);
    });
}

fn many_snapshots(let_go: impl FnOnce(Vec<Snapshot<Pod>>)) {
    let store = Store::new();
    let mut snapshots = Vec::new();
    for version in 1..=WRITES {
        store.add(Pod::new(&format!("ns/{}", version % 100), version)).unwrap();
        snapshots.push(store.snapshot());
    }
    assert_eq!(store.stats().live_snapshots, WRITES as usize);
    for (snapshot, version) in snapshots.iter().zip(1..).step_by(1_000) {
        let key = format!("ns/{}", version % 100);
        assert_eq!(snapshot.get(&key).unwrap().version(), version);
    }
    let_go(snapshots);
    store.add(Pod::new("ns/0", WRITES + 1)).unwrap();
    settled(&store);
    assert_eq!(store.stats().live_snapshots, 0);
}

#[test]
fn many_snapshots_let_go_from_the_oldest() {
    in_a_process_of_its_own(|| many_snapshots(drop));
}

#[test]
fn many_snapshots_let_go_from_the_newest() {
    in_a_process_of_its_own(|| many_snapshots(|mut snapshots| while snapshots.pop().is_some() {}));
}

#[test]
fn many_snapshots_let_go_but_for_one_in_a_hundred() {
    in_a_process_of_its_own(|| {
        many_snapshots(|snapshots| {
            let mut kept = Vec::new();
            for (i, snapshot) in snapshots.into_iter().enumerate() {
                if i % 100 == 0 {
                    kept.push(snapshot);
                }
            }
            drop(kept);
        });
    });
}

/// Writes go on while snapshots of every age live; each write pays for a bounded part.
#[test]
fn writes_beside_many_live_snapshots() {
    in_a_process_of_its_own(|| {
        let ledger = Ledger::new();
        let store = Store::new();
        for i in 0..100 {
            store.add(ledger.canary(&format!("ns/{i}"))).unwrap();
        }
        let mut snapshots = Vec::new();
        let first = Witness::new(store.snapshot());
        for i in 0..WRITES / 15 {
            store.add(ledger.canary(&format!("ns/{}", i % 100))).unwrap();
            snapshots.push(store.snapshot());
        }
        for _ in 0..WRITES {
            store.add(ledger.canary("ns/hot")).unwrap();
        }
        first.verify();
        drop((snapshots, first));
        eventually("everything freed", || store.stats().retained_versions == 0);
        assert_eq!(ledger.alive(), store.len());
    });
}
