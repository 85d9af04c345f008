//! A process that closes its sandbox after start-up, or before: `membarrier` is refused from then on.
//! Nothing panics, readers are protected as ever, and the figures tell the truth about what is freed.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use seccompiler::{BpfProgram, apply_filter, apply_filter_all_threads};
use watchcache::{Batch, Store};

use crate::common::canary::{Canary, Ledger, Witness};
use crate::common::child::in_a_process_of_its_own;
use crate::common::refused;
use crate::common::watchdog::watched;

/// As a sandbox does.
fn refusal() -> BpfProgram {
    refused::refusal(libc::SYS_membarrier, Vec::new(), libc::EPERM)
}

/// Readers, snapshots and writers at once; whatever is freed too early, or said wrongly, fails.
fn lives_on(ledger: &Arc<Ledger>, store: Store<Canary>) {
    for i in 0..100 {
        store.add(ledger.canary(&format!("ns/{i}"))).unwrap();
    }
    let witness = Witness::new(store.snapshot());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let pinned = store.pin();
                    for i in 0..20 {
                        let canary = pinned.get(&format!("ns/{i}")).unwrap();
                        canary.verify();
                        assert!(!ledger.is_dropped(canary.number), "freed under a pin");
                    }
                    drop(pinned);
                    assert!(store.get("ns/0").is_some());
                    Witness::new(store.snapshot()).verify();
                }
            });
        }
        for round in 0..500 {
            let mut batch = Batch::new();
            for i in 0..8 {
                batch.add(ledger.canary(&format!("ns/{}", (round + i) % 100))).unwrap();
            }
            assert_eq!(store.apply(&batch).updated, 8);
            store.add(ledger.canary("ns/hot")).unwrap();
            assert!(store.delete("ns/hot").object.is_some());
            if round % 50 == 0 {
                assert_eq!(store.stats().objects, 100);
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    witness.verify();
    drop(witness);
    for _ in 0..4 {
        let _ = store.stats();
    }
    let stats = store.stats();
    assert_eq!(stats.objects, 100);
    // Whether or not freeing goes on: what is alive beside the content is what the figures say.
    let beside = ledger.alive() - stats.objects;
    assert!(beside <= stats.retained_versions, "{beside} objects are retained, told: {stats:?}");
    assert_eq!(beside == 0, stats.retained_bytes == 0, "{stats:?}");
    assert!(beside == 0 || stats.reclamation_refused, "nothing is freed, and it does not say so");
    drop(store);
    ledger.assert_all_dropped_once();
}

fn used() -> (Arc<Ledger>, Store<Canary>) {
    let (ledger, store) = (Ledger::new(), Store::new());
    for _ in 0..100 {
        store.add(ledger.canary("ns/0")).unwrap();
    }
    let _ = store.stats();
    (ledger, store)
}

#[test]
fn refused_in_every_thread_after_start_up() {
    in_a_process_of_its_own(|| {
        watched(|| {
            let (ledger, store) = used();
            apply_filter_all_threads(&refusal()).unwrap();
            lives_on(&ledger, store);
        });
    });
}

/// The filter is the writer's alone; readers know nothing of it.
#[test]
fn refused_in_one_writer_thread() {
    in_a_process_of_its_own(|| {
        watched(|| {
            let (ledger, store) = used();
            let stop = AtomicBool::new(false);
            thread::scope(|scope| {
                // Readers from before the refusal, and one more writer that is not refused.
                for _ in 0..2 {
                    scope.spawn(|| {
                        while !stop.load(Ordering::Relaxed) {
                            let pinned = store.pin();
                            let canary = pinned.get("ns/0").unwrap();
                            canary.verify();
                            assert!(!ledger.is_dropped(canary.number), "freed under a pin");
                        }
                    });
                }
                scope.spawn(|| {
                    apply_filter(&refusal()).unwrap();
                    for _ in 0..5_000 {
                        store.add(ledger.canary("ns/0")).map(drop).unwrap();
                    }
                    let _ = store.stats();
                    stop.store(true, Ordering::Relaxed);
                });
                for _ in 0..5_000 {
                    store.add(ledger.canary("ns/1")).map(drop).unwrap();
                }
            });
            lives_on(&ledger, store);
        });
    });
}

#[test]
fn refused_before_the_first_store() {
    in_a_process_of_its_own(|| {
        watched(|| {
            apply_filter_all_threads(&refusal()).unwrap();
            let (ledger, store) = used();
            lives_on(&ledger, store);
        });
    });
}

/// One store before, one after; a thread reads both.
#[test]
fn refused_between_two_stores() {
    in_a_process_of_its_own(|| {
        watched(|| {
            let (ledger, store) = used();
            apply_filter_all_threads(&refusal()).unwrap();
            let (second, later) = used();
            let (one, other) = (store.pin(), later.pin());
            assert!(one.contains("ns/0") && other.contains("ns/0"));
            drop((one, other));
            lives_on(&second, later);
            lives_on(&ledger, store);
        });
    });
}
