//! The resources that are currently served.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::{Definition, ResourceId, builtins};

/// Every definition; readers see a consistent state and never wait.
#[derive(Debug)]
pub(crate) struct Registry {
    served: ArcSwap<Vec<Arc<Definition>>>,
    /// The ids assigned so far, by group and plural: a resource that is defined again gets its old place.
    /// Held while `served` is replaced.
    ids: Mutex<HashMap<(String, String), ResourceId>>,
}

impl Registry {
    /// The built-in resources.
    pub(crate) fn new() -> Registry {
        let served: Vec<_> = builtins().into_iter().map(Arc::new).collect();
        let ids = served.iter().map(|one| (group_resource(one), one.id)).collect();
        Registry { served: ArcSwap::from_pointee(served), ids: Mutex::new(ids) }
    }

    /// All definitions, in the order in which they were added.
    pub(crate) fn all(&self) -> Arc<Vec<Arc<Definition>>> {
        self.served.load_full()
    }

    /// The resource that a path names.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Definition>> {
        let served = self.served.load();
        let found = served
            .iter()
            .find(|one| one.plural == plural && one.group == group && one.version == version)?;
        Some(Arc::clone(found))
    }

    /// Some version of the resource in a place.
    pub(crate) fn by_id(&self, id: ResourceId) -> Option<Arc<Definition>> {
        self.served.load().iter().find(|one| one.id == id).map(Arc::clone)
    }

    /// The resource of a kind, in whichever version an owner reference or a target names.
    pub(crate) fn by_kind(&self, group: &str, kind: &str) -> Option<Arc<Definition>> {
        let served = self.served.load();
        served.iter().find(|one| one.kind == kind && one.group == group).map(Arc::clone)
    }

    /// Serves these versions of one resource in place of those served so far.
    pub(crate) fn serve(
        &self,
        definitions: impl FnOnce(ResourceId) -> Vec<Definition>,
        of: (&str, &str),
    ) -> ResourceId {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let next = ResourceId(ids.len());
        let id = *ids.entry((of.0.to_owned(), of.1.to_owned())).or_insert(next);
        let mut served = self.served.load_full().to_vec();
        served.retain(|one| one.id != id);
        served.extend(definitions(id).into_iter().map(Arc::new));
        self.served.store(Arc::new(served));
        id
    }

    /// Stops serving a resource.
    pub(crate) fn withdraw(&self, group: &str, plural: &str) {
        self.serve(|_| Vec::new(), (group, plural));
    }
}

fn group_resource(definition: &Definition) -> (String, String) {
    (definition.group.to_string(), definition.plural.to_string())
}
