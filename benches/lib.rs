//! The workload that all benches share.

mod kube_item;

use watchcache::{Key, KeyRef, Object};

pub use self::kube_item::KubeItem;

/// A cached object of 128 bytes.
#[derive(Clone, Debug)]
pub struct Item {
    /// Cloned by contestants that own their keys.
    pub key: Key,
    version: Option<Box<str>>,
    /// Which object this is.
    pub number: u64,
    /// Stands for the object's content.
    pub body: [u64; 10],
}

const _: () = assert!(size_of::<Item>() == 128, "the benches name this size");

impl Item {
    /// The `i`th object, in this version. Version 0 is none: such an object is never taken for
    /// one that is already held.
    ///
    /// # Panics
    /// Never: the key is made of valid parts.
    #[must_use]
    pub fn new(i: usize, version: u64) -> Self {
        Self::under(key(i), i, version)
    }

    /// The same under another key.
    #[must_use]
    pub fn under(key: Key, i: usize, version: u64) -> Self {
        let text = (version > 0).then(|| version.to_string().into());
        Self { key, version: text, number: i as u64, body: [version; 10] }
    }

    /// The node that the object is on: a hundred objects share one.
    #[must_use]
    pub fn node(&self) -> String {
        node(self.number as usize)
    }
}

/// The node of the `i`th object.
#[must_use]
pub fn node(i: usize) -> String {
    format!("node-{:05}", i / 100)
}

/// Namespace and name of the `i`th object.
#[must_use]
pub fn names(i: usize) -> (String, String) {
    // An odd multiplier permutes the 64-bit numbers, so names are distinct and look random.
    let scattered = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (format!("namespace-{:04}", i % 100), format!("web-{scattered:021}"))
}

/// The `i`th key, of 40 bytes.
///
/// # Panics
/// Never: the key is made of valid parts.
#[must_use]
pub fn key(i: usize) -> Key {
    let (namespace, name) = names(i);
    Key::namespaced(&namespace, &name).expect("both parts are valid")
}

/// The `i`th key without a namespace, of 40 bytes too.
///
/// # Panics
/// Never: the name is valid.
#[must_use]
pub fn cluster_scoped(i: usize) -> Key {
    let (namespace, name) = names(i);
    Key::cluster_scoped(&format!("{namespace}.{name}")).expect("the name is valid")
}

/// The numbers below `n` in an order that no prefetcher guesses; the same in every run.
#[must_use]
pub fn shuffled(n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    for i in (1..n).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(i, (state % (i as u64 + 1)) as usize);
    }
    order
}

impl Object for Item {
    fn key(&self) -> KeyRef<'_> {
        (&self.key).into()
    }

    fn resource_version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    fn size(&self) -> usize {
        // The key's text is an allocation of its own, with two counts in front of it and a word of the allocator's.
        size_of_val(self) + self.key.as_str().len() + 3 * size_of::<usize>()
    }
}
