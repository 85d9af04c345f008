//! What is assumed is due while the source speaks of it, beside whoever asks what the source said: the source's
//! word stands in the end, and nobody takes for it what was assumed.

use std::sync::Arc;
use std::time::Duration;

use super::Store;
use super::model::{A, Item};
use crate::run::{Bound, run};
use crate::timer::Tick;

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let store = Arc::new(Store::new());
        store.add(Item(A, 1)).expect("the key is valid");
        store.assume(Item(A, 10), Duration::ZERO).expect("the key is valid");
        let source = loom::thread::spawn({
            let store = Arc::clone(&store);
            move || {
                store.add(Item(A, 2)).expect("the key is valid");
            }
        });
        let timer = loom::thread::spawn({
            let store = Arc::clone(&store);
            move || {
                store.assumed.tick();
            }
        });
        let told = store.told(A.into()).expect("the source has said something").1;
        assert!(told <= 2, "what is assumed was taken for the source's word");
        source.join().expect("the source does not panic");
        timer.join().expect("the timer does not panic");
        assert_eq!(store.get(A).map(|item| item.1), Some(2), "the source has the last word");
        assert!(store.assumed(A).is_none());
    });
}
