//! The owners of objects, among the objects of clients.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::Work;
use crate::object::{array, text, uid};
use crate::resource::ResourceId;
use crate::storage;

#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: BTreeMap<Work, Node>,
    by_uid: HashMap<String, Work>,
    owned: HashMap<String, HashSet<Work>>,
    /// Those that no owner controls, in the order of their keys.
    free: BTreeSet<Work>,
}

/// The remembered part of an object.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) uid: String,
    pub(super) owners: Vec<String>,
}

impl Graph {
    pub(super) fn put(&mut self, work: &Work, object: &Value) {
        self.remove(work);
        let owners = array(object, "/metadata/ownerReferences").iter();
        let owners: Vec<String> = owners.map(|owner| text(owner, "/uid").to_owned()).collect();
        for owner in &owners {
            self.owned.entry(owner.clone()).or_default().insert(work.clone());
        }
        if !is_controlled(object) {
            self.free.insert(work.clone());
        }
        let uid = uid(object).to_owned();
        self.by_uid.insert(uid.clone(), work.clone());
        self.nodes.insert(work.clone(), Node { uid, owners });
    }

    /// Forgets an object; returns what was remembered.
    pub(super) fn remove(&mut self, work: &Work) -> Node {
        let node = self.nodes.remove(work).unwrap_or_default();
        self.by_uid.remove(&node.uid);
        self.free.remove(work);
        for owner in &node.owners {
            if let Some(owned) = self.owned.get_mut(owner) {
                owned.remove(work);
                if owned.is_empty() {
                    self.owned.remove(owner);
                }
            }
        }
        node
    }

    pub(super) fn by_uid(&self, uid: &str) -> Option<&Work> {
        self.by_uid.get(uid)
    }

    /// The objects that name the uid among their owners.
    pub(super) fn owned_by(&self, uid: &str) -> impl Iterator<Item = &Work> {
        self.owned.get(uid).into_iter().flatten()
    }

    /// Returns whether no owner controls the object.
    pub(super) fn is_free(&self, work: &Work) -> bool {
        self.free.contains(work)
    }

    /// The objects of a resource in a namespace that no owner controls.
    pub(super) fn free(
        &self,
        resource: ResourceId,
        namespace: &str,
    ) -> impl Iterator<Item = &Work> {
        let prefix = storage::key(Some(namespace), "");
        let first = Work { resource, key: prefix.clone() };
        let is_in = move |work: &&Work| work.resource == resource && work.key.starts_with(&prefix);
        self.free.range(first..).take_while(is_in)
    }

    /// The objects of a resource in a namespace.
    pub(super) fn all(&self, resource: ResourceId, namespace: &str) -> impl Iterator<Item = &Work> {
        let prefix = storage::key(Some(namespace), "");
        let first = Work { resource, key: prefix.clone() };
        let is_in = move |work: &&Work| work.resource == resource && work.key.starts_with(&prefix);
        self.nodes.range(first..).map(|(work, _)| work).take_while(is_in)
    }

    /// The objects of a resource that are not among those `held`.
    pub(super) fn others(&self, id: ResourceId, held: impl Fn(&str) -> bool) -> Vec<Work> {
        let others = self.nodes.keys().filter(|work| work.resource == id && !held(&work.key));
        others.cloned().collect()
    }
}

/// Returns whether one of its owners is the controller that manages it.
pub(super) fn is_controlled(object: &Value) -> bool {
    array(object, "/metadata/ownerReferences").iter().any(|owner| owner["controller"] == true)
}
