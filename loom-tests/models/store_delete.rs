//! A deleted key leaves the table, and another takes its slot and its record, beside a reader and a
//! snapshot.

use std::ops::Bound::Unbounded;
use std::sync::Arc;

use super::engine::{Hold, Pin, PinnedRevision};
use super::model::{collect, delete, engine, neighbours, write};
use crate::KeyRef;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let engine = engine();
        let [a, b] = neighbours(2);
        write(&engine, a, 1);
        let old = Hold::new(&engine);
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                let value = old.view().get(KeyRef::from(a), &Pin::new()).map(|value| value.read());
                assert_eq!(value, Some(1), "the snapshot lost its version");
                // From here on nobody needs the key.
                drop(old);
                let look = PinnedRevision::new(&engine);
                let of = |key| look.get(KeyRef::from(key)).map(|value| value.read());
                let expected = match look.view().number() {
                    1 => (Some(1), None),
                    2 => (None, None),
                    _ => (None, Some(3)),
                };
                assert_eq!((of(a), of(b)), expected, "a deletion was half seen");
                let indexed = look.view().namespaces().entries("ns", Unbounded);
                let sum: u32 = indexed.map(|(_, object)| object.read()).sum();
                assert_eq!(Some(sum), expected.0.or(expected.1).or(Some(0)), "a stale index");
            }
        });
        assert_eq!(delete(&mut engine.write(), a), Some(1));
        collect(&engine);
        write(&engine, b, 3);
        reader.join().expect("the reader's assertions hold");
        collect(&engine);
    });
}
