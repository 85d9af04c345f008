//! An old snapshot walks past versions it does not need while these are freed, and new ones made in their places. (The
//! models keep what is freed; the variant `places_recycled` uses it again.)

use std::sync::Arc;

use super::engine::{Hold, Pin};
use super::model::{A, engine, write};
use crate::KeyRef;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let engine = engine();
        write(&engine, A, 1);
        let old = Hold::new(&engine);
        write(&engine, A, 2);
        let reader = loom::thread::spawn(move || {
            let value = old.view().get(KeyRef::from(A), &Pin::new());
            let value = value.map(|value| value.read());
            assert_eq!(value, Some(1), "the snapshot lost its version");
        });
        // The first of them unlinks the second version, and the last makes one.
        for number in 3..=5 {
            write(&engine, A, number);
        }
        reader.join().expect("the reader's assertions hold");
        drop(Arc::into_inner(engine).expect("the snapshot is gone"));
    });
}
