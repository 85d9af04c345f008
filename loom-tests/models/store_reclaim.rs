//! Versions are superseded and freed beside a reader in every step of a get.

use std::sync::Arc;

use super::engine::PinnedRevision;
use super::model::{A, collect, engine, write};
use crate::KeyRef;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 3 }, || {
        let engine = engine();
        let objects: Vec<_> = (1..=3).map(Arc::new).collect();
        write(&engine, A, Arc::clone(&objects[0]));
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                for _ in 0..2 {
                    let look = PinnedRevision::new(&engine);
                    let value = look.get(KeyRef::from(A)).map(|value| u64::from(**value));
                    assert_eq!(value, Some(look.view().number()));
                }
            }
        });
        write(&engine, A, Arc::clone(&objects[1]));
        write(&engine, A, Arc::clone(&objects[2]));
        reader.join().expect("the reader's assertions hold");
        // The reader is idle: it retains nothing.
        collect(&engine);
        let counts: Vec<_> = objects.iter().map(Arc::strong_count).collect();
        assert_eq!(counts, [1, 1, 2], "an idle reader retains");
        drop(engine);
        assert_eq!(Arc::strong_count(&objects[2]), 1, "the last object leaks");
    });
}
