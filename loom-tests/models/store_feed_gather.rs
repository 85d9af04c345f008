//! A subscription that settles puts together what is published while it looks, from segment to segment.

use std::sync::Arc;
use std::time::Duration;

use super::Store;
use super::model::{A, Item};
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let store = Arc::new(Store::new());
        // It is over by the next look.
        let subscribe = store.subscribe().settle(Duration::from_nanos(1));
        let mut subscription = subscribe.start().expect("there is no snapshot to begin from");
        let writer = loom::thread::spawn({
            let store = Arc::clone(&store);
            move || {
                for value in 1..=3 {
                    store.add(Item(A, value)).expect("the key is valid");
                }
            }
        });
        let mut known = 0;
        let mut drain = || {
            while let Ok(delivery) = subscription.try_next() {
                for item in &delivery {
                    assert_eq!(item.old.map_or(0, |old| old.1), known, "a change was skipped");
                    known = item.new.expect("nothing is deleted").1;
                }
            }
            known
        };
        drain();
        writer.join().expect("the writer does not panic");
        assert_eq!(drain(), 3, "a change was not told");
    });
}
