//! Readers rely on `membarrier`, and the system refuses the writer's call: nothing is freed under
//! them, and all is freed once they fence or have ended. (In the shipped copy of the model there is no
//! such call; the variant `membarrier_refused` has one.)

use std::sync::Arc;

use super::engine::PinnedRevision;
use super::model::{A, collect, engine, write};
use crate::KeyRef;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let engine = engine();
        let objects: Vec<_> = (1..=3).map(Arc::new).collect();
        write(&engine, A, Arc::clone(&objects[0]));
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                for _ in 0..2 {
                    let look = PinnedRevision::new(&engine);
                    let value = look.get(KeyRef::from(A)).map(|value| u64::from(**value));
                    assert_eq!(value, Some(look.view().number()));
                }
            }
        });
        write(&engine, A, Arc::clone(&objects[1]));
        write(&engine, A, Arc::clone(&objects[2]));
        reader.join().expect("the reader's assertions hold");
        collect(&engine);
        let counts: Vec<_> = objects.iter().map(Arc::strong_count).collect();
        assert_eq!(counts, [1, 1, 2], "nothing is freed once every reader has ended");
    });
}
