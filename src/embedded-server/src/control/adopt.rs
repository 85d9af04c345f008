//! Adoption: an object that no owner controls gets the controller whose selector matches it, whether its
//! former one was deleted without it or a client made it so.

use serde_json::Value;
use watchcache::LabelSelector;

use super::graph::is_controlled;
use super::replica_set::owner;
use super::{Controllers, Work};
use crate::object::{is_deleting, metadata, name, namespace, uid};
use crate::resource::{DEPLOYMENTS, PODS, REPLICA_SETS, ResourceId};
use crate::status::Failure;
use crate::storage::Origin;
use crate::write::{Part, scale::selector_text};

impl Controllers {
    /// Makes `controller` the owner of each such object of a resource that is `wanted`. O(n) in the
    /// objects of that resource in its namespace that no owner controls.
    pub(super) fn adopt(
        &mut self,
        resource: ResourceId,
        kind: &str,
        controller: &Value,
        wanted: fn(&Value) -> bool,
    ) -> Result<(), Failure> {
        let Some(selector) = selector(controller) else { return Ok(()) };
        let request = self.request_for(resource, Some(namespace(controller)))?;
        let storage = &self.writer.storage;
        let candidates: Vec<_> = self
            .graph
            .free(resource, namespace(controller))
            .filter_map(|work| Some((work.clone(), storage.get(resource, &work.key)?)))
            // The simulation keeps its own objects.
            .filter(|(_, entry)| entry.origin() == Origin::Client)
            .filter(|(_, entry)| selector.matches(|label: &str| entry.label(label)))
            .map(|(work, entry)| (work, entry.value(&request.definition)))
            .filter(|(_, object)| is_free(object) && wanted(object))
            .collect();
        for (work, candidate) in candidates {
            let adopted = self.writer.change(&request, name(&candidate), Part::All, |object| {
                if !is_free(object) || uid(object) != uid(&candidate) {
                    return Err(Failure::modified(&request.definition, name(object)));
                }
                let mut object = object.clone();
                let owners = metadata(&mut object).entry("ownerReferences").or_insert(Value::Null);
                let owner = owner("apps/v1", kind, controller);
                match owners {
                    Value::Array(owners) => owners.push(owner),
                    none => *none = Value::Array(vec![owner]),
                }
                Ok(object)
            })?;
            // Counted before its event is read.
            self.graph.put(&work, &adopted.value());
        }
        Ok(())
    }

    /// Queues the controllers that may adopt an object which no owner controls.
    pub(super) fn queue_adopters(&mut self, object: &Value, resource: ResourceId) {
        let adopters = match resource {
            PODS => REPLICA_SETS,
            REPLICA_SETS => DEPLOYMENTS,
            _ => return,
        };
        let Some(definition) = self.writer.registry.by_id(adopters) else { return };
        let adopts = |work: &&Work| {
            let entry = self.writer.storage.get(work.resource, &work.key);
            let selector = entry.and_then(|entry| selector(&entry.value(&definition)));
            let labels = &object["metadata"]["labels"];
            selector.is_some_and(|selector| selector.matches(|label: &str| labels[label].as_str()))
        };
        let works: Vec<Work> =
            self.graph.all(adopters, namespace(object)).filter(adopts).cloned().collect();
        works.into_iter().for_each(|work| self.queue.push(work));
    }
}

fn is_free(object: &Value) -> bool {
    !is_deleting(object) && !is_controlled(object)
}

/// A workload's selector; here an empty one selects nothing.
fn selector(workload: &Value) -> Option<LabelSelector> {
    let selector: LabelSelector = selector_text(&workload["spec"]["selector"]).parse().ok()?;
    (!selector.is_everything()).then_some(selector)
}
