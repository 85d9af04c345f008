//! Every sequence of store operations does what a plain map does, and old snapshots stay as they
//! were: by key, by index, in order and in their differences.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::Pod;
use proptest::prelude::*;
use watchcache::{Batch, Listing, Snapshot, Store};

#[derive(Clone, Debug)]
enum Op {
    Put(u8),
    Delete(u8),
    Apply(Vec<(u8, bool)>),
    Replace(Vec<u8>),
    Snapshot,
    Forget(u8),
    Free,
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..16u8;
    prop_oneof![
        4 => key.clone().prop_map(Op::Put),
        3 => key.clone().prop_map(Op::Delete),
        3 => prop::collection::vec((key.clone(), any::<bool>()), 0..8).prop_map(Op::Apply),
        1 => prop::collection::vec(key.clone(), 0..12).prop_map(Op::Replace),
        3 => Just(Op::Snapshot),
        2 => key.prop_map(Op::Forget),
        1 => Just(Op::Free),
    ]
}

type Model = BTreeMap<String, u64>;

/// The remainder of the version, so that updates move objects between values.
fn shade(version: u64) -> String {
    (version % 3).to_string()
}

fn content(snapshot: &Snapshot<Pod>) -> Model {
    snapshot.iter().map(|(key, pod)| (key.to_string(), pod.version())).collect()
}

fn check(snapshot: &Snapshot<Pod>, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(&content(snapshot), model);
    prop_assert_eq!(snapshot.len(), model.len());
    let mut versions: Vec<_> = snapshot.objects().map(Pod::version).collect();
    let mut expected: Vec<_> = model.values().copied().collect();
    versions.sort_unstable();
    expected.sort_unstable();
    prop_assert_eq!(versions, expected);
    for key in (0..16).map(name) {
        prop_assert_eq!(snapshot.get(&key).map(|pod| pod.version()), model.get(&key).copied());
    }
    let ordered: Vec<_> = snapshot.prefix("").map(|(key, _)| key.to_string()).collect();
    prop_assert_eq!(ordered, model.keys().cloned().collect::<Vec<_>>());
    for value in ["0", "1", "2"] {
        let entries = || snapshot.by_index("shade", value).unwrap();
        let found: Vec<_> = entries().map(|(key, _)| key.to_string()).collect();
        let (expected, versions): (Vec<_>, Vec<_>) =
            model.iter().filter(|(_, v)| shade(**v) == value).map(|(k, v)| (k.clone(), *v)).unzip();
        prop_assert_eq!(snapshot.index_count("shade", value).unwrap(), expected.len());
        prop_assert_eq!(entries().len(), expected.len());
        prop_assert_eq!(found, expected);
        let objects: Vec<_> = entries().objects().map(Pod::version).collect();
        prop_assert_eq!(objects, versions);
    }
    for namespace in ["ns0", "ns1", "ns2"] {
        let prefix = format!("{namespace}/");
        let expected = model.keys().filter(|key| key.starts_with(&prefix)).count();
        prop_assert_eq!(snapshot.namespace(namespace).count(), expected);
        prop_assert_eq!(snapshot.namespace_count(namespace), expected);
    }
    Ok(())
}

fn check_diff(
    older: &(Snapshot<Pod>, Model),
    newer: &(Snapshot<Pod>, Model),
) -> Result<(), TestCaseError> {
    let diff = newer.0.diff(&older.0).unwrap();
    let added: BTreeSet<_> = diff.added.iter().map(|(key, _)| key.to_string()).collect();
    let deleted: BTreeSet<_> = diff.deleted.iter().map(|(key, _)| key.to_string()).collect();
    let updated: BTreeMap<_, _> = diff
        .updated
        .iter()
        .map(|updated| (updated.key.to_string(), (updated.old.version(), updated.new.version())))
        .collect();
    prop_assert_eq!(diff.len(), added.len() + deleted.len() + updated.len(), "nothing twice");
    let only = |one: &Model, other: &Model| -> BTreeSet<String> {
        one.keys().filter(|key| !other.contains_key(*key)).cloned().collect()
    };
    prop_assert_eq!(added, only(&newer.1, &older.1));
    prop_assert_eq!(deleted, only(&older.1, &newer.1));
    let changed: BTreeMap<_, _> = older
        .1
        .iter()
        .filter_map(|(key, old)| {
            let new = newer.1.get(key).filter(|new| *new != old)?;
            Some((key.clone(), (*old, *new)))
        })
        .collect();
    prop_assert_eq!(updated, changed);
    Ok(())
}

fn name(key: u8) -> String {
    format!("ns{}/{key:02}", key % 3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn store_equals_a_map(ops in prop::collection::vec(op(), 0..60)) {
        let store = Store::builder().index("shade", |pod: &Pod| [shade(pod.version())]).build();
        let mut model = Model::new();
        let mut kept: Vec<(Snapshot<Pod>, Model)> = Vec::new();
        let mut version = 0;
        let mut fresh = || { version += 1; version };
        for op in ops {
            match op {
                Op::Put(key) => {
                    let version = fresh();
                    store.add(Pod::new(&name(key), version)).unwrap();
                    model.insert(name(key), version);
                }
                Op::Delete(key) => {
                    let removed = store.delete(&name(key)).object.map(|pod| pod.version());
                    prop_assert_eq!(removed, model.remove(&name(key)));
                }
                Op::Apply(changes) => {
                    let mut batch = Batch::new();
                    for (key, put) in changes {
                        if put {
                            let version = fresh();
                            batch.add(Pod::new(&name(key), version)).unwrap();
                            model.insert(name(key), version);
                        } else {
                            batch.delete(&name(key));
                            model.remove(&name(key));
                        }
                    }
                    let before = store.revision().get();
                    let revision = store.apply(&batch).revision.get();
                    prop_assert!(revision == before || revision == before + 1);
                }
                Op::Replace(keys) => {
                    model = keys.iter().map(|key| (name(*key), fresh())).collect();
                    let pods = model.iter().map(|(key, version)| Pod::new(key, *version));
                    store.replace(&Listing::new(pods, Some(fresh().to_string().into())).unwrap());
                }
                Op::Snapshot => kept.push((store.snapshot(), model.clone())),
                Op::Forget(which) if !kept.is_empty() => {
                    kept.swap_remove(usize::from(which) % kept.len());
                }
                Op::Forget(_) => {}
                Op::Free => {
                    let _ = store.stats();
                }
            }
            check(&store.snapshot(), &model)?;
        }
        kept.push((store.snapshot(), model));
        for older in &kept {
            check(&older.0, &older.1)?;
            for newer in &kept {
                check_diff(older, newer)?;
            }
        }
    }
}
