//! An object in the version that the polls give it.

use std::ops::Deref;

use crate::{KeyRef, Object, ResourceVersion};

/// An object of a [`Poll`](super::Poll), in the version of the poll that found it so.
///
/// It is what it holds: `setting.value` of a `Polled<Setting>` is the setting's. Key, uid and labels are the
/// object's own, too; its own version counts for nothing.
///
/// ```
/// use watchcache::reflector::Polled;
/// use watchcache::{Key, Object};
///
/// let polled = Polled::new("limits/cpu".parse::<Key>()?, "7");
/// assert_eq!((polled.name(), polled.resource_version()), ("cpu", Some("7")));
/// assert_eq!(polled.clone(), polled);
/// assert_eq!(Polled::into_inner(polled).as_str(), "limits/cpu");
/// # Ok::<(), watchcache::KeyError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Polled<T> {
    object: T,
    pub(super) version: ResourceVersion,
}

impl<T> Polled<T> {
    /// The object in this version, as a poll makes it.
    #[must_use]
    pub fn new(object: T, version: impl Into<ResourceVersion>) -> Self {
        Self { object, version: version.into() }
    }

    /// The object itself.
    #[must_use]
    pub fn into_inner(this: Self) -> T {
        this.object
    }
}

impl<T> Deref for Polled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.object
    }
}

impl<T: Object> Object for Polled<T> {
    fn key(&self) -> KeyRef<'_> {
        self.object.key()
    }

    fn uid(&self) -> Option<&str> {
        self.object.uid()
    }

    fn resource_version(&self) -> Option<&str> {
        Some(self.version.as_str())
    }

    fn label(&self, name: &str) -> Option<&str> {
        self.object.label(name)
    }

    fn size(&self) -> usize {
        size_of::<ResourceVersion>() + self.object.size()
    }
}
