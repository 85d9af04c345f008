//! Waiting for a version beside a source whose versions lose their order, and have one again.

use std::sync::Arc;
use std::time::Duration;

use super::Store;
use super::model::Item;
use crate::Batch;
use crate::run::{Bound, run};

fn publish(store: &Store<Item>, version: &str, declare: fn(&mut Batch<Item>)) {
    let mut batch = Batch::new();
    batch.set_resource_version(version.into());
    declare(&mut batch);
    store.apply(&batch);
}

pub fn model() {
    run(Bound { preemptions: 3 }, || {
        let store = Arc::new(Store::<Item>::new());
        let waiter = loom::thread::spawn({
            let store = Arc::clone(&store);
            move || {
                let waited = store.wait_for_version(&"5".into(), Some(Duration::ZERO));
                assert!(waited.is_err(), "9 is not later than 5 where versions have no order");
            }
        });
        publish(&store, "9", Batch::set_unordered);
        // No set-back that could be told by numbers.
        publish(&store, "x", Batch::set_starting_over);
        waiter.join().expect("the waiter's assertions hold");
    });
}
