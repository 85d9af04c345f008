//! A shard's table shrinks, with a key that was just deleted, beside a reader that may still see it.

use std::sync::Arc;

use super::engine::PinnedRevision;
use super::model::{NAMES, delete, engine, put};
use crate::KeyRef;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let engine = engine();
        // So many that the table has six buckets, of which those that are left need two.
        let [last, others @ ..] = &NAMES[..10] else { unreachable!("there are ten") };
        let mut guard = engine.write();
        NAMES[..10].iter().for_each(|key| put(&mut guard, key, 1));
        drop(guard);
        let mut guard = engine.write();
        for key in others {
            assert_eq!(delete(&mut guard, key), Some(1));
        }
        drop(guard);
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                let look = PinnedRevision::new(&engine);
                let found = look.get(KeyRef::from(*last)).is_some();
                assert_eq!(found, look.view().number() < 3, "lost while shrinking");
            }
        });
        let mut guard = engine.write();
        assert_eq!(delete(&mut guard, last), Some(1));
        guard.collect(usize::MAX);
        drop(guard);
        reader.join().expect("the reader's assertions hold");
    });
}
