//! A sink that counts.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use watchcache::{Batch, Change, Key, KeyRef, Listing, Object, Sink};

/// Counts a stream's objects by a value, and keeps the most that there ever were of each. It sees every
/// single change, in the source's order.
pub struct Most<T> {
    value: fn(&T) -> Option<Arc<str>>,
    counts: Mutex<HashMap<Arc<str>, Count>>,
}

/// Those that are there, and the most that ever were.
type Count = (HashSet<Key>, usize);

impl<T> Most<T> {
    pub fn by(value: fn(&T) -> Option<Arc<str>>) -> Self {
        Self { value, counts: Mutex::default() }
    }

    pub fn of(&self, value: &str) -> usize {
        self.counts.lock().expect("no holder panics").get(value).map_or(0, |(_, most)| *most)
    }

    fn put(&self, key: KeyRef<'_>, object: Option<&T>) {
        let Ok(key) = key.to_key() else { return };
        let value = object.and_then(self.value);
        let mut counts = self.counts.lock().expect("no holder panics");
        counts.values_mut().for_each(|(there, _)| {
            there.remove(&key);
        });
        if let Some(value) = value {
            let (there, most) = counts.entry(value).or_default();
            there.insert(key);
            *most = there.len().max(*most);
        }
    }
}

impl<T: Object> Sink<T> for Most<T> {
    fn apply(&self, batch: &Batch<T>) {
        for (key, change) in batch.changes() {
            match change {
                Change::Add(object) => self.put(key, Some(object)),
                Change::Delete(_) => self.put(key, None),
            }
        }
    }

    fn replace(&self, listing: &Listing<T>) {
        let mut counts = self.counts.lock().expect("no holder panics");
        counts.values_mut().for_each(|(there, _)| there.clear());
        drop(counts);
        listing.objects().for_each(|(key, object)| self.put(key, Some(object)));
    }
}
