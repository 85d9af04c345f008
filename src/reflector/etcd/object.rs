//! Decoding a key and its value into an object.

use std::fmt;
use std::sync::Arc;

use etcd_client::KeyValue;

use super::watch::version;
use crate::panic::catch_as_sentence;
use crate::reflector::{Interest, Item, Undecodable, WatchEvent};
use crate::{Key, KeyError, KeyRef, Object, ResourceVersion};

/// A value of etcd, and the revisions in which its key was created and last changed.
///
/// It has the labels that [`EtcdSource::labels`](super::EtcdSource::labels) finds in the value, and the
/// size that [`EtcdSource::sizes`](super::EtcdSource::sizes) returns for it.
///
/// ```
/// # #![allow(dead_code)]
/// use watchcache::reflector::EtcdObject;
///
/// /// Whether the key was deleted and made anew between two states of it.
/// fn is_another<V>(old: &EtcdObject<V>, new: &EtcdObject<V>) -> bool {
///     old.create_revision() != new.create_revision()
/// }
/// ```
pub struct EtcdObject<V> {
    key: Key,
    value: V,
    /// The revisions as text, which is what versions and uids are.
    created: Box<str>,
    modified: Box<str>,
    size: usize,
    label: Arc<Label<V>>,
}

/// Looks up a value's label; the same for all values of a source.
type Label<V> = dyn for<'a> Fn(&'a V, &str) -> Option<&'a str> + Send + Sync;

impl<V> EtcdObject<V> {
    /// The value.
    #[must_use]
    pub fn value(&self) -> &V {
        &self.value
    }

    /// The revision in which the key was created; it distinguishes the key from an earlier one of the
    /// same name.
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
    fn key(&self) -> KeyRef<'_> {
        self.key.as_ref()
    }

    fn uid(&self) -> Option<&str> {
        Some(&self.created)
    }

    fn resource_version(&self) -> Option<&str> {
        Some(&self.modified)
    }

    fn label(&self, name: &str) -> Option<&str> {
        (self.label)(&self.value, name)
    }

    fn size(&self) -> usize {
        self.size
    }
}

impl<V: fmt::Debug> fmt::Debug for EtcdObject<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdObject")
            .field("key", &self.key)
            .field("value", &self.value)
            .field("created", &self.created)
            .field("modified", &self.modified)
            .finish_non_exhaustive()
    }
}

/// The namespace under which etcd keys that are not a [`Key`] are listed as quarantined. No object has
/// it.
const NO_KEY: &str = "\u{fffd}";

type Decode<V> = Box<dyn Fn(&[u8]) -> Result<V, String> + Send + Sync>;
type Keys = Box<dyn Fn(&str) -> Result<Key, String> + Send + Sync>;
type Sizes<V> = Box<dyn Fn(&V) -> usize + Send + Sync>;

pub(super) struct Decoder<V> {
    prefix: Arc<[u8]>,
    decode: Decode<V>,
    keys: Keys,
    label: Arc<Label<V>>,
    /// What a value keeps behind pointers; by default, as much as it takes in etcd.
    sizes: Option<Sizes<V>>,
}

impl<V: Send + Sync + 'static> Decoder<V> {
    pub(super) fn new<E: fmt::Display>(
        prefix: Arc<[u8]>,
        decode: impl Fn(&[u8]) -> Result<V, E> + Send + Sync + 'static,
    ) -> Self {
        Self {
            prefix,
            decode: Box::new(move |value| decode(value).map_err(|error| error.to_string())),
            keys: Box::new(parsed),
            label: Arc::new(|_: &V, _: &str| None),
            sizes: None,
        }
    }

    pub(super) fn set_keys(
        &mut self,
        keys: impl Fn(&str) -> Result<Key, KeyError> + Send + Sync + 'static,
    ) {
        self.keys = Box::new(move |rest| keys(rest).map_err(|error| error.to_string()));
    }

    pub(super) fn set_label(
        &mut self,
        label: impl for<'a> Fn(&'a V, &str) -> Option<&'a str> + Send + Sync + 'static,
    ) {
        self.label = Arc::new(label);
    }

    pub(super) fn set_sizes(&mut self, sizes: impl Fn(&V) -> usize + Send + Sync + 'static) {
        self.sizes = Some(Box::new(sizes));
    }

    /// The key; the error is one to list it by, and why it is invalid.
    fn key(&self, kv: &KeyValue) -> Result<Key, (Option<Key>, String)> {
        let rest = kv.key().strip_prefix(&*self.prefix).unwrap_or(kv.key());
        let no_key = |error: String| (listed_as(rest), error);
        let text =
            std::str::from_utf8(rest).map_err(|error| no_key(format!("the key is {error}")))?;
        let key = catch_as_sentence(|| (self.keys)(text)).flatten().map_err(no_key)?;
        match key {
            key if key.namespace() == Some(NO_KEY) => {
                Err(no_key("it stands for no key".to_owned()))
            }
            key => Ok(key),
        }
    }

    /// A key and value of a list; `None` if the reflector does not need it.
    pub(super) fn item(
        &self,
        kv: &KeyValue,
        interest: Option<&Interest<EtcdObject<V>>>,
    ) -> Option<Item<EtcdObject<V>>> {
        let key = self.key(kv);
        if let (Some(interest), Ok(key)) = (interest, &key) {
            if !interest.wants(key.as_ref()) {
                return None;
            }
            let [created, modified] = revisions(kv);
            if let Some(object) = interest.held(key.as_ref(), Some(&created), &modified) {
                return Some(Item::Held(object));
            }
        }
        Some(match self.object(key, kv) {
            Ok(object) => Item::Object(object),
            Err(bad) => Item::Undecodable(*bad),
        })
    }

    /// A change of a key; `None` if the reflector does not need it.
    pub(super) fn event(
        &self,
        kv: &KeyValue,
        deleted: bool,
        interest: Option<&Interest<EtcdObject<V>>>,
    ) -> Option<WatchEvent<EtcdObject<V>>> {
        let key = self.key(kv);
        if let (Some(interest), Ok(key)) = (interest, &key)
            && !interest.wants(key.as_ref())
        {
            return None;
        }
        Some(match (deleted, key) {
            (true, Ok(key)) => WatchEvent::Gone { key, version: version(kv.mod_revision()) },
            (true, Err((key, error))) => WatchEvent::Undecodable(Undecodable {
                deleted: true,
                ..*undecodable(key, error, kv)
            }),
            (false, key) => match self.object(key, kv) {
                Ok(object) if kv.create_revision() == kv.mod_revision() => {
                    WatchEvent::Added(object)
                }
                Ok(object) => WatchEvent::Modified(object),
                Err(bad) => WatchEvent::Undecodable(*bad),
            },
        })
    }

    fn object(
        &self,
        key: Result<Key, (Option<Key>, String)>,
        kv: &KeyValue,
    ) -> Result<Arc<EtcdObject<V>>, Box<Undecodable>> {
        let key = key.map_err(|(key, error)| undecodable(key, error, kv))?;
        let value = match catch_as_sentence(|| (self.decode)(kv.value())).flatten() {
            Ok(value) => value,
            Err(error) => return Err(undecodable(Some(key), error, kv)),
        };
        let [created, modified] = revisions(kv).map(Into::<Box<str>>::into);
        let kept = match &self.sizes {
            Some(sizes) => match catch_as_sentence(|| sizes(&value)) {
                Ok(size) => size,
                Err(error) => return Err(undecodable(Some(key), error, kv)),
            },
            None => kv.value().len(),
        };
        let size = size_of::<EtcdObject<V>>()
            + [key.as_str(), &created, &modified].map(str::len).into_iter().sum::<usize>()
            + kept;
        let label = Arc::clone(&self.label);
        Ok(Arc::new(EtcdObject { key, value, created, modified, size, label }))
    }
}

/// What follows the prefix, as a key. If that begins with a '/', the folder's own was left out of the prefix: as a
/// text, some of what is in it would be a key without a namespace, and some none.
fn parsed(rest: &str) -> Result<Key, String> {
    if rest.starts_with('/') {
        return Err("a '/' follows the prefix, which has to end in it".to_owned());
    }
    rest.parse().map_err(|error: KeyError| error.to_string())
}

/// An invalid key in the form of one that no object has: bytes that are no text are written as `%` and two
/// digits, and so is a `%`.
fn listed_as(rest: &[u8]) -> Option<Key> {
    let mut name = String::new();
    for chunk in rest.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '%' => name.push_str("%25"),
                c => name.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| name.push_str(&format!("%{byte:02X}")));
    }
    // The prefix itself may be a key, too.
    let name = if name.is_empty() { "%" } else { &name };
    Key::namespaced(NO_KEY, name).ok()
}

fn revisions(kv: &KeyValue) -> [String; 2] {
    [kv.create_revision(), kv.mod_revision()].map(|revision| revision.to_string())
}

fn undecodable(key: Option<Key>, error: String, kv: &KeyValue) -> Box<Undecodable> {
    Box::new(Undecodable {
        key,
        resource_version: Some(ResourceVersion::from(kv.mod_revision().to_string())),
        error: format!("{}: {error}", String::from_utf8_lossy(kv.key())),
        raw: Some(String::from_utf8_lossy(kv.value()).into()),
        deleted: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_listed_by_one_that_tells_it_apart() {
        let listed = |rest: &[u8]| listed_as(rest).map(|key| key.to_string());
        assert_eq!(listed(b"a/").as_deref(), Some("\u{fffd}/a/"));
        assert_eq!(listed(b"a%2F/").as_deref(), Some("\u{fffd}/a%252F/"));
        assert_eq!(listed(b"\xffx").as_deref(), Some("\u{fffd}/%FFx"));
        assert_eq!(listed(b"").as_deref(), Some("\u{fffd}/%"));
    }

    #[test]
    fn a_prefix_without_the_slash_of_its_folder_makes_no_keys() {
        let parsed = |rest| parsed(rest).map(|key| key.to_string());
        assert_eq!(parsed("web/0"), Ok("web/0".to_owned()));
        for rest in ["/web/0", "/web", "//"] {
            assert!(parsed(rest).is_err_and(|error| error.contains("prefix")), "{rest}");
        }
    }
}
