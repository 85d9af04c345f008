//! The two version numbers of a cache: the store's own revision and the source's resource version.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The store's own sequence number: each batch that changes something makes the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(u64);

impl Revision {
    /// The number, counted from 0 (an empty, fresh store).
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    pub(crate) fn new(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A position in the source's history, as the source writes it (Kubernetes: `resourceVersion`).
///
/// Opaque, except that two decimal ones can be compared: Kubernetes allows that since 1.35
/// (KEP-5504), and etcd revisions always could.
///
/// ```
/// use std::cmp::Ordering;
/// use watchcache::ResourceVersion;
///
/// let (old, new) = (ResourceVersion::from("99"), ResourceVersion::from("100"));
/// assert_eq!(old.compare(&new), Some(Ordering::Less));
/// assert_eq!(old.compare(&ResourceVersion::from("abc")), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResourceVersion(Arc<str>);

impl ResourceVersion {
    /// The version as the source wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The version as a number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        number_of(&self.0)
    }

    /// The order of two versions, or `None` where it cannot be told.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        if self == other {
            return Some(Ordering::Equal);
        }
        Some(self.number()?.cmp(&other.number()?))
    }
}

/// A version's text as a number, if it is one.
pub(crate) fn number_of(text: &str) -> Option<u64> {
    // `parse` would take a leading '+', which no source writes.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl From<&str> for ResourceVersion {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for ResourceVersion {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for ResourceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
