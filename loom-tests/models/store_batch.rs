//! A batch becomes visible at once: through a pinned look, an index, and a bound in it.

use std::ops::Bound::{Included, Unbounded};
use std::sync::Arc;

use super::engine::PinnedRevision;
use super::model::{A, B, engine, write_both};
use crate::KeyRef;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let engine = engine();
        write_both(&engine, 1, Some(1));
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                let look = PinnedRevision::new(&engine);
                let view = look.view();
                let first = look.get(KeyRef::from(A)).map(|a| a.read());
                let second = look.get(KeyRef::from(B)).map(|b| b.read());
                let expected = match view.number() {
                    1 => (Some(1), Some(1)),
                    2 => (Some(2), Some(2)),
                    _ => (Some(3), None),
                };
                assert_eq!((first, second), expected, "half a batch");
                let indexed = view.namespaces().entries("ns", Unbounded).count();
                assert_eq!(indexed, view.len(), "the index is of another revision");
                let from = view.namespaces().entries("ns", Included(KeyRef::from(B))).count();
                assert_eq!(from, indexed - 1, "the index is out of order");
            }
        });
        write_both(&engine, 2, Some(2));
        write_both(&engine, 3, None);
        reader.join().expect("the reader's assertions hold");
    });
}
