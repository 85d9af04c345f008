//! A thread reads and ends; the next one takes its announcement over, and is protected by it.

use std::sync::Arc;

use super::engine::{Engine, PinnedRevision};
use super::model::{A, Thing, engine, write};
use crate::KeyRef;
use crate::run::{Bound, run};

fn read(engine: &Engine<Thing>) {
    let look = PinnedRevision::new(engine);
    let value = look.get(KeyRef::from(A)).map(|value| u64::from(value.read()));
    assert_eq!(value, Some(look.view().number()));
}

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let engine = engine();
        write(&engine, A, 1);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let engine = Arc::clone(&engine);
                loom::thread::spawn(move || read(&engine))
            })
            .collect();
        write(&engine, A, 2);
        for thread in threads {
            thread.join().expect("the reader's assertions hold");
        }
    });
}
