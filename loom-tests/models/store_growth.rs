//! A shard's table grows, and drops what was deleted, beside a reader.

use std::sync::Arc;

use super::engine::PinnedRevision;
use super::model::{engine, put};
use crate::KeyRef;
use crate::run::{Bound, run};

const KEYS: [&str; 5] = ["ns/0", "ns/1", "ns/2", "ns/3", "ns/4"];

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let engine = engine();
        let mut guard = engine.write();
        // As many as the smallest table takes.
        for key in &KEYS[..4] {
            put(&mut guard, key, 1);
        }
        drop(guard);
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                let look = PinnedRevision::new(&engine);
                assert!(look.get(KeyRef::from(KEYS[0])).is_some(), "lost while growing");
                let last = look.get(KeyRef::from(KEYS[4])).is_some();
                assert_eq!(last, look.view().number() > 1, "visible before its revision");
            }
        });
        let mut guard = engine.write();
        put(&mut guard, KEYS[4], 1);
        guard.collect(usize::MAX);
        drop(guard);
        reader.join().expect("the reader's assertions hold");
    });
}
