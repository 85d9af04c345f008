//! The end of a store beside somebody who waits for what it will never publish.

use super::Store;
use super::model::Item;
use crate::Revision;
use crate::run::{Bound, run};

/// What is waited for; it returns when the store is gone.
type Waits = Box<dyn FnOnce() + Send>;

pub fn model() {
    let waits: [fn(&Store<Item>) -> Waits; 3] = [
        |store| {
            let mut subscription = store.subscribe().start().expect("there is no index to miss");
            Box::new(move || assert!(subscription.next().is_none()))
        },
        |store| {
            let waiting = store.wait_for_async(Revision::new(1), None);
            Box::new(move || assert!(loom::future::block_on(waiting).is_err()))
        },
        |store| {
            let waiting = store.wait_for_version_async(&"5".into(), None);
            Box::new(move || assert!(loom::future::block_on(waiting).is_err()))
        },
    ];
    for wait in waits {
        run(Bound { preemptions: 2 }, move || {
            let store = Store::new();
            let waits = wait(&store);
            // The memory of the store outlives the sleeper: loom does not see what orders its end.
            let snapshot = store.snapshot();
            let waiter = loom::thread::spawn(waits);
            drop(store);
            waiter.join().expect("the waiter's assertion holds");
            drop(snapshot);
        });
    }
}
