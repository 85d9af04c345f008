//! A handler on a thread of its own, which is waited for and then removed: neither wait is for ever.

use std::sync::Arc;

use super::Store;
use super::feed::Handler;
use super::model::{A, Item};
use crate::ArcRef;
use crate::run::{Bound, run};

/// Counts the objects that it was told.
struct Counts(u32);

impl Handler<Item> for Counts {
    fn on_add(&mut self, _: ArcRef<'_, Item>, is_initial: bool) {
        assert!(is_initial, "the content was whole from the beginning on");
        self.0 += 1;
    }
}

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let store = Store::new();
        store.add(Item(A, 1)).expect("the key is valid");
        store.mark_synced();
        let handling = store.subscribe().handle(Counts(0)).expect("there is no snapshot to begin from");
        let registration = handling.registration();
        let runner = loom::thread::spawn(|| handling.run());
        assert_eq!(registration.wait_synced(None), Ok(()));
        registration.remove();
        assert_eq!(runner.join().expect("the handler's assertions hold").0, 1);
    });
}
