//! A thread pins again while it is pinned: what the first pin protects stays protected.

use std::sync::Arc;

use super::engine::{Pin, PinnedRevision};
use super::model::{A, engine, write};
use crate::KeyRef;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 4 }, || {
        let engine = engine();
        write(&engine, A, 1);
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                let look = PinnedRevision::new(&engine);
                let number = look.view().number();
                drop(Pin::new());
                let within = PinnedRevision::new(&engine);
                assert!(within.view().number() >= number, "an older look within a newer one");
                let value = look.get(KeyRef::from(A)).map(|value| u64::from(value.read()));
                assert_eq!(value, Some(number), "the outer look moved");
                drop(look);
                let value = within.get(KeyRef::from(A)).map(|value| u64::from(value.read()));
                assert_eq!(value, Some(within.view().number()), "the inner look moved");
            }
        });
        write(&engine, A, 2);
        write(&engine, A, 3);
        reader.join().expect("the reader's assertions hold");
    });
}
