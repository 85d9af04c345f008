//! What is stored: an object with a sum of itself, poisoned when it is dropped, so that whoever reads
//! freed memory is caught even without a sanitizer.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use watchcache::store::Index;
use watchcache::{Key, KeyRef, Object};

/// Objects made and objects dropped, of this whole process.
pub(crate) static MADE: AtomicU64 = AtomicU64::new(0);
pub(crate) static DROPPED: AtomicU64 = AtomicU64::new(0);

pub(crate) static BY_PARITY: LazyLock<Index<Item, u64>> =
    LazyLock::new(|| Index::new("parity", |item: &Item| [item.number % 2]));

/// No two objects have the same value.
pub(crate) static BY_NUMBER: LazyLock<Index<Item, u64>> =
    LazyLock::new(|| Index::new("number", |item: &Item| [item.number]));

pub(crate) struct Item {
    pub(crate) key: Key,
    pub(crate) number: u64,
    version: String,
    check: AtomicU64,
}

impl Item {
    /// A new object under the `key`th key, with a number above all earlier ones as its version.
    pub(crate) fn new(key: u64) -> Self {
        let number = MADE.fetch_add(1, Ordering::Relaxed) + 1;
        Self { key: name(key), version: number.to_string(), number, check: AtomicU64::new(!number) }
    }

    pub(crate) fn verify(&self) {
        assert_eq!(self.check.load(Ordering::Relaxed), !self.number, "a freed object was read");
    }
}

/// The `i`th key, in one of three namespaces.
pub(crate) fn name(i: u64) -> Key {
    Key::namespaced(["a", "b", "c"][i as usize % 3], &format!("{i:05}")).unwrap()
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.verify();
        self.check.store(0xdead, Ordering::Relaxed);
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

impl Object for Item {
    fn key(&self) -> KeyRef<'_> {
        (&self.key).into()
    }

    fn resource_version(&self) -> Option<&str> {
        Some(&self.version)
    }
}
