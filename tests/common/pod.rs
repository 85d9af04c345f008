//! The object that most tests cache.

use watchcache::{KeyRef, Object};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    pub key: String,
    pub uid: String,
    pub resource_version: String,
}

impl Pod {
    pub fn new(key: &str, version: u64) -> Self {
        Self { key: key.to_owned(), uid: "uid".to_owned(), resource_version: version.to_string() }
    }

    pub fn with_uid(mut self, uid: &str) -> Self {
        self.uid = uid.to_owned();
        self
    }

    pub fn version(&self) -> u64 {
        self.resource_version.parse().expect("made from a number")
    }
}

impl Object for Pod {
    fn key(&self) -> KeyRef<'_> {
        (&self.key).into()
    }

    fn uid(&self) -> Option<&str> {
        Some(&self.uid)
    }

    fn resource_version(&self) -> Option<&str> {
        Some(&self.resource_version)
    }
}
