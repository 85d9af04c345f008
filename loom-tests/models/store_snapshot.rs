//! A snapshot is taken while batches publish and superseded revisions are freed.

use std::sync::Arc;

use super::engine::{Engine, Hold};
use crate::KeyRef;
use crate::run::{Bound, run};

const A: &str = "ns/a";

pub fn model() {
    run(Bound { preemptions: 3 }, || {
        let engine = Arc::new(Engine::<u32, 1>::with_patience(7, (0, 0)));
        let write = |value: u32| {
            let mut guard = engine.write();
            guard.put(KeyRef::from(A), Arc::new(value), 0, Vec::new());
            guard.publish();
        };
        write(1);
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                let hold = Hold::new(&engine);
                let number = hold.view().number();
                let again = hold.clone();
                drop(hold);
                let value = again.view().get(KeyRef::from(A)).map(|value| u64::from(**value));
                assert_eq!(value, Some(number), "the snapshot moved");
            }
        });
        write(2);
        write(3);
        reader.join().expect("the reader's assertions hold");
    });
}
