//! One immutable state of the store, and the draft of the next.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use imbl::shared_ptr::DefaultSharedPtr;

use super::lookup::Lookup;
use super::report::Applied;
use crate::object::same_version;
use crate::{Key, KeyRef, Listing, Object, ResourceVersion, Revision};

/// A persistent map: a clone is O(1) and shares everything that neither side changes.
pub(super) type Objects<T> =
    imbl::GenericHashMap<Key, Arc<T>, foldhash::fast::RandomState, DefaultSharedPtr>;

pub(super) struct State<T> {
    objects: Objects<T>,
    revision: Revision,
    resource_version: Option<ResourceVersion>,
}

impl<T> State<T> {
    pub(super) fn new() -> Self {
        Self { objects: Objects::default(), revision: Revision::default(), resource_version: None }
    }

    pub(super) fn get(&self, key: KeyRef<'_>) -> Option<&Arc<T>> {
        self.objects.get(&key as &dyn Lookup)
    }

    pub(super) fn objects(&self) -> &Objects<T> {
        &self.objects
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) fn resource_version(&self) -> Option<&ResourceVersion> {
        self.resource_version.as_ref()
    }
}

/// The next state while it is built. Nobody but the writer sees it.
pub(super) struct Draft<T> {
    objects: Objects<T>,
    resource_version: Option<ResourceVersion>,
    version_moved: bool,
    applied: Applied,
}

impl<T: Object> Draft<T> {
    pub(super) fn of(state: &State<T>) -> Self {
        Self {
            objects: state.objects.clone(),
            resource_version: state.resource_version.clone(),
            version_moved: false,
            applied: Applied { revision: state.revision, ..Applied::default() },
        }
    }

    pub(super) fn put(&mut self, key: &Key, object: &Arc<T>) {
        match self.objects.get(key) {
            Some(held) if Arc::ptr_eq(held, object) || same_version(&**held, &**object) => {
                self.applied.unchanged += 1;
            }
            Some(held) if is_older(&**object, &**held) => self.applied.stale += 1,
            Some(_) => {
                self.applied.updated += 1;
                self.objects.insert(key.clone(), Arc::clone(object));
            }
            None => {
                self.applied.added += 1;
                self.objects.insert(key.clone(), Arc::clone(object));
            }
        }
    }

    /// A delete as the source reports it: `last` is the object's last state with the version of
    /// its deletion.
    pub(super) fn delete(&mut self, key: &Key, last: Option<&T>) {
        match (self.objects.get(key), last) {
            (Some(held), Some(last)) if is_older(last, &**held) => self.applied.stale += 1,
            _ => {
                self.remove(key.as_ref());
            }
        }
    }

    pub(super) fn remove(&mut self, key: KeyRef<'_>) -> Option<Arc<T>> {
        let removed = self.objects.remove(&key as &dyn Lookup);
        match removed {
            Some(_) => self.applied.deleted += 1,
            None => self.applied.unchanged += 1,
        }
        removed
    }

    /// Removes what a listing does not name, unless it is newer than the listing itself.
    pub(super) fn retain_listed(&mut self, listing: &Listing<T>) -> Vec<Key> {
        let listed: HashSet<&Key> = listing.objects().iter().map(|(key, _)| key).collect();
        let at = listing.resource_version().and_then(ResourceVersion::number);
        let gone: Vec<Key> = self
            .objects
            .iter()
            .filter(|(key, object)| {
                let newer =
                    matches!((version(&***object), at), (Some(held), Some(at)) if held > at);
                !newer && !listed.contains(key)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in &gone {
            self.remove(key.as_ref());
        }
        gone
    }

    /// Moves the source's version forward; never back.
    pub(super) fn advance(&mut self, to: Option<&ResourceVersion>) {
        let Some(to) = to else { return };
        let forward = match &self.resource_version {
            None => true,
            Some(held) => !matches!(to.compare(held), Some(Ordering::Less | Ordering::Equal)),
        };
        if forward {
            self.resource_version = Some(to.clone());
            self.version_moved = true;
        }
    }

    /// The state to publish, if it differs from the one it was drafted from.
    pub(super) fn finish(&mut self) -> (Option<State<T>>, Applied) {
        let changed = self.applied.added + self.applied.updated + self.applied.deleted > 0;
        if !changed && !self.version_moved {
            return (None, self.applied);
        }
        if changed {
            self.applied.revision = self.applied.revision.next();
        }
        let state = State {
            objects: std::mem::take(&mut self.objects),
            revision: self.applied.revision,
            resource_version: self.resource_version.take(),
        };
        (Some(state), self.applied)
    }
}

/// An object's version as a number, where it is one.
fn version<T: Object>(object: &T) -> Option<u64> {
    object.resource_version()?.parse().ok()
}

fn is_older<T: Object>(this: &T, that: &T) -> bool {
    matches!((version(this), version(that)), (Some(this), Some(that)) if this < that)
}
