//! A destructor that uses the store it lay in: reads, writes, asks for figures.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Wake, Waker};

use watchcache::{Batch, Listing, Store};

use crate::common::canary::{Canary, Ledger, Witness};
use crate::common::child::in_a_process_of_its_own;
use crate::common::watchdog::{eventually, sized};

type Shared = Arc<Store<Canary>>;

/// A store whose first ten objects do this to it when they are dropped, and how often one did.
struct World {
    ledger: Arc<Ledger>,
    store: Shared,
    did: Arc<AtomicUsize>,
    act: fn(&Store<Canary>, Canary),
}

impl World {
    fn new(act: fn(&Store<Canary>, Canary)) -> Self {
        let world = Self { ledger: Ledger::new(), store: Arc::default(), did: Arc::default(), act };
        for i in 0..10 {
            world.store.add(world.acting(&format!("ns/{i}"))).unwrap();
        }
        world
    }

    fn acting(&self, key: &str) -> Canary {
        // A store that is gone itself is not used any more.
        let store = Arc::downgrade(&self.store);
        let (did, act) = (Arc::clone(&self.did), self.act);
        let ledger = Arc::clone(&self.ledger);
        self.ledger.canary(key).at_drop(move || {
            let Some(store) = store.upgrade() else { return };
            act(&store, ledger.canary("dropped/last"));
            did.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// In every way in which the store itself drops an object.
    fn run(self) {
        let old = Witness::new(self.store.snapshot());
        // Superseded, and freed some time later.
        for i in 0..3 {
            self.store.add(self.acting(&format!("ns/{i}"))).unwrap();
        }
        // Deleted.
        drop(self.store.delete("ns/3"));
        // Replaced in its own batch; held back by nobody once the batch is gone.
        let mut batch = Batch::new();
        batch.add(self.acting("ns/4")).unwrap();
        batch.add(self.acting("ns/4")).unwrap();
        self.store.apply(&batch);
        drop(batch);
        // Older than what is held.
        self.store.add(self.acting("ns/5").version(1)).map(drop).unwrap_or_default();
        old.verify();
        drop(old);
        // Several, in one relist.
        let listing =
            Listing::new((0..3).map(|i| self.ledger.canary(&format!("ns/{i}"))), None).unwrap();
        self.store.replace(&listing);
        drop(listing);
        for _ in 0..sized(200, 40) {
            self.store.add(self.ledger.canary("ns/0")).unwrap();
        }
        eventually("freed", || self.store.stats().retained_versions == 0);
        assert_eq!(self.did.load(Ordering::Relaxed), 16, "each acting object acted once");
        let Self { ledger, store, .. } = self;
        drop(store);
        ledger.assert_all_dropped_once();
    }
}

#[test]
fn a_destructor_that_reads() {
    in_a_process_of_its_own(|| {
        World::new(|store, canary| {
            let _ = (store.get("ns/0"), store.list(), store.keys(), store.revision());
            Witness::new(store.snapshot()).verify();
            drop(canary);
        })
        .run();
    });
}

#[test]
fn a_destructor_that_writes() {
    in_a_process_of_its_own(|| {
        World::new(|store, canary| {
            store.add(canary).unwrap();
            assert!(store.contains("dropped/last"), "a write is visible when it returns");
        })
        .run();
    });
}

#[test]
fn a_destructor_that_applies_a_batch_and_deletes() {
    in_a_process_of_its_own(|| {
        World::new(|store, canary| {
            let mut batch = Batch::new();
            batch.add(canary).unwrap();
            let applied = store.apply(&batch);
            assert_eq!(applied.added + applied.updated, 1);
            assert!(store.delete("dropped/last").object.is_some());
        })
        .run();
    });
}

#[test]
fn a_destructor_that_asks_for_figures() {
    in_a_process_of_its_own(|| {
        World::new(|store, canary| {
            assert!(store.stats().objects <= 10);
            drop(canary);
        })
        .run();
    });
}

/// Several threads write, and what they drop writes too, each in the others' way.
#[test]
fn destructors_that_write_beside_other_writers() {
    in_a_process_of_its_own(|| {
        let ledger = Ledger::new();
        let store: Shared = Arc::default();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let (store, ledger) = (&store, &ledger);
                scope.spawn(move || {
                    for i in 0..sized(400, 12) {
                        let (weak, inner) = (Arc::downgrade(store), Arc::clone(ledger));
                        let canary = ledger.canary(&format!("ns/{}", i % 5)).at_drop(move || {
                            if let Some(store) = weak.upgrade() {
                                store
                                    .add(inner.canary(&format!("dropped/{writer}")))
                                    .map(drop)
                                    .unwrap();
                            }
                        });
                        store.add(canary).map(drop).unwrap();
                    }
                });
            }
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    Witness::new(store.snapshot()).verify();
                }
            });
            let (store, stop) = (&store, &stop);
            scope.spawn(move || {
                eventually("everything dropped", || {
                    // A pinned thread that lost its processor may have outlasted every write; then
                    // nothing but this frees what they left.
                    let _ = store.stats();
                    store.snapshot().namespace_count("dropped") == 4
                });
                stop.store(true, Ordering::Relaxed);
            });
        });
        eventually("freed", || store.stats().retained_versions == 0);
        drop(store);
        ledger.assert_all_dropped_once();
    });
}

/// The last handle of a store is dropped by an object that lies in another store.
#[test]
fn a_destructor_that_drops_another_store() {
    in_a_process_of_its_own(|| {
        let (outer, inner) = (Ledger::new(), Ledger::new());
        let store = Store::new();
        let other: Shared = Arc::default();
        for i in 0..10 {
            other.add(inner.canary(&format!("ns/{i}"))).unwrap();
        }
        let snapshot = OnceLock::new();
        snapshot.set(Witness::new(other.snapshot())).map_err(drop).unwrap();
        store.add(outer.canary("ns/0").at_drop(move || drop((other, snapshot)))).unwrap();
        store.add(outer.canary("ns/0")).unwrap();
        eventually("freed", || store.stats().retained_versions == 0);
        inner.assert_all_dropped_once();
        drop(store);
        outer.assert_all_dropped_once();
    });
}

#[test]
fn a_destructor_that_writes_to_another_store() {
    let ledger = Ledger::new();
    let (store, other) = (Store::new(), Arc::new(Store::new()));
    other.add(ledger.canary("ns/other")).unwrap();
    let deleted = Arc::clone(&other);
    let acting = ledger.canary("ns/a").at_drop(move || drop(deleted.delete("ns/other")));
    store.add(acting).unwrap();
    drop(store.delete("ns/a"));
    eventually("freed", || store.stats().retained_versions == 0);
    assert!(other.is_empty());
    eventually("freed", || other.stats().retained_versions == 0);
    drop((store, other));
    ledger.assert_all_dropped_once();
}

/// As of an index that destructors keep: nothing else ever writes to it.
#[test]
fn a_store_that_destructors_alone_write_to_drops_what_it_frees() {
    let ledger = Ledger::new();
    let (store, other) = (Store::new(), Arc::new(Store::new()));
    for _ in 0..1_000 {
        let (other, kept) = (Arc::clone(&other), ledger.canary("ns/other"));
        let acting = ledger.canary("ns/a").at_drop(move || drop(other.add(kept)));
        store.add(acting).unwrap();
    }
    assert!(ledger.alive() < 500, "{} objects are left of two keys", ledger.alive());
    drop((store, other));
    ledger.assert_all_dropped_once();
}

/// A waker is no destructor: what it frees in another store is dropped by the time it is woken.
#[test]
fn a_waker_that_writes_to_another_store() {
    struct Deletes(Arc<Store<Canary>>);

    impl Wake for Deletes {
        fn wake(self: Arc<Self>) {
            drop(self.0.delete("ns/other"));
            eventually("freed", || self.0.stats().retained_versions == 0);
        }
    }

    let ledger = Ledger::new();
    let (store, other) = (Store::new(), Arc::new(Store::new()));
    let dropped = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&dropped);
    let canary = ledger.canary("ns/other").at_drop(move || told.store(true, Ordering::Relaxed));
    other.add(canary).unwrap();
    store.add(ledger.canary("ns/a")).unwrap();
    let mut sub = store.subscribe().start().unwrap();
    let waker = Waker::from(Arc::new(Deletes(Arc::clone(&other))));
    let mut waiting = Box::pin(sub.next_async());
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    store.add(ledger.canary("ns/c")).unwrap();
    assert!(dropped.load(Ordering::Relaxed));
}
