use std::hash::Hash;

use hashbrown_raw::raw::RawTable;
use loom::sync::{Mutex, MutexGuard};

/// The contract of `dashmap::DashMap` with its raw interface: tables behind locks of their own. It has
/// no more readers at once than writers, which only takes executions away that change nothing.
pub(crate) struct DashMap<K, V, S> {
    shards: Box<[RwLock<Table<K, V>>]>,
    hasher: S,
}

type Table<K, V> = RawTable<(K, SharedValue<V>)>;

pub(crate) struct RwLock<T>(Mutex<T>);

pub(crate) type RwLockWriteGuard<'a, T> = MutexGuard<'a, T>;

#[derive(Clone)]
pub(crate) struct SharedValue<T>(T);

/// An entry that an iteration meets.
pub(crate) struct Met<V>(V);

impl<T> RwLock<T> {
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.lock().expect("not poisoned")
    }
}

impl<T> SharedValue<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }

    pub(crate) fn get(&self) -> &T {
        &self.0
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        &mut self.0
    }

    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

impl<K: Clone + Eq + Hash, V: Clone, S> DashMap<K, V, S> {
    pub(crate) fn with_hasher_and_shard_amount(hasher: S, shards: usize) -> Self {
        let shards = (0..shards).map(|_| RwLock(Mutex::new(Table::new()))).collect();
        Self { shards, hasher }
    }

    pub(crate) fn hasher(&self) -> &S {
        &self.hasher
    }

    pub(crate) fn determine_shard(&self, hash: usize) -> usize {
        hash % self.shards.len()
    }

    pub(crate) fn shards(&self) -> &[RwLock<Table<K, V>>] {
        &self.shards
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Met<V>> {
        self.shards.iter().flat_map(|shard| shard.write().clone()).map(|(_, value)| Met(value.0))
    }
}

impl<V> Met<V> {
    pub(crate) fn value(&self) -> &V {
        &self.0
    }
}
