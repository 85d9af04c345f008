//! An old snapshot walks past versions it does not need while these are taken out of the chain.

use std::sync::Arc;

use super::engine::{Hold, Pin};
use super::model::{A, collect, engine, write};
use crate::KeyRef;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 3 }, || {
        let engine = engine();
        write(&engine, A, 1);
        let old = Hold::new(&engine);
        write(&engine, A, 2);
        let reader = loom::thread::spawn(move || {
            // Read once it is not pinned any more.
            let value = old.view().get(KeyRef::from(A), &Pin::new());
            let value = value.map(|value| value.read());
            assert_eq!(value, Some(1), "the snapshot lost its version");
        });
        write(&engine, A, 3);
        write(&engine, A, 4);
        collect(&engine);
        reader.join().expect("the reader's assertions hold");
        drop(Arc::into_inner(engine).expect("the snapshot is gone"));
    });
}
