//! Every sequence of store operations does what a plain map does, and old snapshots stay as they were.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

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
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..12u8;
    prop_oneof![
        4 => key.clone().prop_map(Op::Put),
        2 => key.clone().prop_map(Op::Delete),
        3 => prop::collection::vec((key.clone(), any::<bool>()), 0..8).prop_map(Op::Apply),
        1 => prop::collection::vec(key, 0..12).prop_map(Op::Replace),
        2 => Just(Op::Snapshot),
    ]
}

type Model = BTreeMap<String, u64>;

fn content(snapshot: &Snapshot<Pod>) -> Model {
    snapshot.iter().map(|(key, pod)| (key.to_string(), pod.version())).collect()
}

proptest! {
    #[test]
    fn store_equals_a_map(ops in prop::collection::vec(op(), 0..60)) {
        let store = Store::new();
        let mut model = Model::new();
        let mut kept: Vec<(Snapshot<Pod>, Model)> = Vec::new();
        let mut version = 0;
        let name = |key: u8| format!("ns{}/{key}", key % 3);
        let mut fresh = || { version += 1; version };
        for op in ops {
            match op {
                Op::Put(key) => {
                    let version = fresh();
                    store.add(Pod::new(&name(key), version)).unwrap();
                    model.insert(name(key), version);
                }
                Op::Delete(key) => {
                    let removed = store.delete(&name(key)).map(|pod| pod.version());
                    prop_assert_eq!(removed, model.remove(&name(key)));
                }
                Op::Apply(changes) => {
                    let mut batch = Batch::new();
                    for (key, put) in changes {
                        if put {
                            let version = fresh();
                            batch.put(Pod::new(&name(key), version)).unwrap();
                            model.insert(name(key), version);
                        } else {
                            batch.delete(name(key).parse().unwrap());
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
            }
            prop_assert_eq!(content(&store.snapshot()), model.clone());
            prop_assert_eq!(store.len(), model.len());
            for key in 0..12 {
                prop_assert_eq!(store.get(&name(key)).map(|p| p.version()), model.get(&name(key)).copied());
            }
        }
        for (snapshot, then) in kept {
            prop_assert_eq!(content(&snapshot), then);
        }
    }
}
