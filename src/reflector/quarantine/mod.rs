//! Objects that the source has but that could not be decoded.

mod entries;

use hashbrown::{HashMap, HashSet};

use self::entries::{Entries, Entry, Origin};
use super::Undecodable;
use crate::sync::atomic::{AtomicBool, Ordering, fence};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use crate::{Key, KeyRef, ResourceVersion};

/// An object that the source has in a version that could not be decoded, or that a sink refused.
///
/// A cache holds the key's last good version, if there was one since the last list, or nothing. An object
/// that one sink refused may be in others; a store that refused it keeps its previous object, even one
/// from before the last list.
///
/// A store whose index refuses an object:
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use watchcache::reflector::{Poll, Polled, Reflector};
/// use watchcache::store::Index;
/// use watchcache::{Key, Store};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let keys = ["port/80", "port/http"].map(|key| key.parse::<Key>().expect("a key"));
/// let source = Poll::new(Duration::from_secs(10), move || {
///     let keys = keys.to_vec();
///     async { Ok(keys) }
/// });
/// let port = |key: &Polled<Key>| key.name().parse::<u16>().map(|port| [port]);
/// let by_port = Index::try_new("port", port);
/// let store = Arc::new(Store::builder().index(&by_port).build());
/// let reflector = Reflector::builder(source).sink(store.clone()).build();
/// let monitor = reflector.monitor();
/// reflector.run(async { assert!(monitor.synced().await.is_ok()) }).await?;
///
/// let quarantined = monitor.quarantined();
/// assert_eq!((store.len(), quarantined.len()), (1, 1));
/// let (key, why) = &quarantined[0];
/// assert_eq!(key.name(), "http");
/// assert!(why.error.contains("invalid digit"));
/// # Ok::<(), watchcache::reflector::SourceError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quarantined {
    /// Why it is quarantined; of a long text the first 4 KiB.
    pub error: String,
    /// Its version, if that could be read.
    pub resource_version: Option<ResourceVersion>,
    /// The object as the source wrote it, unless texts of 16 MiB are already kept.
    pub raw: Option<Arc<str>>,
}

/// By key, and readable from any thread without waiting for the reflector.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    entries: Entries,
    /// Whether sinks are being fed: some of them may not yet have what others already show to readers.
    applying: AtomicBool,
    /// Reports that came meanwhile, or could not be verified.
    unverified: Mutex<HashMap<Key, Option<ResourceVersion>>>,
}

impl Quarantine {
    /// The newest version of a key arrived and could not be decoded.
    pub(super) fn insert(&self, bad: Undecodable) {
        self.entries.put(bad, Origin::Source);
    }

    /// A sink refused the newest version of a key.
    pub(super) fn refuse(&self, refused: Undecodable) {
        self.entries.put(refused, Origin::Sink);
    }

    /// Returns whether a sink refused the key's newest good version, which others may have taken.
    pub(super) fn is_refused(&self, key: KeyRef<'_>) -> bool {
        self.entries.with(key, |entry| entry.refused).unwrap_or(false)
    }

    /// A version that was delivered turns out to be undecodable; it is listed while `is_current` returns
    /// that it is the newest. If that is not known now, it is checked again after sinks were fed.
    pub(super) fn report(&self, bad: Undecodable, is_current: impl Fn() -> Option<bool>) {
        let (key, version) = (bad.key.clone(), bad.resource_version.clone());
        // ORDERING: Relaxed. A reader that was given an object by a sink that is being fed sees this
        // flag, through the path that the object took; a report that sees it late is verified with the
        // next batch.
        let applying = self.applying.load(Ordering::Relaxed);
        let current = if applying { None } else { is_current() };
        if current == Some(false) {
            return;
        }
        self.entries.put(bad, Origin::Report);
        let Some(key) = key else { return };
        if current.is_none() {
            self.unverified().insert(key, version);
            return;
        }
        // ORDERING: SeqCst pairs with the fence in `release_superseded`: if a report and a newer version
        // arrive at the same time, at least one sees the other.
        fence(Ordering::SeqCst);
        if is_current() == Some(false) {
            let version = version.as_ref().map(ResourceVersion::as_str);
            self.entries.take_if(key.as_ref(), |entry| entry.is_report_of(version));
        }
    }

    /// Sinks are about to be fed.
    pub(super) fn begin_applying(&self) {
        // ORDERING: Relaxed, see `report`.
        self.applying.store(true, Ordering::Relaxed);
    }

    /// Sinks were fed: reports from meanwhile that are no longer current are removed. Returns whether
    /// there were any.
    pub(super) fn end_applying(
        &self,
        is_current: impl Fn(KeyRef<'_>, &ResourceVersion) -> bool,
    ) -> bool {
        // ORDERING: Relaxed, see `report`.
        self.applying.store(false, Ordering::Relaxed);
        if self.is_empty() {
            return false;
        }
        let reported = std::mem::take(&mut *self.unverified());
        let mut any = false;
        for (key, version) in &reported {
            if let Some(version) = version
                && !is_current(key.as_ref(), version)
            {
                let version = Some(version.as_str());
                any |= self.entries.take_if(key.as_ref(), |entry| entry.is_report_of(version));
            }
        }
        any
    }

    fn unverified(&self) -> MutexGuard<'_, HashMap<Key, Option<ResourceVersion>>> {
        // A map of keys is whole after any panic.
        self.unverified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A good version of the key arrived, or, without a version, the key was deleted; returns whether it
    /// was listed. A report of this very version stays.
    pub(super) fn release(&self, key: KeyRef<'_>, version: Option<&str>) -> bool {
        self.entries.take_if(key, |entry| version.is_none() || !entry.is_report_of(version))
    }

    /// The keys are in the sinks in other versions now: reports about the versions before no longer
    /// count. Returns whether anything was listed.
    pub(super) fn release_superseded<'k>(
        &self,
        changed: impl Iterator<Item = (KeyRef<'k>, Option<&'k str>)>,
    ) -> bool {
        // ORDERING: SeqCst pairs with the fence in `report`.
        fence(Ordering::SeqCst);
        if self.is_empty() {
            return false;
        }
        let mut any = false;
        for (key, version) in changed {
            let superseded = |entry: &Entry| entry.is_reported() && !entry.is_report_of(version);
            any |= self.entries.take_if(key, superseded);
        }
        any
    }

    /// A whole list arrived: only the objects that it names as bad stay listed, and those that readers
    /// reported in a version that it holds, too.
    pub(super) fn relist<'k>(
        &self,
        bad: Vec<Undecodable>,
        listed: impl Iterator<Item = (KeyRef<'k>, Option<&'k str>)>,
    ) {
        let listed_before = self
            .entries
            .to_vec(|entry| (entry.is_reported(), entry.quarantined.resource_version.clone()));
        let reported: HashMap<Key, Option<ResourceVersion>> = listed_before
            .iter()
            .filter(|(_, (reported, _))| *reported)
            .map(|(key, (_, version))| (key.clone(), version.clone()))
            .collect();
        let mut kept: HashSet<Key> = bad.iter().filter_map(|bad| bad.key.clone()).collect();
        if !reported.is_empty() {
            kept.extend(listed.filter_map(|(key, version)| {
                let (key, known) = reported.get_key_value(&key)?;
                let known = known.as_ref().map(ResourceVersion::as_str);
                (known == version).then(|| key.clone())
            }));
        }
        for bad in bad {
            self.entries.put(bad, Origin::List);
        }
        for (key, _) in listed_before.iter().filter(|(key, _)| !kept.contains(key)) {
            self.release(key.as_ref(), None);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn get(&self, key: KeyRef<'_>) -> Option<Quarantined> {
        key.check().ok()?;
        self.entries.with(key, |entry| entry.quarantined.clone())
    }

    /// Ordered by key.
    pub(super) fn to_vec(&self) -> Vec<(Key, Quarantined)> {
        let mut listed = self.entries.to_vec(|entry| entry.quarantined.clone());
        listed.sort_by(|(one, _), (other, _)| one.cmp(other));
        listed
    }
}

#[cfg(test)]
mod tests {
    use super::entries::RAW_LIMIT;
    use super::*;

    fn key(name: &str) -> Key {
        Key::cluster_scoped(name).expect("a valid name")
    }

    fn bad(name: &str, version: &str, raw: Option<&Arc<str>>) -> Undecodable {
        Undecodable {
            key: Some(key(name)),
            resource_version: Some(version.into()),
            raw: raw.cloned(),
            ..Undecodable::default()
        }
    }

    fn names(quarantine: &Quarantine) -> Vec<String> {
        assert_eq!(quarantine.len(), quarantine.to_vec().len());
        quarantine.to_vec().iter().map(|(key, _)| key.to_string()).collect()
    }

    #[test]
    fn the_raw_texts_are_bounded_and_the_entries_are_not() {
        let quarantine = Quarantine::default();
        let text: Arc<str> = "x".repeat(RAW_LIMIT / 2).into();
        for name in ["a", "b", "c"] {
            quarantine.insert(bad(name, "1", Some(&text)));
        }
        let kept = |q: &Quarantine| {
            q.to_vec().iter().map(|(_, entry)| entry.raw.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(kept(&quarantine), [true, true, false]);
        assert!(quarantine.release("a".into(), Some("1")), "it was not reported");
        quarantine.insert(bad("c", "2", Some(&text)));
        assert_eq!(kept(&quarantine), [true, true]);
    }

    #[test]
    fn a_report_counts_while_its_version_is_current() {
        let quarantine = Quarantine::default();
        quarantine.report(bad("old", "1", None), || Some(false));
        quarantine.report(bad("new", "1", None), || Some(true));
        assert_eq!(names(&quarantine), ["new"]);
        assert!(!quarantine.release("new".into(), Some("1")), "that very version");
        assert!(!quarantine.release_superseded([("new".into(), Some("1"))].into_iter()));
        assert!(quarantine.release_superseded([("new".into(), Some("2"))].into_iter()));
        assert!(quarantine.is_empty());
        // A newer version that comes between the check and the insertion is seen afterwards.
        let asked = std::cell::Cell::new(0);
        quarantine.report(bad("late", "1", None), || {
            asked.set(asked.get() + 1);
            Some(asked.get() == 1)
        });
        assert!(quarantine.is_empty());
    }

    #[test]
    fn a_late_report_does_not_hide_what_came_since() {
        let quarantine = Quarantine::default();
        let text: Arc<str> = "x".repeat(RAW_LIMIT / 2).into();
        let version = |quarantine: &Quarantine| {
            let listed = quarantine.get("a".into()).and_then(|entry| entry.resource_version);
            listed.map(|version| version.to_string())
        };
        type Arrive = fn(&Quarantine, Undecodable);
        let arrive: [Arrive; 2] = [Quarantine::insert, Quarantine::refuse];
        for arrive in arrive {
            arrive(&quarantine, bad("a", "12", None));
            // Sinks hold the version before.
            quarantine.report(bad("a", "9", Some(&text)), || Some(true));
            assert_eq!(version(&quarantine).as_deref(), Some("12"));
            assert!(!quarantine.release_superseded([("a".into(), Some("9"))].into_iter()));
            quarantine.report(bad("a", "13", Some(&text)), || Some(true));
            assert_eq!(version(&quarantine).as_deref(), Some("13"));
            assert!(quarantine.release("a".into(), None));
        }
    }

    #[test]
    fn what_is_reported_while_sinks_are_fed_is_verified_afterwards() {
        let quarantine = Quarantine::default();
        quarantine.begin_applying();
        quarantine.report(bad("new", "2", None), || Some(false));
        quarantine.report(bad("old", "1", None), || Some(false));
        assert_eq!(names(&quarantine), ["new", "old"]);
        assert!(quarantine.end_applying(|key, _| key.name() == "new"));
        assert_eq!(names(&quarantine), ["new"]);
        assert!(!quarantine.end_applying(|_, _| false), "it was verified");
    }

    #[test]
    fn what_nobody_knew_of_is_verified_afterwards() {
        let quarantine = Quarantine::default();
        for name in ["gone", "old", "new"] {
            quarantine.report(bad(name, "1", None), || None);
        }
        assert_eq!(names(&quarantine), ["gone", "new", "old"]);
        quarantine.begin_applying();
        assert!(quarantine.end_applying(|key, _| key.name() == "new"));
        assert_eq!(names(&quarantine), ["new"]);
    }

    #[test]
    fn a_relist_keeps_what_it_holds_and_was_reported() {
        let quarantine = Quarantine::default();
        quarantine.report(bad("same", "1", None), || Some(true));
        quarantine.report(bad("changed", "1", None), || Some(true));
        quarantine.report(bad("gone", "1", None), || Some(true));
        quarantine.insert(bad("mended", "1", None));
        let listed = ["changed", "mended", "same"].map(KeyRef::from);
        let versions = [Some("2"), Some("1"), Some("1")];
        quarantine.relist(vec![bad("fresh", "3", None)], listed.into_iter().zip(versions));
        assert_eq!(names(&quarantine), ["fresh", "same"]);
    }
}
