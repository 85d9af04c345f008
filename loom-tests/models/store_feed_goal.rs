//! Waiting for a revision beside the write that makes it.

use std::sync::Arc;

use super::Store;
use crate::run::{Bound, run};
use crate::{KeyRef, Object, Revision};

struct Item;

impl Object for Item {
    fn key(&self) -> KeyRef<'_> {
        "ns/a".into()
    }
}

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
        store.add(Item).expect("the key is valid");
        waiter.join().expect("the waiter's assertions hold");
    });
}
