//! A snapshot is compared with one that is taken beside a write: what the newer one has, the difference has.

use std::sync::Arc;

use super::engine::Hold;
use super::model::{A, B, engine, put, write};
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 3 }, || {
        let engine = engine();
        let mut guard = engine.write();
        put(&mut guard, A, 1);
        put(&mut guard, B, 1);
        drop(guard);
        let old = Hold::new(&engine);
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                let new = Hold::new(&engine);
                let mut changes = 0;
                old.view().changes(new.view(), |_, new| {
                    assert_eq!(new.map(|(_, object)| object.read()), Some(10));
                    changes += 1;
                });
                let expected = new.view().number() - old.view().number();
                assert_eq!(changes, expected, "a difference without what changed");
            }
        });
        write(&engine, A, 10);
        reader.join().expect("the reader's assertions hold");
    });
}
