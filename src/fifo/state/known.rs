//! The last states of objects that were not deleted, if the queue hands out deletions.

use hashbrown_raw::raw::RawTable;

use super::effects::Effects;
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use crate::{Key, KeyRef};

/// The last state of each object, for one shard of the keys. Only accessed with that shard locked.
///
/// An entry of the queue lives as long as its key waits or is leased; these live as long as the
/// object does.
pub(crate) struct Known<T> {
    table: RawTable<Object<T>>,
}

struct Object<T> {
    hash: u64,
    key: Key,
    last: Arc<T>,
}

impl<T> Known<T> {
    pub(crate) fn with_capacity(objects: usize) -> Self {
        Self { table: RawTable::with_capacity(objects) }
    }

    pub(crate) fn key(&self, hash: u64, key: KeyRef<'_>) -> Option<&Key> {
        self.table.get(hash, |known| known.key.is(key)).map(|known| &known.key)
    }

    /// Remembers a state; returns the one before, if there was one.
    pub(crate) fn put(&mut self, hash: u64, key: &Key, last: Arc<T>) -> Option<Arc<T>> {
        if let Some(known) = self.table.get_mut(hash, |known| known.key == *key) {
            return Some(std::mem::replace(&mut known.last, last));
        }
        self.table.insert(hash, Object { hash, key: key.clone(), last }, |known| known.hash);
        None
    }

    /// Forgets an object.
    pub(crate) fn remove(&mut self, hash: u64, key: KeyRef<'_>) -> Option<(Key, Arc<T>)> {
        let known = self.table.remove_entry(hash, |known| known.key.is(key))?;
        // Memory follows the content. As many removals have paid for the rehash.
        if self.table.len() < self.table.capacity() / 4 {
            self.table.shrink_to(self.table.len() * 2, |known| known.hash);
        }
        Some((known.key, known.last))
    }

    /// The whole content, in no order.
    pub(crate) fn into_objects(self) -> impl Iterator<Item = (u64, Key, Arc<T>)> {
        self.table.into_iter().map(|known| (known.hash, known.key, known.last))
    }
}

pub(super) fn lock<T>(known: &Mutex<Known<T>>) -> MutexGuard<'_, Known<T>> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps an object's state, where deletions are handed out.
#[inline(always)]
pub(super) fn remember<T>(
    known: Option<&Mutex<Known<T>>>,
    hash: u64,
    key: &Key,
    state: &Arc<T>,
    effects: &mut Effects<T>,
) {
    if let Some(known) = known
        && let Some(before) = lock(known).put(hash, key, Arc::clone(state))
    {
        effects.discard(before);
    }
}
