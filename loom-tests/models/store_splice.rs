//! An old snapshot walks past versions it does not need while these are taken out of the chain.

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
        let old = Hold::new(&engine);
        write(2);
        let reader = loom::thread::spawn(move || {
            let value = old.view().get(KeyRef::from(A)).map(|value| **value);
            assert_eq!(value, Some(1), "the snapshot lost its version");
        });
        write(3);
        write(4);
        engine.write().collect();
        reader.join().expect("the reader's assertions hold");
    });
}
