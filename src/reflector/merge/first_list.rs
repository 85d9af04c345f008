//! The first list that the sinks of a merge receive.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::batch::Versions;
use crate::keyed::Keyed;
use crate::{Change, Key, Listing, ResourceVersion};

/// The newest object of each key, in the order in which the keys arrived.
pub(super) struct FirstList<T> {
    objects: HashMap<Key, (usize, Arc<T>), RandomState>,
    places: usize,
    /// How its versions compare with those that the sinks hold.
    pub(super) versions: Versions,
}

impl<T> FirstList<T> {
    pub(super) fn new() -> Self {
        Self { objects: HashMap::default(), places: 0, versions: Versions::Continue }
    }

    /// Adds a change; returns the object that it supersedes.
    pub(super) fn take(&mut self, key: Key, change: &Change<T>) -> Option<Arc<T>> {
        let superseded = match change {
            Change::Add(object) => {
                let place = self.objects.get(&key).map_or(self.places, |(place, _)| *place);
                self.places += 1;
                self.objects.insert(key, (place, Arc::clone(object)))
            }
            Change::Delete(_) => self.objects.remove(&key),
        };
        superseded.map(|(_, object)| object)
    }

    pub(super) fn into_listing(self, version: Option<ResourceVersion>) -> Listing<T> {
        let mut entries: Vec<_> = self.objects.into_iter().collect();
        entries.sort_unstable_by_key(|(_, (place, _))| *place);
        let mut objects = Keyed::new();
        for (key, (_, object)) in entries {
            objects.push(key.as_ref(), object);
        }
        Listing::from_list(objects, version).with_versions(self.versions)
    }
}
