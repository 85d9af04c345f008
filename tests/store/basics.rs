//! What reads, writes, snapshots and relists do, one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use watchcache::store::WriteError;
use watchcache::{Batch, Change, Key, KeyError, Listing, Store};

use crate::common::Pod;
use crate::common::watchdog::{eventually, sized};

fn listing(version: u64, pods: impl IntoIterator<Item = Pod>) -> Listing<Pod> {
    Listing::new(pods, Some(version.to_string().into())).unwrap()
}

#[test]
fn add_update_get_list_delete() {
    let store = Store::new();
    let first = store.add(Pod::new("default/web-0", 1)).unwrap();
    let second = store.add(Pod::new("default/web-0", 2)).unwrap();
    assert!(second.revision > first.revision);
    assert_eq!(store.get("default/web-0").unwrap().version(), 2);
    assert_eq!(store.get(("default", "web-0")).unwrap().version(), 2);
    assert!(store.get("default/web-1").is_none());
    assert!(store.get("not//a//key").is_none());
    assert_eq!(store.list().len(), 1);
    assert_eq!(store.delete("default/web-0").object.unwrap().version(), 2);
    assert!(store.delete("default/web-0").object.is_none());
    assert!(store.is_empty());
}

#[test]
fn cluster_scoped_and_namespaced_keys_do_not_meet() {
    let store = Store::new();
    store.add(Pod::new("web", 1)).unwrap();
    store.add(Pod::new("default/web", 2)).unwrap();
    assert_eq!(store.get("web").unwrap().version(), 1);
    assert_eq!(store.get(("default", "web")).unwrap().version(), 2);
    assert_eq!(store.get((None, "web")).unwrap().version(), 1);
}

#[test]
fn an_object_without_a_key_is_refused_and_nothing_changes() {
    let store = Store::new();
    store.add(Pod::new("a/b", 1)).unwrap();
    let before = store.revision();
    assert_eq!(
        store.add(Pod::new("a/", 2)).unwrap_err(),
        WriteError::Key(KeyError::EmptyName("a/".into()))
    );
    assert_eq!((store.revision(), store.len()), (before, 1));
}

#[test]
fn a_snapshot_never_changes() {
    let store = Store::new();
    store.add(Pod::new("a/b", 1)).unwrap();
    let snapshot = store.snapshot();
    store.add(Pod::new("a/b", 2)).unwrap();
    store.add(Pod::new("a/c", 3)).unwrap();
    assert_eq!(snapshot.len(), 1);
    assert_eq!(snapshot.get("a/b").unwrap().version(), 1);
    assert!(snapshot.get("a/c").is_none());
    assert!(snapshot.revision() < store.revision());
}

#[test]
fn older_versions_never_replace_newer_ones() {
    let store = Store::new();
    store.add(Pod::new("a/b", 5)).unwrap();
    let mut batch = Batch::new();
    batch.add(Pod::new("a/b", 4)).unwrap();
    batch.push("a/b", Change::Delete(Some(Arc::new(Pod::new("a/b", 3))))).unwrap();
    let applied = store.apply(&batch);
    assert_eq!((applied.stale, applied.updated, applied.deleted), (2, 0, 0));
    assert_eq!(store.get("a/b").unwrap().version(), 5);
}

#[test]
fn the_source_version_never_goes_back() {
    let store = Store::<Pod>::new();
    for version in ["5", "4", "9"] {
        let mut batch = Batch::new();
        batch.set_resource_version(version.into());
        store.apply(&batch);
    }
    assert_eq!(store.resource_version().unwrap().as_str(), "9");
    assert_eq!(store.revision().get(), 0, "a bookmark changes no object");
}

#[test]
fn a_relist_keeps_unchanged_objects_and_reports_what_changed() {
    let store = Store::new();
    store.replace(&listing(
        10,
        [Pod::new("a/same", 1), Pod::new("a/old", 2), Pod::new("a/gone", 3)],
    ));
    let same = store.get("a/same").unwrap();
    let replaced = store.replace(&listing(
        20,
        [Pod::new("a/same", 1), Pod::new("a/old", 15), Pod::new("a/new", 16)],
    ));
    assert!(Arc::ptr_eq(&same, &store.get("a/same").unwrap()));
    let counts = replaced.applied;
    assert_eq!((counts.added, counts.updated, counts.deleted, counts.unchanged), (1, 1, 1, 1));
    assert_eq!(replaced.deleted, ["a/gone".parse::<Key>().unwrap()]);
    assert_eq!(store.snapshot().resource_version().unwrap().as_str(), "20");
}

#[test]
fn a_relist_of_the_same_objects_is_no_change() {
    let store = Store::new();
    store.replace(&listing(10, [Pod::new("a/b", 1)]));
    let before = store.revision();
    store.replace(&listing(10, [Pod::new("a/b", 1)]));
    assert_eq!(store.revision(), before);
}

#[test]
fn a_recreated_object_of_the_same_version_text_is_another_object() {
    let store = Store::new();
    store.add(Pod::new("a/b", 7).with_uid("first")).unwrap();
    store.add(Pod::new("a/b", 7).with_uid("second")).unwrap();
    assert_eq!(store.get("a/b").unwrap().uid, "second");
}

#[test]
fn an_older_listing_does_not_undo_newer_knowledge() {
    let store = Store::new();
    store.replace(&listing(10, [Pod::new("a/b", 5), Pod::new("a/c", 6)]));
    store.add(Pod::new("a/new", 12)).unwrap();
    store.add(Pod::new("a/b", 13)).unwrap();
    store.replace(&listing(10, [Pod::new("a/b", 5)]));
    assert_eq!(store.get("a/b").unwrap().version(), 13);
    assert!(store.contains("a/new"));
    assert!(!store.contains("a/c"));
}

#[test]
fn a_listing_that_names_a_key_twice_keeps_the_later_object() {
    let listing = listing(1, [Pod::new("a/b", 1), Pod::new("a/c", 2), Pod::new("a/b", 3)]);
    let seen: Vec<_> =
        listing.objects().map(|(key, pod)| (key.to_string(), pod.version())).collect();
    assert_eq!(seen, [("a/b".to_owned(), 3), ("a/c".to_owned(), 2)]);
}

/// A writer moves a token from key to key in one batch each; a reader that sees none, or two, saw
/// half a batch.
#[test]
fn no_reader_sees_half_a_batch() {
    const KEYS: u64 = 16;
    let store = Arc::new(Store::new());
    store.add(Pod::new("ns/0", 1)).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = store.revision();
                while !stop.load(Ordering::Relaxed) {
                    let snapshot = store.snapshot();
                    assert_eq!(snapshot.len(), 1, "half a batch at {}", snapshot.revision());
                    assert_eq!(snapshot.iter().count(), 1);
                    assert_eq!(store.list().len(), 1);
                    assert!(snapshot.revision() >= last, "went back");
                    last = snapshot.revision();
                }
            });
        }
        for i in 0..sized(20_000, 50) as u64 {
            let mut batch = Batch::new();
            batch.delete(&format!("ns/{}", i % KEYS));
            batch.add(Pod::new(&format!("ns/{}", (i + 1) % KEYS), i + 2)).unwrap();
            store.apply(&batch);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn writers_take_turns_and_lose_nothing() {
    let store = Store::new();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for i in 0..sized(500, 10) {
                    store.add(Pod::new(&format!("w{writer}/{i}"), 1)).unwrap();
                }
            });
        }
    });
    let written = 4 * sized(500, 10);
    assert_eq!(store.len(), written);
    assert!(store.revision().get() <= written as u64, "writers that wait are combined");
}

#[test]
fn superseded_objects_are_freed_once_nobody_can_see_them() {
    let store = Store::new();
    let first = Arc::new(Pod::new("a/b", 1));
    let watch = Arc::downgrade(&first);
    store.add(first).unwrap();
    let snapshot = store.snapshot();
    store.add(Pod::new("a/b", 2)).unwrap();
    assert!(watch.upgrade().is_some(), "the snapshot still sees it");
    drop(snapshot);
    // Asking frees what can be freed; a reader of another test may just be pinned.
    eventually("freed", || store.stats().retained_versions == 0);
    assert!(watch.upgrade().is_none());
}

#[test]
fn a_diff_is_whole_after_the_table_has_grown() {
    let store = Store::new();
    let put = |range: std::ops::Range<usize>, version: u64| {
        let mut batch = Batch::new();
        for i in range {
            batch.add(Pod::new(&format!("default/web-{i}"), version)).unwrap();
        }
        store.apply(&batch);
    };
    let of = |size| sized(size, size / 500);
    put(0..of(5_000), 1);
    let before = store.snapshot();
    put(0..of(2_000), 2);
    put(of(5_000)..of(20_000), 3);
    let after = store.snapshot();
    let diff = after.diff(&before).unwrap();
    assert_eq!(
        (diff.updated.len(), diff.added.len(), diff.deleted.len()),
        (of(2_000), of(15_000), 0)
    );
    assert_eq!(before.objects().filter(|pod| pod.version() == 1).count(), of(5_000));
    assert_eq!(after.objects().count(), of(20_000));
}
