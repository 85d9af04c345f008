//! What is cached.

use watchcache::{Key, KeyRef, Object};

/// A cached object with 128 bytes of content.
pub(crate) struct Item {
    pub(crate) key: Key,
    pub(crate) version: Option<String>,
    pub(crate) owner: String,
    pub(crate) body: [u64; 16],
}

impl Object for Item {
    fn key(&self) -> KeyRef<'_> {
        (&self.key).into()
    }

    fn resource_version(&self) -> Option<&str> {
        self.version.as_deref()
    }
}

/// The `i`th object. Keys are 40 bytes and in no particular order.
pub(crate) fn item(i: usize, version: Option<u64>) -> Item {
    let scattered = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let key =
        Key::namespaced(&format!("namespace-{:04}", i % 100), &format!("web-{scattered:020}"));
    Item {
        key: key.expect("both parts are valid"),
        version: version.map(|version| version.to_string()),
        owner: owner(i),
        body: [0; 16],
    }
}

/// Ten objects have the same owner.
pub(crate) fn owner(i: usize) -> String {
    format!("owner-{}", i / 10)
}
