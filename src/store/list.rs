//! A list of its own.

use std::fmt;
use std::ops::Deref;

use crate::sync::Arc;
use crate::{ResourceVersion, Revision};

/// All objects at one revision, as a slice.
pub struct List<T> {
    objects: Box<[Arc<T>]>,
    revision: Revision,
    resource_version: Option<ResourceVersion>,
}

impl<T> List<T> {
    pub(super) fn new(
        objects: Vec<Arc<T>>,
        revision: Revision,
        resource_version: Option<ResourceVersion>,
    ) -> Self {
        Self { objects: objects.into(), revision, resource_version }
    }

    /// The store's sequence number of this list.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The source's version of this list, if the source has told one.
    #[must_use]
    pub fn resource_version(&self) -> Option<&ResourceVersion> {
        self.resource_version.as_ref()
    }
}

impl<T> Deref for List<T> {
    type Target = [Arc<T>];

    fn deref(&self) -> &[Arc<T>] {
        &self.objects
    }
}

impl<T> IntoIterator for List<T> {
    type Item = Arc<T>;
    type IntoIter = std::vec::IntoIter<Arc<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.objects.into_vec().into_iter()
    }
}

impl<T> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List")
            .field("len", &self.len())
            .field("revision", &self.revision)
            .field("resource_version", &self.resource_version)
            .finish()
    }
}
