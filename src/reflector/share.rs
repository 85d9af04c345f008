//! One resource split among several processes.

use std::sync::Arc;

use crate::{Batch, Change, Key, KeyRef, Listing, Object, Sink};

/// One of several equal shares of all keys: with `count` processes of which each mirrors its own
/// share, every object is in exactly one of them.
///
/// The hash is FNV-1a (64 bit), the same in every process, build and version of this crate.
///
/// ```
/// use watchcache::Key;
/// use watchcache::reflector::Share;
///
/// let key = Key::namespaced("default", "web-0")?;
/// let owners = (0..3).filter_map(|index| Share::by_key(index, 3)).filter(|share| share.owns(&key));
/// assert_eq!(owners.count(), 1);
/// assert!(Share::by_key(3, 3).is_none(), "there is no fourth of three");
/// # Ok::<(), watchcache::KeyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    index: u32,
    count: u32,
    whole_namespaces: bool,
}

impl Share {
    /// The share `index` of `count`, split by key; `None` unless `index` is below `count`.
    #[must_use]
    pub fn by_key(index: u32, count: u32) -> Option<Self> {
        (index < count).then_some(Self { index, count, whole_namespaces: false })
    }

    /// As [`by_key`](Self::by_key), but all of a namespace is in one share. An object without a
    /// namespace counts by its name.
    #[must_use]
    pub fn by_namespace(index: u32, count: u32) -> Option<Self> {
        (index < count).then_some(Self { index, count, whole_namespaces: true })
    }

    /// Whether the key is in this share.
    #[must_use]
    pub fn owns(&self, key: &Key) -> bool {
        self.owns_ref(key.as_ref())
    }

    pub(super) fn owns_ref(&self, key: KeyRef<'_>) -> bool {
        let hash = match key.namespace() {
            Some(namespace) if self.whole_namespaces => fnv1a([namespace]),
            Some(namespace) => fnv1a([namespace, "/", key.name()]),
            None => fnv1a([key.name()]),
        };
        hash % u64::from(self.count) == u64::from(self.index)
    }

    /// A sink that passes only this share on. A whole reflector's share costs less by
    /// [`Builder::share`](super::Builder::share).
    #[must_use]
    pub fn of<S>(self, sink: S) -> ShareOf<S> {
        ShareOf { share: self, sink }
    }
}

/// A sink that sees one [`Share`] of what comes.
#[derive(Clone, Debug)]
pub struct ShareOf<S> {
    share: Share,
    sink: S,
}

impl<T: Object, S: Sink<T>> Sink<T> for ShareOf<S> {
    fn apply(&self, batch: &Batch<T>) {
        let mut own = Batch::new();
        for (key, change) in batch.changes() {
            if self.share.owns(key) {
                own.push(key.clone(), Change::clone(change));
            }
        }
        if let Some(version) = batch.resource_version() {
            own.set_resource_version(version.clone());
        }
        self.sink.apply(&own);
    }

    fn replace(&self, listing: &Listing<T>) {
        let own = listing.objects().iter().filter(|(key, _)| self.share.owns(key));
        let own = own.map(|(key, object)| (key.clone(), Arc::clone(object))).collect();
        self.sink.replace(&Listing::from_keyed(own, listing.resource_version().cloned()));
    }

    fn held(&self, key: KeyRef<'_>, uid: Option<&str>, resource_version: &str) -> Option<Arc<T>> {
        self.sink.held(key, uid, resource_version)
    }
}

/// <http://www.isthe.com/chongo/tech/comp/fnv/>; Kubernetes shards lists by it too (KEP-5866).
fn fnv1a<'t>(text: impl IntoIterator<Item = &'t str>) -> u64 {
    text.into_iter().flat_map(str::bytes).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published vectors: processes of different builds must agree.
    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(fnv1a([]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(["a"]), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(["foo", "bar"]), 0x8594_4171_f739_67e8);
    }
}
