//! Versions are superseded and freed beside a reader in every step of a get.

use std::sync::Arc;

use super::engine::PinnedRevision;
use super::model::{A, Thing, collect, engine, put_object};
use crate::KeyRef;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 3 }, || {
        let engine = engine();
        let objects: Vec<_> = (1..=3).map(Thing::new).collect();
        let write = |i: usize| put_object(&mut engine.write(), A, Arc::clone(&objects[i]));
        write(0);
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                for _ in 0..2 {
                    let look = PinnedRevision::new(&engine);
                    let value = look.get(KeyRef::from(A)).map(|value| u64::from(value.read()));
                    assert_eq!(value, Some(look.view().number()));
                }
            }
        });
        write(1);
        write(2);
        reader.join().expect("the reader's assertions hold");
        // The reader is idle: it retains nothing.
        collect(&engine);
        let counts: Vec<_> = objects.iter().map(Arc::strong_count).collect();
        assert_eq!(counts, [1, 1, 2], "an idle reader retains");
        drop(engine);
        assert_eq!(Arc::strong_count(&objects[2]), 1, "the last object leaks");
    });
}
