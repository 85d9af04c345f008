//! Any sequence of calls, at any time, against a model that is a plain list.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use watchcache::fifo::{Added, Backoff, Lease, ManualClock, TryPopError};
use watchcache::{Batch, Change, Fifo, Key, KeyRef, Listing, Object};

const KEYS: u8 = 5;

const NAMES: [&str; KEYS as usize] = ["ns/0", "ns/1", "ns/2", "ns/3", "ns/4"];

struct Item {
    key: u8,
    version: u64,
}

impl Object for Item {
    fn key(&self) -> KeyRef<'_> {
        NAMES[usize::from(self.key)].into()
    }
}

#[derive(Clone, Debug)]
enum Op {
    Add(u8),
    AddIfAbsent(u8),
    AddAfter(u8, u64),
    Delete(u8),
    Batch(Vec<(u8, Kind)>),
    Replace(Vec<u8>),
    Pop,
    Take,
    Done(usize),
    After(usize, u64),
    Retry(usize),
    RetryAfter(usize, u64),
    Drop(usize),
    Advance(u64),
    Close,
    CloseNow,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Add,
    Delete,
    DeleteWithState,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![2 => Just(Kind::Add), 1 => Just(Kind::Delete), 1 => Just(Kind::DeleteWithState)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..KEYS).prop_map(Op::Add),
        2 => (0..KEYS).prop_map(Op::AddIfAbsent),
        4 => (0..KEYS, 0..6_u64).prop_map(|(key, delay)| Op::AddAfter(key, delay)),
        3 => (0..KEYS).prop_map(Op::Delete),
        2 => prop::collection::vec((0..KEYS, kind()), 0..5).prop_map(Op::Batch),
        2 => prop::collection::vec(0..KEYS, 0..5).prop_map(Op::Replace),
        4 => Just(Op::Pop),
        6 => Just(Op::Take),
        3 => any::<usize>().prop_map(Op::Done),
        2 => (any::<usize>(), 0..6_u64).prop_map(|(lease, delay)| Op::After(lease, delay)),
        3 => any::<usize>().prop_map(Op::Retry),
        2 => (any::<usize>(), 0..6_u64).prop_map(|(lease, delay)| Op::RetryAfter(lease, delay)),
        2 => any::<usize>().prop_map(Op::Drop),
        4 => (0..4_u64).prop_map(Op::Advance),
        1 => prop::bool::weighted(0.2).prop_map(|close| if close { Op::Close } else { Op::Pop }),
        1 => prop::bool::weighted(0.1).prop_map(|close| if close { Op::CloseNow } else { Op::Pop }),
    ]
}

/// How the queue is made.
#[derive(Clone, Copy, Debug)]
struct Config {
    levels: bool,
    backoff: bool,
    deletions: bool,
}

/// First failure one second, then two, then three for good.
fn backoff() -> Backoff {
    Backoff::new(Duration::from_secs(1), Duration::from_secs(3))
}

struct Model {
    config: Config,
    now: u64,
    /// What is in line, leased keys included: (level, place, key, version).
    line: Vec<(u8, u64, u8, u64)>,
    /// (due, number, key, version).
    delayed: Vec<(u64, u64, u8, u64)>,
    leases: Vec<Leased>,
    /// The last state of each object that came and did not go, where deletions are handed out.
    given: HashMap<u8, u64>,
    /// Keys of which a deletion waits.
    gone: HashSet<u8>,
    /// Of each key that is in line, delayed or leased.
    levels: HashMap<u8, u8>,
    failures: HashMap<u8, u32>,
    /// Keys of the first replace still to be seen; `None` before any call.
    initial: Option<HashSet<u8>>,
    closed: bool,
    next: u64,
    /// Keys of the upper level handed out since the last of the lower.
    turns: usize,
}

struct Leased {
    key: u8,
    version: u64,
    /// What is leased is a deletion.
    deletion: bool,
    /// It must not come back.
    barred: bool,
}

impl Model {
    fn new(config: Config) -> Self {
        Self {
            config,
            now: 0,
            line: Vec::new(),
            delayed: Vec::new(),
            leases: Vec::new(),
            given: HashMap::new(),
            gone: HashSet::new(),
            levels: HashMap::new(),
            failures: HashMap::new(),
            initial: None,
            closed: false,
            next: 0,
            turns: 0,
        }
    }

    fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn leased(&self, key: u8) -> bool {
        self.leases.iter().any(|lease| lease.key == key)
    }

    fn known(&self, key: u8) -> bool {
        self.leased(key) || self.waits(key)
    }

    fn waits(&self, key: u8) -> bool {
        self.line.iter().any(|entry| entry.2 == key)
            || self.delayed.iter().any(|entry| entry.2 == key)
    }

    fn remember(&mut self, key: u8, version: u64) {
        if self.config.deletions {
            self.given.insert(key, version);
        }
        self.gone.remove(&key);
    }

    /// Forgets what is kept with a key as long as it has an entry.
    fn tidy(&mut self) {
        for key in 0..KEYS {
            if !self.known(key) {
                self.levels.remove(&key);
                self.failures.remove(&key);
            }
        }
    }

    fn enqueue(&mut self, key: u8, version: u64) {
        let level = *self.levels.entry(key).or_default();
        let place = self.next();
        self.line.push((level, place, key, version));
        self.line.sort_unstable();
    }

    fn put(&mut self, key: u8, version: u64, level: u8) -> Added {
        self.remember(key, version);
        self.place(key, version, level)
    }

    fn place(&mut self, key: u8, version: u64, level: u8) -> Added {
        self.initial.get_or_insert_default();
        if let Some(entry) = self.line.iter_mut().find(|entry| entry.2 == key) {
            if level >= entry.0 {
                entry.3 = version;
                return Added::Coalesced;
            }
            self.line.retain(|entry| entry.2 != key);
            self.levels.insert(key, level);
            self.enqueue(key, version);
            return Added::Coalesced;
        }
        let before = self.delayed.len();
        self.delayed.retain(|entry| entry.2 != key);
        self.levels.insert(key, level);
        self.enqueue(key, version);
        if before > self.delayed.len() { Added::Coalesced } else { Added::Queued }
    }

    fn put_delayed(&mut self, key: u8, version: u64, delay: u64) -> Added {
        if delay == 0 {
            return self.put(key, version, 0);
        }
        self.initial.get_or_insert_default();
        self.remember(key, version);
        if let Some(entry) = self.line.iter_mut().find(|entry| entry.2 == key) {
            entry.3 = version;
            return Added::Coalesced;
        }
        let due = self.now + delay;
        if let Some(entry) = self.delayed.iter_mut().find(|entry| entry.2 == key) {
            entry.3 = version;
            entry.0 = entry.0.min(due);
            return Added::Coalesced;
        }
        self.levels.insert(key, 0);
        let number = self.next();
        self.delayed.push((due, number, key, version));
        Added::Delayed
    }

    fn delete(&mut self, key: u8, last: Option<u64>) -> Option<u64> {
        self.initial.get_or_insert_default();
        if !self.config.deletions {
            return self.withdraw(key);
        }
        let given = self.given.remove(&key)?;
        if self.closed && !self.waits(key) {
            // Its deletion will not come.
            self.settle(key);
            self.bar(|leased| leased == key);
            return None;
        }
        let last = last.unwrap_or(given);
        self.place(key, last, 0);
        self.gone.insert(key);
        Some(last)
    }

    fn bar(&mut self, bars: impl Fn(u8) -> bool) {
        self.leases
            .iter_mut()
            .filter(|lease| bars(lease.key))
            .for_each(|lease| lease.barred = true);
    }

    fn withdraw(&mut self, key: u8) -> Option<u64> {
        self.settle(key);
        self.bar(|leased| leased == key);
        let waiting = self.line.iter().find(|entry| entry.2 == key).map(|entry| entry.3);
        let delayed = self.delayed.iter().find(|entry| entry.2 == key).map(|entry| entry.3);
        self.line.retain(|entry| entry.2 != key);
        self.delayed.retain(|entry| entry.2 != key);
        self.tidy();
        waiting.or(delayed)
    }

    fn replace(&mut self, listed: &[(u8, u64)]) {
        let keys: HashSet<u8> = listed.iter().map(|(key, _)| *key).collect();
        match &mut self.initial {
            None => self.initial = Some(keys.clone()),
            Some(_) if self.config.deletions => {}
            Some(initial) => initial.retain(|key| keys.contains(key)),
        }
        let delayed: HashSet<u8> = self.delayed.iter().map(|entry| entry.2).collect();
        if self.config.deletions {
            self.replace_gone(&keys);
        } else {
            self.bar(|key| !keys.contains(&key));
            // Changes that wait stay before the list.
            let stays = self.config.levels;
            self.line.retain(|entry| stays && entry.0 == 0 && keys.contains(&entry.2));
            self.delayed.clear();
        }
        for (key, version) in listed {
            self.remember(*key, *version);
            if let Some(entry) = self.line.iter_mut().find(|entry| entry.2 == *key) {
                entry.3 = *version;
                continue;
            }
            // A change that was delayed is still one.
            let changed = delayed.contains(key) && self.levels.get(key) == Some(&0);
            self.levels.insert(*key, u8::from(self.config.levels && !changed));
            self.enqueue(*key, *version);
        }
        self.tidy();
    }

    /// What is not listed becomes a deletion, before the list: what waited as it waited, the rest by key.
    fn replace_gone(&mut self, listed: &HashSet<u8>) {
        self.delayed.sort_unstable();
        let lower = u8::from(self.config.levels);
        let in_line = self.line.iter().map(|entry| (entry.2, entry.3, entry.0 == lower));
        let waiting = in_line.chain(self.delayed.iter().map(|entry| (entry.2, entry.3, false)));
        let mut gone = Vec::new();
        for (key, version, cleared) in waiting.filter(|(key, ..)| !listed.contains(key)) {
            match self.given.remove(&key) {
                Some(given) => gone.push((key, given)),
                None if cleared => gone.push((key, version)),
                None => {}
            }
        }
        let mut rest: Vec<_> = self.given.drain().collect();
        rest.sort_unstable();
        gone.extend(rest.into_iter().filter(|(key, _)| !listed.contains(key)));
        self.line.retain(|entry| entry.0 != lower);
        for (key, version) in gone {
            self.gone.insert(key);
            self.delayed.retain(|entry| entry.2 != key);
            if let Some(entry) = self.line.iter_mut().find(|entry| entry.2 == key) {
                entry.3 = version;
            } else {
                self.levels.insert(key, 0);
                self.enqueue(key, version);
            }
        }
        self.delayed.retain(|entry| !listed.contains(&entry.2));
    }

    fn come_due(&mut self, until: u64) {
        self.delayed.sort_unstable();
        while self.delayed.first().is_some_and(|entry| entry.0 <= until) {
            let (_, _, key, version) = self.delayed.remove(0);
            self.enqueue(key, version);
        }
    }

    fn hand_out(&mut self, lease: bool) -> Option<(u8, u64, bool)> {
        self.come_due(self.now);
        let free =
            |level| self.line.iter().position(|entry| entry.0 == level && !self.leased(entry.2));
        let place = if self.turns + 1 >= 16 {
            free(1).or_else(|| free(0))
        } else {
            free(0).or_else(|| free(1))
        }?;
        let (level, _, key, version) = self.line.remove(place);
        if self.config.levels {
            self.turns = if level == 0 { self.turns + 1 } else { 0 };
        }
        let deletion = self.gone.remove(&key);
        if lease {
            self.leases.push(Leased { key, version, deletion, barred: false });
        } else {
            self.settle(key);
        }
        self.tidy();
        Some((key, version, deletion))
    }

    /// Ends a lease; with a delay, it comes back.
    fn end(&mut self, lease: usize, success: bool, again: Option<u64>) {
        let Leased { key, version, deletion, barred } = self.leases.remove(lease);
        let delay = if success {
            self.settle(key);
            self.failures.remove(&key);
            // A closed queue has to end.
            again.filter(|_| !self.closed)
        } else {
            let failures = self.failures.entry(key).or_default();
            *failures += 1;
            // One second, two, and then the cap of three.
            let backoff = if self.config.backoff { u64::from(*failures).min(3) } else { 0 };
            Some(again.unwrap_or(backoff))
        };
        let delay = delay.filter(|_| !barred);
        if let Some(delay) = delay {
            let due = self.now + delay;
            if self.line.iter().any(|entry| entry.2 == key) {
            } else if let Some(entry) = self.delayed.iter_mut().find(|entry| entry.2 == key) {
                entry.0 = entry.0.min(due);
                self.come_due(self.now);
            } else {
                if deletion {
                    self.gone.insert(key);
                }
                if delay == 0 {
                    self.enqueue(key, version);
                } else {
                    let number = self.next();
                    self.delayed.push((due, number, key, version));
                }
            }
        }
        self.tidy();
    }

    fn settle(&mut self, key: u8) {
        if let Some(initial) = &mut self.initial {
            initial.remove(&key);
        }
    }

    fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            self.come_due(u64::MAX);
        }
    }

    fn close_now(&mut self) -> Vec<(u8, u64)> {
        self.close();
        self.delayed.sort_unstable();
        let line = self.line.iter().map(|entry| (entry.2, entry.3));
        let all: Vec<_> = line.chain(self.delayed.iter().map(|entry| (entry.2, entry.3))).collect();
        all.iter().for_each(|(key, _)| _ = self.withdraw(*key));
        self.gone.clear();
        all
    }

    fn empty(&self) -> TryPopError {
        if self.closed && self.delayed.is_empty() {
            TryPopError::Closed
        } else {
            TryPopError::Empty
        }
    }
}

fn name(key: u8) -> String {
    format!("ns/{key}")
}

fn run(config: Config, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let clock = ManualClock::new();
    let mut builder = Fifo::builder().clock(&clock).lower_priority_for_lists(config.levels);
    if config.deletions {
        builder = builder.deletions();
    }
    if config.backoff {
        builder = builder.backoff(backoff());
    }
    let fifo = builder.build().unwrap();
    let mut leases: Vec<Lease<Item>> = Vec::new();
    let mut model = Model::new(config);
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
                        prop_assert_eq!(added, model.put(key, version, 0));
                    }
                    Err(refused) => {
                        prop_assert!(model.closed);
                        prop_assert_eq!(refused.into_inner().version, version);
                    }
                }
            }
            Op::AddAfter(key, delay) => {
                let item = next(key);
                let version = item.version;
                match fifo.add_after(item, Duration::from_secs(delay)) {
                    Ok(added) => {
                        prop_assert!(!model.closed);
                        prop_assert_eq!(added, model.put_delayed(key, version, delay));
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
                let absent = !model.known(key);
                let added = fifo.add_if_absent(item);
                prop_assert_eq!(added.is_err(), model.closed);
                if let Ok(added) = added {
                    prop_assert_eq!(added, absent);
                    if absent {
                        model.put(key, version, 0);
                    }
                }
            }
            Op::Delete(key) => {
                let deleted = fifo.delete(&name(key)).map(|item| item.version);
                prop_assert_eq!(deleted, model.delete(key, None));
            }
            Op::Batch(changes) => {
                let mut batch = Batch::new();
                let mut versions = Vec::new();
                for (key, kind) in changes {
                    let item = next(key);
                    versions.push((key, kind, item.version));
                    match kind {
                        Kind::Add => batch.add(item).unwrap(),
                        Kind::Delete => batch.delete(item.key()),
                        Kind::DeleteWithState => {
                            let item = Arc::new(item);
                            batch
                                .push(item.key(), Change::Delete(Some(Arc::clone(&item))))
                                .unwrap();
                        }
                    }
                }
                prop_assert_eq!(fifo.apply(&batch).is_err(), model.closed);
                if model.closed {
                    versions.clear();
                }
                for (key, kind, version) in versions {
                    match kind {
                        Kind::Add => _ = model.put(key, version, 0),
                        Kind::Delete => _ = model.delete(key, None),
                        Kind::DeleteWithState => _ = model.delete(key, Some(version)),
                    }
                }
            }
            Op::Replace(keys) => {
                let listing = Listing::new(keys.into_iter().map(&mut next), None).unwrap();
                let listed = listing.objects();
                let listed: Vec<_> = listed.map(|(_, item)| (item.key, item.version)).collect();
                prop_assert_eq!(fifo.replace(&listing).is_err(), model.closed);
                if !model.closed {
                    model.replace(&listed);
                }
            }
            Op::Pop => {
                let popped = fifo.try_pop().map(|item| (item.key, item.version));
                let expected = model.hand_out(false).map(|(key, version, _)| (key, version));
                prop_assert_eq!(popped, expected.ok_or(model.empty()));
            }
            Op::Take => {
                let taken = fifo.try_lease();
                let expected = model.hand_out(true);
                let got =
                    taken.as_ref().map(|lease| (lease.key, lease.version, lease.is_deleted()));
                prop_assert_eq!(got.map_err(|e| *e), expected.ok_or(model.empty()));
                leases.extend(taken);
            }
            Op::Done(i) if !leases.is_empty() => {
                let i = i % leases.len();
                leases.remove(i).done();
                model.end(i, true, None);
            }
            Op::After(i, delay) if !leases.is_empty() => {
                let i = i % leases.len();
                leases.remove(i).after(Duration::from_secs(delay));
                model.end(i, true, Some(delay));
            }
            Op::Retry(i) if !leases.is_empty() => {
                let i = i % leases.len();
                leases.remove(i).retry();
                model.end(i, false, None);
            }
            Op::RetryAfter(i, delay) if !leases.is_empty() => {
                let i = i % leases.len();
                leases.remove(i).retry_after(Duration::from_secs(delay));
                model.end(i, false, Some(delay));
            }
            Op::Drop(i) if !leases.is_empty() => {
                let i = i % leases.len();
                drop(leases.remove(i));
                model.end(i, false, None);
            }
            Op::Done(_) | Op::After(..) | Op::Retry(_) | Op::RetryAfter(..) | Op::Drop(_) => {}
            Op::Advance(by) => {
                clock.advance(Duration::from_secs(by));
                model.now += by;
                model.come_due(model.now);
            }
            Op::Close => {
                fifo.close();
                model.close();
            }
            Op::CloseNow => {
                let back = fifo.close_now();
                let back: Vec<_> = back.iter().map(|item| (item.key, item.version)).collect();
                prop_assert_eq!(back, model.close_now());
            }
        }
        check(&fifo, &model)?;
    }
    Ok(())
}

fn check(fifo: &Fifo<Item>, model: &Model) -> Result<(), TestCaseError> {
    let listed: VecDeque<_> = fifo.list().iter().map(|item| (item.key, item.version)).collect();
    let expected: VecDeque<_> = model.line.iter().map(|entry| (entry.2, entry.3)).collect();
    prop_assert_eq!(&listed, &expected);
    let keys: Vec<_> = fifo.keys().iter().map(Key::to_string).collect();
    prop_assert_eq!(keys, expected.iter().map(|(key, _)| name(*key)).collect::<Vec<_>>());
    for key in 0..KEYS {
        let delayed = model.delayed.iter().map(|entry| (entry.2, entry.3));
        let mut waiting = expected.iter().copied().chain(delayed);
        let expected = waiting.find(|(k, _)| *k == key).map(|(_, version)| version);
        prop_assert_eq!(fifo.get(&name(key)).map(|item| item.version), expected);
        prop_assert_eq!(fifo.contains(&name(key)), expected.is_some());
    }
    prop_assert_eq!(fifo.has_synced(), model.initial.as_ref().is_some_and(HashSet::is_empty));
    let stats = fifo.stats();
    prop_assert_eq!(stats.depth, model.line.len() as u64);
    prop_assert_eq!(stats.delayed, model.delayed.len() as u64);
    prop_assert_eq!(stats.processing, model.leases.len() as u64);
    prop_assert_eq!(
        stats.adds + stats.requeued,
        stats.popped + stats.coalesced + stats.deleted + stats.depth + stats.delayed
    );
    prop_assert_eq!((fifo.len(), fifo.is_empty()), (listed.len(), listed.is_empty()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 5 } else { 1000 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_the_model(
        levels in any::<bool>(),
        backoff in any::<bool>(),
        deletions in any::<bool>(),
        ops in prop::collection::vec(op(), 0..120),
    ) {
        run(Config { levels, backoff, deletions }, ops)?;
    }
}
