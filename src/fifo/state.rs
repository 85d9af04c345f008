//! What the queue's lock guards: a state machine without parking, clocks or user code.
//!
//! A key is in one of four states:
//!
//! | state      | put    | delete     | pop  | take       | done   | retry, drop |
//! |------------|--------|------------|------|------------|--------|-------------|
//! | Idle       | Queued | Idle       |      |            |        |             |
//! | Queued     | Queued | Idle       | Idle | Processing |        |             |
//! | Processing | Dirty  | Processing |      |            | Idle   | Queued¹     |
//! | Dirty      | Dirty  | Processing |      |            | Queued | Queued      |
//!
//! ¹ Idle if the key was deleted since it was taken. A replace is a put of each listed key and a
//! delete of each other one.
//!
//! Idle keys have no entry, so memory follows the keys that wait or are worked on.
//!
//! Objects are never dropped here, as their destructors are user code: whatever a call displaces is
//! returned, and the caller drops it after unlocking.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::hash_map::{Entry as MapEntry, EntryRef};
use hashbrown::{HashMap, HashSet};

use super::FifoStats;
use crate::{Change, Key, KeyRef};

/// A key's state; the [module](self) gives the transitions.
enum Entry<T> {
    Queued {
        seq: u64,
        value: Arc<T>,
    },
    /// `deleted`: the key was deleted since, so no retry may bring the leased value back.
    Processing {
        deleted: bool,
    },
    Dirty {
        seq: u64,
        value: Arc<T>,
    },
}

/// Which keys of the first replace are still to be seen.
enum Synced {
    /// Nothing was ever put, deleted or replaced.
    Untouched,
    /// A set and not a count: only the very keys of the first replace matter, so no later key can
    /// stand in for one of them, and none can be waited for in vain.
    Waiting(HashSet<Key>),
    Done,
}

/// How a lease ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Retry,
    Abandoned,
}

pub(super) struct State<T> {
    entries: HashMap<Key, Entry<T>>,
    /// Queued keys by place in line. A place is never used twice, so nothing stale can be mistaken
    /// for a key that was deleted and added again.
    line: BTreeMap<u64, Key>,
    /// Dirty keys by the place they get when their lease ends: that of the change, not of the end.
    held: BTreeMap<u64, Key>,
    next_seq: u64,
    /// Keys that have become available since the last [`State::take_wakes`].
    fresh: usize,
    synced: Synced,
    closed: bool,
    stats: FifoStats,
}

impl<T> State<T> {
    pub(super) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            line: BTreeMap::new(),
            held: BTreeMap::new(),
            next_seq: 0,
            fresh: 0,
            synced: Synced::Untouched,
            closed: false,
            stats: FifoStats::default(),
        }
    }

    /// How many consumers to wake for what has happened since the last call.
    pub(super) fn take_wakes(&mut self) -> usize {
        std::mem::take(&mut self.fresh).min(self.line.len())
    }

    /// Whether the queue still accepts; counts the refusal if not.
    pub(super) fn accepts(&mut self) -> bool {
        self.stats.refused += u64::from(self.closed);
        !self.closed
    }

    /// Accepts a value; returns the waiting one it replaces.
    pub(super) fn put(&mut self, key: Key, value: Arc<T>) -> Option<Arc<T>> {
        self.touch();
        self.stats.adds += 1;
        let seq = self.next_seq;
        match self.entries.entry(key) {
            MapEntry::Vacant(vacant) => {
                self.line.insert(seq, vacant.key().clone());
                self.fresh += 1;
                vacant.insert(Entry::Queued { seq, value });
            }
            MapEntry::Occupied(mut occupied) => match occupied.get_mut() {
                Entry::Queued { value: waiting, .. } | Entry::Dirty { value: waiting, .. } => {
                    self.stats.coalesced += 1;
                    return Some(std::mem::replace(waiting, value));
                }
                entry @ Entry::Processing { .. } => {
                    *entry = Entry::Dirty { seq, value };
                    self.held.insert(seq, occupied.key().clone());
                }
            },
        }
        self.next_seq += 1;
        None
    }

    /// Accepts a value unless its key is queued or leased; gives it back if so.
    pub(super) fn put_if_absent(&mut self, key: Key, value: Arc<T>) -> Result<(), Arc<T>> {
        if self.entries.contains_key(&key) {
            return Err(value);
        }
        let displaced = self.put(key, value);
        debug_assert!(displaced.is_none());
        Ok(())
    }

    /// Drops a key's waiting value, and bars a lease of it from coming back.
    pub(super) fn delete(&mut self, key: KeyRef<'_>) -> Option<Arc<T>> {
        self.touch();
        self.settle(key);
        let EntryRef::Occupied(mut occupied) = self.entries.entry_ref(&key) else {
            return None;
        };
        let gone = match occupied.get_mut() {
            Entry::Queued { .. } => occupied.remove(),
            entry => std::mem::replace(entry, Entry::Processing { deleted: true }),
        };
        let value = match gone {
            Entry::Queued { seq, value } => {
                self.line.remove(&seq);
                self.shrink();
                value
            }
            Entry::Dirty { seq, value } => {
                self.held.remove(&seq);
                value
            }
            Entry::Processing { .. } => return None,
        };
        self.stats.deleted += 1;
        Some(value)
    }

    /// Applies changes in order; returns what they displace.
    pub(super) fn apply(&mut self, changes: &[(Key, Change<T>)]) -> Vec<Arc<T>> {
        changes
            .iter()
            .filter_map(|(key, change)| match change {
                Change::Put(object) => self.put(key.clone(), Arc::clone(object)),
                Change::Delete(_) => self.delete(key.as_ref()),
            })
            .collect()
    }

    /// Makes the listed objects, in their order, all that waits; returns what they displace.
    pub(super) fn replace(&mut self, objects: &[(Key, Arc<T>)]) -> Vec<Arc<T>> {
        let mut displaced = Vec::new();
        let first_seq = self.next_seq;
        self.line.clear();
        self.held.clear();
        for (key, object) in objects {
            let seq = self.next_seq;
            self.next_seq += 1;
            self.stats.adds += 1;
            let value = Arc::clone(object);
            match self.entries.entry(key.clone()) {
                MapEntry::Vacant(vacant) => {
                    vacant.insert(Entry::Queued { seq, value });
                    self.line.insert(seq, key.clone());
                    self.fresh += 1;
                }
                MapEntry::Occupied(mut occupied) => match occupied.get_mut() {
                    Entry::Queued { seq: place, value: waiting } => {
                        *place = seq;
                        displaced.push(std::mem::replace(waiting, value));
                        self.line.insert(seq, key.clone());
                        self.stats.coalesced += 1;
                    }
                    Entry::Dirty { seq: place, value: waiting } => {
                        *place = seq;
                        displaced.push(std::mem::replace(waiting, value));
                        self.held.insert(seq, key.clone());
                        self.stats.coalesced += 1;
                    }
                    entry @ Entry::Processing { .. } => {
                        *entry = Entry::Dirty { seq, value };
                        self.held.insert(seq, key.clone());
                    }
                },
            }
        }
        // Whatever has an older place was not listed.
        let stats = &mut self.stats;
        self.entries.retain(|_, entry| match entry {
            Entry::Queued { seq, value } if *seq < first_seq => {
                stats.deleted += 1;
                displaced.push(Arc::clone(value));
                false
            }
            Entry::Dirty { seq, value } if *seq < first_seq => {
                stats.deleted += 1;
                displaced.push(Arc::clone(value));
                *entry = Entry::Processing { deleted: true };
                true
            }
            Entry::Processing { deleted } => {
                *deleted = true;
                true
            }
            _ => true,
        });
        self.shrink();
        match &mut self.synced {
            Synced::Untouched => {
                let initial = objects.iter().map(|(key, _)| key.clone()).collect();
                self.synced = Synced::Waiting(initial);
            }
            Synced::Waiting(keys) => keys.retain(|key| {
                !matches!(self.entries.get(key), None | Some(Entry::Processing { .. }))
            }),
            Synced::Done => {}
        }
        self.finish_sync();
        displaced
    }

    /// Takes out all that waits, by place. No lease puts an older value of those keys back.
    pub(super) fn drain(&mut self) -> Vec<Arc<T>> {
        self.keys().iter().filter_map(|key| self.delete(key.as_ref())).collect()
    }

    /// Hands out up to `max` objects from the head of the line for good.
    pub(super) fn pop_batch(&mut self, max: usize) -> Option<Vec<Arc<T>>> {
        let size = max.min(self.line.len());
        (size > 0).then(|| std::iter::from_fn(|| self.pop()).take(size).collect())
    }

    /// Hands out the head of the line for good.
    pub(super) fn pop(&mut self) -> Option<Arc<T>> {
        let (_, key) = self.line.pop_first()?;
        let Some(Entry::Queued { value, .. }) = self.entries.remove(&key) else {
            unreachable!("a key in line is queued");
        };
        self.stats.popped += 1;
        self.settle(key.as_ref());
        self.shrink();
        Some(value)
    }

    /// Hands out the head of the line until [`State::end`].
    pub(super) fn take(&mut self) -> Option<(Key, Arc<T>)> {
        let (_, key) = self.line.pop_first()?;
        let entry = self.entries.get_mut(&key);
        let taken = entry.map(|e| std::mem::replace(e, Entry::Processing { deleted: false }));
        let Some(Entry::Queued { value, .. }) = taken else {
            unreachable!("a key in line is queued");
        };
        self.stats.popped += 1;
        self.stats.processing += 1;
        Some((key, value))
    }

    /// Ends the lease of a key, of which `object` was handed out.
    pub(super) fn end(&mut self, key: &Key, object: &Arc<T>, outcome: Outcome) {
        self.stats.processing -= 1;
        match outcome {
            Outcome::Done => self.settle(key.as_ref()),
            Outcome::Retry => self.stats.retries += 1,
            Outcome::Abandoned => self.stats.abandoned += 1,
        }
        let Some(entry) = self.entries.get_mut(key) else {
            unreachable!("a leased key has an entry");
        };
        let (seq, value) = match entry {
            Entry::Queued { .. } => unreachable!("a leased key is not in line"),
            Entry::Processing { deleted } if *deleted || outcome == Outcome::Done => {
                self.entries.remove(key);
                self.shrink();
                return;
            }
            Entry::Processing { .. } => {
                self.next_seq += 1;
                (self.next_seq - 1, Arc::clone(object))
            }
            Entry::Dirty { seq, value } => {
                self.held.remove(seq);
                (*seq, Arc::clone(value))
            }
        };
        *entry = Entry::Queued { seq, value };
        self.line.insert(seq, key.clone());
        self.fresh += 1;
    }

    pub(super) fn get(&self, key: KeyRef<'_>) -> Option<&Arc<T>> {
        match self.entries.get(&key)? {
            Entry::Queued { value, .. } | Entry::Dirty { value, .. } => Some(value),
            Entry::Processing { .. } => None,
        }
    }

    /// The waiting keys by place.
    pub(super) fn keys(&self) -> Vec<Key> {
        let mut placed: Vec<_> = self.line.iter().chain(&self.held).collect();
        placed.sort_unstable_by_key(|(seq, _)| **seq);
        placed.into_iter().map(|(_, key)| key.clone()).collect()
    }

    /// The waiting values by place.
    pub(super) fn list(&self) -> Vec<Arc<T>> {
        self.keys().iter().filter_map(|key| self.get(key.as_ref()).cloned()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.line.len() + self.held.len()
    }

    pub(super) fn has_synced(&self) -> bool {
        matches!(self.synced, Synced::Done)
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn stats(&self) -> FifoStats {
        FifoStats { depth: self.len() as u64, ..self.stats }
    }

    /// A queue that is fed before any replace has no initial list to wait for.
    fn touch(&mut self) {
        if matches!(self.synced, Synced::Untouched) {
            self.synced = Synced::Done;
        }
    }

    /// Counts a key as seen.
    fn settle(&mut self, key: KeyRef<'_>) {
        if let Synced::Waiting(keys) = &mut self.synced {
            keys.remove(&key);
            self.finish_sync();
        }
    }

    fn finish_sync(&mut self) {
        if matches!(&self.synced, Synced::Waiting(keys) if keys.is_empty()) {
            self.synced = Synced::Done;
        }
    }

    /// Gives memory back after a peak. Rehashing is paid for by the removals since the last time.
    fn shrink(&mut self) {
        let len = self.entries.len();
        if self.entries.capacity() / 4 > len + 64 {
            self.entries.shrink_to(len * 2);
        }
    }
}
