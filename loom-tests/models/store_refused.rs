//! Readers rely on `membarrier`, and the system refuses the writer's call while they read: nothing is
//! freed under them, whatever they have seen of it. (The shipped copy of the model has no such call;
//! the variant `membarrier_refused` has one.)

use std::sync::Arc;

use super::engine::{Engine, PinnedRevision};
use super::model::{A, Thing, collect, write};
use crate::KeyRef;
use crate::run::{Bound, run};
use crate::sync::random_hasher;

pub fn model() {
    run(Bound { preemptions: 3 }, || {
        // Looks at its readers when it is told to: not before there is one.
        let never = (usize::MAX, usize::MAX);
        let engine = Arc::new(Engine::<Thing>::with_patience(random_hasher(), |_| 0, never));
        write(&engine, A, 1);
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                for _ in 0..2 {
                    let look = PinnedRevision::new(&engine);
                    let value = look.get(KeyRef::from(A)).map(|value| u64::from(value.read()));
                    assert_eq!(value, Some(look.view().number()));
                }
            }
        });
        write(&engine, A, 2);
        // The first is refused, and tells the readers; the second asks what they have seen of it.
        collect(&engine);
        collect(&engine);
        reader.join().expect("the reader's assertions hold");
    });
}
