//! Which keys change most.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use watchcache::{Batch, Key, Listing, Sink};

use crate::mirrored::Mirrored;

/// A sink that counts what a watch brings, by key. Deletions count, and a key that comes again goes on
/// where it was.
#[derive(Debug)]
pub(super) struct Changes {
    counted: Mutex<HashMap<Key, u64>>,
    /// So many keys at once.
    most: usize,
}

impl Changes {
    pub(super) fn new(most: usize) -> Self {
        Self { counted: Mutex::default(), most }
    }

    /// The keys that changed most, the first of them first.
    pub(super) fn hottest(&self, limit: usize) -> Vec<(Key, u64)> {
        let counted = self.lock();
        let mut all: Vec<_> = counted.iter().map(|(key, count)| (key.clone(), *count)).collect();
        drop(counted);
        // Of equal ones always the same.
        all.sort_unstable_by(|(a, more), (b, than)| than.cmp(more).then_with(|| a.cmp(b)));
        all.truncate(limit);
        all
    }

    /// Begins to count.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, u64>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink<Mirrored> for Changes {
    fn apply(&self, batch: &Batch<Mirrored>) {
        let mut counted = self.lock();
        for (key, _) in batch.changes() {
            let Ok(found) = key.to_key() else { continue };
            match counted.get_mut(&found) {
                Some(count) => *count += 1,
                // A copy: the batch's keys are one allocation, which the clone would keep.
                None => {
                    counted.extend(Key::new(key.namespace(), key.name()).map(|key| (key, 1)));
                }
            }
        }
        if counted.len() > self.most {
            forget_the_coldest(&mut counted);
        }
    }

    fn replace(&self, _: &Listing<Mirrored>) {
        // A list says how things are, not how often they have changed.
    }
}

/// Half of them, so that it happens seldom. What is hot has changed much more often than these.
fn forget_the_coldest(counted: &mut HashMap<Key, u64>) {
    let mut counts: Vec<_> = counted.values().copied().collect();
    let middle = counts.len() / 2;
    let (_, median, _) = counts.select_nth_unstable(middle);
    counted.retain(|_, count| *count > *median);
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

    #[test]
    fn what_changes_most_stays_however_much_changes() {
        let changes = Changes::new(100);
        for round in 0..3 {
            for _ in 0..5 {
                change(&changes, ["warm", "hot", "hot"].map(str::to_owned).into_iter());
            }
            change(&changes, (0..100).map(|i| format!("cold-{round}-{i}")));
        }
        let hottest = changes.hottest(2);
        let named: Vec<_> = hottest.iter().map(|(key, count)| (key.name(), *count)).collect();
        assert_eq!(named, [("hot", 30), ("warm", 15)]);
        assert!(changes.lock().len() <= 100);
        changes.clear();
        assert_eq!(changes.hottest(2), []);
    }
}
