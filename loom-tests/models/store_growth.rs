//! A shard's table grows, and drops what was deleted, beside a reader.

use std::sync::Arc;

use super::engine::{Engine, PinnedRevision};
use crate::KeyRef;
use crate::run::{Bound, run};

const KEYS: [&str; 8] = ["ns/0", "ns/1", "ns/2", "ns/3", "ns/4", "ns/5", "ns/6", "ns/7"];

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let engine = Arc::new(Engine::<u32, 1>::with_patience(7, (0, 0)));
        let mut guard = engine.write();
        // As many as the smallest table takes.
        for key in &KEYS[..7] {
            guard.put(KeyRef::from(*key), Arc::new(1), 0, Vec::new());
        }
        guard.publish();
        drop(guard);
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                let look = PinnedRevision::new(&engine);
                let view = look.view();
                assert!(view.get_pinned(KeyRef::from(KEYS[0])).is_some(), "lost while growing");
                let last = view.get_pinned(KeyRef::from(KEYS[7])).is_some();
                assert_eq!(last, view.number() > 1, "visible before its revision");
            }
        });
        let mut guard = engine.write();
        guard.put(KeyRef::from(KEYS[7]), Arc::new(1), 0, Vec::new());
        guard.publish();
        guard.collect();
        drop(guard);
        reader.join().expect("the reader's assertions hold");
    });
}
