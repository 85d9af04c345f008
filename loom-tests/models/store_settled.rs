//! The system refuses `membarrier`; the writer of one store learns that every reader fences, and the
//! writer of another relies on it.

use std::sync::Arc;

use super::engine::{Engine, PinnedRevision};
use super::model::{A, Thing, collect, write};
use crate::KeyRef;
use crate::run::{Bound, run};
use crate::sync::random_hasher;

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let never = (usize::MAX, usize::MAX);
        let engine = || Arc::new(Engine::<Thing>::with_patience(random_hasher(), |_| 0, never));
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
        let writer = loom::thread::spawn(move || collect(&other));
        write(&engine, A, 2);
        // The first is refused; the second may find it settled.
        collect(&engine);
        collect(&engine);
        reader.join().expect("the reader's assertions hold");
        writer.join().expect("another store's writer");
    });
}
