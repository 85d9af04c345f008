//! The log begins, and goes from segment to segment, beside a reader, which is given each publication by
//! itself. One that it is not about sends it on to what is not settled yet.

use std::sync::Arc;

use super::Store;
use super::model::{A, B, Item};
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let store = Arc::new(Store::new());
        let about = store.subscribe().filter(|item: &Item| item.0 == A);
        let mut subscription = about.start().expect("there is no index to miss");
        let writer = loom::thread::spawn({
            let store = Arc::clone(&store);
            move || {
                for item in [Item(B, 0), Item(A, 1), Item(A, 2)] {
                    store.add(item).expect("the key is valid");
                }
            }
        });
        let mut known = 0;
        let mut drain = || {
            while let Ok(delivery) = subscription.try_next() {
                assert!(!delivery.is_coalesced(), "coalesced though the log has it");
                for item in &delivery {
                    assert_eq!(item.old.map_or(0, |old| old.1), known, "a change was skipped");
                    known = item.new.expect("nothing is deleted").1;
                }
            }
            known
        };
        drain();
        writer.join().expect("the writer does not panic");
        assert_eq!(drain(), 2, "a change was not told");
    });
}
