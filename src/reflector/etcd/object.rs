//! A key and its value into an object.

use std::fmt;
use std::sync::Arc;

use etcd_client::KeyValue;

use crate::reflector::{Interest, Item, Undecodable};
use crate::{Key, KeyError, Object, ResourceVersion};

/// A value of etcd, and the revisions in which its key was created and last changed.
#[derive(Debug)]
pub struct EtcdObject<V> {
    key: Key,
    value: V,
    /// The revisions as text, which is what versions and uids are.
    created: Box<str>,
    modified: Box<str>,
}

impl<V> EtcdObject<V> {
    /// The value.
    #[must_use]
    pub fn value(&self) -> &V {
        &self.value
    }

    /// The revision in which the key was created; it tells a key from one that was there before.
    #[must_use]
    pub fn create_revision(&self) -> &str {
        &self.created
    }

    /// The revision of the key's last change.
    #[must_use]
    pub fn mod_revision(&self) -> &str {
        &self.modified
    }
}

impl<V: Send + Sync + 'static> Object for EtcdObject<V> {
    fn key(&self) -> Result<Key, KeyError> {
        Ok(self.key.clone())
    }

    fn uid(&self) -> Option<&str> {
        Some(&self.created)
    }

    fn resource_version(&self) -> Option<&str> {
        Some(&self.modified)
    }
}

type Decode<V> = Box<dyn Fn(&[u8]) -> Result<V, String> + Send + Sync>;
type Keys = Box<dyn Fn(&str) -> Result<Key, KeyError> + Send + Sync>;

pub(super) struct Decoder<V> {
    prefix: Arc<[u8]>,
    decode: Decode<V>,
    keys: Keys,
}

impl<V: Send + Sync + 'static> Decoder<V> {
    pub(super) fn new<E: fmt::Display>(
        prefix: Arc<[u8]>,
        decode: impl Fn(&[u8]) -> Result<V, E> + Send + Sync + 'static,
    ) -> Self {
        Self {
            prefix,
            decode: Box::new(move |value| decode(value).map_err(|error| error.to_string())),
            keys: Box::new(str::parse),
        }
    }

    pub(super) fn set_keys(
        &mut self,
        keys: impl Fn(&str) -> Result<Key, KeyError> + Send + Sync + 'static,
    ) {
        self.keys = Box::new(keys);
    }

    pub(super) fn key(&self, kv: &KeyValue) -> Result<Key, String> {
        let rest = kv.key().strip_prefix(&*self.prefix).unwrap_or(kv.key());
        let rest = std::str::from_utf8(rest).map_err(|error| format!("the key is {error}"))?;
        (self.keys)(rest).map_err(|error| error.to_string())
    }

    pub(super) fn item(
        &self,
        kv: &KeyValue,
        interest: Option<&Interest<EtcdObject<V>>>,
    ) -> Item<EtcdObject<V>> {
        if let (Some(interest), Ok(key)) = (interest, self.key(kv)) {
            let [created, modified] = revisions(kv);
            if let Some(object) = interest.held(key.as_ref(), Some(&created), &modified) {
                return Item::Held(object);
            }
        }
        match self.object(kv) {
            Ok(object) => Item::Object(object),
            Err(bad) => Item::Undecodable(*bad),
        }
    }

    pub(super) fn object(&self, kv: &KeyValue) -> Result<Arc<EtcdObject<V>>, Box<Undecodable>> {
        let key = self.key(kv).map_err(|error| undecodable(None, error, kv))?;
        match (self.decode)(kv.value()) {
            Ok(value) => {
                let [created, modified] = revisions(kv).map(Into::into);
                Ok(Arc::new(EtcdObject { key, value, created, modified }))
            }
            Err(error) => Err(undecodable(Some(key), error, kv)),
        }
    }
}

fn revisions(kv: &KeyValue) -> [String; 2] {
    [kv.create_revision(), kv.mod_revision()].map(|revision| revision.to_string())
}

pub(super) fn undecodable(key: Option<Key>, error: String, kv: &KeyValue) -> Box<Undecodable> {
    Box::new(Undecodable {
        key,
        resource_version: Some(ResourceVersion::from(kv.mod_revision().to_string())),
        error: format!("{}: {error}", String::from_utf8_lossy(kv.key())),
        raw: Some(String::from_utf8_lossy(kv.value()).into()),
        deleted: false,
    })
}
