//! The name of an object: a namespace (absent for cluster-scoped objects) and a name.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

/// The name under which an object is cached: `namespace/name`, or `name` for a cluster-scoped object.
///
/// One shared allocation, so a clone is a reference-count increment. Keys order by namespace, then
/// name, with cluster-scoped keys first.
///
/// ```
/// use watchcache::Key;
///
/// let key: Key = "kube-system/coredns".parse()?;
/// assert_eq!(key.namespace(), Some("kube-system"));
/// assert_eq!(key.name(), "coredns");
/// assert_eq!(key.to_string(), "kube-system/coredns");
/// assert_eq!(Key::cluster_scoped("node-1")?.namespace(), None);
/// assert_eq!("a/b/c".parse::<Key>().unwrap_err().to_string(),
///            "key \"a/b/c\" has more than one '/': expected \"namespace/name\" or \"name\"");
/// # Ok::<(), watchcache::KeyError>(())
/// ```
#[derive(Clone)]
pub struct Key {
    text: Arc<str>,
    /// Length of the namespace; 0 means cluster-scoped, since a namespace is never empty.
    namespace_len: usize,
}

impl Key {
    /// The longest namespace, and the longest name, in bytes. Kubernetes allows 63 and 253.
    pub const MAX_PART: usize = 64 * 1024;

    /// A key within a namespace.
    ///
    /// # Errors
    /// If either part is empty, contains `/`, or is longer than [`MAX_PART`](Self::MAX_PART).
    pub fn namespaced(namespace: &str, name: &str) -> Result<Self, KeyError> {
        if namespace.is_empty() {
            return Err(KeyError::EmptyNamespace(format!("/{name}")));
        }
        KeyRef { namespace, name }.to_key()
    }

    /// A key of a cluster-scoped object.
    ///
    /// # Errors
    /// If the name is empty, contains `/`, or is longer than [`MAX_PART`](Self::MAX_PART).
    pub fn cluster_scoped(name: &str) -> Result<Self, KeyError> {
        KeyRef { namespace: "", name }.to_key()
    }

    /// A key from an optional namespace, as API objects carry it: `None` and `""` mean cluster-scoped.
    ///
    /// # Errors
    /// As [`Key::namespaced`] and [`Key::cluster_scoped`].
    pub fn new(namespace: Option<&str>, name: &str) -> Result<Self, KeyError> {
        KeyRef::from((namespace, name)).to_key()
    }

    /// The namespace, or `None` for a cluster-scoped object.
    #[must_use]
    #[inline]
    pub fn namespace(&self) -> Option<&str> {
        (self.namespace_len > 0).then(|| &self.text[..self.namespace_len])
    }

    /// The name without its namespace.
    #[must_use]
    #[inline]
    pub fn name(&self) -> &str {
        match self.namespace_len {
            0 => &self.text,
            n => &self.text[n + 1..],
        }
    }

    /// The whole key as `namespace/name` or `name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The borrowed form, as lookups take it.
    #[must_use]
    #[inline]
    pub fn as_ref(&self) -> KeyRef<'_> {
        KeyRef { namespace: self.namespace().unwrap_or(""), name: self.name() }
    }
}

/// A borrowed [`Key`]: what lookups take and objects [return](crate::Object::key), built without
/// allocating.
///
/// Made from `"namespace/name"` or `"name"`, from a `(namespace, name)` pair, or from a `&Key`. Making
/// one never fails: text that is no valid key names nothing when it is looked up, and is refused where a
/// key becomes owned.
///
/// ```
/// use watchcache::{Key, KeyRef};
///
/// let key = Key::namespaced("default", "web-0")?;
/// assert_eq!(KeyRef::from("default/web-0"), key.as_ref());
/// assert_eq!(KeyRef::from(("default", "web-0")), key.as_ref());
/// assert!(KeyRef::from("default/").check().is_err());
/// # Ok::<(), watchcache::KeyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyRef<'a> {
    // Field order gives the ordering: "" (cluster-scoped) sorts before every namespace.
    namespace: &'a str,
    name: &'a str,
}

impl<'a> KeyRef<'a> {
    /// The namespace, or `None` for a cluster-scoped object.
    #[must_use]
    pub fn namespace(&self) -> Option<&'a str> {
        (!self.namespace.is_empty()).then_some(self.namespace)
    }

    /// The name without its namespace.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Namespace, empty for a cluster-scoped object, and name.
    #[inline]
    pub(crate) fn parts(self) -> (&'a str, &'a str) {
        (self.namespace, self.name)
    }

    /// Whether this can be a [`Key`]. Allocates only for an error.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), KeyError> {
        let Self { namespace, name } = *self;
        if name.is_empty() {
            return Err(match namespace {
                "" => KeyError::Empty,
                _ => KeyError::EmptyName(self.to_string()),
            });
        }
        if namespace.contains('/') || name.contains('/') {
            return Err(match name.strip_prefix('/') {
                Some(rest) if namespace.is_empty() && !rest.contains('/') => {
                    KeyError::EmptyNamespace(self.to_string())
                }
                _ => KeyError::ExtraSlash(self.to_string()),
            });
        }
        check_length(namespace)?;
        check_length(name)
    }

    /// An owned key.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn to_key(&self) -> Result<Key, KeyError> {
        self.check()?;
        Ok(self.to_key_unchecked())
    }

    /// An owned key, of parts that were checked, or came from one.
    pub(crate) fn to_key_unchecked(self) -> Key {
        let text = match self.namespace {
            "" => self.name.into(),
            namespace => [namespace, "/", self.name].concat().into(),
        };
        Key { text, namespace_len: self.namespace.len() }
    }
}

impl<'a> From<&'a str> for KeyRef<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        match text.split_once('/') {
            // Without a namespace before it, the '/' is part of a name, and no key has such a name.
            Some(("", _)) | None => Self { namespace: "", name: text },
            Some((namespace, name)) => Self { namespace, name },
        }
    }
}

impl<'a> From<&'a String> for KeyRef<'a> {
    #[inline]
    fn from(text: &'a String) -> Self {
        text.as_str().into()
    }
}

impl<'a> From<(&'a str, &'a str)> for KeyRef<'a> {
    #[inline]
    fn from((namespace, name): (&'a str, &'a str)) -> Self {
        Self { namespace, name }
    }
}

impl<'a> From<(Option<&'a str>, &'a str)> for KeyRef<'a> {
    #[inline]
    fn from((namespace, name): (Option<&'a str>, &'a str)) -> Self {
        Self { namespace: namespace.unwrap_or(""), name }
    }
}

impl<'a> From<&'a Key> for KeyRef<'a> {
    #[inline]
    fn from(key: &'a Key) -> Self {
        key.as_ref()
    }
}

// Sound because `Key` hashes and compares through its borrowed form.
impl hashbrown::Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.as_ref()
    }
}

impl fmt::Display for KeyRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace {
            "" => f.write_str(self.name),
            namespace => write!(f, "{namespace}/{}", self.name),
        }
    }
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no text at all.
    #[error("key is empty: expected \"namespace/name\" or \"name\"")]
    Empty,
    /// Nothing stands before the `/`.
    #[error("key {0:?} has an empty namespace: leave out the '/' for a cluster-scoped object")]
    EmptyNamespace(String),
    /// Nothing stands after the `/`.
    #[error("key {0:?} has an empty name")]
    EmptyName(String),
    /// More than one `/`.
    #[error("key {0:?} has more than one '/': expected \"namespace/name\" or \"name\"")]
    ExtraSlash(String),
    /// A part is longer than [`Key::MAX_PART`].
    #[error(
        "a part of a key has {length} bytes, more than the {} allowed: {start:?}...",
        Key::MAX_PART
    )]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// How it begins.
        start: String,
    },
}

fn check_length(part: &str) -> Result<(), KeyError> {
    if part.len() <= Key::MAX_PART {
        return Ok(());
    }
    Err(KeyError::TooLong { length: part.len(), start: part.chars().take(32).collect() })
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        KeyRef::from(text).to_key()
    }
}

impl TryFrom<&str> for Key {
    type Error = KeyError;

    fn try_from(text: &str) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.as_str())
    }
}

// Equality, order and hash all go through the borrowed form, so that the two agree.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}
