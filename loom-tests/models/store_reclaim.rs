//! Versions are superseded and freed beside a reader in every step of a get.

use std::sync::Arc;

use super::engine::{Engine, PinnedRevision};
use crate::KeyRef;
use crate::run::{Bound, run};

const A: &str = "ns/a";

pub fn model() {
    run(Bound { preemptions: 3 }, || {
        let engine = Arc::new(Engine::<u32, 1>::with_patience(7, (0, 0)));
        let objects: Vec<_> = (1..=3).map(Arc::new).collect();
        let write = |object: &Arc<u32>| {
            let mut guard = engine.write();
            guard.put(KeyRef::from(A), Arc::clone(object), 0, Vec::new());
            guard.publish();
        };
        write(&objects[0]);
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                for _ in 0..2 {
                    let look = PinnedRevision::new(&engine);
                    let view = look.view();
                    let value = view.get_pinned(KeyRef::from(A)).map(|value| u64::from(**value));
                    assert_eq!(value, Some(view.number()));
                }
            }
        });
        write(&objects[1]);
        write(&objects[2]);
        reader.join().expect("the reader's assertions hold");
        // The reader is idle: it retains nothing.
        engine.write().collect();
        engine.write().collect();
        let counts: Vec<_> = objects.iter().map(Arc::strong_count).collect();
        assert_eq!(counts, [1, 1, 2], "an idle reader retains");
        drop(engine);
        assert_eq!(Arc::strong_count(&objects[2]), 1, "the last object leaks");
    });
}
