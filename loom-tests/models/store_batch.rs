//! A batch becomes visible at once: through a pinned look, a snapshot, an index and a walk.

use std::sync::Arc;

use super::engine::{Engine, PinnedRevision};
use crate::KeyRef;
use crate::run::{Bound, run};

const A: &str = "ns/a";
const B: &str = "ns/b";

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let engine = Arc::new(Engine::<u32, 1>::with_patience(7, (0, 0)));
        let write = |a: u32, b: Option<u32>| {
            let mut guard = engine.write();
            guard.put(KeyRef::from(A), Arc::new(a), 0, Vec::new());
            match b {
                Some(b) => guard.put(KeyRef::from(B), Arc::new(b), 0, Vec::new()),
                None => drop(guard.delete(KeyRef::from(B))),
            }
            guard.publish();
        };
        write(1, Some(1));
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                let look = PinnedRevision::new(&engine);
                let view = look.view();
                let first = view.get_pinned(KeyRef::from(A)).map(|a| **a);
                let second = view.get_pinned(KeyRef::from(B)).map(|b| **b);
                let expected = match view.number() {
                    1 => (Some(1), Some(1)),
                    2 => (Some(2), Some(2)),
                    _ => (Some(3), None),
                };
                assert_eq!((first, second), expected, "half a batch");
                let indexed = view.namespaces().entries("ns", std::ops::Bound::Unbounded).count();
                assert_eq!(indexed, view.len(), "the index is of another revision");
                let mut cursor = view.cursor(view.shards());
                let mut sum = 0;
                while let Some((_, object)) = view.advance(&mut cursor) {
                    sum += **object;
                }
                let whole = expected.0.unwrap_or(0) + expected.1.unwrap_or(0);
                assert_eq!(sum, whole, "half a walk");
            }
        });
        write(2, Some(2));
        write(3, None);
        reader.join().expect("the reader's assertions hold");
    });
}
