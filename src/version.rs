//! The two version numbers of a cache: the store's own revision and the source's resource version.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The store's own sequence number, incremented by each batch that changes something.
///
/// ```
/// use watchcache::{Key, Revision, Store};
///
/// let store = Store::<Key>::new();
/// assert_eq!(store.revision(), Revision::default());
/// let written = store.add("a/web".parse::<Key>()?)?;
/// assert!(written.revision.get() > 0);
/// assert_eq!(store.delete("no/such").revision, written.revision, "nothing changed");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(u64);

impl Revision {
    /// The number; 0 for a new, empty store.
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
/// Opaque, except that two decimal ones can be compared, however long: Kubernetes allows that since
/// 1.35 (KEP-5504), and etcd revisions always could.
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

    /// The version as a number, if it is decimal and fits.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        number_of(&self.0)
    }

    /// A number at least as large as that of any version which this one has reached; `None` if it has no order.
    pub(crate) fn rank(&self) -> Option<u64> {
        self.number().or_else(|| is_decimal(&self.0).then_some(u64::MAX))
    }

    /// How two versions are ordered, or `None` if that is unknown.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        compare(&self.0, &other.0)
    }

    /// Sets `held` to this version, unless it is the same or an older one. Returns whether it did.
    pub(crate) fn advance(self, held: &mut Option<Self>) -> bool {
        let forward = held.as_ref().is_none_or(|held| {
            !matches!(self.compare(held), Some(Ordering::Less | Ordering::Equal))
        });
        if forward {
            *held = Some(self);
        }
        forward
    }
}

/// A version's text as a number, if it is decimal and fits.
pub(crate) fn number_of(version: &str) -> Option<u64> {
    // In one pass: `parse` would take leading zeros and a '+', which no source writes.
    let leads = !matches!(version.as_bytes(), [] | [b'0', _, ..]);
    let more = |number: u64, byte: u8| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(digit))
    };
    if leads { version.bytes().try_fold(0, more) } else { None }
}

/// How two versions' texts are ordered, or `None` if that is unknown.
pub(crate) fn compare(one: &str, other: &str) -> Option<Ordering> {
    if one == other {
        return Some(Ordering::Equal);
    }
    // Without leading zeros the longer number is the larger one.
    let decimal = is_decimal(one) && is_decimal(other);
    decimal.then(|| one.len().cmp(&other.len()).then_with(|| one.cmp(other)))
}

/// Digits alone, without leading zeros.
fn is_decimal(text: &str) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && (text == "0" || !text.starts_with('0'))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_decimal_versions_have_an_order() {
        assert_eq!(compare("99", "100"), Some(Ordering::Less));
        assert_eq!(compare("18446744073709551615", "18446744073709551617"), Some(Ordering::Less));
        assert_eq!(compare("x", "x"), Some(Ordering::Equal));
        for odd in ["", "+7", "007", "7a", "-1", "eyJtMSI6IjEifQ"] {
            assert_eq!(compare(odd, "8"), None, "{odd}");
            assert_eq!(number_of(odd), None, "{odd}");
        }
        assert_eq!((number_of("0"), number_of("7")), (Some(0), Some(7)));
        assert_eq!(number_of("18446744073709551616"), None, "it does not fit");
        let rank = |text: &str| ResourceVersion::from(text).rank();
        assert_eq!((rank("7"), rank("18446744073709551616")), (Some(7), Some(u64::MAX)));
        assert_eq!(rank("7a"), None);
    }

    #[test]
    fn a_version_moves_forward_and_never_back() {
        let mut held = None;
        let moves = ["5", "4", "5", "6", "x", "7"]
            .map(|to| ResourceVersion::from(to).advance(&mut held).then(|| to.to_owned()));
        let moved: Vec<_> = moves.into_iter().flatten().collect();
        assert_eq!(moved, ["5", "6", "x", "7"]);
    }
}
