//! Objects that the source has but that could not be decoded.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Undecodable;
use crate::{Key, ResourceVersion};

/// How much raw text is kept in all, in bytes; entries past it are listed without theirs.
const RAW_LIMIT: usize = 16 << 20;

/// An object that the source has in a version that could not be decoded.
///
/// A cache holds the key's last good version, if there was one since the last list, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quarantined {
    /// What is wrong with it.
    pub error: String,
    /// Its version, if that could be read.
    pub resource_version: Option<ResourceVersion>,
    /// The object as the source wrote it, unless texts of 16 MiB are already kept.
    pub raw: Option<Arc<str>>,
}

#[derive(Debug, Default)]
pub(super) struct Quarantine {
    entries: BTreeMap<Key, Quarantined>,
    raw_bytes: usize,
}

impl Quarantine {
    pub(super) fn insert(&mut self, bad: Undecodable) {
        let Some(key) = bad.key else { return };
        self.remove(&key);
        let raw = bad.raw.filter(|raw| self.raw_bytes + raw.len() <= RAW_LIMIT);
        self.raw_bytes += raw.as_ref().map_or(0, |raw| raw.len());
        let entry = Quarantined { error: bad.error, resource_version: bad.resource_version, raw };
        self.entries.insert(key, entry);
    }

    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(raw) = self.entries.remove(key).and_then(|entry| entry.raw) {
            self.raw_bytes -= raw.len();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Quarantined> {
        self.entries.get(key)
    }

    pub(super) fn to_vec(&self) -> Vec<(Key, Quarantined)> {
        self.entries.iter().map(|(key, entry)| (key.clone(), entry.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_raw_texts_are_bounded_and_the_entries_are_not() {
        let mut quarantine = Quarantine::default();
        let text: Arc<str> = "x".repeat(RAW_LIMIT / 2).into();
        let bad = |name| Undecodable {
            key: Key::cluster_scoped(name).ok(),
            raw: Some(Arc::clone(&text)),
            ..Undecodable::default()
        };
        for name in ["a", "b", "c"] {
            quarantine.insert(bad(name));
        }
        let kept = |q: &Quarantine| {
            q.to_vec().iter().map(|(_, entry)| entry.raw.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(kept(&quarantine), [true, true, false]);
        quarantine.remove(&Key::cluster_scoped("a").expect("valid"));
        quarantine.insert(bad("c"));
        assert_eq!(kept(&quarantine), [true, true]);
    }
}
