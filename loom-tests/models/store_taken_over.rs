//! The system refuses `membarrier`; a reader takes over the announcement of one that has ended, while two writers find
//! out which readers fence.

use std::sync::Arc;

use super::engine::{Engine, Pin, PinnedRevision};
use super::model::{A, Thing, collect, write};
use crate::KeyRef;
use crate::run::{Bound, run};
use crate::sync::random_hasher;

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let never = (usize::MAX, usize::MAX);
        let engine = || Arc::new(Engine::<Thing>::with_patience(random_hasher(), |_| 0, never));
        let (engine, other) = (engine(), engine());
        loom::thread::spawn(|| drop(Pin::new())).join().expect("a pin");
        write(&engine, A, 1);
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                let look = PinnedRevision::new(&engine);
                let value = look.get(KeyRef::from(A)).map(|value| u64::from(value.read()));
                assert_eq!(value, Some(look.view().number()));
            }
        });
        write(&engine, A, 2);
        // Each looks twice; the first look of one may come behind the refusal of the other's.
        let writer = loom::thread::spawn(move || collect(&other));
        collect(&engine);
        reader.join().expect("the reader's assertions hold");
        writer.join().expect("another store's writer");
    });
}
