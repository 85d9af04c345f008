//! Several reflectors into one cache, and one resource over several processes.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::Pod;
use proptest::prelude::*;
use watchcache::reflector::{Merge, Shard};
use watchcache::{Batch, Change, Fifo, Key, Listing, Sink, Store};

fn listing(version: u64, pods: &[(&str, u64)]) -> Listing<Pod> {
    let pods = pods.iter().map(|(key, version)| Pod::new(key, *version));
    Listing::new(pods, Some(version.to_string().into())).unwrap()
}

fn put(key: &str, version: u64) -> Batch<Pod> {
    let mut batch = Batch::new();
    batch.put(Pod::new(key, version)).unwrap();
    batch.set_resource_version(version.to_string().into());
    batch
}

fn delete(key: &str, version: u64) -> Batch<Pod> {
    let mut batch = Batch::new();
    batch.push(key.parse().unwrap(), Change::Delete(Some(Arc::new(Pod::new(key, version)))));
    batch.set_resource_version(version.to_string().into());
    batch
}

fn keys(store: &Store<Pod>) -> Vec<String> {
    let mut keys: Vec<_> = store.list().iter().map(|pod| pod.key.clone()).collect();
    keys.sort();
    keys
}

#[test]
fn the_first_list_is_one_of_everything_and_the_version_is_the_oldest() {
    let (store, fifo) = (Arc::new(Store::new()), Fifo::new());
    let [a, b] = Merge::new([store.clone()]).sink(fifo.clone()).parts();
    a.replace(&listing(7, &[("a/1", 1), ("a/2", 2)]));
    a.apply(&delete("a/2", 8));
    assert!(store.is_empty(), "half of it is nothing");
    b.replace(&listing(5, &[("b/1", 3)]));
    assert_eq!(keys(&store), ["a/1", "b/1"]);
    assert_eq!(store.resource_version().unwrap().as_str(), "5");
    a.apply(&put("a/3", 20));
    assert_eq!(store.resource_version().unwrap().as_str(), "5");
    b.apply(&put("b/2", 12));
    assert_eq!(store.resource_version().unwrap().as_str(), "12");
    let queued: Vec<_> = fifo.list().iter().map(|pod| pod.key.clone()).collect();
    assert_eq!(queued, ["a/1", "b/1", "a/3", "b/2"]);
}

#[test]
fn a_relist_of_one_part_tells_what_changed_in_it_and_leaves_the_others() {
    let (store, fifo) = (Arc::new(Store::new()), Fifo::new());
    let [a, b] = Merge::new([store.clone()]).sink(fifo.clone()).parts();
    a.replace(&listing(7, &[("a/1", 1), ("a/2", 2), ("a/3", 3)]));
    b.replace(&listing(7, &[("b/1", 4)]));
    while fifo.pop_timeout(std::time::Duration::ZERO).is_ok() {}
    a.replace(&listing(20, &[("a/1", 1), ("a/3", 15)]));
    assert_eq!(keys(&store), ["a/1", "a/3", "b/1"]);
    let queued: Vec<_> = fifo.list().iter().map(|pod| (pod.key.clone(), pod.version())).collect();
    assert_eq!(queued, [("a/3".to_owned(), 15)], "nobody is told of what is unchanged");
}

#[test]
fn a_key_goes_when_the_last_part_lets_go_of_it() {
    let store = Arc::new(Store::new());
    let [web, prod] = Merge::new([store.clone()]).parts();
    web.replace(&listing(7, &[("a/both", 1)]));
    prod.replace(&listing(7, &[("a/both", 1)]));
    // It left the first selection, and is told as deleted there.
    web.apply(&delete("a/both", 9));
    assert_eq!(keys(&store), ["a/both"]);
    prod.apply(&delete("a/both", 10));
    assert!(store.is_empty());
    prod.apply(&delete("a/unknown", 11));
    assert!(store.is_empty());
}

proptest! {
    #[test]
    fn shards_are_disjoint_and_complete(
        names in proptest::collection::btree_set(("[a-z]{1,4}", "[a-z0-9]{1,8}"), 0..60),
        count in 1u32..7,
        by_namespace: bool,
    ) {
        let all: BTreeSet<String> = names.iter().map(|(ns, name)| format!("{ns}/{name}")).collect();
        let pods: Vec<_> = all.iter().map(|key| (key.as_str(), 1)).collect();
        let shard = |index| match by_namespace {
            true => Shard::by_namespace(index, count),
            false => Shard::by_key(index, count),
        };
        let mut found = Vec::new();
        let mut namespaces = Vec::new();
        for index in 0..count {
            let store = Arc::new(Store::new());
            let sink = shard(index).unwrap().of(store.clone());
            sink.replace(&listing(5, &pods));
            for (key, _) in &pods {
                sink.apply(&put(key, 9));
            }
            prop_assert!(store.list().iter().all(|pod| pod.version() == 9));
            let own = keys(&store);
            let own_namespaces: BTreeSet<_> =
                own.iter().map(|key| key.parse::<Key>().unwrap().namespace().unwrap().to_owned()).collect();
            namespaces.extend(own_namespaces);
            found.extend(own);
        }
        found.sort();
        prop_assert_eq!(&found, &all.into_iter().collect::<Vec<_>>());
        if by_namespace {
            let distinct: BTreeSet<_> = namespaces.iter().collect();
            prop_assert_eq!(distinct.len(), namespaces.len(), "a namespace in two shards");
        }
    }

    #[test]
    fn shards_of_many_keys_are_about_equal(count in 2u32..9) {
        let keys: Vec<Key> =
            (0..4_000).map(|n| Key::namespaced("default", &format!("web-{n}")).unwrap()).collect();
        for index in 0..count {
            let shard = Shard::by_key(index, count).unwrap();
            let own = keys.iter().filter(|key| shard.owns(key)).count() as f64;
            let fair = keys.len() as f64 / f64::from(count);
            prop_assert!((own - fair).abs() < fair / 4.0, "{own} of {fair}");
        }
    }
}
