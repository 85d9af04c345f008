//! A batch becomes visible at once to the walks over objects alone, which ask a stamp instead of a
//! version whether an object is of their revision.

use std::ops::Bound::Unbounded;
use std::sync::Arc;

use super::engine::PinnedRevision;
use super::model::{A, B, Thing, engine, write_both};
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
                let whole = [2, 4, 3][usize::try_from(view.number()).expect("it is small") - 1];
                let objects: u32 = view.cursor(view.shards()).objects().map(Thing::read).sum();
                assert_eq!(objects, whole, "half a walk over objects");
                let entries = view.namespaces().entries("ns", Unbounded);
                let objects: u32 = entries.objects().map(Thing::read).sum();
                assert_eq!(objects, whole, "half an index walk over objects");
            }
        });
        write_both(&engine, 2, Some(2));
        write_both(&engine, 3, None);
        reader.join().expect("the reader's assertions hold");
    });
}
