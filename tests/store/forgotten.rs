//! Guards that are never let go. A snapshot retains what it alone sees; a pin keeps memory from being
//! freed, in the whole process: so each of these has a process of its own.

use std::mem::forget;
use std::thread;

use watchcache::Store;

use crate::common::canary::{Ledger, Witness};
use crate::common::child::in_a_process_of_its_own;

#[test]
fn a_forgotten_pin_shows_in_the_figures_and_breaks_nothing() {
    in_a_process_of_its_own(|| {
        let ledger = Ledger::new();
        let store = Store::new();
        store.add(ledger.canary("ns/a")).unwrap();
        forget(store.pin());
        for _ in 0..10_000 {
            store.add(ledger.canary("ns/a")).unwrap();
        }
        let stats = store.stats();
        assert_eq!(stats.retained_versions, ledger.alive() - 1, "what is not freed is counted");
        assert!(stats.retained_versions >= 1, "the pin protects what it saw");
        let age = stats.oldest_pin.as_ref().expect("a pin keeps it").age;
        let other = Store::new();
        other.add(ledger.canary("ns/a")).unwrap();
        other.add(ledger.canary("ns/a")).unwrap();
        for _ in 0..3 {
            let _ = other.stats();
        }
        let elsewhere = other.stats();
        assert_eq!(
            elsewhere.retained_versions > 0,
            elsewhere.oldest_pin.is_some(),
            "{elsewhere:?}"
        );
        let later = store.stats().oldest_pin.expect("it is there for ever");
        assert!(later.age >= age);
        assert!(!ledger.is_dropped(1), "the pin protects what it saw");
        Witness::new(store.snapshot()).verify();
    });
}

#[test]
fn a_forgotten_pin_of_a_thread_that_has_ended() {
    in_a_process_of_its_own(|| {
        let ledger = Ledger::new();
        let store = Store::new();
        store.add(ledger.canary("ns/a")).unwrap();
        thread::scope(|scope| {
            let forgetful = thread::Builder::new().name("forgetful".to_owned());
            forgetful.spawn_scoped(scope, || forget(store.pin())).unwrap();
        });
        // Other threads come and go, and their pins protect them as ever.
        for _ in 0..200 {
            thread::scope(|scope| {
                scope.spawn(|| {
                    let pinned = store.pin();
                    let seen = pinned.get("ns/a").unwrap();
                    for _ in 0..20 {
                        store.add(ledger.canary("ns/a")).unwrap();
                    }
                    let _ = store.stats();
                    assert!(!ledger.is_dropped(seen.number), "freed under a pin");
                    seen.verify();
                });
            });
        }
        let stats = store.stats();
        assert_eq!(stats.retained_versions, ledger.alive() - 1, "what is not freed is counted");
        let pin = stats.oldest_pin.expect("a pin keeps it");
        assert_eq!(pin.thread.as_deref(), Some("forgetful"), "the thread that has ended is named");
    });
}

#[test]
fn a_forgotten_snapshot_retains_what_it_sees_and_no_more() {
    in_a_process_of_its_own(|| {
        let ledger = Ledger::new();
        let store = Store::new();
        for key in ["ns/a", "ns/b"] {
            store.add(ledger.canary(key)).unwrap();
        }
        forget(store.snapshot());
        for _ in 0..10_000 {
            store.add(ledger.canary("ns/a")).unwrap();
        }
        let _ = store.stats();
        let stats = store.stats();
        assert_eq!((stats.live_snapshots, stats.retained_versions), (1, 1));
        assert_eq!(ledger.alive(), 3);
        drop(store);
        assert!(!ledger.is_dropped(1), "a forgotten snapshot still counts");
    });
}
