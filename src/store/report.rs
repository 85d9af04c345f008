//! The results of writes.

use std::fmt;

use super::error::{Rejected, WriteError};
use crate::sync::Arc;
use crate::{Key, Revision};

/// The result of writing one object.
///
/// ```
/// use watchcache::store::Outcome;
/// use watchcache::{Key, Store};
///
/// let store = Store::<Key>::new();
/// let written = store.add("a/web".parse::<Key>()?)?;
/// assert_eq!(written.outcome, Outcome::Added);
/// assert_eq!(written.revision, store.revision());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// The revision at which the object is visible or, if nothing changed, the current one.
    pub revision: Revision,
    /// What happened to the object.
    pub outcome: Outcome,
}

/// What happened to an object that was written.
///
/// ```
/// use watchcache::store::Outcome;
/// use watchcache::{KeyRef, Object, Store};
///
/// struct Node { version: &'static str }
/// impl Object for Node {
///     fn key(&self) -> KeyRef<'_> { "node-1".into() }
///     fn resource_version(&self) -> Option<&str> { Some(self.version) }
/// }
///
/// let store = Store::new();
/// let mut outcomes = Vec::new();
/// for version in ["7", "8", "8", "7"] {
///     outcomes.push(store.add(Node { version })?.outcome);
/// }
/// assert_eq!(outcomes, [Outcome::Added, Outcome::Updated, Outcome::Unchanged, Outcome::Stale]);
/// assert_eq!(outcomes.iter().filter(|outcome| outcome.is_stored()).count(), 2);
/// # Ok::<(), watchcache::store::WriteError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is stored; the key was absent.
    Added,
    /// It is stored, in place of another object.
    Updated,
    /// It is not stored: the held object has its uid and resource version.
    Unchanged,
    /// It is not stored: its resource version is older than the held object's, or than what
    /// [`assume`](super::Store::assume) compares with.
    Stale,
}

impl Outcome {
    /// Returns whether the object is in the store now.
    #[must_use]
    pub fn is_stored(self) -> bool {
        matches!(self, Self::Added | Self::Updated)
    }
}

/// The result of deleting one key.
///
/// ```
/// use watchcache::{Key, Store};
///
/// let store = Store::<Key>::new();
/// store.add("a/web".parse::<Key>()?)?;
/// let deleted = store.delete("a/web");
/// assert_eq!(deleted.object.as_deref().map(Key::name), Some("web"));
/// // Whoever waits for this revision reads a store without it.
/// store.wait_for(deleted.revision, None)?;
/// assert!(!store.contains("a/web"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub struct Deleted<T> {
    /// The object that the key held.
    pub object: Option<Arc<T>>,
    /// The revision at which it is deleted.
    pub revision: Revision,
}

impl<T> fmt::Debug for Deleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deleted")
            .field("was_present", &self.object.is_some())
            .field("revision", &self.revision)
            .finish()
    }
}

/// The result of a batch.
///
/// ```
/// use watchcache::{Batch, Key, Store};
///
/// let store = Store::<Key>::new();
/// let mut batch = Batch::new();
/// batch.add("a/web".parse::<Key>()?)?;
/// batch.delete("a/db");
/// let applied = store.apply(&batch);
/// assert_eq!((applied.added, applied.unchanged), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// The revision at which all of the batch is visible.
    pub revision: Revision,
    /// Keys that were absent and are now present.
    pub added: usize,
    /// Keys whose object was replaced.
    pub updated: usize,
    /// Keys that were present and are now absent.
    pub deleted: usize,
    /// Adds of the version that was held, and deletes of absent keys.
    pub unchanged: usize,
    /// Changes that were older than what was held.
    pub stale: usize,
    /// Objects that were not stored, each with the reason. Their keys still hold what they held before.
    pub rejected: Vec<Rejected>,
}

impl Applied {
    /// An add of one object, if it came to a write; `current` is the store's revision.
    pub(super) fn of_put(put: Result<&Written, &WriteError>, current: Revision) -> Option<Self> {
        let mut applied = Self { revision: current, ..Self::default() };
        match put {
            Ok(Written { revision, outcome }) => {
                applied.revision = *revision;
                applied.count(Ok(*outcome));
            }
            Err(WriteError::Rejected(rejected)) => applied.rejected.push(rejected.clone()),
            Err(WriteError::Key(_)) => return None,
        }
        Some(applied)
    }

    /// A delete of one key.
    pub(super) fn of_delete<T>(deleted: &Deleted<T>) -> Self {
        let present = usize::from(deleted.object.is_some());
        let revision = deleted.revision;
        Self { revision, deleted: present, unchanged: 1 - present, ..Self::default() }
    }

    #[inline]
    pub(super) fn count(&mut self, outcome: Result<Outcome, Box<Rejected>>) {
        match outcome {
            Ok(Outcome::Added) => self.added += 1,
            Ok(Outcome::Updated) => self.updated += 1,
            Ok(Outcome::Unchanged) => self.unchanged += 1,
            Ok(Outcome::Stale) => self.stale += 1,
            Err(rejected) => self.rejected.push(*rejected),
        }
    }
}

/// The result of a relist.
///
/// ```
/// use watchcache::{Key, Listing, Store};
///
/// let store = Store::<Key>::new();
/// store.add("a/web".parse::<Key>()?)?;
/// let replaced = store.replace(&Listing::new(["a/db".parse::<Key>()?], None)?);
/// assert_eq!((replaced.applied.added, replaced.applied.deleted), (1, 1));
/// assert_eq!(replaced.deleted, ["a/web".parse()?]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replaced {
    /// Counts, and the revision at which the relist is visible.
    pub applied: Applied,
    /// The deleted keys.
    pub deleted: Vec<Key>,
}
