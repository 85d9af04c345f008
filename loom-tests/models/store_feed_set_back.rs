//! Waiting for a version beside a source that is set back, and comes to a later one again.

use std::sync::Arc;

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
    for comes_again in [true, false] {
        run(Bound { preemptions: 3 }, move || {
            let store = Arc::new(Store::<Item>::new());
            publish(&store, "3", |_| {});
            // Begun in the history before, and looked at in either.
            let waiting = store.wait_for_version_async(&"5".into(), None);
            let waiter = loom::thread::spawn(move || {
                let waited = loom::future::block_on(waiting);
                assert!(waited.is_err(), "9 is of another history than 5");
            });
            publish(&store, "2", Batch::set_starting_over);
            if comes_again {
                publish(&store, "9", |_| {});
            }
            waiter.join().expect("the waiter's assertions hold");
        });
    }
}
