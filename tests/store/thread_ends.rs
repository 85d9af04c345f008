//! Guards that lie in thread-locals outlive what the crate itself keeps in the thread, or not,
//! depending on which was first used: thread-locals end in reverse order. Both must be sound.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use watchcache::Store;
use watchcache::store::Pinned;

use crate::common::canary::{Canary, Ledger, Witness};
use crate::common::child::in_a_process_of_its_own;
use crate::common::watchdog::{eventually, sized, watched};

const THREADS: usize = sized(3_000, 30);

/// Guards in thread-locals need stores that live as long as the program. Named here, so that nobody
/// takes them for lost.
static STORES: Mutex<Vec<&'static Store<Canary>>> = Mutex::new(Vec::new());

thread_local! {
    static PINNED: RefCell<Option<Pinned<'static, Canary>>> = const { RefCell::new(None) };
    static SNAPSHOT: RefCell<Option<Witness>> = const { RefCell::new(None) };
    static LAST_WORDS: RefCell<Option<LastWords>> = const { RefCell::new(None) };
}

/// Uses the store when its thread ends, after much else of the thread has.
struct LastWords {
    store: &'static Store<Canary>,
    ledger: Arc<Ledger>,
    said: Arc<AtomicUsize>,
}

impl Drop for LastWords {
    fn drop(&mut self) {
        let pinned = self.store.pin();
        let canary = pinned.get("ns/a").expect("it is always there");
        assert!(!self.ledger.is_dropped(canary.number), "freed under a pin of an ending thread");
        canary.verify();
        Witness::new(self.store.snapshot()).verify();
        drop(self.store.get("ns/a"));
        self.store.add(self.ledger.canary("ns/a")).map(drop).expect("a write at a thread's end");
        self.said.fetch_add(1, Ordering::Relaxed);
    }
}

fn leaked() -> (Arc<Ledger>, &'static Store<Canary>) {
    let (ledger, store) = (Ledger::new(), Store::new());
    store.add(ledger.canary("ns/a")).unwrap();
    let store: &'static _ = Box::leak(Box::new(store));
    STORES.lock().unwrap().push(store);
    (ledger, store)
}

/// Pins, and fails if what is pinned is freed while somebody writes and asks for what can be freed.
fn a_pin_protects(ledger: &Arc<Ledger>, store: &Store<Canary>) {
    let pinned = store.pin();
    let canary = pinned.get("ns/a").unwrap();
    for _ in 0..3 {
        store.add(ledger.canary("ns/a")).unwrap();
        let _ = store.stats();
    }
    assert!(!ledger.is_dropped(canary.number), "freed under a live pin");
    canary.verify();
}

/// In either order: the guard's slot before the crate's own, or after it.
fn pin_into_a_thread_local(store: &'static Store<Canary>, slot_first: bool) {
    if slot_first {
        PINNED.with(|slot| *slot.borrow_mut() = None);
        PINNED.with(|slot| *slot.borrow_mut() = Some(store.pin()));
    } else {
        drop(store.get("ns/a"));
        PINNED.with(|slot| *slot.borrow_mut() = Some(store.pin()));
    }
}

fn pins_that_end_with_their_threads(slot_first: bool) {
    let (ledger, store) = leaked();
    let stop = Arc::new(AtomicBool::new(false));
    // Takes over whatever announcement the ending threads leave, and leaves it again at once.
    let crowd: Vec<_> = (0..2)
        .map(|_| {
            let (stop, ledger) = (Arc::clone(&stop), Arc::clone(&ledger));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let ledger = Arc::clone(&ledger);
                    thread::spawn(move || {
                        for _ in 0..sized(50, 4) {
                            let pinned = store.pin();
                            let canary = pinned.get("ns/a").unwrap();
                            assert!(!ledger.is_dropped(canary.number), "freed under a live pin");
                            canary.verify();
                        }
                        a_pin_protects(&ledger, store);
                    })
                    .join()
                    .unwrap();
                }
            })
        })
        .collect();
    for _ in 0..THREADS {
        thread::spawn(move || pin_into_a_thread_local(store, slot_first)).join().unwrap();
        store.add(ledger.canary("ns/a")).unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    for thread in crowd {
        thread.join().unwrap();
    }
    a_pin_protects(&ledger, store);
    // And the announcements that were shared are whole: several at once protect as well.
    let barrier = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..sized(100, 4) {
                    a_pin_protects(&ledger, store);
                }
            });
        }
    });
    eventually("everything freed", || store.stats().retained_versions == 0);
    assert_eq!(ledger.alive(), 1, "a pin of a thread that ended is not let go");
}

#[test]
fn a_pin_whose_thread_local_ends_last() {
    in_a_process_of_its_own(|| watched(|| pins_that_end_with_their_threads(true)));
}

#[test]
fn a_pin_whose_thread_local_ends_first() {
    in_a_process_of_its_own(|| watched(|| pins_that_end_with_their_threads(false)));
}

/// A pin whose thread has ended but for it; in its destructor other threads come and go.
#[test]
fn a_pin_that_outlives_the_crates_thread_local_and_meets_its_successor() {
    struct Slow {
        pinned: Option<Pinned<'static, Canary>>,
        ledger: Arc<Ledger>,
        store: &'static Store<Canary>,
    }
    impl Drop for Slow {
        fn drop(&mut self) {
            let (store, ledger) = (self.store, &self.ledger);
            let (taken, go) = (Barrier::new(2), Barrier::new(2));
            thread::scope(|scope| {
                // Takes what this thread has left, while this thread's pin still lives.
                scope.spawn(|| {
                    let pinned = store.pin();
                    taken.wait();
                    go.wait();
                    // The other pin is gone; this one must protect by itself.
                    let canary = pinned.get("ns/a").unwrap();
                    for _ in 0..3 {
                        store.add(ledger.canary("ns/a")).unwrap();
                        let _ = store.stats();
                    }
                    assert!(!ledger.is_dropped(canary.number), "freed under a live pin");
                    drop(pinned);
                    a_pin_protects(ledger, store);
                });
                taken.wait();
                let seen = self.pinned.as_ref().unwrap().get("ns/a").unwrap();
                store.add(ledger.canary("ns/a")).unwrap();
                let _ = store.stats();
                assert!(!ledger.is_dropped(seen.number), "freed under a live pin");
                drop(self.pinned.take());
                go.wait();
            });
        }
    }
    thread_local! {
        static SLOW: RefCell<Option<Slow>> = const { RefCell::new(None) };
    }
    in_a_process_of_its_own(|| {
        watched(|| {
            let (ledger, store) = leaked();
            for _ in 0..THREADS / 10 {
                let slow = Arc::clone(&ledger);
                thread::spawn(move || {
                    SLOW.with(|slot| *slot.borrow_mut() = None);
                    let slow = Slow { pinned: Some(store.pin()), ledger: slow, store };
                    SLOW.with(|slot| *slot.borrow_mut() = Some(slow));
                })
                .join()
                .unwrap();
            }
            eventually("everything freed", || store.stats().retained_versions == 0);
            assert_eq!(ledger.alive(), 1);
        });
    });
}

fn snapshots_that_end_with_their_threads(slot_first: bool) {
    let (ledger, store) = leaked();
    for round in 0..THREADS {
        let snapshot_ledger = Arc::clone(&ledger);
        thread::spawn(move || {
            if slot_first {
                SNAPSHOT.with(|slot| *slot.borrow_mut() = None);
            }
            let witness = Witness::new(store.snapshot());
            store.add(snapshot_ledger.canary("ns/a")).map(drop).unwrap();
            witness.verify();
            SNAPSHOT.with(|slot| *slot.borrow_mut() = Some(witness));
        })
        .join()
        .unwrap();
        store.add(ledger.canary(&format!("ns/{}", round % 10))).unwrap();
    }
    eventually("everything freed", || store.stats().retained_versions == 0);
    assert_eq!(store.stats().live_snapshots, 0);
    assert_eq!(ledger.alive(), store.len());
}

#[test]
fn a_snapshot_whose_thread_local_ends_last() {
    in_a_process_of_its_own(|| watched(|| snapshots_that_end_with_their_threads(true)));
}

#[test]
fn a_snapshot_whose_thread_local_ends_first() {
    in_a_process_of_its_own(|| watched(|| snapshots_that_end_with_their_threads(false)));
}

/// Reads and writes from a destructor that runs when the thread's own state is gone.
fn last_words(slot_first: bool) {
    let (ledger, store) = leaked();
    let said = Arc::new(AtomicUsize::new(0));
    for _ in 0..THREADS / 30 {
        let threads: Vec<_> = (0..30)
            .map(|_| {
                let words =
                    LastWords { store, ledger: Arc::clone(&ledger), said: Arc::clone(&said) };
                thread::spawn(move || {
                    if slot_first {
                        LAST_WORDS.with(|slot| *slot.borrow_mut() = None);
                    }
                    // Under a pin that ends with the thread as well, before or after.
                    pin_into_a_thread_local(store, slot_first);
                    LAST_WORDS.with(|slot| *slot.borrow_mut() = Some(words));
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
    assert_eq!(said.load(Ordering::Relaxed), THREADS / 30 * 30);
    a_pin_protects(&ledger, store);
    eventually("everything freed", || store.stats().retained_versions == 0);
    assert_eq!(ledger.alive(), 1);
}

#[test]
fn a_thread_local_that_reads_and_writes_last() {
    in_a_process_of_its_own(|| watched(|| last_words(true)));
}

#[test]
fn a_thread_local_that_reads_and_writes_first() {
    in_a_process_of_its_own(|| watched(|| last_words(false)));
}

#[test]
fn short_threads_leave_nothing_behind() {
    in_a_process_of_its_own(|| {
        watched(|| {
            let (ledger, store) = leaked();
            for round in 0..THREADS / 8 {
                thread::scope(|scope| {
                    for i in 0..8 {
                        let ledger = &ledger;
                        scope.spawn(move || match (round + i) % 4 {
                            0 => drop(store.get("ns/a")),
                            1 => a_pin_protects(ledger, store),
                            2 => Witness::new(store.snapshot()).verify(),
                            _ => drop(store.add(ledger.canary("ns/a")).unwrap()),
                        });
                    }
                });
            }
            eventually("everything freed", || store.stats().retained_versions == 0);
            assert_eq!((ledger.alive(), store.stats().live_snapshots), (1, 0));
        });
    });
}
