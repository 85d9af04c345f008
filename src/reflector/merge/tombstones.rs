//! Keys that are gone, while a part may still bring an older state of them.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;

use crate::Key;

/// How many are kept. Past that the oldest go first; what a part then brings of them is gone again
/// once that part has come as far.
const MOST: usize = 65_536;

/// For each key that is gone, the first version in which it can exist again.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    back_from: HashMap<Key, u64, RandomState>,
    by_version: BTreeSet<(u64, Key)>,
}

impl Tombstones {
    pub(super) fn insert(&mut self, key: Key, back_from: u64) {
        self.remove(&key);
        self.by_version.insert((back_from, key.clone()));
        self.back_from.insert(key, back_from);
        if self.back_from.len() > MOST {
            self.forget_first();
        }
    }

    /// Whether this version of the key, 0 if it has none, is from before its deletion.
    pub(super) fn covers(&self, key: &Key, version: u64) -> bool {
        version > 0 && self.back_from.get(key).is_some_and(|back_from| version < *back_from)
    }

    /// The key is there again.
    pub(super) fn remove(&mut self, key: &Key) {
        if let Some((key, back_from)) = self.back_from.remove_entry(key) {
            self.by_version.remove(&(back_from, key));
        }
    }

    /// Each part has come this far: what it brings from now on is newer.
    pub(super) fn forget_up_to(&mut self, version: u64) {
        while self.by_version.first().is_some_and(|(first, _)| *first <= version) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, key)) = self.by_version.pop_first() {
            self.back_from.remove(&key);
        }
    }

    /// Forgets all of them, and returns their keys.
    pub(super) fn clear(&mut self) -> Vec<Key> {
        std::mem::take(self).back_from.into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        Key::cluster_scoped(&format!("k{n}")).expect("a valid name")
    }

    #[test]
    fn a_tombstone_covers_what_is_older_until_everybody_is_past_it() {
        let mut tombstones = Tombstones::default();
        tombstones.insert(key(1), 12);
        assert!(tombstones.covers(&key(1), 11) && !tombstones.covers(&key(1), 12));
        assert!(!tombstones.covers(&key(1), 0), "no version, no order");
        tombstones.forget_up_to(11);
        assert!(tombstones.covers(&key(1), 11));
        tombstones.forget_up_to(12);
        assert!(!tombstones.covers(&key(1), 11));
    }

    #[test]
    fn their_number_is_bounded() {
        let mut tombstones = Tombstones::default();
        for n in 0..MOST + 10 {
            tombstones.insert(key(n), n as u64 + 1);
        }
        assert_eq!(tombstones.back_from.len(), MOST);
        assert_eq!(tombstones.by_version.len(), MOST);
        tombstones.remove(&key(MOST));
        assert_eq!((tombstones.back_from.len(), tombstones.by_version.len()), (MOST - 1, MOST - 1));
    }
}
