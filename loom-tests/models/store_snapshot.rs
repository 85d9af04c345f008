//! A snapshot is taken while batches publish and superseded revisions are freed.

use std::sync::Arc;

use super::engine::{Hold, Pin};
use super::model::{A, engine, write};
use crate::KeyRef;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 3 }, || {
        let engine = engine();
        write(&engine, A, 1);
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                let hold = Hold::new(&engine);
                let number = hold.view().number();
                let again = hold.clone();
                drop(hold);
                // Read once it is not pinned any more.
                let value = again.view().get(KeyRef::from(A), &Pin::new());
                let value = value.map(|value| u64::from(value.read()));
                assert_eq!(value, Some(number), "the snapshot moved");
            }
        });
        write(&engine, A, 2);
        write(&engine, A, 3);
        reader.join().expect("the reader's assertions hold");
    });
}
