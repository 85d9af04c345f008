//! The contestants of one size, each filled when it is first asked for.

use std::sync::Arc;

use kube::runtime::reflector::{Store as KubeStore, store::Writer as KubeWriter};
use watchcache::{Key, Store};
use watchcache_benches::{Item, cluster_scoped, shuffled};

use crate::contestants::{
    Borrow, Reader, dashmap, hashbrown_unsync, kube_runtime, papaya, rwlock_hashmap,
    watchcache as ours,
};

/// A value that is made when it is first used, so that a filter skips its making too.
pub struct Lazy<T> {
    make: fn(usize) -> T,
    objects: usize,
    made: Option<T>,
}

impl<T> Lazy<T> {
    pub fn new(objects: usize, make: fn(usize) -> T) -> Self {
        Self { make, objects, made: None }
    }

    pub fn get(&mut self) -> &mut T {
        self.made.get_or_insert_with(|| (self.make)(self.objects))
    }
}

/// A store with all objects in it.
pub struct Filled<R: Reader, W> {
    pub reader: R,
    /// The keys of all objects, in random order and in memory of their own.
    pub keys: Vec<R::Key>,
    pub writer: W,
}

impl<R: Reader, W> Filled<R, W> {
    fn new(objects: usize, (reader, writer): (R, W)) -> Self {
        Self { reader, keys: shuffled(objects).into_iter().map(R::key).collect(), writer }
    }
}

impl<R: Borrow<Key = Key>> Filled<R, ()> {
    /// Of keys without a namespace.
    pub fn cluster_scoped(objects: usize, filled: impl FnOnce(Vec<Item>) -> R) -> Self {
        let items = (0..objects).map(|i| Item::under(cluster_scoped(i), i, 1)).collect();
        let keys = shuffled(objects).into_iter().map(cluster_scoped).collect();
        Self { reader: filled(items), keys, writer: () }
    }
}

/// A store that is shared by cloning a handle.
type Shared<S> = Lazy<Filled<S, S>>;

pub struct Field {
    pub objects: usize,
    pub watchcache: Shared<Arc<Store<Item>>>,
    pub hashbrown_unsync: Shared<hashbrown_unsync::Map>,
    pub rwlock_hashmap: Shared<rwlock_hashmap::Locked>,
    pub dashmap: Shared<dashmap::Map>,
    pub papaya: Shared<papaya::Map>,
    pub kube_runtime: Lazy<Filled<KubeStore<kube_runtime::Item>, KubeWriter<kube_runtime::Item>>>,
}

impl Field {
    pub fn new(n: usize) -> Self {
        fn shared<S: Reader + Clone>(objects: usize, store: S) -> Filled<S, S> {
            Filled::new(objects, (store.clone(), store))
        }
        Self {
            objects: n,
            watchcache: Lazy::new(n, |n| shared(n, ours::filled(n))),
            // What is not synchronised cannot be shared: here the clone is a map of its own.
            hashbrown_unsync: Lazy::new(n, |n| shared(n, hashbrown_unsync::filled(n))),
            rwlock_hashmap: Lazy::new(n, |n| shared(n, rwlock_hashmap::filled(n))),
            dashmap: Lazy::new(n, |n| shared(n, dashmap::filled(n))),
            papaya: Lazy::new(n, |n| shared(n, papaya::filled(n))),
            kube_runtime: Lazy::new(n, |n| Filled::new(n, kube_runtime::filled(n))),
        }
    }
}
