//! One resource split among several processes.

use std::sync::Arc;

use crate::keyed::Keyed;
use crate::{Batch, Change, KeyRef, Listing, Object, Refused, Sink};

/// One of several shards of all keys, of about the same size: with `count` processes of which each
/// mirrors its own shard, every object is in exactly one of them.
///
/// The hash is FNV-1a (64 bit) of `namespace/name`, or of the name alone, mixed by MurmurHash3's
/// finaliser, because FNV's low bits follow the text's pattern; its range is cut in `count` parts. It
/// is the same in every process, build and version of this crate.
///
/// ```
/// use watchcache::Key;
/// use watchcache::reflector::Shard;
///
/// let key = Key::namespaced("default", "web-0")?;
/// let owners = (0..3).filter_map(|index| Shard::by_key(index, 3)).filter(|shard| shard.owns(&key));
/// assert_eq!(owners.count(), 1);
/// assert!(Shard::by_key(3, 3).is_none(), "there is no fourth of three");
/// # Ok::<(), watchcache::KeyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
    whole_namespaces: bool,
}

impl Shard {
    /// The shard `index` of `count`, split by key; `None` unless `index` is below `count`.
    #[must_use]
    pub fn by_key(index: u32, count: u32) -> Option<Self> {
        (index < count).then_some(Self { index, count, whole_namespaces: false })
    }

    /// As [`by_key`](Self::by_key), but a namespace is in one shard as a whole. An object without a
    /// namespace counts by its name.
    ///
    /// ```
    /// use watchcache::reflector::Shard;
    ///
    /// let shards: Vec<_> = (0..3).filter_map(|index| Shard::by_namespace(index, 3)).collect();
    /// let owns = |key: &str| shards.iter().position(|shard| shard.owns(key));
    /// assert_eq!(owns("shop/web"), owns("shop/db"));
    /// assert!(owns("shop/web").is_some());
    /// ```
    #[must_use]
    pub fn by_namespace(index: u32, count: u32) -> Option<Self> {
        (index < count).then_some(Self { index, count, whole_namespaces: true })
    }

    /// Returns whether the key is in this shard.
    #[must_use]
    pub fn owns<'k>(&self, key: impl Into<KeyRef<'k>>) -> bool {
        let key = key.into();
        let hash = match key.namespace() {
            Some(namespace) if self.whole_namespaces => hash([namespace]),
            Some(namespace) => hash([namespace, "/", key.name()]),
            None => hash([key.name()]),
        };
        (u128::from(hash) * u128::from(self.count)) >> 64 == u128::from(self.index)
    }

    /// A sink that passes on only this shard. For the shard of a whole reflector,
    /// [`ReflectorBuilder::shard`](super::ReflectorBuilder::shard) costs less.
    #[must_use]
    pub fn of<S>(self, sink: S) -> ShardOf<S> {
        ShardOf { shard: self, sink }
    }
}

/// A sink that sees one [`Shard`] of its input.
///
/// One reflector, and its content in two stores:
///
/// ```
/// use std::sync::Arc;
/// use watchcache::reflector::{Shard, ShardOf};
/// use watchcache::{Key, KeyError, Listing, Sink, Store};
///
/// let stores = [(); 2].map(|()| Arc::new(Store::<Key>::new()));
/// let shards = (0..2).filter_map(|index| Shard::by_key(index, 2));
/// let sinks: Vec<ShardOf<_>> = shards.zip(stores.clone()).map(|(shard, it)| shard.of(it)).collect();
/// // As a reflector does that has them as sinks:
/// let keys = (0..100).map(|index| format!("a/{index}").parse::<Key>());
/// let listing = Listing::new(keys.collect::<Result<Vec<_>, _>>()?, None)?;
/// sinks.iter().for_each(|sink| sink.replace(&listing));
/// assert!(stores.iter().all(|store| store.len() < 100));
/// assert_eq!(stores[0].len() + stores[1].len(), 100);
/// # Ok::<(), KeyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ShardOf<S> {
    shard: Shard,
    sink: S,
}

impl<S> ShardOf<S> {
    fn own<T>(&self, batch: &Batch<T>) -> Batch<T> {
        let mut own = Batch::new();
        for (key, change) in batch.changes() {
            if self.shard.owns(key) {
                own.changes_mut().push(key, Change::clone(change));
            }
        }
        if let Some(version) = batch.resource_version() {
            own.set_resource_version(version.clone());
        }
        own.set_versions(batch.versions());
        own
    }

    fn own_of<T: Object>(&self, listing: &Listing<T>) -> Listing<T> {
        let mut own = Keyed::new();
        for (key, object) in listing.objects().filter(|(key, _)| self.shard.owns(*key)) {
            own.push(key, Arc::clone(object));
        }
        let own = Listing::from_list(own, listing.resource_version().cloned());
        own.with_versions(listing.versions())
    }
}

impl<T: Object, S: Sink<T>> Sink<T> for ShardOf<S> {
    fn apply(&self, batch: &Batch<T>) {
        self.sink.apply(&self.own(batch));
    }

    fn replace(&self, listing: &Listing<T>) {
        self.sink.replace(&self.own_of(listing));
    }

    fn apply_reporting(&self, batch: &Batch<T>) -> Vec<Refused> {
        self.sink.apply_reporting(&self.own(batch))
    }

    fn replace_reporting(&self, listing: &Listing<T>) -> Vec<Refused> {
        self.sink.replace_reporting(&self.own_of(listing))
    }

    fn resync(&self, batch: &Batch<T>) {
        self.sink.resync(&self.own(batch));
    }

    fn held(&self, key: KeyRef<'_>, uid: Option<&str>, resource_version: &str) -> Option<Arc<T>> {
        self.sink.held(key, uid, resource_version)
    }

    fn is_current(&self, key: KeyRef<'_>, resource_version: &str) -> Option<bool> {
        if self.shard.owns(key) { self.sink.is_current(key, resource_version) } else { None }
    }

    fn is_held(&self, key: KeyRef<'_>, resource_version: &str) -> Option<bool> {
        if self.shard.owns(key) { self.sink.is_held(key, resource_version) } else { None }
    }

    fn current(&self, key: KeyRef<'_>) -> Option<Arc<T>> {
        if self.shard.owns(key) { self.sink.current(key) } else { None }
    }

    fn failed(&self, error: &(dyn std::error::Error + 'static)) {
        self.sink.failed(error);
    }

    fn ended(&self, error: Option<&(dyn std::error::Error + 'static)>) {
        self.sink.ended(error);
    }
}

fn hash<'t>(text: impl IntoIterator<Item = &'t str>) -> u64 {
    mixed(fnv1a(text))
}

/// <http://www.isthe.com/chongo/tech/comp/fnv/>
fn fnv1a<'t>(text: impl IntoIterator<Item = &'t str>) -> u64 {
    text.into_iter().flat_map(str::bytes).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// MurmurHash3's `fmix64`: each bit of the result depends on all of the hash.
fn mixed(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published vectors: processes of different builds must agree.
    #[test]
    fn the_hash_is_fnv_1a_finished_by_murmur3() {
        assert_eq!(fnv1a([]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(["a"]), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(["foo", "bar"]), 0x8594_4171_f739_67e8);
        assert_eq!((mixed(0), mixed(1)), (0, 0xb456_bcfc_34c2_cb2c));
    }

    /// What processes that already run have agreed on.
    #[test]
    fn keys_stay_in_their_shards() {
        let owner = |key: &str| (0..8).find(|i| Shard::by_key(*i, 8).is_some_and(|s| s.owns(key)));
        let owners = ["default/web-0", "default/web-1", "node-1", "kube-system/coredns"].map(owner);
        assert_eq!(owners, [6, 1, 4, 7].map(Some));
    }
}
