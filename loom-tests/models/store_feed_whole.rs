//! A subscriber whose next delivery is not due sleeps, or is about to, while the content comes to be whole: it is
//! told so without waiting for its time.

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
        assert!(subscription.try_next().is_ok_and(|delivery| !delivery.is_synced()));
        let sleeper = loom::thread::spawn(move || {
            let told = subscription.next().map(|delivery| delivery.is_synced());
            assert_eq!(told, Some(true));
        });
        store.mark_synced();
        sleeper.join().expect("the sleeper's assertions hold");
    });
}
