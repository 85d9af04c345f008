//! A difference of two snapshots is what changed between them.

use watchcache::{Batch, Snapshot, Store};

use crate::common::pod::Pod;
use crate::common::watchdog::sized;

/// Few changes among many objects, before the tables grow and after.
#[test]
fn a_difference_is_what_changed_however_many_objects_there_are() {
    const OBJECTS: usize = sized(20_000, 500);
    let store = Store::new();
    let put = |keys: std::ops::Range<usize>, version| {
        let mut batch = Batch::new();
        keys.for_each(|i| batch.add(Pod::new(&format!("a/{i}"), version)).unwrap());
        store.apply(&batch);
    };
    put(0..OBJECTS, 1);
    let before = store.snapshot();
    let mut batch = Batch::new();
    for i in (0..OBJECTS).step_by(100) {
        batch.add(Pod::new(&format!("a/{i}"), 2)).unwrap();
        batch.delete(&format!("a/{}", i + 1));
        batch.add(Pod::new(&format!("b/{i}"), 2)).unwrap();
    }
    store.apply(&batch);
    let after = store.snapshot();
    let verify = |older: &Snapshot<Pod>, newer: &Snapshot<Pod>| {
        let diff = newer.diff(older).unwrap();
        let changes = OBJECTS / 100;
        assert_eq!(diff.added.len(), changes);
        assert_eq!(diff.deleted.len(), changes);
        assert_eq!(diff.updated.len(), changes);
        assert!(diff.added.iter().all(|(key, _)| key.namespace() == Some("b")));
        assert!(diff.updated.iter().all(|key| (key.old.version(), key.new.version()) == (1, 2)));
    };
    verify(&before, &after);
    put(OBJECTS..3 * OBJECTS, 1);
    verify(&before, &after);
}
