//! ReplicaSets: as many Pods as they want.

use serde_json::{Value, json};

use super::{Controllers, Work};
use crate::object::{array, is_deleting, name, namespace, section, text, uid};
use crate::resource::PODS;
use crate::status::Failure;
use crate::write::{DeleteOptions, Part, Request};

impl Controllers {
    pub(super) fn replica_set(&mut self, request: &Request, set: &Value) -> Result<(), Failure> {
        if !is_deleting(set) {
            self.adopt(PODS, "ReplicaSet", set, is_active)?;
        }
        let pods = self.pods_of(set);
        let wanted = number(set, "/spec/replicas");
        if !is_deleting(set) {
            let present = i64::try_from(pods.len()).unwrap_or(i64::MAX);
            if present < wanted {
                for _ in present..wanted {
                    self.create_pod(set)?;
                }
            } else if present > wanted {
                let surplus = usize::try_from(present - wanted).unwrap_or(0);
                self.delete_pods(set, pods, surplus)?;
            }
        }
        let pods = self.pods_of(set);
        let ready = pods.iter().filter(|pod| is_ready(pod)).count();
        let status = json!({
            "replicas": pods.len(), "fullyLabeledReplicas": pods.len(),
            "readyReplicas": ready, "availableReplicas": ready,
            "observedGeneration": set["metadata"]["generation"],
        });
        self.set_status(request, set, &status)
    }

    /// The Pods of a ReplicaSet that run, or are to.
    fn pods_of(&self, set: &Value) -> Vec<Value> {
        let Some(definition) = self.writer.registry.by_id(PODS) else { return Vec::new() };
        let of_set = |work: &Work| {
            let entry = self.writer.storage.get(work.resource, &work.key)?;
            Some(entry.value(&definition))
        };
        let mut works: Vec<_> =
            self.graph.owned_by(uid(set)).filter(|work| work.resource == PODS).collect();
        works.sort_by(|one, other| one.key.cmp(&other.key));
        works.into_iter().filter_map(of_set).filter(is_active).collect()
    }

    fn create_pod(&mut self, set: &Value) -> Result<(), Failure> {
        let request = self.request_for(PODS, Some(namespace(set)))?;
        let mut pod = json!({
            "metadata": set["spec"]["template"]["metadata"].clone(),
            "spec": set["spec"]["template"]["spec"].clone(),
        });
        let metadata = section(&mut pod, "metadata");
        metadata.remove("creationTimestamp");
        metadata.insert("generateName".to_owned(), format!("{}-", name(set)).into());
        metadata.insert("ownerReferences".to_owned(), json!([owner("apps/v1", "ReplicaSet", set)]));
        let written = self.writer.create(&request, pod)?;
        let created = written.value();
        let work = Work { resource: PODS, key: format!("{}/{}", namespace(set), name(&created)) };
        // Counted before its event comes back.
        self.graph.put(&work, &created);
        let message = format!("Created pod: {}", name(&created));
        self.record(set, "Normal", "SuccessfulCreate", &message, "replicaset-controller");
        Ok(())
    }

    /// Deletes as many, those first that are not ready.
    fn delete_pods(
        &mut self,
        set: &Value,
        mut pods: Vec<Value>,
        surplus: usize,
    ) -> Result<(), Failure> {
        let request = self.request_for(PODS, Some(namespace(set)))?;
        pods.sort_by_key(is_ready);
        for pod in pods.iter().take(surplus) {
            match self.writer.delete(&request, name(pod), &DeleteOptions::default()) {
                Err(failure) if !failure.status().is_not_found() => return Err(failure),
                _ => {}
            }
            let message = format!("Deleted pod: {}", name(pod));
            self.record(set, "Normal", "SuccessfulDelete", &message, "replicaset-controller");
        }
        Ok(())
    }

    /// Writes the status where it is another one.
    pub(super) fn set_status(
        &self,
        request: &Request,
        object: &Value,
        status: &Value,
    ) -> Result<(), Failure> {
        if object.get("status") == Some(status) {
            return Ok(());
        }
        self.writer.change(request, name(object), Part::Status, |object| {
            let mut object = object.clone();
            object["status"] = status.clone();
            Ok(object)
        })?;
        Ok(())
    }
}

fn is_active(pod: &Value) -> bool {
    !is_deleting(pod) && !matches!(text(pod, "/status/phase"), "Failed" | "Succeeded")
}

fn is_ready(pod: &Value) -> bool {
    array(pod, "/status/conditions")
        .iter()
        .any(|one| one["type"] == "Ready" && one["status"] == "True")
}

pub(super) fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// The reference to an owner that controls.
pub(super) fn owner(api_version: &str, kind: &str, owner: &Value) -> Value {
    json!({
        "apiVersion": api_version, "kind": kind, "name": name(owner), "uid": uid(owner),
        "controller": true, "blockOwnerDeletion": true,
    })
}
