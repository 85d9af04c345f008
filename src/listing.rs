//! Listings: the whole content, which a sink takes in place of its own.

use std::fmt;
use std::sync::Arc;

use crate::batch::Versions;
use crate::keyed::Keyed;
use crate::{KeyError, KeyRef, Object, ResourceVersion};

/// The whole content of a source at one version: what a list returns.
///
/// Each key occurs once: of two objects with the same key the later one is kept, at the position of the
/// first. Like a [`Batch`](crate::Batch), a listing has its own copy of each key.
///
/// ```
/// use watchcache::{KeyRef, Listing, Object, Store};
/// # struct Pod(&'static str);
/// # impl Object for Pod {
/// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
/// # }
/// let store = Store::new();
/// store.add(Pod("default/old"))?;
/// let listing = Listing::new([Pod("default/web-0"), Pod("default/web-1")], Some("7".into()))?;
/// let replaced = store.replace(&listing);
/// assert_eq!((replaced.applied.added, replaced.deleted.len()), (2, 1));
/// assert!(!store.contains("default/old"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Listing<T> {
    objects: Keyed<Arc<T>>,
    resource_version: Option<ResourceVersion>,
    versions: Versions,
}

impl<T: Object> Listing<T> {
    /// A listing of these objects at this version.
    ///
    /// # Errors
    /// If an object's key is invalid.
    ///
    /// # Panics
    /// If [`Object::key`] does.
    pub fn new<O: Into<Arc<T>>>(
        objects: impl IntoIterator<Item = O>,
        resource_version: Option<ResourceVersion>,
    ) -> Result<Self, KeyError> {
        let mut keyed = Keyed::new();
        for object in objects {
            let object = object.into();
            let key = object.key();
            key.check()?;
            keyed.key(key).push(object);
        }
        Ok(Self::from_list(keyed, resource_version))
    }
}

impl<T> Listing<T> {
    /// As [`Listing::new`], with keys that are known without asking the objects.
    ///
    /// # Errors
    /// If a key is invalid.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use watchcache::{KeyError, KeyRef, Listing, Object, Store};
    ///
    /// struct Limit { key: &'static str, value: u32 }
    /// impl Object for Limit {
    ///     fn key(&self) -> KeyRef<'_> { self.key.into() }
    /// }
    ///
    /// let rows = [("limits/cpu", 4), ("limits/memory", 16)];
    /// let keyed = rows.map(|(key, value)| (key, Arc::new(Limit { key, value })));
    /// let store = Store::new();
    /// store.replace(&Listing::from_keyed(keyed, Some("7".into()))?);
    /// assert!(store.get("limits/cpu").is_some_and(|limit| limit.value == 4));
    /// # Ok::<(), KeyError>(())
    /// ```
    pub fn from_keyed<'k, K: Into<KeyRef<'k>>>(
        objects: impl IntoIterator<Item = (K, Arc<T>)>,
        resource_version: Option<ResourceVersion>,
    ) -> Result<Self, KeyError> {
        let mut keyed = Keyed::new();
        for (key, object) in objects {
            let key = key.into();
            key.check()?;
            keyed.push(key, object);
        }
        Ok(Self::from_list(keyed, resource_version))
    }

    pub(crate) fn from_list(
        mut objects: Keyed<Arc<T>>,
        resource_version: Option<ResourceVersion>,
    ) -> Self {
        objects.keep_last();
        Self { objects, resource_version, versions: Versions::Continue }
    }

    /// Declares that the source's versions have no order: the sink takes the listing as it stands, what it
    /// does not list is gone, and one version is not waited for by another.
    #[must_use]
    pub fn unordered(mut self) -> Self {
        self.versions = Versions::Unordered;
        self
    }

    /// Declares that the source's history has started over: the sink takes the listing as it stands, and
    /// what it does not list is gone, since what is held belongs to a history that is void. The listing's own
    /// versions have an order.
    ///
    /// ```
    /// # use watchcache::{KeyError, KeyRef, Listing, Object, Store};
    /// # struct Pod { version: &'static str }
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { "default/web".into() }
    /// #     fn resource_version(&self) -> Option<&str> { Some(self.version) }
    /// # }
    /// let store = Store::new();
    /// let listing = |version: &'static str| Listing::new([Pod { version }], Some(version.into()));
    /// store.replace(&listing("900")?);
    /// assert_eq!(store.replace(&listing("20")?).applied.stale, 1, "a server that is late");
    /// assert_eq!(store.replace(&listing("20")?.starting_over()).applied.updated, 1, "a backup");
    /// # Ok::<(), KeyError>(())
    /// ```
    #[must_use]
    pub fn starting_over(mut self) -> Self {
        self.versions = self.versions.max(Versions::Restart);
        self
    }

    /// Returns whether the source's versions have no order.
    #[must_use]
    pub fn is_unordered(&self) -> bool {
        self.versions == Versions::Unordered
    }

    /// Returns whether the listing counts as it stands, because versions have no order or the source's history
    /// has started over: a sink must not compare this listing's versions with its own.
    #[must_use]
    pub fn counts_as_it_stands(&self) -> bool {
        self.versions != Versions::Continue
    }

    #[cfg(feature = "reflector")]
    pub(crate) fn versions(&self) -> Versions {
        self.versions
    }

    #[cfg(feature = "reflector")]
    pub(crate) fn with_versions(mut self, versions: Versions) -> Self {
        self.versions = versions;
        self
    }

    /// The objects with their keys, in the source's order.
    #[must_use]
    pub fn objects(&self) -> impl ExactSizeIterator<Item = (KeyRef<'_>, &Arc<T>)> + Clone {
        self.objects.iter()
    }

    /// The source's version of this listing.
    #[must_use]
    pub fn resource_version(&self) -> Option<&ResourceVersion> {
        self.resource_version.as_ref()
    }

    /// Number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Returns whether there are no objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

impl<T> fmt::Debug for Listing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing")
            .field("len", &self.len())
            .field("resource_version", &self.resource_version)
            .finish()
    }
}
