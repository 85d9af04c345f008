//! A subscriber that sleeps, or is about to, beside a publication.

use std::sync::Arc;

use super::Store;
use super::model::{A, Item};
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let store = Arc::new(Store::new());
        let mut subscription = store.subscribe().start().expect("there is no index to miss");
        let sleeper = loom::thread::spawn(move || {
            let told = subscription.next().map(|delivery| delivery.iter().count());
            assert_eq!(told, Some(1));
        });
        store.add(Item(A, 1)).expect("the key is valid");
        sleeper.join().expect("the sleeper's assertions hold");
    });
}
