//! The order of a watch's events: which of them are news.

use std::collections::{HashMap, VecDeque};

use crate::{Key, ResourceVersion};

/// How many of the last changes are remembered.
///
/// A late event is told from a repeated one within this many changes; one that is later still is
/// taken for a repeat.
const REMEMBERED: usize = 4096;

/// Decides whether an event is new to its key, whatever order events arrive in.
///
/// A watch delivers events in the order of their versions, each once. A faulty server or proxy may
/// not, and a delete leaves nothing in a cache to compare a late event with. So the last changes
/// are remembered here, deletes included.
///
/// Invariant: everything at or below `floor` is known; above it, `newest` holds each changed key's
/// newest version.
#[derive(Debug, Default)]
pub(super) struct Order {
    floor: u64,
    newest: HashMap<Key, u64, foldhash::fast::RandomState>,
    changes: VecDeque<(u64, Key)>,
}

impl Order {
    /// Everything up to `version` is known.
    pub(super) fn restart(&mut self, version: &ResourceVersion) {
        self.newest.clear();
        self.changes.clear();
        self.floor = version.number().unwrap_or_default();
    }

    /// The key is already known in a version newer than the floor.
    pub(super) fn know(&mut self, key: &Key, version: Option<&str>) {
        let Some(version) = version.and_then(|version| version.parse::<u64>().ok()) else { return };
        if version > self.floor {
            // Outside the queue of changes, so that it stays until the next list.
            self.newest.insert(key.clone(), version);
        }
    }

    /// Whether the event is news, which is then remembered. Versions that are not numbers have no
    /// order, so each is news.
    pub(super) fn admit(&mut self, key: &Key, version: Option<&str>) -> bool {
        let Some(version) = version.and_then(|version| version.parse::<u64>().ok()) else {
            return true;
        };
        if version <= self.floor {
            return false;
        }
        if let Some(newest) = self.newest.get_mut(key) {
            if version <= *newest {
                return false;
            }
            *newest = version;
        } else {
            self.newest.insert(key.clone(), version);
        }
        self.changes.push_back((version, key.clone()));
        if self.changes.len() > REMEMBERED {
            self.forget_one();
        }
        true
    }

    fn forget_one(&mut self) {
        let Some((version, key)) = self.changes.pop_front() else { return };
        // Not below an earlier floor: a late event leaves the queue after newer ones.
        self.floor = self.floor.max(version);
        if self.newest.get(&key) == Some(&version) {
            self.newest.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> Key {
        Key::cluster_scoped(&format!("k{n}")).expect("a valid name")
    }

    fn order(floor: u64) -> Order {
        let mut order = Order::default();
        order.restart(&floor.to_string().into());
        order
    }

    #[test]
    fn a_late_event_is_news_and_a_repeated_one_is_not() {
        let mut order = order(10);
        assert!(order.admit(&key(1), Some("12")));
        assert!(order.admit(&key(2), Some("11")), "late, but its key knows nothing newer");
        assert!(!order.admit(&key(1), Some("12")), "repeated");
        assert!(!order.admit(&key(1), Some("11")), "backward");
        assert!(!order.admit(&key(3), Some("10")), "part of the list");
        assert!(order.admit(&key(1), Some("x1")) && order.admit(&key(1), None), "no order known");
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_counts_as_known() {
        let mut order = order(0);
        for version in 1..=3 * REMEMBERED as u64 {
            assert!(order.admit(&key(version), Some(&version.to_string())));
        }
        assert_eq!(order.changes.len(), REMEMBERED);
        assert_eq!(order.newest.len(), REMEMBERED);
        assert!(!order.admit(&key(1), Some("1")));
    }
}
