//! What is quarantined, by key.

use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Place;

use super::Quarantined;
use crate::reflector::Undecodable;
use crate::reflector::shared::shorten;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::{Key, KeyRef, ResourceVersion};

/// How much raw text is kept in all, in bytes; entries past it are listed without theirs.
pub(super) const RAW_LIMIT: usize = 16 << 20;

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) quarantined: Quarantined,
    origin: Origin,
    /// Whether a sink refused this version, or one before it that others may have taken, and no version
    /// that all took has come since.
    pub(super) refused: bool,
}

/// How a version was found to be bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It arrived undecodable.
    Source,
    /// It arrived undecodable in a list, so that no sink holds anything for its key.
    List,
    /// It was delivered as a good object and reported afterwards.
    Report,
    /// A sink refused it.
    Sink,
}

impl Entry {
    fn raw_bytes(&self) -> usize {
        self.quarantined.raw.as_ref().map_or(0, |raw| raw.len())
    }

    /// Whether it came as a bad one of a newer version.
    fn is_newer(&self, reported: &Self) -> bool {
        let number = |entry: &Self| entry.quarantined.resource_version.as_ref()?.number();
        !self.is_reported() && number(reported).is_some() && number(self) > number(reported)
    }

    pub(super) fn is_reported(&self) -> bool {
        self.origin == Origin::Report
    }

    pub(super) fn is_report_of(&self, version: Option<&str>) -> bool {
        let reported = self.quarantined.resource_version.as_ref();
        self.is_reported() && reported.map(ResourceVersion::as_str) == version
    }
}

/// By key, with the texts bounded.
#[derive(Debug, Default)]
pub(super) struct Entries {
    by_key: DashMap<Key, Entry, foldhash::fast::RandomState>,
    len: AtomicUsize,
    raw_bytes: AtomicUsize,
}

impl Entries {
    pub(super) fn put(&self, bad: Undecodable, origin: Origin) {
        let Some(key) = bad.key else { return };
        let mut error = bad.error;
        shorten(&mut error);
        let quarantined = Quarantined {
            error,
            resource_version: bad.resource_version,
            raw: bad.raw.filter(|raw| self.reserve(raw.len())),
        };
        let mut entry = Entry { quarantined, origin, refused: origin == Origin::Sink };
        let replaced = match self.by_key.entry(key) {
            // What a sink holds, and a reader found out late, may be older than what came since and did not decode.
            Place::Occupied(place) if origin == Origin::Report && place.get().is_newer(&entry) => {
                Some(entry)
            }
            Place::Occupied(mut place) => {
                entry.refused |= place.get().refused && origin != Origin::List;
                Some(place.insert(entry))
            }
            Place::Vacant(place) => {
                place.insert(entry);
                // ORDERING: Relaxed: a count, which the fences above order where it matters.
                self.len.fetch_add(1, Ordering::Relaxed);
                None
            }
        };
        if let Some(replaced) = replaced {
            self.give_back(replaced.raw_bytes());
        }
    }

    /// Makes room for a text, if there is any left.
    fn reserve(&self, bytes: usize) -> bool {
        let more = |kept: usize| kept.checked_add(bytes).filter(|kept| *kept <= RAW_LIMIT);
        // ORDERING: Relaxed, with `give_back`: a sum that guards no other memory.
        self.raw_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        // ORDERING: Relaxed, with `reserve`.
        self.raw_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Takes the key's entry if the condition is true for it; returns whether it did.
    pub(super) fn take_if(&self, key: KeyRef<'_>, condition: impl Fn(&Entry) -> bool) -> bool {
        // The map looks up only by owned keys. It is usually empty.
        let key = key.to_key_unchecked();
        let taken = self.by_key.remove_if(&key, |_, entry| condition(entry));
        let Some((_, entry)) = &taken else { return false };
        self.give_back(entry.raw_bytes());
        // ORDERING: Relaxed, as in `put`.
        self.len.fetch_sub(1, Ordering::Relaxed);
        true
    }

    pub(super) fn len(&self) -> usize {
        // ORDERING: Relaxed, as in `put`.
        self.len.load(Ordering::Relaxed)
    }

    /// Reads the key's entry.
    pub(super) fn with<R>(&self, key: KeyRef<'_>, read: impl FnOnce(&Entry) -> R) -> Option<R> {
        if self.len() == 0 {
            return None;
        }
        // The map looks up only by owned keys.
        self.by_key.get(&key.to_key_unchecked()).map(|entry| read(&entry))
    }

    /// Reads each entry.
    pub(super) fn to_vec<R>(&self, read: impl Fn(&Entry) -> R) -> Vec<(Key, R)> {
        self.by_key.iter().map(|entry| (entry.key().clone(), read(&entry))).collect()
    }
}
