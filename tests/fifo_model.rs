//! Any sequence of calls, against a model that is a plain list.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{HashSet, VecDeque};

use proptest::prelude::*;
use watchcache::fifo::{Added, Lease, TryPopError};
use watchcache::{Batch, Fifo, Key, KeyError, Listing, Object};

const KEYS: u8 = 5;

struct Item {
    key: u8,
    version: u64,
}

impl Object for Item {
    fn key(&self) -> Result<Key, KeyError> {
        Key::namespaced("ns", &self.key.to_string())
    }
}

#[derive(Clone, Debug)]
enum Op {
    Add(u8),
    AddIfAbsent(u8),
    Delete(u8),
    Batch(Vec<(u8, bool)>),
    Replace(Vec<u8>),
    Pop,
    Take,
    Done(usize),
    Retry(usize),
    Drop(usize),
    Close,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..KEYS).prop_map(Op::Add),
        2 => (0..KEYS).prop_map(Op::AddIfAbsent),
        3 => (0..KEYS).prop_map(Op::Delete),
        2 => prop::collection::vec((0..KEYS, any::<bool>()), 0..5).prop_map(Op::Batch),
        2 => prop::collection::vec(0..KEYS, 0..5).prop_map(Op::Replace),
        4 => Just(Op::Pop),
        6 => Just(Op::Take),
        3 => any::<usize>().prop_map(Op::Done),
        2 => any::<usize>().prop_map(Op::Retry),
        2 => any::<usize>().prop_map(Op::Drop),
        1 => prop::bool::weighted(0.2).prop_map(|close| if close { Op::Close } else { Op::Pop }),
    ]
}

#[derive(Default)]
struct Model {
    /// Every waiting (key, version), in order, leased keys included.
    waiting: VecDeque<(u8, u64)>,
    leases: Vec<(u8, u64, Deleted)>,
    /// Keys of the first replace still to be seen; `None` before any call.
    initial: Option<HashSet<u8>>,
    closed: bool,
}

type Deleted = bool;

impl Model {
    fn put(&mut self, key: u8, version: u64) -> Added {
        self.initial.get_or_insert_default();
        match self.waiting.iter_mut().find(|(k, _)| *k == key) {
            Some(place) => {
                place.1 = version;
                Added::Coalesced
            }
            None => {
                self.waiting.push_back((key, version));
                Added::Queued
            }
        }
    }

    fn leased(&self, key: u8) -> bool {
        self.leases.iter().any(|(k, ..)| *k == key)
    }

    fn delete(&mut self, key: u8) -> Option<u64> {
        self.initial.get_or_insert_default().remove(&key);
        for lease in self.leases.iter_mut().filter(|(k, ..)| *k == key) {
            lease.2 = true;
        }
        let place = self.waiting.iter().position(|(k, _)| *k == key)?;
        self.waiting.remove(place).map(|(_, version)| version)
    }

    fn replace(&mut self, listed: &[(u8, u64)]) {
        let keys: HashSet<u8> = listed.iter().map(|(key, _)| *key).collect();
        match &mut self.initial {
            None => self.initial = Some(keys.clone()),
            Some(initial) => initial.retain(|key| keys.contains(key)),
        }
        for lease in self.leases.iter_mut().filter(|(key, ..)| !keys.contains(key)) {
            lease.2 = true;
        }
        self.waiting = listed.iter().copied().collect();
    }

    fn hand_out(&mut self) -> Option<(u8, u64)> {
        let place = self.waiting.iter().position(|(key, _)| !self.leased(*key))?;
        self.waiting.remove(place)
    }

    fn end(&mut self, lease: usize, done: bool) {
        let (key, version, deleted) = self.leases.remove(lease);
        if done {
            self.settle(key);
        } else if !deleted && !self.waiting.iter().any(|(k, _)| *k == key) {
            self.waiting.push_back((key, version));
        }
    }

    fn settle(&mut self, key: u8) {
        if let Some(initial) = &mut self.initial {
            initial.remove(&key);
        }
    }
}

fn name(key: u8) -> String {
    format!("ns/{key}")
}

fn run(ops: Vec<Op>) -> Result<(), TestCaseError> {
    let fifo = Fifo::new();
    let mut leases: Vec<Lease<Item>> = Vec::new();
    let mut model = Model::default();
    let mut version = 0;
    let mut next = |key| {
        version += 1;
        Item { key, version }
    };
    for op in ops {
        match op {
            Op::Add(key) => {
                let item = next(key);
                let version = item.version;
                match fifo.add(item) {
                    Ok(added) => {
                        prop_assert!(!model.closed);
                        prop_assert_eq!(added, model.put(key, version));
                    }
                    Err(refused) => {
                        prop_assert!(model.closed);
                        prop_assert_eq!(refused.into_inner().version, version);
                    }
                }
            }
            Op::AddIfAbsent(key) => {
                let item = next(key);
                let version = item.version;
                let absent = !model.leased(key) && !model.waiting.iter().any(|(k, _)| *k == key);
                let added = fifo.add_if_absent(item);
                prop_assert_eq!(added.is_err(), model.closed);
                if let Ok(added) = added {
                    prop_assert_eq!(added, absent);
                    if absent {
                        model.put(key, version);
                    }
                }
            }
            Op::Delete(key) => {
                let deleted = fifo.delete(&name(key)).map(|item| item.version);
                prop_assert_eq!(deleted, model.delete(key));
            }
            Op::Batch(changes) => {
                let mut batch = Batch::new();
                let mut versions = Vec::new();
                for (key, put) in changes {
                    let item = next(key);
                    versions.push((key, put.then_some(item.version)));
                    match put {
                        true => batch.put(item).unwrap(),
                        false => batch.delete(item.key().unwrap()),
                    }
                }
                prop_assert_eq!(fifo.apply(&batch).is_err(), model.closed);
                if model.closed {
                    versions.clear();
                }
                for (key, version) in versions {
                    match version {
                        Some(version) => _ = model.put(key, version),
                        None => _ = model.delete(key),
                    }
                }
            }
            Op::Replace(keys) => {
                let listing = Listing::new(keys.into_iter().map(&mut next), None).unwrap();
                let listed = listing.objects().iter();
                let listed: Vec<_> = listed.map(|(_, item)| (item.key, item.version)).collect();
                prop_assert_eq!(fifo.replace(&listing).is_err(), model.closed);
                if !model.closed {
                    model.replace(&listed);
                }
            }
            Op::Pop => {
                let popped = fifo.try_pop().map(|item| (item.key, item.version));
                let expected = model.hand_out();
                expected.iter().for_each(|(key, _)| model.settle(*key));
                prop_assert_eq!(popped, expected.ok_or(empty(&model)));
            }
            Op::Take => {
                let taken = fifo.try_take();
                let expected = model.hand_out();
                let got = taken.as_ref().map(|lease| (lease.key, lease.version));
                prop_assert_eq!(got.map_err(|e| *e), expected.ok_or(empty(&model)));
                if let (Ok(lease), Some((key, version))) = (taken, expected) {
                    leases.push(lease);
                    model.leases.push((key, version, false));
                }
            }
            Op::Done(i) if !leases.is_empty() => {
                let i = i % leases.len();
                leases.remove(i).done();
                model.end(i, true);
            }
            Op::Retry(i) if !leases.is_empty() => {
                let i = i % leases.len();
                leases.remove(i).retry();
                model.end(i, false);
            }
            Op::Drop(i) if !leases.is_empty() => {
                let i = i % leases.len();
                drop(leases.remove(i));
                model.end(i, false);
            }
            Op::Done(_) | Op::Retry(_) | Op::Drop(_) => {}
            Op::Close => {
                fifo.close();
                model.closed = true;
            }
        }
        check(&fifo, &model)?;
    }
    Ok(())
}

fn empty(model: &Model) -> TryPopError {
    if model.closed { TryPopError::Closed } else { TryPopError::Empty }
}

fn check(fifo: &Fifo<Item>, model: &Model) -> Result<(), TestCaseError> {
    let listed: VecDeque<_> = fifo.list().iter().map(|item| (item.key, item.version)).collect();
    prop_assert_eq!(&listed, &model.waiting);
    let keys: Vec<_> = fifo.keys().iter().map(Key::to_string).collect();
    prop_assert_eq!(keys, model.waiting.iter().map(|(key, _)| name(*key)).collect::<Vec<_>>());
    for key in 0..KEYS {
        let expected = model.waiting.iter().find(|(k, _)| *k == key).map(|(_, version)| *version);
        prop_assert_eq!(fifo.get(&name(key)).map(|item| item.version), expected);
        prop_assert_eq!(fifo.contains(&name(key)), expected.is_some());
    }
    prop_assert_eq!(fifo.has_synced(), model.initial.as_ref().is_some_and(HashSet::is_empty));
    let stats = fifo.stats();
    prop_assert_eq!(stats.depth, model.waiting.len() as u64);
    prop_assert_eq!(stats.processing, model.leases.len() as u64);
    prop_assert_eq!((fifo.len(), fifo.is_empty()), (listed.len(), listed.is_empty()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_the_model(ops in prop::collection::vec(op(), 0..80)) {
        run(ops)?;
    }
}
