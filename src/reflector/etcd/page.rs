//! Where a page of a list begins, and its form as a continue token.

use std::fmt;

use crate::Status;
use crate::reflector::SourceError;

/// A key, and the revision at which the list reads; the newest for a first page.
///
/// As a token: the revision, a dot, and the key in hexadecimal digits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) revision: Option<i64>,
    pub(super) start: Vec<u8>,
}

impl Place {
    pub(super) fn first(prefix: &[u8]) -> Self {
        Self { revision: None, start: super::start_of(prefix) }
    }

    /// Behind a key: no key comes between it and the same one with a zero byte added.
    pub(super) fn after(revision: i64, last: &[u8]) -> Self {
        let mut start = last.to_vec();
        start.push(0);
        Self { revision: Some(revision), start }
    }

    pub(super) fn parse(token: &str) -> Result<Self, SourceError> {
        Self::read(token).ok_or_else(|| {
            Status::bad_request(format!("{token:?} is no continue token of etcd")).into()
        })
    }

    fn read(token: &str) -> Option<Self> {
        let (revision, start) = token.split_once('.')?;
        let digits: Option<Vec<u8>> =
            start.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect();
        let (pairs, []) = digits.as_deref()?.as_chunks::<2>() else { return None };
        let start = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        Some(Self { revision: Some(revision.parse().ok()?), start })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.revision.unwrap_or_default())?;
        self.start.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_revision_and_key() {
        let place = Place::after(17, b"/a/\xff b");
        assert_eq!(place.to_string(), "17.2f612fff206200");
        assert_eq!(Place::read("17.2f612fff206200"), Some(place));
        for bad in ["", "17", "x.00", "1.0", "1.zz", "1.é0"] {
            assert_eq!(Place::read(bad), None, "{bad}");
        }
    }
}
