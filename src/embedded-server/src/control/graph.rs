//! Who owns whom, among the objects of clients.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::Work;
use crate::object::{array, text, uid};
use crate::resource::ResourceId;

#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: HashMap<Work, Node>,
    by_uid: HashMap<String, Work>,
    owned: HashMap<String, HashSet<Work>>,
}

/// What is remembered of an object.
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
        let uid = uid(object).to_owned();
        self.by_uid.insert(uid.clone(), work.clone());
        self.nodes.insert(work.clone(), Node { uid, owners });
    }

    /// Forgets an object; what it was.
    pub(super) fn remove(&mut self, work: &Work) -> Node {
        let node = self.nodes.remove(work).unwrap_or_default();
        self.by_uid.remove(&node.uid);
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

    /// The objects of a resource that are not among those `held`.
    pub(super) fn others(&self, id: ResourceId, held: impl Fn(&str) -> bool) -> Vec<Work> {
        let others = self.nodes.keys().filter(|work| work.resource == id && !held(&work.key));
        others.cloned().collect()
    }
}
