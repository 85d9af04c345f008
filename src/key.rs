//! Keys: the namespace and name that an object is cached under, owned and borrowed.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

/// The name under which an object is cached: `namespace/name`, or `name` for a cluster-scoped object.
///
/// It is one shared allocation: cloning increments a reference count. Keys are ordered by namespace, then
/// by name; cluster-scoped keys come first.
///
/// ```
/// use watchcache::Key;
///
/// let key: Key = "kube-system/coredns".parse()?;
/// assert_eq!(key.namespace(), Some("kube-system"));
/// assert_eq!(key.name(), "coredns");
/// assert_eq!(key.to_string(), "kube-system/coredns");
/// assert_eq!(Key::cluster_scoped("node-1")?.namespace(), None);
/// assert_eq!("default/".parse::<Key>().unwrap_err().to_string(),
///            "key \"default/\" has an empty name");
/// # Ok::<(), watchcache::KeyError>(())
/// ```
///
/// # Names with slashes
///
/// In Kubernetes neither part has a `/`. A path, a URL or an object of a bucket may be a name all the same: a
/// namespace ends at the first `/`, and each further one is the name's. Where there is no namespace, the text of
/// a name with a `/` begins with another, so that each key has one text, and each text is one key or none:
///
/// ```
/// # use watchcache::Key;
/// let object: Key = "bucket/2026/11/report.csv".parse()?;
/// assert_eq!((object.namespace(), object.name()), (Some("bucket"), "2026/11/report.csv"));
///
/// let file = Key::cluster_scoped("etc/hosts")?;
/// assert_eq!((file.namespace(), file.name(), file.as_str()), (None, "etc/hosts", "/etc/hosts"));
/// assert_eq!("/etc/hosts".parse::<Key>()?, file);
/// assert_ne!("etc/hosts".parse::<Key>()?, file);
/// # Ok::<(), watchcache::KeyError>(())
/// ```
///
/// So a key is no check of a segment of a path: `..`, `a/b` and what else may be in a name come through. Who builds
/// a path or a URL from a key that strangers wrote checks it, or escapes it, there.
#[derive(Clone)]
pub struct Key {
    /// As [`KeyRef`] displays it.
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
    /// If either part is empty or longer than [`MAX_PART`](Self::MAX_PART), or the namespace contains `/`.
    pub fn namespaced(namespace: &str, name: &str) -> Result<Self, KeyError> {
        if namespace.is_empty() {
            return Err(KeyError::EmptyNamespace(format!("/{name}")));
        }
        KeyRef::from((namespace, name)).to_key()
    }

    /// A key of a cluster-scoped object.
    ///
    /// # Errors
    /// If the name is empty or longer than [`MAX_PART`](Self::MAX_PART).
    pub fn cluster_scoped(name: &str) -> Result<Self, KeyError> {
        KeyRef::from(("", name)).to_key()
    }

    /// A key from an optional namespace, as API objects carry it: `None` and `""` mean cluster-scoped.
    ///
    /// # Errors
    /// As [`Key::namespaced`] and [`Key::cluster_scoped`].
    ///
    /// ```
    /// use watchcache::Key;
    ///
    /// // As the metadata of an API object has them:
    /// assert_eq!(Key::new(Some("default"), "web")?.to_string(), "default/web");
    /// assert_eq!(Key::new(None, "node-1")?, Key::new(Some(""), "node-1")?);
    /// # Ok::<(), watchcache::KeyError>(())
    /// ```
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
        split(&self.text, self.namespace_len).1
    }

    /// The whole key as `namespace/name` or `name`; as `/name` if there is no namespace, and a `/` in the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As `self.as_ref() == key`, and cheaper: it compares lengths first, and checks no character
    /// boundaries.
    #[inline]
    pub(crate) fn is(&self, KeyRef { namespace, name, .. }: KeyRef<'_>) -> bool {
        let (text, end) = (self.text.as_bytes(), self.namespace_len);
        if end != namespace.len() {
            return false;
        }
        if end == 0 {
            return text.strip_prefix(b"/").unwrap_or(text) == name.as_bytes();
        }
        text.len() == end + 1 + name.len()
            && text[end + 1..] == *name.as_bytes()
            && text[..end] == *namespace.as_bytes()
    }

    /// The borrowed form, which lookups take.
    #[must_use]
    #[inline]
    pub fn as_ref(&self) -> KeyRef<'_> {
        let (namespace, name) = split(&self.text, self.namespace_len);
        KeyRef { namespace, name, owner: Some(self) }
    }
}

/// A borrowed [`Key`]: what lookups take and objects [return](crate::Object::key), built without
/// allocating.
///
/// Made from `"namespace/name"` or `"name"`, from a `(namespace, name)` pair, or from a `&Key`. That
/// never fails: a lookup of an invalid key finds nothing, and what would need to own it refuses it. A text is
/// split at its first `/`, a pair says what is what [whatever is in the name](Key#names-with-slashes): for paths,
/// URLs and the like, take `("", path)`.
///
/// ```
/// use watchcache::{Key, KeyRef};
///
/// let key = Key::namespaced("default", "web-0")?;
/// assert_eq!(KeyRef::from("default/web-0"), key.as_ref());
/// assert_eq!(KeyRef::from(("default", "web-0")), key.as_ref());
/// assert_eq!(KeyRef::from("/etc/hosts"), KeyRef::from(("", "etc/hosts")));
/// assert!(KeyRef::from("default/").check().is_err());
/// # Ok::<(), watchcache::KeyError>(())
/// ```
#[derive(Clone, Copy)]
pub struct KeyRef<'a> {
    /// If it is empty, it lies where the name does. Where glibc compares and copies by masked loads, one of no
    /// bytes takes a hundred cycles at an address that is not mapped, as that of an empty text may be.
    namespace: &'a str,
    name: &'a str,
    /// The key that the parts are borrowed from, if it is one: such parts are valid, and to own them is to
    /// clone it.
    owner: Option<&'a Key>,
}

impl<'a> KeyRef<'a> {
    /// The namespace, or `None` for a cluster-scoped object.
    #[inline]
    #[must_use]
    pub fn namespace(&self) -> Option<&'a str> {
        (!self.namespace.is_empty()).then_some(self.namespace)
    }

    /// The name without its namespace.
    #[inline]
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The namespace, empty for a cluster-scoped object, and the name.
    #[inline]
    pub(crate) fn parts(self) -> (&'a str, &'a str) {
        (self.namespace, self.name)
    }

    /// The key that this is borrowed from, if it is one.
    #[inline]
    pub(crate) fn owner(self) -> Option<&'a Key> {
        self.owner
    }

    /// A hash for the tables of this crate, which look keys up by either form.
    #[inline]
    pub(crate) fn hash_with(self, hasher: &impl BuildHasher) -> u64 {
        let mut hasher = hasher.build_hasher();
        hasher.write(self.namespace.as_bytes());
        hasher.write(self.name.as_bytes());
        hasher.finish()
    }

    /// Checks that this is a valid [`Key`]. Allocates only for an error.
    ///
    /// # Errors
    /// What makes it invalid.
    #[inline]
    pub fn check(&self) -> Result<(), KeyError> {
        let Self { namespace, name, owner } = *self;
        if owner.is_some() {
            return Ok(());
        }
        let length = namespace.len().max(name.len());
        if name.is_empty() || length > Key::MAX_PART || has_slash(namespace) {
            return Err(self.error());
        }
        Ok(())
    }

    /// What is wrong with one that is not right.
    #[cold]
    fn error(&self) -> KeyError {
        match (self.namespace, self.name) {
            ("", "") => KeyError::Empty,
            // As it is made from such a text.
            (text, "") if text.starts_with('/') => KeyError::EmptyNamespace(text.to_owned()),
            (namespace, _) if has_slash(namespace) => {
                KeyError::SlashInNamespace(namespace.to_owned())
            }
            (_, "") => KeyError::EmptyName(self.to_string()),
            (namespace, name) => {
                let part = if namespace.len() > Key::MAX_PART { namespace } else { name };
                KeyError::TooLong { length: part.len(), start: part.chars().take(32).collect() }
            }
        }
    }

    /// An owned key: a clone of the [`Key`] that this was made from, else a copy of the text.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn to_key(&self) -> Result<Key, KeyError> {
        self.check()?;
        Ok(self.to_key_unchecked())
    }

    /// An owned key, without the check: the parts passed it before, or came from a [`Key`].
    #[inline]
    pub(crate) fn to_key_unchecked(self) -> Key {
        match self.owner {
            Some(key) => key.clone(),
            None => self.copy(),
        }
    }

    fn copy(self) -> Key {
        let text = match self.separator() {
            "" => self.name.into(),
            _ => join(self.namespace, self.name),
        };
        Key { text, namespace_len: self.namespace.len() }
    }

    /// What stands before the name in the key's text, behind the namespace if there is one.
    #[inline]
    pub(crate) fn separator(self) -> &'static str {
        if self.namespace.is_empty() && !has_slash(self.name) { "" } else { "/" }
    }
}

/// Namespace and name in a key's text.
#[inline]
pub(crate) fn split(text: &str, namespace_len: usize) -> (&str, &str) {
    match namespace_len {
        // Without a namespace, only the text of a name that has a '/' begins with one.
        0 => {
            let name = text.strip_prefix('/').unwrap_or(text);
            (&name[..0], name)
        }
        len => (&text[..len], &text[len + 1..]),
    }
}

/// Two parts as one text, in one allocation as a rule.
fn join(namespace: &str, name: &str) -> Arc<str> {
    let mut buffer = [0; 128];
    let len = namespace.len() + 1 + name.len();
    if let Some((text, _)) = buffer.split_at_mut_checked(len) {
        text[..namespace.len()].copy_from_slice(namespace.as_bytes());
        text[namespace.len()] = b'/';
        text[namespace.len() + 1..].copy_from_slice(name.as_bytes());
        if let Ok(text) = std::str::from_utf8(text) {
            return text.into();
        }
    }
    [namespace, "/", name].concat().into()
}

const EACH_BYTE: u64 = u64::from_le_bytes([1; 8]);

/// The lowest bit that is set is the highest one of the first '/' in the word, if there is one. None of
/// the highest bits of bytes is set if there is none.
#[inline]
fn slashes(word: &[u8; 8]) -> u64 {
    let zero_at_slash = u64::from_le_bytes(*word) ^ (EACH_BYTE * u64::from(b'/'));
    zero_at_slash.wrapping_sub(EACH_BYTE) & !zero_at_slash & (EACH_BYTE << 7)
}

/// Returns whether there is a '/'. A word at a time, since this is asked for each write, of texts that
/// are short.
#[inline]
fn has_slash(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes.last_chunk() {
        // What is left over lies in the last eight bytes.
        Some(last) => {
            let (words, _) = bytes.as_chunks();
            words.iter().fold(slashes(last), |found, word| found | slashes(word)) != 0
        }
        None => bytes.contains(&b'/'),
    }
}

/// Where the first '/' is.
#[inline]
fn find_slash(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (words, rest) = bytes.as_chunks();
    let in_words = words.iter().map(slashes).enumerate().find(|&(_, found)| found != 0);
    match in_words {
        Some((i, found)) => Some(i * 8 + found.trailing_zeros() as usize / 8),
        None => {
            let at = rest.iter().position(|&byte| byte == b'/')?;
            Some(bytes.len() - rest.len() + at)
        }
    }
}

impl<'a> From<&'a str> for KeyRef<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        let (namespace, name) = match find_slash(text) {
            None => (&text[..0], text),
            Some(0) if has_slash(&text[1..]) => (&text[1..1], &text[1..]),
            // No second text of a name that needs no '/': as a namespace it is refused.
            Some(0) => (text, &text[..0]),
            Some(at) => (&text[..at], &text[at + 1..]),
        };
        Self { namespace, name, owner: None }
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
        let namespace = if namespace.is_empty() { &name[..0] } else { namespace };
        Self { namespace, name, owner: None }
    }
}

impl<'a> From<(Option<&'a str>, &'a str)> for KeyRef<'a> {
    #[inline]
    fn from((namespace, name): (Option<&'a str>, &'a str)) -> Self {
        (namespace.unwrap_or(""), name).into()
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
        key.is(*self)
    }
}

// By the parts alone, wherever they are borrowed from. In this order "" (cluster-scoped) comes before every
// namespace.
impl PartialEq for KeyRef<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        // Lengths first; nothing is not compared with nothing.
        self.namespace.len() == other.namespace.len()
            && self.name == other.name
            && (self.namespace.is_empty() || self.namespace == other.namespace)
    }
}

impl Eq for KeyRef<'_> {}

impl PartialOrd for KeyRef<'_> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KeyRef<'_> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl Hash for KeyRef<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl fmt::Debug for KeyRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRef({:?})", self.to_string())
    }
}

impl fmt::Display for KeyRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As it is made from a text that begins with its only '/', which no key does.
        let is_whole = self.name.is_empty() && self.namespace.starts_with('/');
        let separator = if is_whole { "" } else { self.separator() };
        write!(f, "{}{separator}{}", self.namespace, self.name)
    }
}

/// What is wrong with a key.
///
/// ```
/// use watchcache::{Key, KeyError};
///
/// assert_eq!("".parse::<Key>(), Err(KeyError::Empty));
/// assert_eq!("/web".parse::<Key>(), Err(KeyError::EmptyNamespace("/web".into())));
/// assert_eq!("a/".parse::<Key>(), Err(KeyError::EmptyName("a/".into())));
/// assert_eq!(Key::namespaced("a/b", "web"), Err(KeyError::SlashInNamespace("a/b".into())));
/// let long = "x".repeat(Key::MAX_PART + 1);
/// assert!(matches!(Key::cluster_scoped(&long), Err(KeyError::TooLong { length: 65_537, .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is empty.
    #[error("key is empty: expected \"namespace/name\" or \"name\"")]
    Empty,
    /// Nothing comes before the only `/`, or a namespace was to be given and is empty.
    #[error("key {0:?} has an empty namespace: a cluster-scoped object has its name alone")]
    EmptyNamespace(String),
    /// Nothing comes after the `/`.
    #[error("key {0:?} has an empty name")]
    EmptyName(String),
    /// A namespace has no `/`: it ends at the first one.
    #[error("namespace {0:?} has a '/', which only a name may have")]
    SlashInNamespace(String),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_slash_is_found_wherever_it_is() {
        for len in 0..40 {
            let text = ".0\u{af}".repeat(14).chars().take(len).collect::<String>();
            assert_eq!(find_slash(&text), None, "{text}");
            assert!(!has_slash(&text), "{text}");
            for at in text.char_indices().map(|(at, _)| at) {
                let (before, after) = text.split_at(at);
                for after in [after.to_owned(), format!("/{after}")] {
                    let text = format!("{before}/{after}");
                    assert_eq!(find_slash(&text), Some(at), "{text}");
                    assert!(has_slash(&text), "{text}");
                }
            }
        }
    }

    #[test]
    fn a_key_is_what_it_was_made_of_and_nothing_else() {
        let long = "long".repeat(40);
        let parts = ["", "a", "b", "ab", "a/b", "/", "/a", "a//", "a-long-part-of-a-key", &long];
        let keys =
            || parts.iter().flat_map(|&one| parts.map(move |other| KeyRef::from((one, other))));
        for one in keys().filter(|key| key.check().is_ok()) {
            let key = one.to_key_unchecked();
            assert_eq!(key.as_str(), one.to_string());
            assert_eq!(key.as_ref().parts(), one.parts());
            assert_eq!(KeyRef::from(key.as_str()), one, "its text says which it is");
            for other in keys() {
                let equal = one.parts() == other.parts();
                assert_eq!((key.is(other), one == other), (equal, equal), "{one}");
                assert_eq!(key.as_ref().cmp(&other), one.cmp(&other), "{one}");
            }
        }
    }

    #[test]
    fn an_empty_namespace_lies_where_the_name_does() {
        let (text, unmapped) = ("node-1", &""[..0]);
        let key = Key::cluster_scoped(text).expect("it is valid");
        let keys = [text.into(), (unmapped, text).into(), (None, text).into(), key.as_ref()];
        for (namespace, name) in keys.map(KeyRef::parts) {
            assert_eq!((namespace, namespace.as_ptr()), ("", name.as_ptr()));
        }
    }
}
