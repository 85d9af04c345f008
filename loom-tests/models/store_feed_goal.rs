//! Waiting for a revision beside the write that makes it.

use std::sync::Arc;

use super::Store;
use super::model::{A, Item};
use crate::run::{Bound, run};
use crate::Revision;

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let store = Arc::new(Store::new());
        let waiter = loom::thread::spawn({
            let store = Arc::clone(&store);
            move || {
                assert_eq!(store.wait_for(Revision::new(1), None), Ok(()));
                assert_eq!(store.revision(), Revision::new(1));
            }
        });
        store.add(Item(A, 1)).expect("the key is valid");
        waiter.join().expect("the waiter's assertions hold");
    });
}
