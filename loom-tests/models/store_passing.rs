//! Keys come and go in the bucket that another has passed, since it was full: that one is found all the same.

use std::sync::Arc;

use super::engine::PinnedRevision;
use super::model::{collect, delete, engine, neighbours, put, write};
use crate::KeyRef;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let engine = engine();
        let [first, second, third, beyond, new] = neighbours(2);
        let mut guard = engine.write();
        for key in [first, second, third, beyond] {
            put(&mut guard, key, 1);
        }
        drop(guard);
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                let look = PinnedRevision::new(&engine);
                let value = look.get(KeyRef::from(beyond)).map(|value| value.read());
                let expected = if look.view().number() < 4 { Some(1) } else { None };
                assert_eq!(value, expected, "lost beyond its home");
            }
        });
        // Its slot is free for the new one as soon as the reader allows.
        assert_eq!(delete(&mut engine.write(), first), Some(1));
        collect(&engine);
        write(&engine, new, 1);
        assert_eq!(delete(&mut engine.write(), beyond), Some(1), "lost beyond its home");
        collect(&engine);
        reader.join().expect("the reader's assertions hold");
        collect(&engine);
    });
}
