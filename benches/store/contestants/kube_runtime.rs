//! The store of kube-runtime's reflector. It hashes with ahash, and copies each object it is given.

use std::borrow::Cow;
use std::sync::Arc;

use kube::Resource;
use kube::core::ObjectMeta;
use kube::runtime::reflector::store::Writer as StoreWriter;
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::runtime::watcher::Event;
use watchcache_benches::names;

use super::{Reader, Walk, Writer};

pub const NAME: &str = "kube-runtime";

/// The benches' object as kube's users have it: under an `ObjectMeta`.
#[derive(Clone, Debug)]
pub struct Item {
    meta: ObjectMeta,
    pub number: u64,
    pub body: [u64; 10],
}

impl Item {
    pub fn new(i: usize, version: u64) -> Self {
        let (namespace, name) = names(i);
        let meta = ObjectMeta {
            namespace: Some(namespace),
            name: Some(name),
            resource_version: Some(version.to_string()),
            ..ObjectMeta::default()
        };
        Self { meta, number: i as u64, body: [version; 10] }
    }
}

impl Resource for Item {
    type DynamicType = ();
    type Scope = kube::core::NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Item".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "bench.watchcache".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "items".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

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
