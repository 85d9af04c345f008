//! What the store's models share: an engine that looks at its readers after each write, and frees at
//! once what it can.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::abort;
use std::sync::Arc;

use super::engine::{Engine, WriteGuard};
use crate::sync::{Lifetime, random_hasher};
use crate::{KeyRef, Object};

pub const A: &str = "ns/a";
pub const B: &str = "ns/b";

/// What the engine keeps. Reading one that was dropped fails, and so does dropping one that is read.
pub struct Thing(u32, Lifetime);

// SAFETY: loom fails the model at an access that is not ordered with the others.
unsafe impl Sync for Thing {}

impl Thing {
    pub fn new(number: u32) -> Arc<Self> {
        let this = Arc::new(Self(number, Lifetime::new()));
        // It stays allocated, for whoever reads it after its end.
        std::mem::forget(Arc::downgrade(&this));
        this
    }

    pub fn read(&self) -> u32 {
        self.1.visit();
        self.0
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        // A destructor's panic is contained by the engine, and the model would pass.
        catch_unwind(AssertUnwindSafe(|| self.1.end())).unwrap_or_else(|_| abort());
    }
}

pub fn engine() -> Arc<Engine<Thing>> {
    Arc::new(Engine::with_patience(random_hasher(), |_| 0, (0, 0)))
}

/// The bucket where a probe for a key begins in a table of so many.
fn home(key: &str, buckets: u64) -> u64 {
    let hash = KeyRef::from(key).hash_with(&random_hasher());
    (u64::from(hash as u32) * buckets) >> 32
}

pub const NAMES: [&str; 14] = [
    "ns/0", "ns/1", "ns/2", "ns/3", "ns/4", "ns/5", "ns/6", "ns/7", "ns/8", "ns/9", "ns/10",
    "ns/11", "ns/12", "ns/13",
];

/// So many keys whose probes begin in one bucket of a table of so many; the smallest has two.
pub fn neighbours<const KEYS: usize>(buckets: u64) -> [&'static str; KEYS] {
    let mut keys = NAMES.into_iter().filter(|key| home(key, buckets) == 0);
    std::array::from_fn(|_| keys.next().expect("there are enough names"))
}

pub fn put(guard: &mut WriteGuard<'_, Thing>, key: &str, number: u32) {
    put_object(guard, key, Thing::new(number));
}

pub fn put_object(guard: &mut WriteGuard<'_, Thing>, key: &str, object: Arc<Thing>) {
    let key = guard.hash(KeyRef::from(key));
    let put = guard.slot(key).put(&object, 0);
    assert!(put.is_ok(), "there is no index to fail");
}

pub fn delete(guard: &mut WriteGuard<'_, Thing>, key: &str) -> Option<u32> {
    let key = guard.hash(KeyRef::from(key));
    Some(guard.slot(key).delete()?.read())
}

/// One put, published.
pub fn write(engine: &Engine<Thing>, key: &str, number: u32) {
    put(&mut engine.write(), key, number);
}

/// Frees all that can be freed.
pub fn collect(engine: &Engine<Thing>) {
    engine.write().collect(usize::MAX);
}

/// What becomes of both keys, published at once.
pub fn write_both(engine: &Engine<Thing>, a: u32, b: Option<u32>) {
    let mut guard = engine.write();
    put(&mut guard, A, a);
    match b {
        Some(b) => put(&mut guard, B, b),
        None => _ = delete(&mut guard, B),
    }
    guard.publish();
}

/// An object of a key, told from others of it by a number.
pub struct Item(pub &'static str, pub u32);

impl Object for Item {
    fn key(&self) -> KeyRef<'_> {
        self.0.into()
    }
}
