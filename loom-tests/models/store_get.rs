//! A get beside batches that change its key more than once each: it has the object of its revision, and reads
//! no other.

use std::sync::Arc;

use super::engine::PinnedRevision;
use super::model::{A, delete, engine, put, write};
use crate::KeyRef;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let engine = engine();
        write(&engine, A, 1);
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                let look = PinnedRevision::new(&engine);
                let expected = match look.view().number() {
                    1 => Some(1),
                    2 => Some(2),
                    _ => None,
                };
                let value = look.get(KeyRef::from(A)).map(|value| value.read());
                assert_eq!(value, expected, "a get of another revision");
            }
        });
        let mut guard = engine.write();
        put(&mut guard, A, 20);
        put(&mut guard, A, 2);
        drop(guard);
        let mut guard = engine.write();
        put(&mut guard, A, 30);
        assert_eq!(delete(&mut guard, A), Some(30));
        drop(guard);
        reader.join().expect("the reader's assertions hold");
    });
}
