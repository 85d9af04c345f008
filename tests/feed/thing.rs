//! The object that these tests cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use watchcache::{Batch, KeyRef, Listing, Object, Store};

/// An object with a value, which is its label `app` too.
#[derive(Clone, Debug)]
pub(crate) struct Thing {
    pub(crate) key: String,
    pub(crate) value: u32,
    /// Whether a look at its labels panics while this is set.
    pub(crate) trap: Option<Arc<AtomicBool>>,
}

impl Thing {
    pub(crate) fn new(key: &str, value: u32) -> Self {
        Self { key: key.to_owned(), value, trap: None }
    }
}

impl Object for Thing {
    fn key(&self) -> KeyRef<'_> {
        (&self.key).into()
    }

    fn label(&self, name: &str) -> Option<&str> {
        if self.trap.as_ref().is_some_and(|trap| trap.load(Ordering::Relaxed)) {
            panic!("no labels today");
        }
        (name == "app").then(|| app(self.value))
    }

    fn size(&self) -> usize {
        1000
    }
}

/// Objects of an even value have one label, the others another.
pub(crate) fn app(value: u32) -> &'static str {
    if value.is_multiple_of(2) { "even" } else { "odd" }
}

pub(crate) fn batch(changes: &[(&str, Option<u32>)]) -> Batch<Thing> {
    let mut batch = Batch::new();
    for (key, value) in changes {
        match value {
            Some(value) => batch.add(Thing::new(key, *value)).unwrap(),
            None => batch.delete(*key),
        };
    }
    batch
}

pub(crate) fn listing(things: &[(&str, u32)], version: Option<u64>) -> Listing<Thing> {
    let things: Vec<_> = things.iter().map(|(key, value)| Thing::new(key, *value)).collect();
    Listing::new(things, version.map(|version| version.to_string().into())).unwrap()
}

pub(crate) fn put(store: &Store<Thing>, key: &str, value: u32) {
    store.add(Thing::new(key, value)).unwrap();
}

impl PartialEq for Thing {
    fn eq(&self, other: &Self) -> bool {
        (&self.key, self.value) == (&other.key, other.value)
    }
}
