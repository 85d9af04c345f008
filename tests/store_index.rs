//! Indexes, ordered listing, differences and conditional writes, through the public API.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, LazyLock};

use watchcache::store::{AddIndexError, PageError, PageToken, Reason, UpdateError, WriteError};
use watchcache::{Batch, Key, KeyError, Listing, Object, Store};

#[derive(Debug)]
struct Pod {
    key: &'static str,
    version: u64,
    text: String,
    tags: Vec<&'static str>,
}

impl Object for Pod {
    fn key(&self) -> Result<Key, KeyError> {
        self.key.parse()
    }

    fn resource_version(&self) -> Option<&str> {
        assert!(!self.tags.contains(&"bomb"), "this object explodes");
        Some(&self.text)
    }
}

fn pod(key: &'static str, version: u64, tags: &[&'static str]) -> Pod {
    Pod { key, version, text: version.to_string(), tags: tags.to_vec() }
}

fn tags(pod: &Pod) -> Result<Vec<&'static str>, String> {
    assert!(!pod.tags.contains(&"panic"), "no tags here");
    if pod.tags.contains(&"error") { Err("bad tag".to_owned()) } else { Ok(pod.tags.clone()) }
}

fn tagged() -> Store<Pod> {
    Store::builder().try_index("tag", tags).build()
}

fn keys(store: &Store<Pod>, tag: &str) -> Vec<String> {
    let snapshot = store.snapshot();
    snapshot.by_index("tag", tag).unwrap().map(|(key, _)| key.to_string()).collect()
}

#[test]
fn an_object_is_found_under_each_of_its_values() {
    let store = tagged();
    store.add(pod("b/2", 1, &["x", "y", "x"])).unwrap();
    store.add(pod("a/1", 2, &["x"])).unwrap();
    assert_eq!(keys(&store, "x"), ["a/1", "b/2"], "in key order");
    assert_eq!(keys(&store, "y"), ["b/2"]);
    assert!(keys(&store, "z").is_empty());
    let snapshot = store.snapshot();
    let values: Vec<_> = snapshot.index_values("tag").unwrap().collect();
    assert_eq!(values, [("x", 2), ("y", 1)]);
    assert_eq!(snapshot.index_count("tag", "x"), Ok(2));

    store.update(pod("b/2", 3, &["z"])).unwrap();
    store.delete("a/1");
    assert!(keys(&store, "x").is_empty());
    assert_eq!(keys(&store, "z"), ["b/2"]);
    let then: Vec<_> = snapshot.by_index("tag", "x").unwrap().map(|(_, pod)| pod.version).collect();
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
    let error = before.by_index("tag", "x").unwrap_err();
    assert_eq!(error.to_string(), "no index \"tag\"; this snapshot has none");
    store.add_index("tag", tags).unwrap();
    store.add(pod("a/2", 2, &["x"])).unwrap();
    assert_eq!(keys(&store, "x"), ["a/1", "a/2"]);
    assert!(before.by_index("tag", "x").is_err(), "it was not there then");
    assert_eq!(store.add_index("tag", tags), Err(AddIndexError::Exists("tag".into())));
}

#[test]
fn an_index_that_fails_on_a_held_object_is_not_added() {
    let store = Store::new();
    store.add(pod("a/1", 1, &["error"])).unwrap();
    let error = store.add_index("tag", tags).unwrap_err();
    assert_eq!(error.to_string(), "object a/1 was rejected: index \"tag\" failed: bad tag");
    assert!(store.snapshot().by_index("tag", "x").is_err());
    assert_eq!(store.len(), 1);
}

#[test]
fn an_object_that_cannot_be_indexed_is_rejected_and_the_rest_applies() {
    let store = tagged();
    store.add(pod("a/1", 1, &["x"])).unwrap();
    let mut batch = Batch::new();
    batch.put(pod("a/1", 2, &["panic"])).unwrap();
    batch.put(pod("a/2", 3, &["error"])).unwrap();
    batch.put(pod("a/3", 4, &["x"])).unwrap();
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
    assert!(matches!(rejected.reason, Reason::Index { index, .. } if &*index == "tag"));
}

#[test]
fn an_object_whose_methods_panic_is_rejected_and_breaks_no_batch() {
    let store = tagged();
    store.add(pod("a/1", 1, &[])).unwrap();
    let mut batch = Batch::new();
    batch.put(pod("a/0", 2, &["x"])).unwrap();
    batch.put(pod("a/1", 3, &["bomb"])).unwrap();
    batch.put(pod("a/2", 4, &["x"])).unwrap();
    let applied = store.apply(&batch);
    assert_eq!(applied.added, 2);
    assert_eq!(applied.rejected[0].reason, Reason::Panicked("this object explodes".to_owned()));
    assert_eq!(store.len(), 3);
}

#[test]
fn namespaces_and_prefixes_list_in_order() {
    let store = Store::new();
    for (i, key) in ["node-1", "b/web-1", "b/web-0", "a/db-0", "b/db-0", "bb/x"].iter().enumerate()
    {
        store.add(pod(key, i as u64 + 1, &[])).unwrap();
    }
    let snapshot = store.snapshot();
    let ordered = |prefix: &str| -> Vec<String> {
        snapshot.ordered(prefix).map(|(key, _)| key.to_string()).collect()
    };
    assert_eq!(ordered(""), ["node-1", "a/db-0", "b/db-0", "b/web-0", "b/web-1", "bb/x"]);
    assert_eq!(ordered("b"), ["b/db-0", "b/web-0", "b/web-1", "bb/x"]);
    assert_eq!(ordered("b/"), ["b/db-0", "b/web-0", "b/web-1"]);
    assert_eq!(ordered("b/web"), ["b/web-0", "b/web-1"]);
    assert_eq!(ordered("node"), ["node-1"]);
    assert!(ordered("c").is_empty());
    let namespaces: Vec<_> = snapshot.namespaces().collect();
    assert_eq!(namespaces, [("", 1), ("a", 1), ("b", 3), ("bb", 1)]);
    assert_eq!(snapshot.namespace("b").count(), 3);
    assert_eq!(snapshot.namespace_count("none"), 0);
}

#[test]
fn a_page_token_belongs_to_its_revision() {
    let store = Store::new();
    for (i, key) in ["a/1", "a/2", "b/1"].iter().enumerate() {
        store.add(pod(key, i as u64 + 1, &[])).unwrap();
    }
    let page = store.snapshot().page("", 2, None).map(|page| page.next.unwrap()).unwrap();
    let token: PageToken = page.to_string().parse().unwrap();
    assert_eq!(token, page);
    store.add(pod("b/0", 9, &[])).unwrap();
    let now = store.snapshot();
    assert!(matches!(now.page("", 2, Some(&token)), Err(PageError::Expired { .. })));
    let rest = now.page("", 5, Some(&token.at(now.revision()))).unwrap();
    let keys: Vec<_> = rest.entries.iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(keys, ["b/0", "b/1"]);
    for bad in ["", "5", "x:a/b", "5:", "5:a/b/c"] {
        assert_eq!(bad.parse::<PageToken>(), Err(PageError::Malformed(bad.to_owned())));
    }
}

#[test]
fn snapshots_of_different_stores_have_no_difference_to_tell() {
    let (one, other) = (Store::<Pod>::new(), Store::<Pod>::new());
    let error = one.snapshot().diff(&other.snapshot()).unwrap_err();
    assert_eq!(error.to_string(), "the snapshots are of different stores");
}

#[test]
fn a_conditional_update_asks_for_the_very_object_that_was_seen() {
    let store = Store::new();
    store.compare_and_update(None, pod("a/1", 1, &[])).unwrap();
    let seen = store.get("a/1").unwrap();
    let conflict = store.compare_and_update(None, pod("a/1", 2, &[])).unwrap_err();
    assert!(
        matches!(&conflict, UpdateError::Conflict { held: Some(held), .. } if Arc::ptr_eq(held, &seen))
    );
    assert_eq!(conflict.into_object().version, 2);
    store.compare_and_update(Some(&seen), pod("a/1", 3, &[])).unwrap();
    assert!(store.compare_and_update(Some(&seen), pod("a/1", 4, &[])).is_err());
    store.delete("a/1");
    let gone = store.compare_and_update(Some(&seen), pod("a/1", 5, &[])).unwrap_err();
    assert_eq!(gone.to_string(), "the key holds nothing any more");
}

#[test]
fn conditional_updates_of_many_threads_lose_no_increment() {
    struct Counter(u64);
    impl Object for Counter {
        fn key(&self) -> Result<Key, KeyError> {
            Key::cluster_scoped("counter")
        }
    }
    let store = Store::new();
    store.add(Counter(0)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..250 {
                    loop {
                        let seen = store.get("counter").unwrap();
                        let next = Counter(seen.0 + 1);
                        if store.compare_and_update(Some(&seen), next).is_ok() {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert_eq!(store.get("counter").unwrap().0, 1000);
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
fn owned_iteration_and_partitions_give_everything_once() {
    let store = Store::new();
    for key in ["a/1", "a/2", "b/1", "c"] {
        store.add(pod(key, 1, &[])).unwrap();
    }
    let snapshot = store.snapshot();
    let mut owned: Vec<String> =
        snapshot.clone().into_iter().map(|(key, _)| key.to_string()).collect();
    drop(store);
    owned.sort();
    assert_eq!(owned, ["a/1", "a/2", "b/1", "c"]);
    for parts in [0, 1, 3, 10_000] {
        let found: usize =
            snapshot.partitions(parts).into_iter().map(|part| part.into_iter().count()).sum();
        assert_eq!(found, 4);
    }
}

#[test]
fn an_observer_is_told_of_batches_and_relists() {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let store = Store::builder()
        .observer(move |applied: &watchcache::store::Applied, _| {
            tell.lock().unwrap().push((applied.added, applied.deleted));
        })
        .build();
    store.replace(&Listing::new([pod("a/1", 1, &[])], None).unwrap());
    let mut batch = Batch::new();
    batch.delete("a/1".parse().unwrap());
    store.apply(&batch);
    assert_eq!(*told.lock().unwrap(), [(1, 0), (0, 1)]);
}

#[test]
fn stats_tell_what_a_snapshot_retains() {
    let store = Store::new();
    store.add(pod("a/1", 1, &[])).unwrap();
    store.add(pod("a/2", 1, &[])).unwrap();
    let old = store.snapshot();
    for version in 2..100 {
        store.update(pod("a/1", version, &[])).unwrap();
    }
    // A reader of another test may be pinned for a moment.
    while store.stats().retained_versions > 1 {
        std::thread::yield_now();
    }
    let stats = store.stats();
    assert_eq!((stats.objects, stats.live_snapshots, stats.retained_versions), (2, 1, 1));
    assert_eq!(stats.retained_bytes, size_of::<Pod>());
    assert!(stats.oldest_snapshot_age.is_some());
    assert_eq!(old.get("a/1").unwrap().version, 1);
    drop(old);
    while store.stats().retained_versions > 0 {
        std::thread::yield_now();
    }
    assert_eq!(store.stats().live_snapshots, 0);
}
