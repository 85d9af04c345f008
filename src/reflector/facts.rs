//! The facts that an object reports about itself.

use crate::panic::catch_as_sentence;
use crate::{KeyRef, Object};

/// The facts that an object reports about itself: by user code, which may panic, and from sources' texts,
/// which may be empty.
pub(super) struct Facts<'a> {
    /// The key, or why it is invalid.
    pub(super) key: Result<KeyRef<'a>, String>,
    pub(super) version: Option<&'a str>,
    pub(super) uid: Option<&'a str>,
}

impl<'a> Facts<'a> {
    pub(super) fn of<T: Object>(object: &'a T) -> Self {
        let facts = catch_as_sentence(|| Self {
            key: checked(object.key()),
            version: some(object.resource_version()),
            uid: object.uid(),
        });
        facts.unwrap_or_else(|panic| Self { key: Err(panic), version: None, uid: None })
    }
}

/// An object's version alone.
pub(super) fn version_of<T: Object>(object: &T) -> Option<&str> {
    catch_as_sentence(|| some(object.resource_version())).ok().flatten()
}

fn checked(key: KeyRef<'_>) -> Result<KeyRef<'_>, String> {
    key.check().map(|()| key).map_err(|error| error.to_string())
}

fn some(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
