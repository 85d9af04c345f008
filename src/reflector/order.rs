//! The order of a watch's events: which of them are new.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::version::number_of;
use crate::{Key, KeyRef, ResourceVersion};

/// How many of the last changes are remembered, beside those of the newest version.
///
/// Within this many changes a late event can be told from a repeated one; a later one is treated as a
/// repeat.
const REMEMBERED: usize = 4096;

/// How an event compares with what is known of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// A new one, which is now remembered.
    New,
    /// Repeated, or older than what is known.
    Old,
    /// A deletion in a version that is not new. Some servers use the version of the object's last change:
    /// the deletion is new if exactly that version is held.
    NewIfHeld,
}

/// Decides whether an event is new to its key, whatever order events arrive in.
///
/// A watch delivers events in the order of their versions, each once. A faulty server or proxy may not,
/// and a delete leaves nothing in a cache to compare a late event with. So the last changes are
/// remembered here, including deletes.
///
/// Invariant: everything at or below `floor` is known; above it, `newest` holds each changed key's
/// newest version. The floor stays below the newest version, of which more may still come: one
/// transaction of etcd changes any number of keys at one version.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Whether versions are compared at all.
    ordered: bool,
    floor: u64,
    newest: HashMap<Key, Known, foldhash::fast::RandomState>,
    /// Changes of older versions than the newest, in the order in which they came.
    changes: VecDeque<(u64, Key)>,
    latest: Latest,
}

/// A key's newest version.
#[derive(Clone, Copy, Debug)]
struct Known {
    version: u64,
    deleted: bool,
}

/// The newest version of all.
#[derive(Debug, Default)]
struct Latest {
    version: u64,
    changes: usize,
    /// Those of its changes that are remembered. Apart from the others, which can be forgotten
    /// however long this version stays the newest.
    keys: Vec<Key>,
}

impl Order {
    /// Everything up to `version` is known. Without a version, or with one that is not a number, versions
    /// are not compared until the next list.
    pub(super) fn restart(&mut self, version: Option<&ResourceVersion>, ordered: bool) {
        let floor = version.and_then(ResourceVersion::number).filter(|_| ordered);
        *self = Self { ordered: floor.is_some(), floor: floor.unwrap_or(0), ..Self::default() };
    }

    pub(super) fn is_ordered(&self) -> bool {
        self.ordered
    }

    /// Returns whether a change of the key is remembered.
    pub(super) fn has(&self, key: KeyRef<'_>) -> bool {
        self.newest.contains_key(&key)
    }

    /// Returns whether this is the key's newest version that is remembered.
    pub(super) fn is_newest(&self, key: KeyRef<'_>, version: Option<&str>) -> bool {
        let newest = self.newest.get(&key).map(|known| known.version);
        newest.is_some() && newest == version.and_then(number_of)
    }

    /// The key is already known in a version newer than the floor.
    pub(super) fn know(&mut self, key: KeyRef<'_>, version: Option<&str>) {
        let Some(version) = version.and_then(number_of) else { return };
        if version > self.floor {
            // Not in the queue of changes, so that it stays until the next list.
            self.newest.insert(key.to_key_unchecked(), Known { version, deleted: false });
        }
    }

    /// Classifies the event. Versions that are not numbers have no order, so each is new.
    pub(super) fn admit(
        &mut self,
        key: KeyRef<'_>,
        version: Option<&str>,
        deleted: bool,
    ) -> Admission {
        let Some(version) = version.and_then(number_of).filter(|_| self.ordered) else {
            return Admission::New;
        };
        let key = if let Some((key, known)) = self.newest.get_key_value_mut(&key) {
            // An object that changed and was then deleted may carry one version in both events.
            let ends = deleted && !known.deleted && version == known.version;
            if version <= known.version && !ends {
                return Admission::Old;
            }
            *known = Known { version, deleted };
            key.clone()
        } else if version <= self.floor {
            return if deleted { Admission::NewIfHeld } else { Admission::Old };
        } else {
            let key = key.to_key_unchecked();
            self.newest.insert(key.clone(), Known { version, deleted });
            key
        };
        self.see(version);
        if version == self.latest.version {
            self.latest.keys.push(key);
        } else {
            self.changes.push_back((version, key));
        }
        while self.changes.len() + self.latest.keys.len() > REMEMBERED && self.forget_one() {}
        Admission::New
    }

    /// A change of a key that is not wanted.
    pub(super) fn pass(&mut self, version: Option<&str>) {
        if let Some(version) = version.and_then(number_of).filter(|_| self.ordered) {
            self.see(version);
        }
    }

    fn see(&mut self, version: u64) {
        if version > self.latest.version {
            let before = std::mem::replace(&mut self.latest.version, version);
            // Each version has its turn here, mostly with one key: the room for it is kept.
            self.changes.extend(self.latest.keys.drain(..).map(|key| (before, key)));
            self.latest.keys.shrink_to(REMEMBERED);
            self.latest.changes = 0;
        }
        self.latest.changes += usize::from(version == self.latest.version);
    }

    /// A version with several changes that nothing has closed: more of it may be missing if the watch
    /// ended here.
    pub(super) fn unfinished(&self) -> Option<u64> {
        (self.latest.changes > 1).then_some(self.latest.version)
    }

    /// The source confirms that nothing up to this version is missing; returns whether that is all that has
    /// come. A watch that began before the newest version may confirm no more than where it began.
    pub(super) fn close(&mut self, version: Option<u64>) -> bool {
        if version.is_some_and(|version| version >= self.latest.version) {
            self.latest.changes = 0;
        }
        self.unfinished().is_none()
    }

    /// The newest version of all that came, even if not all of it has; `None` before the first.
    pub(super) fn reached(&self) -> Option<u64> {
        Some(self.latest.version).filter(|version| *version > 0)
    }

    /// The watch is given up with more of it on the way: perhaps more of the newest version.
    pub(super) fn cut(&mut self) {
        if self.latest.changes == 1 {
            self.latest.changes += 1;
        }
    }

    fn forget_one(&mut self) -> bool {
        let Some((version, key)) = self.changes.pop_front() else { return false };
        // Not below an earlier floor: a late event leaves the queue after newer ones.
        self.floor = self.floor.max(version);
        if self.newest.get(&key).is_some_and(|known| known.version == version) {
            self.newest.remove(&key);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Admission::{New, NewIfHeld, Old};
    use super::*;

    fn key(n: u64) -> Key {
        Key::cluster_scoped(&format!("k{n}")).expect("a valid name")
    }

    fn order(floor: u64) -> Order {
        let mut order = Order::default();
        order.restart(Some(&floor.to_string().into()), true);
        order
    }

    #[test]
    fn a_late_event_is_news_and_a_repeated_one_is_not() {
        let mut order = order(10);
        assert_eq!(order.admit(key(1).as_ref(), Some("12"), false), New);
        assert_eq!(
            order.admit(key(2).as_ref(), Some("11"), false),
            New,
            "its key knows nothing newer"
        );
        assert_eq!(order.admit(key(1).as_ref(), Some("12"), false), Old, "repeated");
        assert_eq!(order.admit(key(1).as_ref(), Some("11"), false), Old, "backward");
        assert_eq!(order.admit(key(3).as_ref(), Some("10"), false), Old, "part of the list");
        assert_eq!(order.admit(key(1).as_ref(), Some("x1"), false), New, "no order known");
        assert_eq!(order.admit(key(1).as_ref(), None, false), New, "no order known");
    }

    #[test]
    fn a_deletion_may_carry_the_version_that_it_deletes() {
        let mut order = order(10);
        assert_eq!(order.admit(key(1).as_ref(), Some("5"), true), NewIfHeld);
        assert_eq!(order.admit(key(2).as_ref(), Some("11"), false), New);
        assert_eq!(order.admit(key(2).as_ref(), Some("5"), true), Old, "it changed since");
        assert_eq!(order.admit(key(2).as_ref(), Some("11"), true), New);
        assert_eq!(order.admit(key(2).as_ref(), Some("11"), true), Old, "repeated");
        assert_eq!(order.admit(key(2).as_ref(), Some("11"), false), Old, "late");
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_counts_as_known() {
        let mut order = order(0);
        for version in 1..=12_288 {
            assert_eq!(order.admit(key(version).as_ref(), Some(&version.to_string()), false), New);
        }
        assert_eq!((order.changes.len() + 1, order.newest.len()), (4096, 4096));
        assert_eq!(order.admit(key(1).as_ref(), Some("1"), false), Old);
        // Among the last 4,096 a repeated event is told from a late one.
        assert_eq!(order.admit(key(9_000).as_ref(), Some("9000"), false), Old);
        assert_eq!(order.admit(key(0).as_ref(), Some("9000"), false), New);
    }

    #[test]
    fn memory_is_bounded_behind_a_version_far_ahead() {
        let mut order = order(10);
        assert_eq!(order.admit(key(0).as_ref(), Some("1000000000000"), false), New);
        for version in 12..20_000 {
            order.admit(key(version).as_ref(), Some(&version.to_string()), false);
        }
        assert_eq!((order.changes.len() + 1, order.newest.len()), (4096, 4096));
        assert_eq!(order.admit(key(0).as_ref(), Some("19000"), false), Old);
    }

    #[test]
    fn a_late_event_that_is_forgotten_makes_nothing_before_it_news() {
        let mut order = order(0);
        assert_eq!(order.admit(key(1).as_ref(), Some("10"), false), New);
        assert_eq!(order.admit(key(2).as_ref(), Some("5"), false), New);
        for version in 11..11 + 4096 {
            order.admit(key(version).as_ref(), Some(&version.to_string()), false);
        }
        assert_eq!(order.admit(key(3).as_ref(), Some("7"), false), Old);
    }

    #[test]
    fn changes_of_keys_that_nobody_wants_belong_to_their_version() {
        let mut order = order(10);
        order.pass(Some("11"));
        assert_eq!(order.unfinished(), None);
        order.pass(Some("11"));
        assert_eq!(order.unfinished(), Some(11));
    }

    #[test]
    fn any_number_of_changes_may_carry_one_version() {
        let mut order = order(10);
        for n in 0..20_000 {
            assert_eq!(order.admit(key(n).as_ref(), Some("11"), n % 2 == 0), New, "change {n}");
        }
        assert_eq!(order.admit(key(0).as_ref(), Some("11"), true), Old, "repeated");
        assert_eq!(order.unfinished(), Some(11));
        assert_eq!(order.admit(key(0).as_ref(), Some("12"), false), New);
        assert_eq!((order.unfinished(), order.changes.len()), (None, 4095), "11 is complete");
        assert_eq!(order.admit(key(20_001).as_ref(), Some("11"), false), Old);
    }

    #[test]
    fn without_an_order_everything_is_news() {
        let mut order = Order::default();
        for version in [None, Some("eyJtMSI6IjEifQ".into())] {
            order.restart(version.as_ref(), true);
            for _ in 0..5_000 {
                assert_eq!(order.admit(key(1).as_ref(), Some("7"), false), New);
            }
        }
    }
}
