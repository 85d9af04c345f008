//! One resource split among several processes.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use watchcache::reflector::{Item, ListPage, Shard, Undecodable, WatchEvent};
use watchcache::{Batch, Change, Key, Listing, Sink, Store};

use crate::common::Pod;
use crate::recording::{Recording, Told};
use crate::script::{Answer, mirror_with, open, pod};

fn listing(version: u64, pods: &[(&str, u64)]) -> Listing<Pod> {
    let pods = pods.iter().map(|(key, version)| Pod::new(key, *version));
    Listing::new(pods, Some(version.to_string().into())).unwrap()
}

fn put(key: &str, version: u64) -> Batch<Pod> {
    let mut batch = Batch::new();
    batch.add(Pod::new(key, version)).unwrap();
    batch.set_resource_version(version.to_string().into());
    batch
}

fn keys(store: &Store<Pod>) -> Vec<String> {
    let mut keys: Vec<_> = store.list().iter().map(|pod| pod.key.clone()).collect();
    keys.sort();
    keys
}

/// The largest deviation of a shard from its fair part, in parts of that.
fn unfairness(keys: &[Key], count: u32, shard: impl Fn(u32) -> Shard) -> f64 {
    let fair = keys.len() as f64 / f64::from(count);
    let off = (0..count).map(|index| {
        let shard = shard(index);
        let own = keys.iter().filter(|key| shard.owns(*key)).count() as f64;
        (own - fair).abs() / fair
    });
    off.fold(0.0, f64::max)
}

#[test]
fn shards_of_ordinary_names_are_about_equal() {
    let named = |name: fn(usize) -> (String, String)| {
        let keys = (0..1_000).map(name);
        keys.map(|(namespace, name)| Key::namespaced(&namespace, &name).unwrap()).collect()
    };
    let patterns: [Vec<Key>; 4] = [
        // One object for each namespace, of its name.
        named(|n| (format!("app{n:03}"), format!("app{n:03}"))),
        named(|n| (format!("team-{n}"), "default".to_owned())),
        named(|n| ("default".to_owned(), format!("web-{n}"))),
        named(|n| (format!("ns-{}", n % 10), format!("web-{n}"))),
    ];
    for keys in patterns {
        for count in 2..=16 {
            let off = unfairness(&keys, count, |index| Shard::by_key(index, count).unwrap());
            assert!(off < 0.5, "{count} shards of {}..: {off}", keys[0]);
        }
    }
    let keys: Vec<Key> =
        (0..1_000).map(|n| Key::namespaced(&format!("app{n:03}"), "x").unwrap()).collect();
    for count in [2, 4, 8] {
        let off = unfairness(&keys, count, |index| Shard::by_namespace(index, count).unwrap());
        assert!(off < 0.5, "{count} shards of namespaces: {off}");
    }
}

#[test]
fn of_a_batch_only_the_shards_own_passes() {
    let shard = Shard::by_key(0, 2).unwrap();
    let keys: Vec<Key> = (0..10).map(|n| Key::namespaced("a", &n.to_string()).unwrap()).collect();
    let (own, foreign): (Vec<_>, Vec<_>) = keys.iter().partition(|key| shard.owns(*key));
    let recording = Recording::default();
    let sink = shard.of(recording.clone());
    let mut batch = Batch::new();
    for key in &keys {
        batch.push(key, Change::Delete(None)).unwrap();
    }
    batch.set_resource_version("7".into());
    assert!(!own.is_empty() && !foreign.is_empty());
    let expected: Vec<_> = own.iter().map(|key| (key.to_string(), None)).collect();
    sink.apply(&batch);
    sink.resync(&batch);
    sink.ended(None);
    let names = own.iter().map(ToString::to_string).collect();
    let batch = Told::Batch(expected, Some("7".into()));
    assert_eq!(recording.take(), [batch, Told::Resync(names), Told::Ended(None)]);
}

#[tokio::test(start_paused = true)]
async fn a_reflector_takes_its_own_keys_alone() {
    let shard = Shard::by_namespace(0, 2).unwrap();
    let names: Vec<String> = (0..20).map(|n| format!("n{n}/x")).collect();
    let owns = |name: &&String| shard.owns(*name);
    let own = names.iter().find(owns).unwrap().as_str();
    let other = names.iter().find(|name| !owns(name)).unwrap().as_str();
    let bad = |name: &str| {
        let key = name.replace('x', "bad").parse().ok();
        Undecodable::new(key, Some("3".into()), "it is bad")
    };
    let changes = || {
        vec![
            WatchEvent::Modified(pod(own, 11)),
            WatchEvent::Modified(pod(other, 12)),
            WatchEvent::Undecodable(bad(other)),
            WatchEvent::Bookmark("13".into()),
        ]
    };
    for streaming in [false, true] {
        let first = if streaming {
            let mut events = vec![
                WatchEvent::Added(pod(own, 1)),
                WatchEvent::Added(pod(other, 2)),
                WatchEvent::Undecodable(bad(own)),
                WatchEvent::Undecodable(bad(other)),
                WatchEvent::InitialEventsEnd("10".into()),
            ];
            events.extend(changes());
            vec![open(events)]
        } else {
            let items = vec![
                Item::Object(pod(own, 1)),
                Item::Object(pod(other, 2)),
                Item::Undecodable(bad(own)),
                Item::Undecodable(bad(other)),
            ];
            vec![Answer::List(Ok(ListPage::new(items, "10"))), open(changes())]
        };
        let recording = Recording::default();
        let sink = recording.clone();
        let mirror =
            mirror_with(first, |builder| builder.shard(shard).streaming_list(streaming).sink(sink))
                .await;
        let expected = [
            Told::Listing(vec![(own.to_owned(), "1".to_owned())], Some("10".to_owned())),
            Told::Batch(vec![(own.to_owned(), Some("11".to_owned()))], Some("13".to_owned())),
            Told::Ended(None),
        ];
        assert_eq!(recording.take(), expected, "streaming: {streaming}");
        let quarantined = mirror.monitor.quarantined();
        let quarantined: Vec<_> = quarantined.into_iter().map(|(key, _)| Some(key)).collect();
        assert_eq!(quarantined, [bad(own).key], "streaming: {streaming}");
        assert_eq!(mirror.monitor.progress().undecodable, 1, "streaming: {streaming}");
    }
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
            let own = keys.iter().filter(|key| shard.owns(*key)).count() as f64;
            let fair = keys.len() as f64 / f64::from(count);
            prop_assert!((own - fair).abs() < fair / 4.0, "{own} of {fair}");
        }
    }
}
