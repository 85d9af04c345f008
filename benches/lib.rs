//! The workload that all benches share.

use watchcache::{Key, KeyError, Object};

/// A cached object of 128 bytes beside its key.
#[derive(Debug)]
pub struct Item {
    key: Key,
    version: String,
    /// Stands for the object's content.
    pub body: [u64; 16],
}

impl Item {
    /// The `i`th object, in this version. Keys are 40 bytes and in no particular order.
    ///
    /// # Panics
    /// Never: the key is made of valid parts.
    #[must_use]
    pub fn new(i: usize, version: u64) -> Self {
        Self { key: key(i), version: version.to_string(), body: [version; 16] }
    }
}

/// The `i`th key.
///
/// # Panics
/// Never: the key is made of valid parts.
#[must_use]
pub fn key(i: usize) -> Key {
    // An odd multiplier permutes the 64-bit numbers, so names are distinct and look random.
    let scattered = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    Key::namespaced(&format!("namespace-{:04}", i % 100), &format!("web-{scattered:020}"))
        .expect("both parts are valid")
}

impl Object for Item {
    fn key(&self) -> Result<Key, KeyError> {
        Ok(self.key.clone())
    }

    fn resource_version(&self) -> Option<&str> {
        Some(&self.version)
    }
}
