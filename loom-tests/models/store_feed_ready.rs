//! Waiting for the whole content beside the write that brings it.

use std::sync::Arc;

use super::Store;
use super::model::Item;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let store = Arc::new(Store::<Item>::new());
        let waiter = loom::thread::spawn({
            let store = Arc::clone(&store);
            move || {
                assert_eq!(store.wait_synced(None), Ok(()));
                assert!(store.snapshot().is_synced());
            }
        });
        store.mark_synced();
        waiter.join().expect("the waiter's assertions hold");
    });
}
