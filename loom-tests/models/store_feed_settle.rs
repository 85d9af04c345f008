//! A subscriber whose next delivery is not due sleeps, or is about to, while the store goes: it is told what is
//! left, and then the end, without waiting for its time.

use std::time::Duration;

use super::Store;
use super::model::{A, Item};
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let store = Store::new();
        store.add(Item(A, 1)).expect("the key is valid");
        let subscribe = store.subscribe().settle(Duration::from_secs(3600)).with_content();
        let mut subscription = subscribe.start().expect("there is no snapshot to begin from");
        assert!(subscription.try_next().is_ok());
        store.add(Item(A, 2)).expect("the key is valid");
        // The memory of the store outlives the sleeper: loom does not see what orders its end.
        let snapshot = store.snapshot();
        let sleeper = loom::thread::spawn(move || {
            let told = subscription.next().map(|delivery| delivery.iter().count());
            assert_eq!(told, Some(1));
            assert!(subscription.next().is_none());
        });
        drop(store);
        sleeper.join().expect("the sleeper's assertions hold");
        drop(snapshot);
    });
}
