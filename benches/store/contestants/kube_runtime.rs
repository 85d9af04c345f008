//! The store of kube-runtime's reflector. It hashes with ahash, and copies each object it is given.

use std::sync::Arc;

use kube::runtime::reflector::store::Writer as StoreWriter;
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::runtime::watcher::Event;
pub use watchcache_benches::KubeItem as Item;
use watchcache_benches::names;

use super::{Reader, Walk, Writer};

pub const NAME: &str = "kube-runtime";

pub fn filled(objects: usize) -> (Store<Item>, StoreWriter<Item>) {
    let (reader, mut writer) = store();
    replace(&mut writer, &listing(objects));
    (reader, writer)
}

/// A relist of everything in its first version.
pub fn listing(objects: usize) -> Vec<Event<Item>> {
    (0..objects).map(|i| Event::InitApply(Item::new(i, 1))).collect()
}

pub fn replace(writer: &mut StoreWriter<Item>, listing: &[Event<Item>]) {
    writer.apply_watcher_event(&Event::Init);
    for event in listing {
        writer.apply_watcher_event(event);
    }
    writer.apply_watcher_event(&Event::InitDone);
}

pub fn object_ref(namespace: &str, name: &str) -> ObjectRef<Item> {
    ObjectRef::new(name).within(namespace)
}

impl Reader for Store<Item> {
    /// Namespace and name, of which its users build an `ObjectRef` to look something up.
    type Key = (String, String);
    type Object = Item;

    fn key(i: usize) -> (String, String) {
        names(i)
    }

    fn get(&self, (namespace, name): &(String, String)) -> Option<Arc<Item>> {
        Store::get(self, &object_ref(namespace, name))
    }
}

impl Walk for Store<Item> {
    fn list(&self) -> impl Sized {
        self.state()
    }

    fn sum(&self) -> u64 {
        // Its one way to walk without copying: a search that finds nothing.
        let sum = std::cell::Cell::new(0);
        let _ = self.find(|item| {
            sum.set(sum.get() + item.body[0]);
            false
        });
        sum.get()
    }
}

impl Writer for StoreWriter<Item> {
    type Batch = Arc<[Event<Item>]>;
    type Spent = Self::Batch;

    fn batch(objects: impl Iterator<Item = usize>, version: u64) -> Self::Batch {
        objects.map(|i| Event::Apply(Item::new(i, version))).collect()
    }

    fn apply(&mut self, batch: Self::Batch) -> Self::Batch {
        for event in &*batch {
            self.apply_watcher_event(event);
        }
        batch
    }
}
