//! Subscribing beside a writer: what the subscription does not begin with it is told, once and in order.

use std::sync::Arc;

use super::Store;
use super::model::{A, Item};
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let store = Arc::new(Store::new());
        let writer = loom::thread::spawn({
            let store = Arc::clone(&store);
            move || {
                for value in 1..=2 {
                    store.add(Item(A, value)).expect("the key is valid");
                }
            }
        });
        let mut subscription = store.subscribe().start().expect("there is no index to miss");
        let mut known = subscription.revision().get() as u32;
        writer.join().expect("the writer does not panic");
        while let Ok(delivery) = subscription.try_next() {
            for item in &delivery {
                let before = item.old.map_or(0, |old| old.1);
                assert_eq!(before, known, "a change was left out, or told twice");
                known = item.new.expect("nothing is deleted").1;
            }
        }
        assert_eq!(known, 2, "a change was not told");
    });
}
