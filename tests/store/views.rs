//! Several reads of one revision: pins, owned walks, parts and differences.

use watchcache::Store;

use crate::tagged::{Pod, pod};

#[test]
fn snapshots_of_different_stores_have_no_difference_to_tell() {
    let (one, other) = (Store::<Pod>::new(), Store::<Pod>::new());
    let error = one.snapshot().diff(&other.snapshot()).unwrap_err();
    assert_eq!(error.to_string(), "the snapshots are of different stores");
}

#[test]
fn get_many_and_pinned_reads_are_of_one_revision() {
    let store = Store::new();
    store.add(pod("a/1", 1, &[])).unwrap();
    let found = store.get_many(["a/1", "a/2"]);
    assert_eq!(found[0].as_ref().unwrap().version, 1);
    assert!(found[1].is_none());
    let pinned = store.pin();
    store.delete("a/1");
    assert!(pinned.contains("a/1") && pinned.len() == 1);
    assert!(store.pin().is_empty());
}

#[test]
fn a_snapshot_outlives_its_store_and_its_partitions_give_everything_once() {
    let store = Store::new();
    for key in ["a/1", "a/2", "b/1", "c"] {
        store.add(pod(key, 1, &[])).unwrap();
    }
    let snapshot = store.snapshot();
    drop(store);
    let mut keys: Vec<String> = snapshot.iter().map(|(key, _)| key.to_string()).collect();
    keys.sort();
    assert_eq!(keys, ["a/1", "a/2", "b/1", "c"]);
    for parts in [0, 1, 3, 10_000] {
        let found: usize = snapshot.partitions(parts).into_iter().map(Iterator::count).sum();
        assert_eq!(found, 4);
    }
}
