//! Destructors and wakers are the user's code: they run under no lock, and their panics harm nobody.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Wake, Waker};

use watchcache::Store;
use watchcache::store::FeedLimits;

use crate::common::canary::{Canary, Ledger};
use crate::common::watchdog::watched;

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
        for _ in 0..500 {
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

#[test]
fn destructors_may_write_to_the_store() {
    watched(|| {
        let ledger = Ledger::new();
        let store = Arc::new(small());
        let mut subscription = store.subscribe().start().unwrap();
        for i in 0..500 {
            let writes: Weak<Store<Canary>> = Arc::downgrade(&store);
            let after = Arc::clone(&ledger);
            let object = ledger.canary("a/x").at_drop(move || {
                if let Some(store) = writes.upgrade() {
                    store.add(after.canary(&format!("b/{}", i % 3))).unwrap();
                }
            });
            store.add(object).unwrap();
            if i % 50 == 0 {
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
