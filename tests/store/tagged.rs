//! An object with tags to index by, whose index function fails on some.

use watchcache::{KeyRef, Object, Store};

#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) key: &'static str,
    pub(crate) version: u64,
    text: String,
    tags: Vec<&'static str>,
}

impl Object for Pod {
    fn key(&self) -> KeyRef<'_> {
        self.key.into()
    }

    fn resource_version(&self) -> Option<&str> {
        assert!(!self.tags.contains(&"bomb"), "this object explodes");
        Some(&self.text)
    }
}

pub(crate) fn pod(key: &'static str, version: u64, tags: &[&'static str]) -> Pod {
    Pod { key, version, text: version.to_string(), tags: tags.to_vec() }
}

pub(crate) fn tags(pod: &Pod) -> Result<Vec<&'static str>, String> {
    assert!(!pod.tags.contains(&"panic"), "no tags here");
    if pod.tags.contains(&"error") { Err("bad tag".to_owned()) } else { Ok(pod.tags.clone()) }
}

pub(crate) fn tagged() -> Store<Pod> {
    Store::builder().try_index("tag", tags).build()
}

pub(crate) fn keys(store: &Store<Pod>, tag: &str) -> Vec<String> {
    let snapshot = store.snapshot();
    snapshot.by_index("tag", tag).unwrap().map(|(key, _)| key.to_string()).collect()
}
