//! The benches' object as kube's users have it.

use std::borrow::Cow;

use kube::Resource;
use kube::core::ObjectMeta;

use crate::names;

/// The benches' object under an `ObjectMeta`.
#[derive(Clone, Debug)]
pub struct KubeItem {
    meta: ObjectMeta,
    /// Which object this is.
    pub number: u64,
    /// Stands for the object's content.
    pub body: [u64; 10],
}

impl KubeItem {
    /// The `i`th object, in this version.
    #[must_use]
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

impl Resource for KubeItem {
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
