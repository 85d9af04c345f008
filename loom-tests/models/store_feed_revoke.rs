//! A subscription catches up while the writer takes the places of those that keep too much: it is told all,
//! by a difference or anew, and one that has caught up keeps its place.

use std::sync::Arc;

use super::{DeliveryKind, FeedLimits, Store};
use super::model::{A, Item};
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        // With the fourth write it is too much: one publication that the log has left, and three objects
        // that were superseded since.
        let limits = FeedLimits::default().log(2, usize::MAX).behind(3, usize::MAX);
        let store = Arc::new(Store::builder().feed(limits).build());
        let mut subscription = store.subscribe().start().expect("there is no index to miss");
        store.add(Item(A, 1)).expect("the key is valid");
        assert!(subscription.try_next().is_ok());
        for value in 2..=3 {
            store.add(Item(A, value)).expect("the key is valid");
        }
        let writer = loom::thread::spawn({
            let store = Arc::clone(&store);
            move || {
                store.add(Item(A, 4)).expect("the key is valid");
            }
        });
        let mut known = 1;
        let mut has_caught_up = false;
        let mut drain = || {
            while let Ok(delivery) = subscription.try_next() {
                match delivery.kind() {
                    DeliveryKind::Reset => {
                        assert!(!has_caught_up, "taken from one that had caught up");
                        known = 0;
                    }
                    DeliveryKind::Coalesced => has_caught_up = true,
                    _ => {}
                }
                for item in &delivery {
                    assert_eq!(
                        item.old.map_or(0, |old| old.1),
                        known,
                        "told after what it was not"
                    );
                    known = item.new.expect("nothing is deleted").1;
                }
            }
            known
        };
        drain();
        writer.join().expect("the writer does not panic");
        assert_eq!(drain(), 4, "a change was not told");
    });
}
