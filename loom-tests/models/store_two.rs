//! Two stores share the epoch: each one's publications end one, beside a reader of the first.

use std::sync::Arc;

use super::engine::PinnedRevision;
use super::model::{A, engine, write};
use crate::KeyRef;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let (engine, other) = (engine(), engine());
        write(&engine, A, 1);
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                let look = PinnedRevision::new(&engine);
                let value = look.get(KeyRef::from(A)).map(|value| u64::from(value.read()));
                assert_eq!(value, Some(look.view().number()));
            }
        });
        let writer = loom::thread::spawn(move || write(&other, A, 1));
        write(&engine, A, 2);
        reader.join().expect("the reader's assertions hold");
        writer.join().expect("a write to another store");
    });
}
