//! Writers that wait have their writes done by whoever writes. What panics in a write reaches the
//! caller whose write it was, and nobody else; and everybody returns.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use watchcache::store::WriteError;
use watchcache::{Batch, KeyRef, Object, Store};

use crate::common::canary::{Canary, Ledger, panicked};
use crate::common::child::in_a_process_of_its_own;
use crate::common::watchdog::{sized, watched};

const WRITERS: usize = sized(8, 4);
const ROUNDS: usize = sized(300, 4);
/// Names that each writer writes in turn.
const NAMES: usize = sized(7, 3);

/// Some threads write at once, one of them something that panics, round after round. Whether they
/// were really combined is luck in one round, and certain over all of them: fewer revisions than
/// writes say so.
fn among_good_writes<T: Object>(
    store: Store<T>,
    good: impl Fn(usize, usize) -> T + Sync,
    bad: impl Fn(&Store<T>, usize) + Sync,
) -> Store<T> {
    let mut harmed = 0;
    let before = store.revision().get();
    for round in 0..ROUNDS {
        let barrier = Barrier::new(WRITERS + 1);
        let failed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (store, barrier, failed, good) = (&store, &barrier, &failed, &good);
                scope.spawn(move || {
                    let object = good(round, writer);
                    barrier.wait();
                    if panicked(|| store.add(object)) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let (store, barrier, bad) = (&store, &barrier, &bad);
            scope.spawn(move || {
                barrier.wait();
                // Its own panic, if it gets one, is its own.
                panicked(|| bad(store, round));
            });
        });
        harmed += failed.into_inner();
    }
    assert_eq!(harmed, 0, "a write failed by another one's panic");
    let writes = (ROUNDS * WRITERS) as u64;
    // Under Miri there are too few to be sure.
    let combined = store.revision().get() - before < writes;
    assert!(combined || cfg!(miri), "no two writes were ever combined");
    store
}

#[test]
fn a_refused_object_with_a_panicking_destructor() {
    in_a_process_of_its_own(|| {
        watched(|| {
            let ledger = Ledger::new();
            let store = Store::new();
            store.add(ledger.canary("ns/held").version(1_000_000_000)).unwrap();
            let store = among_good_writes(
                store,
                |_, writer| ledger.canary(&format!("ns/{writer}")),
                // Older than what is held: the write drops it.
                |store, _| drop(store.add(ledger.canary("ns/held").version(1).panics())),
            );
            assert_eq!(store.len(), WRITERS + 1);
            assert_eq!(store.get("ns/held").unwrap().version, "1000000000");
            drop(store);
            ledger.assert_all_dropped_once();
        });
    });
}

#[test]
fn a_batch_whose_objects_have_panicking_destructors() {
    in_a_process_of_its_own(|| {
        watched(|| {
            let ledger = Ledger::new();
            let store = Store::new();
            store.add(ledger.canary("ns/held").version(1_000_000_000)).unwrap();
            let store = among_good_writes(
                store,
                |_, writer| ledger.canary(&format!("ns/{writer}")),
                |store, _| {
                    let mut batch = Batch::new();
                    batch.add(ledger.canary("ns/held").version(1)).unwrap();
                    batch.add(ledger.canary("ns/held").version(2).panics()).unwrap();
                    store.apply(&batch);
                },
            );
            assert_eq!(store.len(), WRITERS + 1);
            drop(store);
            ledger.assert_all_dropped_once();
        });
    });
}

/// Some of these writes replace an object that nobody has seen yet, within one publication.
#[test]
fn a_write_that_replaces_an_object_with_a_panicking_destructor() {
    in_a_process_of_its_own(|| {
        watched(|| {
            let ledger = Ledger::new();
            let returned = AtomicUsize::new(0);
            let store = Store::new();
            for _ in 0..ROUNDS {
                std::thread::scope(|scope| {
                    for writer in 0..WRITERS {
                        let (store, ledger, returned) = (&store, &ledger, &returned);
                        scope.spawn(move || {
                            let canary = ledger.canary("ns/hot");
                            let canary = if writer % 2 == 0 { canary.panics() } else { canary };
                            panicked(|| store.add(canary));
                            returned.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                });
                let snapshot = store.snapshot();
                let hot = snapshot.get("ns/hot").unwrap();
                assert!(!ledger.is_dropped(hot.number), "a dropped object is visible");
            }
            assert_eq!(returned.into_inner(), ROUNDS * WRITERS);
            ledger.disarmed.store(true, Ordering::Relaxed);
            drop(store);
            ledger.assert_all_dropped_once();
        });
    });
}

/// A panic's payload is dropped by whoever catches it, and may panic itself.
struct Payload;

impl Drop for Payload {
    fn drop(&mut self) {
        resume_unwind(Box::new("the payload of a panic panics"));
    }
}

struct Item {
    key: String,
    bad: bool,
}

impl Item {
    fn good(round: usize, writer: usize) -> Self {
        Self { key: format!("ns/{writer}-{}", round % NAMES), bad: false }
    }

    fn bad() -> Self {
        Self { key: "ns/bad".to_owned(), bad: true }
    }
}

impl Object for Item {
    fn key(&self) -> KeyRef<'_> {
        (&self.key).into()
    }

    fn resource_version(&self) -> Option<&str> {
        if self.key == "ns/bad" && self.bad {
            resume_unwind(Box::new(Payload));
        }
        None
    }
}

#[test]
fn an_object_whose_methods_panic_with_a_payload_that_panics() {
    in_a_process_of_its_own(|| {
        watched(|| {
            let bad_is_held = AtomicBool::new(false);
            let store = among_good_writes(Store::new(), Item::good, |store, _| {
                if store.add(Item::bad()).is_ok() {
                    bad_is_held.store(true, Ordering::Relaxed);
                }
            });
            assert!(!bad_is_held.into_inner() && !store.contains("ns/bad"), "it cannot be stored");
            assert_eq!(store.len(), WRITERS * NAMES);
        });
    });
}

#[test]
fn an_index_function_that_panics_with_a_payload_that_panics() {
    struct Plain(Item);
    impl Object for Plain {
        fn key(&self) -> KeyRef<'_> {
            (&self.0.key).into()
        }
    }
    in_a_process_of_its_own(|| {
        watched(|| {
            let store = Store::builder()
                .index("bad", |plain: &Plain| {
                    if plain.0.bad {
                        resume_unwind(Box::new(Payload));
                    }
                    ["good"]
                })
                .build();
            let store = among_good_writes(
                store,
                |round, writer| Plain(Item::good(round, writer)),
                |store, _| {
                    let refused = store.add(Plain(Item::bad()));
                    assert!(matches!(refused, Err(WriteError::Rejected(_))));
                },
            );
            assert!(!store.contains("ns/bad"), "it cannot be indexed");
            let snapshot = store.snapshot();
            assert_eq!(snapshot.index_count("bad", "good"), Ok(WRITERS * NAMES));
        });
    });
}

/// The panic of a write does reach its caller where it cannot be told in a result: whoever calls
/// alone gets it, so whoever was combined does too, or nobody does.
#[test]
fn a_panic_does_not_end_in_silence_for_some_and_in_noise_for_others() {
    in_a_process_of_its_own(|| {
        watched(|| {
            let ledger = Ledger::new();
            let store: Arc<Store<Canary>> = Arc::default();
            store.add(ledger.canary("ns/held").version(1_000_000_000)).unwrap();
            let bomb = || ledger.canary("ns/held").version(1).panics();
            let alone = panicked(|| store.add(bomb()));
            let told = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for writer in 0..WRITERS {
                    let (store, told, ledger, bomb) = (&store, &told, &ledger, &bomb);
                    scope.spawn(move || {
                        for _ in 0..ROUNDS {
                            if writer % 2 == 0 {
                                let panicked = panicked(|| store.add(bomb()));
                                told.fetch_add(usize::from(panicked), Ordering::Relaxed);
                            } else {
                                store.add(ledger.canary(&format!("ns/{writer}"))).unwrap();
                            }
                        }
                    });
                }
            });
            let bombs = WRITERS / 2 * ROUNDS;
            assert_eq!(told.into_inner(), if alone { bombs } else { 0 });
        });
    });
}
