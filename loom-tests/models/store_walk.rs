//! A snapshot is walked, and compared with a newer one, while the table that it began with is replaced
//! by one in which some of its objects have newer versions.

use std::sync::Arc;

use super::engine::Hold;
use super::model::{Thing, engine, neighbours, put};
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let engine = engine();
        // In the second table they share a bucket, too, and the one that has changed comes first.
        let [changed, beside] = neighbours(4);
        let mut guard = engine.write();
        for key in [changed, beside, "ns/x", "ns/y"] {
            put(&mut guard, key, 1);
        }
        drop(guard);
        let old = Hold::new(&engine);
        let mut guard = engine.write();
        put(&mut guard, changed, 10);
        drop(guard);
        let new = Hold::new(&engine);
        let reader = loom::thread::spawn(move || {
            let sum = |hold: &Hold<Thing>| hold.view().cursor(hold.view().shards()).objects().map(Thing::read).sum::<u32>();
            assert_eq!((sum(&old), sum(&new)), (4, 13), "a walk over objects of another revision");
            let entries = old.view().cursor(old.view().shards()).map(|(_, object)| object.read());
            assert_eq!(entries.sum::<u32>(), 4, "a walk of another revision");
            let mut changes = 0;
            old.view().changes(new.view(), |old, new| {
                assert_eq!((old.map(|(_, o)| o.read()), new.map(|(_, o)| o.read())), (Some(1), Some(10)));
                changes += 1;
            });
            assert_eq!(changes, 1, "a difference that is none, or none where one is");
        });
        let mut guard = engine.write();
        put(&mut guard, "ns/z", 100);
        guard.collect(usize::MAX);
        drop(guard);
        reader.join().expect("the reader's assertions hold");
        drop(Arc::into_inner(engine).expect("the snapshots are gone"));
    });
}
