//! Writers that meet combine: each write is visible once its call returns, and none is lost.

use std::sync::Arc;

use super::Store;
use super::model::Item;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let store = Arc::new(Store::new());
        let write = |store: &Store<Item>, key: &'static str| {
            let revision = store.add(Item(key, 0)).expect("the key is valid").revision;
            assert!(store.contains(key), "a write returned before it was visible");
            assert!(store.revision() >= revision, "a revision that is not published");
        };
        let other = loom::thread::spawn({
            let store = Arc::clone(&store);
            move || write(&store, "ns/a")
        });
        let third = loom::thread::spawn({
            let store = Arc::clone(&store);
            move || write(&store, "ns/b")
        });
        write(&store, "ns/c");
        other.join().expect("the writer's assertions hold");
        third.join().expect("the writer's assertions hold");
        assert_eq!(store.len(), 3, "a write was lost");
    });
}
