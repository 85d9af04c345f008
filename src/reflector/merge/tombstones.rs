//! Deleted keys, while a part may still bring an older state of them.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;

use super::state::State;
use crate::Key;

/// How many are kept. Past that the oldest are dropped first; a key that a part then brings back is
/// deleted again once that part has caught up.
const MOST: usize = 65_536;

/// A deleted key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tombstone {
    /// The first version in which it can exist again.
    pub(super) back_from: u64,
    /// Its last state, and when that may return all the same.
    pub(super) last: State,
    pub(super) again: Again,
}

/// When the last state may return.
#[derive(Clone, Copy, Debug)]
pub(super) enum Again {
    Always,
    /// From this part, which held it and reported its deletion; by a list that is as new as that.
    Since {
        part: usize,
        version: u64,
    },
    /// By a list of this version.
    Listed {
        version: u64,
    },
}

#[derive(Debug, Default)]
pub(super) struct Tombstones {
    of: HashMap<Key, Tombstone, RandomState>,
    by_version: BTreeSet<(u64, Key)>,
}

impl Tombstones {
    pub(super) fn insert(&mut self, key: Key, tombstone: Tombstone) {
        self.remove(&key);
        self.by_version.insert((tombstone.back_from, key.clone()));
        self.of.insert(key, tombstone);
        if self.of.len() > MOST {
            self.forget_first();
        }
    }

    /// Returns whether this state of the key, as the part brings it, by a list of a version or else by a
    /// watch, is from before the deletion.
    pub(super) fn cover(&self, part: usize, key: &Key, state: State, listed: Option<u64>) -> bool {
        let Some(stone) = self.of.get(key) else { return false };
        let version = match (state.number(), listed) {
            (0, _) => return false,
            (number, Some(listed)) => number.max(listed),
            (number, None) => number,
        };
        match stone.again {
            Again::Since { part: by, .. } if by == part => false,
            _ if !state.is_same(stone.last) => version < stone.back_from,
            Again::Always => false,
            Again::Since { version: gone, .. } | Again::Listed { version: gone } => {
                listed < Some(gone)
            }
        }
    }

    /// The key exists again.
    pub(super) fn remove(&mut self, key: &Key) {
        if let Some((key, Tombstone { back_from, .. })) = self.of.remove_entry(key) {
            self.by_version.remove(&(back_from, key));
        }
    }

    /// Each part has reached this version: anything it brings from now on is newer.
    pub(super) fn forget_up_to(&mut self, version: u64) {
        while self.by_version.first().is_some_and(|(first, _)| *first <= version) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, key)) = self.by_version.pop_first() {
            self.of.remove(&key);
        }
    }

    /// Forgets all of them, and returns their keys.
    pub(super) fn clear(&mut self) -> Vec<Key> {
        std::mem::take(self).of.into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        Key::cluster_scoped(&format!("k{n}")).expect("a valid name")
    }

    struct Versioned(&'static str);

    impl crate::Object for Versioned {
        fn key(&self) -> crate::KeyRef<'_> {
            "k1".into()
        }

        fn resource_version(&self) -> Option<&str> {
            Some(self.0)
        }
    }

    fn state(version: &'static str) -> State {
        State::of(&Versioned(version))
    }

    fn stone(again: Again) -> Tombstone {
        Tombstone { back_from: 12, last: state("11"), again }
    }

    #[test]
    fn a_tombstone_covers_what_is_older_until_everybody_is_past_it() {
        let mut tombstones = Tombstones::default();
        tombstones.insert(key(1), stone(Again::Since { part: 0, version: 30 }));
        let covers = |stones: &Tombstones, version| stones.cover(1, &key(1), state(version), None);
        assert!(covers(&tombstones, "11") && !covers(&tombstones, "12"));
        assert!(!covers(&tombstones, "x"), "no version, no order");
        assert!(!tombstones.cover(0, &key(1), state("9"), None), "whose it is knows better");
        tombstones.forget_up_to(11);
        assert!(covers(&tombstones, "11"));
        tombstones.forget_up_to(12);
        assert!(!covers(&tombstones, "11"));
    }

    #[test]
    fn what_a_list_names_is_as_new_as_the_list_unless_it_may_be_from_before() {
        let mut tombstones = Tombstones::default();
        let part = 0;
        let cases = [
            (Again::Since { part, version: 30 }, [true, true, true]),
            (Again::Since { part, version: 20 }, [true, true, false]),
            (Again::Always, [false; 3]),
            (Again::Listed { version: 20 }, [true, true, false]),
        ];
        for (again, expected) in cases {
            tombstones.insert(key(1), stone(again));
            let lists = [11, 19, 20].map(Some);
            let covered = |text| lists.map(|at| tombstones.cover(1, &key(1), state(text), at));
            assert_eq!(covered("11"), expected, "{again:?}");
            assert_eq!(covered("9"), [true, false, false], "another state, {again:?}");
        }
    }

    #[test]
    fn their_number_is_bounded() {
        let mut tombstones = Tombstones::default();
        let stone = |n| Tombstone { back_from: n as u64 + 1, ..stone(Again::Always) };
        for n in 0..MOST + 10 {
            tombstones.insert(key(n), stone(n));
        }
        assert_eq!((tombstones.of.len(), tombstones.by_version.len()), (MOST, MOST));
        tombstones.remove(&key(MOST));
        assert_eq!((tombstones.of.len(), tombstones.by_version.len()), (MOST - 1, MOST - 1));
    }
}
