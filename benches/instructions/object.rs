//! What is cached: objects of 128 bytes, as those of the other benches.

use watchcache::{Key, KeyRef, Object};

/// An object that holds its key.
pub(crate) struct Item {
    key: Key,
    version: Box<str>,
    pub(crate) body: [u64; 11],
}

/// An object that holds its key's parts, as Kubernetes' do.
pub(crate) struct Parts {
    namespace: Box<str>,
    name: Box<str>,
    version: Box<str>,
    _body: [u64; 10],
}

/// An object with what indexes find it by.
pub(crate) struct Owned {
    key: Key,
    version: Box<str>,
    pub(crate) owner: String,
    pub(crate) zone: u64,
    _body: [u64; 8],
}

pub(crate) fn names(i: usize) -> (String, String) {
    // An odd multiplier permutes the 64-bit numbers, so names are distinct and look random.
    let scattered = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (format!("namespace-{:04}", i % 100), format!("web-{scattered:021}"))
}

pub(crate) fn key(i: usize) -> Key {
    let (namespace, name) = names(i);
    Key::namespaced(&namespace, &name).expect("both parts are valid")
}

pub(crate) fn cluster_scoped(i: usize) -> Key {
    let (namespace, name) = names(i);
    Key::cluster_scoped(&format!("{namespace}.{name}")).expect("the name is valid")
}

impl Item {
    pub(crate) fn new(key: Key, version: u64) -> Self {
        Self { key, version: version.to_string().into(), body: [version; 11] }
    }
}

impl Parts {
    pub(crate) fn new(i: usize) -> Self {
        let (namespace, name) = names(i);
        let version = "1".into();
        Self { namespace: namespace.into(), name: name.into(), version, _body: [1; 10] }
    }
}

impl Owned {
    /// Ten objects have the same owner, and one in a hundred is in the same zone. In another place each has another
    /// owner, and another zone.
    pub(crate) fn new(i: usize, version: u64, place: u64) -> Self {
        let owner = format!("owner-{}", i as u64 / 10 + place);
        let zone = (i as u64 + place) % 100;
        Self { key: key(i), version: version.to_string().into(), owner, zone, _body: [version; 8] }
    }
}

impl Object for Owned {
    fn key(&self) -> KeyRef<'_> {
        (&self.key).into()
    }

    fn resource_version(&self) -> Option<&str> {
        Some(&self.version)
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

impl Object for Parts {
    fn key(&self) -> KeyRef<'_> {
        (&*self.namespace, &*self.name).into()
    }

    fn resource_version(&self) -> Option<&str> {
        Some(&self.version)
    }
}
