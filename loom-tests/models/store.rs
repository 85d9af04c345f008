//! What the store's models share: an engine that looks at its readers after each write, and frees at
//! once what it can.

use std::sync::Arc;

use super::engine::{Engine, WriteGuard};
use crate::{KeyRef, Object};

pub const A: &str = "ns/a";
pub const B: &str = "ns/b";

pub fn engine() -> Arc<Engine<u32>> {
    Arc::new(Engine::with_patience(7, |_| 0, (0, 0)))
}

pub fn put(guard: &mut WriteGuard<'_, u32>, key: &str, object: impl Into<Arc<u32>>) {
    let key = guard.hash(KeyRef::from(key));
    let put = guard.slot(key).put(&object.into(), 0);
    assert!(put.is_ok(), "there is no index to fail");
}

pub fn delete(guard: &mut WriteGuard<'_, u32>, key: &str) -> Option<Arc<u32>> {
    let key = guard.hash(KeyRef::from(key));
    guard.slot(key).delete()
}

/// One put, published.
pub fn write(engine: &Engine<u32>, key: &str, object: impl Into<Arc<u32>>) {
    put(&mut engine.write(), key, object);
}

/// Frees all that can be freed.
pub fn collect(engine: &Engine<u32>) {
    engine.write().collect(usize::MAX);
}

/// What becomes of both keys, published at once.
pub fn write_both(engine: &Engine<u32>, a: u32, b: Option<u32>) {
    let mut guard = engine.write();
    put(&mut guard, A, a);
    match b {
        Some(b) => put(&mut guard, B, b),
        None => drop(delete(&mut guard, B)),
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
