//! Objects that tell when they are dropped, so that a store that frees what somebody still sees is
//! caught in ordinary builds: a reader asks the ledger before it reads.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use watchcache::{KeyRef, Object, Snapshot};

/// What the destructor does after the ledger has been told.
type AtDrop = Box<dyn FnOnce() + Send + Sync>;

/// Counts the drops of each object by its number.
#[derive(Default)]
pub struct Ledger {
    drops: Mutex<Vec<u32>>,
    /// Panicking destructors panic only while this is set, so that a test can end in peace.
    pub disarmed: AtomicBool,
}

impl Ledger {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A new object under this key, with its number as its version.
    pub fn canary(self: &Arc<Self>, key: &str) -> Canary {
        let mut drops = self.drops();
        drops.push(0);
        let number = drops.len() as u64;
        Canary {
            key: key.to_owned(),
            version: number.to_string(),
            number,
            check: AtomicU64::new(!number),
            ledger: Arc::clone(self),
            at_drop: None,
        }
    }

    fn drops(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        self.drops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_dropped(&self, number: u64) -> bool {
        self.drops()[number as usize - 1] > 0
    }

    /// Objects made and not dropped.
    pub fn alive(&self) -> usize {
        self.drops().iter().filter(|&&drops| drops == 0).count()
    }

    /// Fails unless every object that was ever made has been dropped exactly once.
    pub fn assert_all_dropped_once(&self) {
        let drops = self.drops();
        let wrong: Vec<_> =
            (1..).zip(drops.iter()).filter(|(_, drops)| **drops != 1).take(10).collect();
        assert!(
            wrong.is_empty(),
            "objects not dropped exactly once, as (number, drops): {wrong:?}"
        );
    }
}

/// An object with a number, that checks itself and tells the ledger of its end.
pub struct Canary {
    pub key: String,
    pub version: String,
    pub number: u64,
    check: AtomicU64,
    ledger: Arc<Ledger>,
    at_drop: Option<AtDrop>,
}

impl Canary {
    /// Of another version than its number.
    pub fn version(mut self, version: u64) -> Self {
        self.version = version.to_string();
        self
    }

    /// Its destructor panics.
    pub fn panics(self) -> Self {
        let ledger = Arc::clone(&self.ledger);
        let number = self.number;
        self.at_drop(move || {
            if !ledger.disarmed.load(Ordering::Relaxed) {
                // A panic that says nothing aloud: there are thousands.
                resume_unwind(Box::new(format!("the destructor of {number} panics")));
            }
        })
    }

    /// Its destructor does this.
    pub fn at_drop(mut self, at_drop: impl FnOnce() + Send + Sync + 'static) -> Self {
        self.at_drop = Some(Box::new(at_drop));
        self
    }

    pub fn verify(&self) {
        assert_eq!(self.check.load(Ordering::Relaxed), !self.number, "a freed object was read");
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.check.store(0xdead, Ordering::Relaxed);
        self.ledger.drops()[self.number as usize - 1] += 1;
        if let Some(at_drop) = self.at_drop.take() {
            at_drop();
        }
    }
}

impl Object for Canary {
    fn key(&self) -> KeyRef<'_> {
        (&self.key).into()
    }

    fn uid(&self) -> Option<&str> {
        Some("uid")
    }

    fn resource_version(&self) -> Option<&str> {
        Some(&self.version)
    }
}

/// A snapshot, and what it must show for as long as it lives.
pub struct Witness {
    snapshot: Snapshot<Canary>,
    shows: BTreeMap<String, u64>,
    ledger: Arc<Ledger>,
}

impl Witness {
    /// Of a snapshot whose content is right now.
    pub fn new(snapshot: Snapshot<Canary>) -> Self {
        let ledger = snapshot.objects().next().map(|canary| Arc::clone(&canary.ledger));
        let shows = snapshot.iter().map(|(key, canary)| (key.to_string(), canary.number)).collect();
        Self { snapshot, shows, ledger: ledger.unwrap_or_default() }
    }

    /// Fails if the snapshot has lost anything; looks at no object that is gone.
    pub fn verify(&self) {
        for (key, number) in &self.shows {
            assert!(
                !self.ledger.is_dropped(*number),
                "{key} of a live snapshot was freed: object {number}"
            );
        }
        for (key, number) in &self.shows {
            let found = self.snapshot.get(key).expect("it was there");
            found.verify();
            assert_eq!(found.number, *number, "{key} is another object than it was");
        }
        let walked: BTreeMap<_, _> =
            self.snapshot.iter().map(|(key, canary)| (key.to_string(), canary.number)).collect();
        assert_eq!(walked, self.shows, "a walk differs from what it was");
        let ordered: Vec<_> = self.snapshot.prefix("").map(|(_, canary)| canary.number).collect();
        let listed: Vec<_> = self.snapshot.list().iter().map(|canary| canary.number).collect();
        assert_eq!((ordered.len(), listed.len()), (self.shows.len(), self.shows.len()));
    }
}

/// Does something in which user code may panic. The panic goes no further, nor does one of its payload's
/// destructor. Whether it panicked.
pub fn panicked<R>(act: impl FnOnce() -> R) -> bool {
    let result = catch_unwind(AssertUnwindSafe(|| drop(act())));
    result.is_err_and(|payload| {
        let payload = catch_unwind(AssertUnwindSafe(|| drop(payload)));
        // The payload of the payload's panic, which has no end otherwise.
        payload.map_err(std::mem::forget).ok();
        true
    })
}
