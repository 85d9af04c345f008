//! A batch becomes visible at once to the walks over objects alone, which ask a stamp instead of a
//! version whether an object is of their revision.

use std::ops::Bound::Unbounded;
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
                let whole = [2, 4, 3][usize::try_from(view.number()).expect("it is small") - 1];
                let objects: u32 = view.objects(view.shards()).sum();
                assert_eq!(objects, whole, "half a walk over objects");
                let entries = view.namespaces().entries("ns", Unbounded);
                let objects: u32 = entries.objects().sum();
                assert_eq!(objects, whole, "half an index walk over objects");
            }
        });
        write(2, Some(2));
        write(3, None);
        reader.join().expect("the reader's assertions hold");
    });
}
