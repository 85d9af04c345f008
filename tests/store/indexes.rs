//! Indexes: what is found under a value, what is rejected, and indexes that come later.

use std::sync::LazyLock;

use watchcache::store::{RejectReason, WriteError};
use watchcache::{Batch, Store};

use crate::tagged::{BY_TAG, keys, pod, tagged};

#[test]
fn an_object_is_found_under_each_of_its_values() {
    let store = tagged();
    store.add(pod("b/2", 1, &["x", "y", "x"])).unwrap();
    store.add(pod("a/1", 2, &["x"])).unwrap();
    assert_eq!(keys(&store, "x"), ["a/1", "b/2"], "in key order");
    assert_eq!(keys(&store, "y"), ["b/2"]);
    assert!(keys(&store, "z").is_empty());
    let snapshot = store.snapshot();
    let groups = snapshot.groups(&BY_TAG, ..).map(|(tag, pods)| (tag.to_string(), pods.len()));
    assert_eq!(groups.collect::<Vec<_>>(), [("x".to_owned(), 2), ("y".to_owned(), 1)]);
    assert_eq!(snapshot.by(&BY_TAG, "x").len(), 2);

    store.add(pod("b/2", 3, &["z"])).unwrap();
    store.delete("a/1");
    assert!(keys(&store, "x").is_empty());
    assert_eq!(keys(&store, "z"), ["b/2"]);
    let then: Vec<_> = snapshot.by(&BY_TAG, "x").map(|(_, pod)| pod.version).collect();
    assert_eq!(then, [2, 1], "the snapshot's index is the snapshot's");
}

#[test]
fn objects_of_a_value_go_on_where_their_entries_were_left() {
    static NAMES: LazyLock<Vec<String>> =
        LazyLock::new(|| (100..300).map(|i| format!("a/{i}")).collect());
    let store = Store::new();
    for (name, version) in NAMES.iter().zip(0..) {
        store.add(pod(name, version, &[])).unwrap();
    }
    let snapshot = store.snapshot();
    store.add(pod("a/150", 1_000, &[])).unwrap();
    store.delete("a/151");
    for read in [0, 1, 63, 64, 65, 199, 200] {
        let mut entries = snapshot.namespace("a");
        assert_eq!(entries.by_ref().take(read).count(), read);
        assert_eq!(entries.len(), 200 - read);
        let objects: Vec<u64> = entries.objects().map(|pod| pod.version).collect();
        assert_eq!(objects, (read as u64..200).collect::<Vec<_>>());
        let mut entries = snapshot.namespace("a");
        assert_eq!(entries.by_ref().take(read).count(), read);
        let list: Vec<u64> = entries.list().iter().map(|pod| pod.version).collect();
        assert_eq!(list, objects);
    }
    assert_eq!(store.snapshot().namespace("a").list().len(), 199);
}

#[test]
fn an_index_added_later_covers_what_is_held() {
    let store = Store::new();
    store.add(pod("a/1", 1, &["x"])).unwrap();
    let before = store.snapshot();
    let revision = store.add_index(&BY_TAG).unwrap();
    store.add(pod("a/2", 2, &["x"])).unwrap();
    assert_eq!(keys(&store, "x"), ["a/1", "a/2"]);
    assert_eq!(before.by(&BY_TAG, "x").len(), 1, "found without it, which was not there then");
    assert!(store.snapshot().has_index(&BY_TAG) && !before.has_index(&BY_TAG));
    assert_eq!(before.revision(), revision);
    assert_eq!(store.add_index(&BY_TAG), Ok(store.revision()));
    assert_eq!(keys(&store, "x").len(), 2, "once is enough");
}

#[test]
fn an_index_that_fails_on_a_held_object_is_not_added() {
    let store = Store::new();
    store.add(pod("a/1", 1, &["error"])).unwrap();
    let error = store.add_index(&BY_TAG).unwrap_err();
    assert_eq!(error.to_string(), "object a/1 was rejected: index \"tag\" failed: bad tag");
    assert_eq!(store.len(), 1);
    store.add(pod("a/2", 2, &["error"])).unwrap();
}

#[test]
fn an_object_that_cannot_be_indexed_is_rejected_and_the_rest_applies() {
    let store = tagged();
    store.add(pod("a/1", 1, &["x"])).unwrap();
    let mut batch = Batch::new();
    batch.add(pod("a/1", 2, &["panic"])).unwrap();
    batch.add(pod("a/2", 3, &["error"])).unwrap();
    batch.add(pod("a/3", 4, &["x"])).unwrap();
    let applied = store.apply(&batch);
    assert_eq!((applied.added, applied.updated), (1, 0));
    let rejected: Vec<_> = applied.rejected.iter().map(ToString::to_string).collect();
    assert_eq!(
        rejected,
        [
            "object a/1 was rejected: index \"tag\" failed: no tags here",
            "object a/2 was rejected: index \"tag\" failed: bad tag",
        ]
    );
    assert_eq!(store.get("a/1").unwrap().version, 1, "what was held stays");
    assert_eq!(keys(&store, "x"), ["a/1", "a/3"]);

    let error = store.add(pod("a/4", 5, &["error"])).unwrap_err();
    let WriteError::Rejected(rejected) = error else { panic!("{error}") };
    assert!(matches!(rejected.reason, RejectReason::Index { index, .. } if &*index == "tag"));
}

#[test]
fn an_object_whose_methods_panic_is_rejected_and_breaks_no_batch() {
    let store = tagged();
    store.add(pod("a/1", 1, &[])).unwrap();
    let mut batch = Batch::new();
    batch.add(pod("a/0", 2, &["x"])).unwrap();
    batch.add(pod("a/1", 3, &["bomb"])).unwrap();
    batch.add(pod("a/2", 4, &["x"])).unwrap();
    let applied = store.apply(&batch);
    assert_eq!(applied.added, 2);
    assert_eq!(
        applied.rejected[0].reason,
        RejectReason::Panicked("this object explodes".to_owned())
    );
    assert_eq!(store.len(), 3);
}
