//! A batch becomes visible at once to a walk over keys and objects.

use std::sync::Arc;

use super::engine::PinnedRevision;
use super::model::{engine, write_both};
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let engine = engine();
        write_both(&engine, 1, Some(1));
        let reader = loom::thread::spawn({
            let engine = Arc::clone(&engine);
            move || {
                let look = PinnedRevision::new(&engine);
                let view = look.view();
                let expected: &[(&str, u32)] = match view.number() {
                    1 => &[("a", 1), ("b", 1)],
                    2 => &[("a", 2), ("b", 2)],
                    _ => &[("a", 3)],
                };
                let entries = view.cursor(view.shards());
                let mut seen: Vec<_> =
                    entries.map(|(key, object)| (key.name(), object.read())).collect();
                seen.sort_unstable();
                assert_eq!(seen, expected, "half a walk");
            }
        });
        write_both(&engine, 2, Some(2));
        write_both(&engine, 3, None);
        reader.join().expect("the reader's assertions hold");
    });
}
