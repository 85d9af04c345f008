//! Batches: changes that a sink applies at once.

use std::fmt;
use std::sync::Arc;

use crate::keyed::Keyed;
use crate::{KeyError, KeyRef, Object, ResourceVersion};

/// How the versions of a batch or a listing compare with those of before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Versions {
    /// They continue the same history.
    #[default]
    Continue,
    /// They have an order, and those of before belong to another history.
    Restart,
    /// They have no order.
    Unordered,
}

/// One change of one key.
///
/// ```
/// use watchcache::{Batch, Change, Key};
///
/// let mut batch = Batch::new();
/// batch.add("a/web".parse::<Key>()?)?;
/// batch.delete("a/db");
/// let added = |change: &Change<Key>| matches!(change, Change::Add(_));
/// let changes: Vec<_> = batch.changes().map(|(key, change)| (key.name(), added(change))).collect();
/// assert_eq!(changes, [("web", true), ("db", false)]);
/// # Ok::<(), watchcache::KeyError>(())
/// ```
pub enum Change<T> {
    /// The object exists, and this is its newest version.
    Add(Arc<T>),
    /// The object is gone; with its last state, if the source sent it.
    Delete(Option<Arc<T>>),
}

// Not derived: an `Arc<T>` is cloned, so `T` need not be `Clone`.
impl<T> Clone for Change<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Add(object) => Self::Add(Arc::clone(object)),
            Self::Delete(last) => Self::Delete(last.clone()),
        }
    }
}

impl<T> fmt::Debug for Change<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add(_) => "Add",
            Self::Delete(_) => "Delete",
        })
    }
}

/// Changes that apply in order and become visible together, and the source's version after them.
///
/// A key that its object holds as a [`Key`](crate::Key) is shared with it. The others are copied into one
/// allocation, which [`clear`](Self::clear) keeps.
///
/// ```
/// use watchcache::{Batch, KeyError, KeyRef, Object, Store};
/// # struct Pod(&'static str);
/// # impl Object for Pod {
/// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
/// # }
/// let store = Store::new();
/// let mut batch = Batch::new();
/// batch.add(Pod("default/web-0"))?;
/// batch.add(Pod("default/web-1"))?;
/// batch.delete("default/web-2");
/// let applied = store.apply(&batch);
/// assert_eq!((applied.added, applied.deleted), (2, 0));
/// # Ok::<(), KeyError>(())
/// ```
pub struct Batch<T> {
    changes: Keyed<Change<T>>,
    resource_version: Option<ResourceVersion>,
    versions: Versions,
}

impl<T> Clone for Batch<T> {
    fn clone(&self) -> Self {
        Self {
            changes: self.changes.clone(),
            resource_version: self.resource_version.clone(),
            versions: self.versions,
        }
    }
}

impl<T> Batch<T> {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self { changes: Keyed::new(), resource_version: None, versions: Versions::Continue }
    }

    /// Appends an object that was added or changed.
    ///
    /// # Errors
    /// If the object's key is invalid; the batch is unchanged.
    ///
    /// # Panics
    /// If [`Object::key`] does; the batch is unchanged.
    pub fn add(&mut self, object: impl Into<Arc<T>>) -> Result<(), KeyError>
    where
        T: Object,
    {
        let object = object.into();
        let key = object.key();
        key.check()?;
        self.changes.key(key).push(Change::Add(object));
        Ok(())
    }

    /// Appends a deletion. An invalid key names no object, and is ignored.
    pub fn delete<'k>(&mut self, key: impl Into<KeyRef<'k>>) {
        let key = key.into();
        if key.check().is_ok() {
            self.changes.push(key, Change::Delete(None));
        }
    }

    /// Appends a change whose key is known without asking the object.
    ///
    /// # Errors
    /// If the key is invalid; the batch is unchanged.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use watchcache::{Batch, Change, KeyRef, Object, Store};
    ///
    /// struct Value(&'static str);
    /// impl Object for Value {
    ///     fn key(&self) -> KeyRef<'_> { "limits/cpu".into() }
    /// }
    ///
    /// let store = Store::new();
    /// let mut batch = Batch::new();
    /// batch.push("limits/cpu", Change::Add(Arc::new(Value("4"))))?;
    /// store.apply(&batch);
    /// assert!(store.get("limits/cpu").is_some_and(|value| value.0 == "4"));
    /// # Ok::<(), watchcache::KeyError>(())
    /// ```
    pub fn push<'k>(
        &mut self,
        key: impl Into<KeyRef<'k>>,
        change: Change<T>,
    ) -> Result<(), KeyError> {
        let key = key.into();
        key.check()?;
        self.changes.push(key, change);
        Ok(())
    }

    /// The changes, for appending more; their keys must be valid.
    #[cfg(feature = "reflector")]
    pub(crate) fn changes_mut(&mut self) -> &mut Keyed<Change<T>> {
        &mut self.changes
    }

    /// Sets the source's version after this batch.
    pub fn set_resource_version(&mut self, version: ResourceVersion) {
        self.resource_version = Some(version);
    }

    /// Declares that this batch's versions have no order: each change applies, even if its version is a
    /// smaller number than the held one. A source that joins several others makes such versions.
    ///
    /// ```
    /// # use watchcache::{Batch, KeyError, KeyRef, Object, Store};
    /// # struct Pod { version: &'static str }
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { "default/web".into() }
    /// #     fn resource_version(&self) -> Option<&str> { Some(self.version) }
    /// # }
    /// let store = Store::new();
    /// let apply = |version, is_unordered| {
    ///     let mut batch = Batch::new();
    ///     batch.add(Pod { version })?;
    ///     if is_unordered {
    ///         batch.set_unordered();
    ///     }
    ///     Ok::<_, KeyError>(store.apply(&batch))
    /// };
    /// apply("8", false)?;
    /// assert_eq!(apply("7", false)?.stale, 1);
    /// assert_eq!(apply("7", true)?.updated, 1);
    /// # Ok::<(), KeyError>(())
    /// ```
    pub fn set_unordered(&mut self) {
        self.versions = Versions::Unordered;
    }

    /// Declares that each change applies, even if its version is a smaller number than the held one, since what
    /// is held belongs to a history that is void; this batch's own versions have an order. What was a
    /// listing that [starts over](crate::Listing::starting_over) is such a batch where only batches pass.
    pub fn set_starting_over(&mut self) {
        self.versions = self.versions.max(Versions::Restart);
    }

    /// Returns whether this batch's versions have no order, so that a sink must not compare them with its
    /// own.
    #[must_use]
    pub fn is_unordered(&self) -> bool {
        self.versions == Versions::Unordered
    }

    /// Returns whether each change applies, because versions have no order or the source's history has
    /// started over: a sink must not compare this batch's versions with its own.
    #[must_use]
    pub fn counts_as_it_stands(&self) -> bool {
        self.versions != Versions::Continue
    }

    #[cfg(feature = "reflector")]
    pub(crate) fn versions(&self) -> Versions {
        self.versions
    }

    #[cfg(feature = "reflector")]
    pub(crate) fn set_versions(&mut self, versions: Versions) {
        self.versions = versions;
    }

    /// The changes with their keys, oldest first.
    #[must_use]
    pub fn changes(&self) -> impl ExactSizeIterator<Item = (KeyRef<'_>, &Change<T>)> + Clone {
        self.changes.iter()
    }

    /// The source's version after this batch, if known.
    #[must_use]
    pub fn resource_version(&self) -> Option<&ResourceVersion> {
        self.resource_version.as_ref()
    }

    /// Number of changes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Returns whether there are no changes. A batch without changes may still carry a version, as a
    /// bookmark does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes, without their keys.
    pub(crate) fn into_changes(self) -> impl Iterator<Item = Change<T>> {
        self.changes.into_values()
    }

    /// Keeps only the changes of these keys.
    #[cfg(feature = "reflector")]
    pub(crate) fn retain(&mut self, keep: impl Fn(KeyRef<'_>) -> bool) {
        self.changes.retain(keep);
    }

    /// Clears the batch; its memory is kept for the next one.
    pub fn clear(&mut self) {
        self.resource_version = None;
        self.versions = Versions::Continue;
        // Runs destructors, so it comes last.
        self.changes.clear();
    }
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("changes", &self.changes)
            .field("resource_version", &self.resource_version)
            .finish()
    }
}
