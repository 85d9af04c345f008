//! Which keys change most, of late.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use watchcache::{Batch, Key, Listing, Sink};

use crate::mirrored::Mirrored;

/// What is older than two of these is forgotten.
const WINDOW: Duration = Duration::from_secs(60);

/// A sink that counts what a watch brings, by key. Deletions count, and a key that comes again goes on
/// where it was.
#[derive(Debug)]
pub(super) struct Changes {
    counted: Mutex<Counted>,
    /// So many keys at once, in each window.
    most: usize,
}

/// How often a key has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hot {
    pub(super) key: Key,
    pub(super) at_least: u64,
    pub(super) at_most: u64,
}

/// In the window that is running, and in the one before it.
#[derive(Debug)]
struct Counted {
    since: Instant,
    /// Windows that have passed since then.
    passed: u64,
    now: Frequent,
    before: Frequent,
}

/// The most frequent keys of a stream, with Space-Saving (Metwally, Agrawal and El Abbadi, "Efficient
/// computation of frequent and top-k elements in data streams", 2005): a key for which there is no room
/// takes the place of the least frequent one, and its count, which is how far it may be too high.
#[derive(Debug)]
struct Frequent {
    most: usize,
    counts: HashMap<Key, Count>,
    by_count: BTreeSet<(u64, Key)>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    count: u64,
    error: u64,
}

impl Changes {
    pub(super) fn new(most: usize) -> Self {
        Self { counted: Mutex::new(Counted::new(most)), most }
    }

    /// The keys that changed most, the first of them first; and over how long that is.
    pub(super) fn hottest(&self, limit: usize) -> (Vec<Hot>, Duration) {
        let mut counted = self.lock();
        let over = counted.advance();
        let mut all = counted.all();
        drop(counted);
        // Of equal ones always the same.
        all.sort_unstable_by(|a, b| {
            (b.at_least, b.at_most).cmp(&(a.at_least, a.at_most)).then_with(|| a.key.cmp(&b.key))
        });
        all.truncate(limit);
        (all, over)
    }

    /// Begins to count.
    pub(super) fn clear(&self) {
        *self.lock() = Counted::new(self.most);
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink<Mirrored> for Changes {
    fn apply(&self, batch: &Batch<Mirrored>) {
        let mut counted = self.lock();
        counted.advance();
        for (key, _) in batch.changes() {
            let Ok(found) = key.to_key() else { continue };
            if counted.now.counts.contains_key(&found) {
                counted.now.add(found);
            } else if let Ok(copy) = Key::new(key.namespace(), key.name()) {
                // A copy: the batch's keys are one allocation, which a clone would keep.
                counted.now.add(copy);
            }
        }
    }

    fn replace(&self, _: &Listing<Mirrored>) {
        // A list says how things are, not how often they have changed.
    }
}

impl Counted {
    fn new(most: usize) -> Self {
        let frequent = || Frequent::new(most);
        Self { since: Instant::now(), passed: 0, now: frequent(), before: frequent() }
    }

    /// Forgets what is too old. Returns how long what is left has been counted.
    fn advance(&mut self) -> Duration {
        let elapsed = self.since.elapsed();
        self.advance_to(elapsed.as_secs() / WINDOW.as_secs());
        elapsed - WINDOW * u32::try_from(self.passed.saturating_sub(1)).unwrap_or(u32::MAX)
    }

    fn advance_to(&mut self, passed: u64) {
        for _ in 0..passed.saturating_sub(self.passed).min(2) {
            let next = Frequent::new(self.now.most);
            self.before = std::mem::replace(&mut self.now, next);
        }
        self.passed = passed;
    }

    fn all(&self) -> Vec<Hot> {
        let (now, before) = (&self.now, &self.before);
        let only_before = before.counts.keys().filter(|key| !now.counts.contains_key(*key));
        let keys = now.counts.keys().chain(only_before);
        keys.map(|key| {
            let [now, before] = [now, before].map(|window| window.count_of(key));
            let at_most = now.count + before.count;
            Hot { key: key.clone(), at_least: at_most - now.error - before.error, at_most }
        })
        .collect()
    }
}

impl Frequent {
    fn new(most: usize) -> Self {
        Self { most, counts: HashMap::new(), by_count: BTreeSet::new() }
    }

    fn add(&mut self, key: Key) {
        let mut count = Count { count: 0, error: 0 };
        if let Some(known) = self.counts.get(&key) {
            count = *known;
            self.by_count.remove(&(count.count, key.clone()));
        } else if self.counts.len() >= self.most
            && let Some((least, coldest)) = self.by_count.pop_first()
        {
            self.counts.remove(&coldest);
            count = Count { count: least, error: least };
        }
        count.count += 1;
        self.by_count.insert((count.count, key.clone()));
        self.counts.insert(key, count);
    }

    /// One that is not there was not more frequent than the least frequent that is, if all places are
    /// taken; otherwise it has not come.
    fn count_of(&self, key: &Key) -> Count {
        let full = self.counts.len() >= self.most;
        let least = self.by_count.first().filter(|_| full).map_or(0, |(least, _)| *least);
        self.counts.get(key).copied().unwrap_or(Count { count: least, error: least })
    }
}

#[cfg(test)]
mod tests {
    use watchcache::reflector::{Decode, Encoded};

    use super::*;

    fn change(changes: &Changes, names: impl Iterator<Item = String>) {
        let mut batch = Batch::new();
        for name in names {
            let json = format!(r#"{{"metadata":{{"name":"{name}"}}}}"#);
            let object = Mirrored::decode(Encoded::from_json(&json), None).expect("an object");
            batch.add(object).expect("a key");
        }
        changes.apply(&batch);
    }

    fn hottest(changes: &Changes, limit: usize) -> Vec<(String, u64, u64)> {
        let (hottest, _) = changes.hottest(limit);
        let named = hottest.iter().map(|hot| (hot.key.to_string(), hot.at_least, hot.at_most));
        named.collect()
    }

    #[test]
    fn what_changes_most_stays_however_much_changes() {
        let changes = Changes::new(100);
        for round in 0..3 {
            for _ in 0..5 {
                change(&changes, ["warm", "hot", "hot"].map(str::to_owned).into_iter());
            }
            change(&changes, (0..100).map(|i| format!("cold-{round}-{i}")));
        }
        let exact = |name: &str, count| (name.to_owned(), count, count);
        assert_eq!(hottest(&changes, 2), [exact("hot", 30), exact("warm", 15)]);
        assert!(changes.lock().now.counts.len() <= 100);
        changes.clear();
        assert_eq!(hottest(&changes, 2), []);
    }

    #[test]
    fn what_cannot_be_counted_exactly_has_bounds() {
        let changes = Changes::new(100);
        // Each of more keys than there are places for, in turn, as a resync changes them.
        for _ in 0..4 {
            change(&changes, (0..150).map(|i| format!("cold-{i}")));
        }
        change(&changes, (0..50).map(|_| "late".to_owned()));
        let all = hottest(&changes, 1_000);
        assert_eq!((&*all[0].0, all[0].1), ("late", 50), "{all:?}");
        for (key, at_least, at_most) in &all[1..] {
            assert!((*at_least..=*at_most).contains(&4), "{key}: {at_least} to {at_most}");
        }
    }

    #[test]
    fn what_was_hot_is_forgotten() {
        let changes = Changes::new(100);
        let passed = |passed: u64| {
            changes.lock().advance_to(passed);
            let all = changes.lock().all();
            all.iter().map(|hot| hot.at_least).sum::<u64>()
        };
        change(&changes, ["early"; 3].map(str::to_owned).into_iter());
        assert_eq!((passed(0), passed(1), passed(2)), (3, 3, 0));
        changes.lock().now.add("late".parse().expect("a key"));
        assert_eq!((passed(3), passed(9)), (1, 0));
    }
}
