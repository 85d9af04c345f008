//! A shard's table grows, and drops what was deleted, beside a reader.

use std::sync::Arc;

use super::engine::PinnedRevision;
use super::model::{engine, put};
use crate::KeyRef;
use crate::run::{Bound, run};

const KEYS: [&str; 8] = ["ns/0", "ns/1", "ns/2", "ns/3", "ns/4", "ns/5", "ns/6", "ns/7"];

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let engine = engine();
        let mut guard = engine.write();
        // As many as the smallest table takes.
        for key in &KEYS[..7] {
            put(&mut guard, key, 1);
        }
        drop(guard);
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                let look = PinnedRevision::new(&engine);
                assert!(look.get(KeyRef::from(KEYS[0])).is_some(), "lost while growing");
                let last = look.get(KeyRef::from(KEYS[7])).is_some();
                assert_eq!(last, look.view().number() > 1, "visible before its revision");
            }
        });
        let mut guard = engine.write();
        put(&mut guard, KEYS[7], 1);
        guard.collect(usize::MAX);
        drop(guard);
        reader.join().expect("the reader's assertions hold");
    });
}
