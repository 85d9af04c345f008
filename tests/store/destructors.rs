//! A destructor of an object panics, wherever the store may run it. The panic may reach the caller
//! whose write it was, or nobody; what is promised is that the store stays whole: every live snapshot
//! shows what it showed, later writes do what they say, and every object is dropped exactly once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use watchcache::{Batch, Listing, Store};

use crate::common::canary::{Canary, Ledger, Witness, panicked};
use crate::common::child::in_a_process_of_its_own;
use crate::common::watchdog::{sized, watched};

/// A store of some objects under `ns/0` to `ns/9`, the first of them with a destructor that panics.
fn store_with_a_bomb() -> (Arc<Ledger>, Store<Canary>) {
    let ledger = Ledger::new();
    let store = Store::new();
    store.add(ledger.canary("ns/0").panics()).unwrap();
    for i in 1..10 {
        store.add(ledger.canary(&format!("ns/{i}"))).unwrap();
    }
    (ledger, store)
}

/// Asks the store to free what it can, several times: whatever panics, panics here.
fn free(store: &Store<Canary>) {
    for _ in 0..4 {
        panicked(|| store.stats());
    }
}

/// Writes on and on, with snapshots old and new, and sees that all of them show what they must.
fn lives_on(ledger: &Arc<Ledger>, store: Store<Canary>, mut witnesses: Vec<Witness>) {
    for round in 0..sized(200, 24) {
        let key = format!("ns/{}", round % 12);
        let number = {
            let canary = ledger.canary(&key);
            let number = canary.number;
            panicked(|| store.add(canary));
            number
        };
        assert_eq!(store.get(&key).map(|held| held.number), Some(number), "a write is lost");
        if round % 3 == 0 {
            let key = format!("ns/{}", (round + 5) % 12);
            panicked(|| store.delete(&key));
            assert!(!store.contains(&key), "a delete is lost");
        }
        if round % 7 == 0 {
            witnesses.push(Witness::new(store.snapshot()));
        }
        if round % 11 == 0 && witnesses.len() > 1 {
            witnesses.swap_remove(witnesses.len() / 2);
            free(&store);
        }
        witnesses.iter().for_each(Witness::verify);
    }
    let listed = store.snapshot().iter().map(|(_, canary)| canary.number).collect::<Vec<_>>();
    assert!(listed.iter().all(|number| !ledger.is_dropped(*number)), "a held object was dropped");
    ledger.disarmed.store(true, Ordering::Relaxed);
    drop(witnesses);
    free(&store);
    let stats = store.stats();
    assert_eq!((stats.retained_versions, stats.live_snapshots), (0, 0), "not everything is freed");
    assert_eq!(ledger.alive(), store.len(), "something is alive that nobody can see");
    drop(store);
    ledger.assert_all_dropped_once();
}

#[test]
fn of_an_updated_object() {
    in_a_process_of_its_own(|| {
        let (ledger, store) = store_with_a_bomb();
        panicked(|| store.add(ledger.canary("ns/0")));
        free(&store);
        lives_on(&ledger, store, Vec::new());
    });
}

#[test]
fn of_an_updated_object_while_a_snapshot_lives() {
    in_a_process_of_its_own(|| {
        let (ledger, store) = store_with_a_bomb();
        // Between two versions that snapshots see, so that it is unlinked from the middle.
        let bomb = ledger.canary("ns/1").panics();
        let before = Witness::new(store.snapshot());
        store.add(bomb).unwrap();
        panicked(|| store.add(ledger.canary("ns/1")));
        let after = Witness::new(store.snapshot());
        for i in 2..10 {
            panicked(|| store.add(ledger.canary(&format!("ns/{i}"))));
        }
        free(&store);
        before.verify();
        after.verify();
        lives_on(&ledger, store, vec![before, after]);
    });
}

#[test]
fn of_an_object_that_only_a_snapshot_kept() {
    in_a_process_of_its_own(|| {
        let (ledger, store) = store_with_a_bomb();
        let old = Witness::new(store.snapshot());
        store.add(ledger.canary("ns/0")).unwrap();
        let held = Witness::new(store.snapshot());
        for i in 1..10 {
            store.add(ledger.canary(&format!("ns/{i}"))).unwrap();
        }
        let newer = Witness::new(store.snapshot());
        free(&store);
        drop(old);
        free(&store);
        held.verify();
        newer.verify();
        lives_on(&ledger, store, vec![held, newer]);
    });
}

#[test]
fn of_a_deleted_object() {
    in_a_process_of_its_own(|| {
        let (ledger, store) = store_with_a_bomb();
        let old = Witness::new(store.snapshot());
        panicked(|| store.delete("ns/0"));
        assert!(!store.contains("ns/0"));
        panicked(|| store.delete("ns/3"));
        let newer = Witness::new(store.snapshot());
        free(&store);
        old.verify();
        drop(old);
        free(&store);
        lives_on(&ledger, store, vec![newer]);
    });
}

/// The first of two writes of a key in one publication is never visible to anybody.
#[test]
fn of_an_object_that_its_own_batch_replaces() {
    in_a_process_of_its_own(|| {
        let (ledger, store) = store_with_a_bomb();
        let old = Witness::new(store.snapshot());
        for key in ["ns/4", "ns/new"] {
            let mut batch = Batch::new();
            batch.add(ledger.canary("ns/5")).unwrap();
            batch.add(ledger.canary(key).panics()).unwrap();
            batch.add(ledger.canary(key)).unwrap();
            batch.add(ledger.canary("ns/6")).unwrap();
            let batch_panicked = panicked(|| store.apply(&batch));
            // The batch itself holds its objects to here.
            panicked(|| drop(batch));
            free(&store);
            old.verify();
            for (key, canary) in store.snapshot().iter() {
                assert!(!ledger.is_dropped(canary.number), "{key} is a dropped object");
                canary.verify();
            }
            for canary in store.list().iter() {
                assert!(!ledger.is_dropped(canary.number), "a list has a dropped object");
            }
            if !batch_panicked {
                assert!(store.contains(key) && store.contains("ns/6"));
            }
        }
        lives_on(&ledger, store, vec![old]);
    });
}

/// As above, where the store alone holds the object when it is replaced, so that its destructor runs
/// within the publication: writes of several threads that are combined.
#[test]
fn of_an_object_that_a_combined_write_replaces() {
    in_a_process_of_its_own(|| {
        let (ledger, store) = store_with_a_bomb();
        let store = Arc::new(store);
        for _ in 0..sized(200, 4) {
            std::thread::scope(|scope| {
                for writer in 0..6 {
                    let (store, ledger) = (&store, &ledger);
                    scope.spawn(move || {
                        let canary = ledger.canary("ns/hot");
                        let canary = if writer % 2 == 0 { canary.panics() } else { canary };
                        panicked(|| store.add(canary));
                    });
                }
            });
            let snapshot = store.snapshot();
            for (key, canary) in &snapshot {
                assert!(!ledger.is_dropped(canary.number), "{key} is a dropped object");
                canary.verify();
            }
            for canary in snapshot.objects() {
                assert!(!ledger.is_dropped(canary.number), "a walk meets a dropped object");
            }
        }
        let store = Arc::into_inner(store).unwrap();
        lives_on(&ledger, store, Vec::new());
    });
}

#[test]
fn of_an_object_that_was_put_and_deleted_in_one_batch() {
    in_a_process_of_its_own(|| {
        let (ledger, store) = store_with_a_bomb();
        let old = Witness::new(store.snapshot());
        let mut batch = Batch::new();
        batch.add(ledger.canary("ns/new").panics()).unwrap();
        batch.delete("ns/new");
        batch.delete("ns/0");
        batch.add(ledger.canary("ns/0").panics()).unwrap();
        batch.add(ledger.canary("ns/7")).unwrap();
        panicked(|| store.apply(&batch));
        panicked(|| drop(batch));
        free(&store);
        old.verify();
        lives_on(&ledger, store, vec![old]);
    });
}

#[test]
fn of_objects_that_a_relist_replaces_and_removes() {
    in_a_process_of_its_own(|| {
        let (ledger, store) = store_with_a_bomb();
        for i in 20..24 {
            store.add(ledger.canary(&format!("ns/{i}")).panics()).unwrap();
        }
        let old = Witness::new(store.snapshot());
        // Replaces ns/0, removes the others that panic, keeps nothing of what was.
        let listed = (0..5).map(|i| ledger.canary(&format!("ns/{i}")));
        let listing = Listing::new(listed, None).unwrap();
        panicked(|| store.replace(&listing));
        assert_eq!(store.len(), 5, "the relist is not whole");
        drop(listing);
        let newer = Witness::new(store.snapshot());
        free(&store);
        old.verify();
        newer.verify();
        drop(old);
        free(&store);
        lives_on(&ledger, store, vec![newer]);
    });
}

/// A refused object is dropped by the write that brought it.
#[test]
fn of_an_object_that_is_older_than_what_is_held() {
    in_a_process_of_its_own(|| {
        let (ledger, store) = store_with_a_bomb();
        for _ in 0..10 {
            let held = store.get("ns/5").unwrap().number;
            panicked(|| store.add(ledger.canary("ns/5").version(1).panics()));
            assert_eq!(store.get("ns/5").unwrap().number, held);
        }
        lives_on(&ledger, store, Vec::new());
    });
}

/// Many such objects become free at once: a second panic must not meet the first one unwinding.
#[test]
fn of_many_objects_that_are_freed_at_once() {
    in_a_process_of_its_own(|| {
        let (ledger, store) = store_with_a_bomb();
        for i in 0..sized(500, 20) {
            store.add(ledger.canary(&format!("many/{i}")).panics()).unwrap();
        }
        let old = Witness::new(store.snapshot());
        for i in 0..sized(500, 20) {
            panicked(|| store.add(ledger.canary(&format!("many/{i}"))));
        }
        let newer = Witness::new(store.snapshot());
        old.verify();
        drop(old);
        free(&store);
        newer.verify();
        lives_on(&ledger, store, vec![newer]);
    });
}

#[test]
fn of_objects_that_a_dropped_store_held() {
    in_a_process_of_its_own(|| {
        let (ledger, store) = store_with_a_bomb();
        let snapshot = store.snapshot();
        store.add(ledger.canary("ns/9").panics()).unwrap();
        panicked(|| drop(store));
        let witness = Witness::new(snapshot);
        witness.verify();
        panicked(|| drop(witness));
        ledger.assert_all_dropped_once();
    });
}

/// The writer is one thread, and readers look at what it frees at the same time.
#[test]
fn while_readers_read() {
    in_a_process_of_its_own(|| {
        watched(|| {
            let (ledger, store) = store_with_a_bomb();
            let done = std::sync::atomic::AtomicBool::new(false);
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        while !done.load(Ordering::Relaxed) {
                            let pinned = store.pin();
                            for i in 0..10 {
                                if let Some(canary) = pinned.get(&format!("ns/{i}")) {
                                    let dropped = ledger.is_dropped(canary.number);
                                    assert!(!dropped, "dropped under a pin");
                                    canary.verify();
                                }
                            }
                            drop(pinned);
                            Witness::new(store.snapshot()).verify();
                        }
                    });
                }
                for round in 0..sized(3_000, 30) {
                    let canary = ledger.canary(&format!("ns/{}", round % 10));
                    let canary = if round % 3 == 0 { canary.panics() } else { canary };
                    panicked(|| store.add(canary));
                }
                done.store(true, Ordering::Relaxed);
            });
            lives_on(&ledger, store, Vec::new());
        });
    });
}
