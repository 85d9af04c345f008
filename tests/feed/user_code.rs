//! Destructors and wakers are the user's code: they run under no lock, and their panics harm nobody.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use watchcache::Store;
use watchcache::store::feed::{Handler, SyncError};
use watchcache::store::{FeedLimits, Index, IndexValue};

use crate::common::canary::{Canary, Ledger};
use crate::common::watchdog::{eventually, sized, watched};

const LONG: Duration = Duration::from_secs(3600);

fn small() -> Store<Canary> {
    Store::builder().feed(FeedLimits::default().log(32, usize::MAX)).build()
}

#[test]
fn destructors_that_panic_are_contained_wherever_they_run() {
    watched(|| {
        let ledger = Ledger::new();
        let store = small();
        // One that the writer drops for, and one that drops what it alone still has.
        let mut moving = store.subscribe().start().unwrap();
        let mut stalled = store.subscribe().start().unwrap();
        for _ in 0..sized(500, 60) {
            store.add(ledger.canary("a/x").panics()).unwrap();
            assert!(moving.try_next().is_ok());
        }
        assert!(stalled.try_next().is_ok());
        drop((moving, stalled));
        store.add(ledger.canary("a/x")).unwrap();
        drop(store);
        ledger.assert_all_dropped_once();
    });
}

/// Of what is assumed, and of what the source said of it.
#[test]
fn destructors_of_what_is_assumed_are_contained_when_its_store_goes() {
    watched(|| {
        let ledger = Ledger::new();
        for subscribes in [false, true] {
            let store = Store::new();
            let subscription = subscribes.then(|| {
                let subscription = store.subscribe().confirmed().with_content().start().unwrap();
                store.add(ledger.canary("a/early").panics()).unwrap();
                subscription
            });
            for key in ["a/x", "a/y", "a/z"] {
                store.add(ledger.canary(key).panics()).unwrap();
                store.assume(ledger.canary(key).panics(), LONG).unwrap();
            }
            store.assume(ledger.canary("a/new").panics(), LONG).unwrap();
            drop(store);
            if let Some(mut subscription) = subscription {
                let delivery = subscription.try_next().unwrap();
                assert_eq!(delivery.iter().count(), 4);
            }
        }
        // The thread of deadlines may be looking at a store just when it is dropped, and end it then.
        while ledger.alive() > 0 {
            std::thread::yield_now();
        }
        ledger.assert_all_dropped_once();
    });
}

/// Told of nothing, but its own end is a blow.
struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::panic::resume_unwind(Box::new("the handler's destructor"));
    }
}

impl Handler<Canary> for Bomb {}

#[test]
fn a_handler_that_nobody_takes_back_is_dropped_by_its_thread() {
    watched(|| {
        let (store, drops) = (Store::new(), Arc::new(AtomicUsize::new(0)));
        let running = store.subscribe().handle(Bomb(Arc::clone(&drops))).unwrap().spawn().unwrap();
        drop((running, store));
        eventually("it is dropped", || drops.load(Ordering::SeqCst) == 1);
    });
}

#[test]
fn a_filter_that_panics_when_it_is_dropped_takes_no_handler_along() {
    watched(|| {
        let (store, drops) = (small(), Arc::new(AtomicUsize::new(0)));
        let mut subscribe = store.subscribe();
        for _ in 0..2 {
            let captured = Bomb(Arc::clone(&drops));
            subscribe = subscribe.filter(move |_| captured.0.load(Ordering::SeqCst) == 0);
        }
        let running = subscribe.handle(Idle(7)).unwrap().spawn().unwrap();
        drop(store);
        assert!(running.join().is_ok_and(|handler| handler.0 == 7));
        assert_eq!(drops.load(Ordering::SeqCst), 2);
    });
}

struct Idle(u32);

impl Handler<Canary> for Idle {}

#[test]
fn a_registration_keeps_nothing_of_the_store() {
    let ledger = Ledger::new();
    let store = Store::new();
    let _other = store.subscribe().start().unwrap();
    for _ in 0..sized(100, 10) {
        store.add(ledger.canary("a/x")).unwrap();
    }
    let handling = store.subscribe().handle(Idle(0)).unwrap();
    let registration = handling.registration();
    let waits = registration.wait_synced_async(None);
    drop((handling, _other, store));
    ledger.assert_all_dropped_once();
    assert!(registration.has_ended());
    assert_eq!(registration.wait_synced(None), Err(SyncError::Ended));
    let polled = pin!(waits).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready(Err(SyncError::Ended)));
    registration.remove();
}

/// Index values whose comparison fails at times.
struct Odd(Arc<AtomicBool>, u32);

impl Ord for Odd {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        assert!(!self.0.load(Ordering::SeqCst), "no order today");
        self.1.cmp(&other.1)
    }
}

impl PartialOrd for Odd {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Odd {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Odd {}

impl IndexValue for Odd {
    type Value = Self;
}

#[test]
fn a_comparison_of_index_values_that_panics_takes_no_handler_along() {
    let fails = Arc::new(AtomicBool::new(false));
    let by_odd = Index::new("odd", {
        let fails = Arc::clone(&fails);
        move |canary: &Canary| [Odd(Arc::clone(&fails), canary.number as u32 % 2)]
    });
    let ledger = Ledger::new();
    let store = Store::builder().index(&by_odd).build();
    for i in 0..10 {
        store.add(ledger.canary(&format!("a/{i}"))).unwrap();
    }
    let wanted = Odd(Arc::clone(&fails), 1);
    let mut subscription = store.subscribe().index(&by_odd, wanted).with_content().start().unwrap();
    let delivery = subscription.try_next().unwrap();
    assert_eq!(delivery.iter().count(), 5);
    fails.store(true, Ordering::SeqCst);
    assert!(delivery.iter().count() <= 5);
    fails.store(false, Ordering::SeqCst);
    drop(delivery);
    assert!(subscription.failures() > 0);
}

#[test]
fn destructors_may_write_to_the_store() {
    watched(|| {
        let ledger = Ledger::new();
        let store = Arc::new(small());
        let mut subscription = store.subscribe().start().unwrap();
        for i in 0..sized(500, 60) {
            let writes: Weak<Store<Canary>> = Arc::downgrade(&store);
            let after = Arc::clone(&ledger);
            let object = ledger.canary("a/x").at_drop(move || {
                if let Some(store) = writes.upgrade() {
                    store.add(after.canary(&format!("b/{}", i % 3))).unwrap();
                }
            });
            store.add(object).unwrap();
            if i % sized(50, 20) == 0 {
                while subscription.try_next().is_ok() {}
            }
        }
        drop((subscription, store));
        ledger.assert_all_dropped_once();
    });
}

/// Writes to the store when it is woken.
struct Writes(Weak<Store<Canary>>, Arc<Ledger>, AtomicUsize);

impl Wake for Writes {
    fn wake(self: Arc<Self>) {
        self.2.fetch_add(1, Ordering::SeqCst);
        if let Some(store) = self.0.upgrade() {
            store.add(self.1.canary("b/woken")).unwrap();
        }
    }
}

#[test]
fn wakers_may_write_to_the_store() {
    watched(|| {
        let ledger = Ledger::new();
        let store = Arc::new(small());
        let mut subscription = store.subscribe().start().unwrap();
        let writes =
            Arc::new(Writes(Arc::downgrade(&store), Arc::clone(&ledger), AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&writes));
        let mut wait = pin!(subscription.next_async());
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        store.add(ledger.canary("a/x")).unwrap();
        assert_eq!(writes.2.load(Ordering::SeqCst), 1);
        assert!(store.contains("b/woken"));
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    });
}
