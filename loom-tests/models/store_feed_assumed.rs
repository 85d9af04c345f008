//! A confirmed subscription beside what is assumed and what the source then says: it is told the source's words,
//! each after the one before, wherever it begins.

use std::sync::Arc;
use std::time::Duration;

use super::Store;
use super::model::{A, Item};
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let store = Arc::new(Store::new());
        store.add(Item(A, 1)).expect("the key is valid");
        let writer = loom::thread::spawn({
            let store = Arc::clone(&store);
            move || {
                store.assume(Item(A, 10), Duration::MAX).expect("the key is valid");
                store.add(Item(A, 2)).expect("the key is valid");
            }
        });
        let subscribe = store.subscribe().confirmed().with_content();
        let mut subscription = subscribe.start().expect("there is no snapshot to begin from");
        let mut known = 0;
        let mut drain = || {
            while let Ok(delivery) = subscription.try_next() {
                for item in &delivery {
                    assert_eq!(item.old.map_or(0, |old| old.1), known, "told after what it was not");
                    known = item.new.expect("nothing is deleted").1;
                    assert!(known <= 2, "told what is only assumed");
                }
            }
            known
        };
        drain();
        writer.join().expect("the writer does not panic");
        assert_eq!(drain(), 2, "the source's last word was not told");
    });
}
