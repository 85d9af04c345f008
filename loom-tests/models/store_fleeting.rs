//! Within one batch a key comes and goes, and another takes its slot, beside a reader that looks for both.

use std::sync::Arc;

use super::engine::PinnedRevision;
use super::model::{delete, engine, neighbours, put, write};
use crate::KeyRef;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let engine = engine();
        let [held, fleeting, new] = neighbours(2);
        write(&engine, held, 1);
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                let look = PinnedRevision::new(&engine);
                let of = |key| look.get(KeyRef::from(key)).map(|value| value.read());
                let expected = if look.view().number() == 1 { None } else { Some(3) };
                assert_eq!((of(fleeting), of(new)), (None, expected), "a key of another revision");
            }
        });
        let mut guard = engine.write();
        put(&mut guard, fleeting, 2);
        assert_eq!(delete(&mut guard, fleeting), Some(2));
        put(&mut guard, new, 3);
        drop(guard);
        reader.join().expect("the reader's assertions hold");
    });
}
