//! The states of all keys: a `DashMap` whose shards are locked one at a time, or several together.

use std::hash::BuildHasher;

use crossbeam_utils::CachePadded;
use foldhash::fast::SeedableRandomState;

use super::entry::Entry;
use super::known::Known;
use super::shard::Shard;
use super::tally::Tally;
use crate::sync::{Arc, DashMap, Mutex, random_hasher};
use crate::{Key, KeyRef};

/// Large enough that two threads seldom meet, small enough that taking all of them is cheap.
pub(crate) const SHARD_COUNT: usize = 16;

pub(crate) struct Keys<T> {
    map: DashMap<Key, Entry<T>, SeedableRandomState>,
    tallies: Box<[CachePadded<Tally>]>,
    /// Where deletions are handed out.
    known: Option<Box<[Mutex<Known<T>>]>>,
}

impl<T> Keys<T> {
    pub(crate) fn new(deletions: bool) -> Self {
        Self {
            map: DashMap::with_hasher_and_shard_amount(random_hasher(), SHARD_COUNT),
            tallies: (0..SHARD_COUNT).map(|_| CachePadded::new(Tally::default())).collect(),
            known: deletions
                .then(|| (0..SHARD_COUNT).map(|_| Mutex::new(Known::with_capacity(0))).collect()),
        }
    }

    /// Two keys may hash alike, which is harmless: an entry is found by its key or its sequence number.
    #[inline]
    pub(crate) fn hash(&self, key: KeyRef<'_>) -> u64 {
        key.hash_with(self.map.hasher())
    }

    /// A number from 0 to 1 that differs from key to key, from time to time and from queue to queue.
    pub(crate) fn chance(&self, hash: u64, time: u32) -> f64 {
        (self.map.hasher().hash_one((hash, time)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    #[inline]
    pub(crate) fn shard_of(&self, hash: u64) -> usize {
        self.map.determine_shard(hash as usize)
    }

    /// Locks a shard. Several shards are locked in the order of their numbers.
    #[inline]
    pub(crate) fn lock(&self, shard: usize) -> Shard<'_, T> {
        let known = self.known.as_ref().map(|known| &known[shard]);
        Shard::new(self.map.shards()[shard].write(), &self.tallies[shard], known)
    }

    /// Locks all shards.
    pub(crate) fn lock_all(&self) -> Vec<Shard<'_, T>> {
        (0..SHARD_COUNT).map(|shard| self.lock(shard)).collect()
    }

    /// Returns whether each shard was empty when it was checked, one after the other, stopping at the
    /// first that has an entry. (The map's own method counts them all.)
    pub(crate) fn is_empty(&self) -> bool {
        (0..SHARD_COUNT).all(|shard| self.lock(shard).is_empty())
    }

    pub(crate) fn hands_out_deletions(&self) -> bool {
        self.known.is_some()
    }

    /// Takes out all waiting values, and all known objects, in no order.
    pub(crate) fn take_values(&self) -> Vec<Arc<T>> {
        let mut values = Vec::new();
        for mut shard in self.lock_all() {
            let entries = shard.take_table(0).into_iter();
            values.extend(entries.filter_map(|(_, entry)| entry.into_inner().into_value()));
            values.extend(shard.take_known(0).into_objects().map(|(_, _, last)| last));
        }
        values
    }

    /// Visits each entry, shard by shard: not atomically.
    pub(crate) fn visit(&self, mut visit: impl FnMut(&Entry<T>)) {
        self.map.iter().for_each(|entry| visit(entry.value()));
    }
}
