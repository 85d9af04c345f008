//! A deleted key leaves the table, and another takes its slot, beside a reader and a snapshot.

use std::sync::Arc;

use super::engine::{Engine, Hold, PinnedRevision};
use crate::KeyRef;
use crate::run::{Bound, run};

const A: &str = "ns/a";

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let engine = Arc::new(Engine::<u32, 1>::with_patience(7, (0, 0)));
        let put = |value: u32| {
            let mut guard = engine.write();
            guard.put(KeyRef::from(A), Arc::new(value), 0, Vec::new());
            guard.publish();
        };
        put(1);
        let old = Hold::new(&engine);
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                assert_eq!(old.view().get(KeyRef::from(A)).map(|value| **value), Some(1));
                // From here on nobody needs the key.
                drop(old);
                let look = PinnedRevision::new(&engine);
                let view = look.view();
                let value = view.get_pinned(KeyRef::from(A)).map(|value| **value);
                let expected = [Some(1), None, Some(3)][view.number() as usize - 1];
                assert_eq!(value, expected, "a deletion was half seen");
            }
        });
        let mut guard = engine.write();
        assert_eq!(guard.delete(KeyRef::from(A)).as_deref(), Some(&1));
        guard.publish();
        guard.collect();
        drop(guard);
        engine.write().collect();
        put(3);
        reader.join().expect("the reader's assertions hold");
        engine.write().collect();
    });
}
