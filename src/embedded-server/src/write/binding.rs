//! `pods/binding`: a Pod gets its Node.

use k8s_openapi::api::core::v1 as core;
use serde_json::{Value, json};

use super::decode::check_namespace;
use super::{Request, Writer, Written};
use crate::object::{array, fields, is_deleting, section, text};
use crate::resource::NODES;
use crate::status::Failure;
use crate::storage::Origin;
use crate::time;

impl Writer {
    /// Binds a Pod to the Node that `binding` names.
    pub(crate) fn bind(
        &self,
        request: &Request,
        name: &str,
        binding: &Value,
    ) -> Result<Written, Failure> {
        let node = checked(request, name, binding)?;
        let node = node.as_str();
        let annotates = fields(binding, "/metadata/annotations").next().is_some();
        // The simulation goes on with its Pod on any of its own Nodes.
        let is_simulated =
            self.storage.get(NODES, node).is_some_and(|node| node.origin() != Origin::Client);
        let written = self.change_as(
            request,
            name,
            |pod| bound(request, name, pod, binding, node),
            |pod| match pod.origin() {
                Origin::Simulation if is_simulated && !annotates => Origin::Simulation,
                Origin::Client => Origin::Client,
                _ => Origin::Touched,
            },
        )?;
        if request.is_committed() {
            let namespace = request.namespace.as_deref().unwrap_or_default();
            self.churn.bound(namespace, name, node);
        }
        Ok(written)
    }
}

/// The name of the Node, if it is a Binding of this Pod to one.
fn checked(request: &Request, name: &str, binding: &Value) -> Result<String, Failure> {
    let refused = |why: &str| Err(Failure::bad_request(why));
    let read: core::Binding = serde_json::from_value(binding.clone()).map_err(|error| {
        let why = format!("Binding in version \"v1\" cannot be handled as a Binding: {error}");
        Failure::bad_request(why)
    })?;
    if read.metadata.name.as_deref().is_some_and(|given| !given.is_empty() && given != name) {
        return refused("name in URL does not match name in Binding object");
    }
    check_namespace(request, binding)?;
    if !matches!(read.target.kind.as_deref(), None | Some("" | "Node")) {
        return refused("target.kind: Unsupported value: supported values: \"Node\"");
    }
    match read.target.name {
        Some(node) if !node.is_empty() => Ok(node),
        _ => refused("target.name: Required value: a binding's target is the name of a Node"),
    }
}

fn bound(
    request: &Request,
    name: &str,
    pod: &Value,
    binding: &Value,
    node: &str,
) -> Result<Value, Failure> {
    let conflict = |why: String| Err(Failure::conflict(&request.definition, name, &why));
    let (wanted, uid) = (text(binding, "/metadata/uid"), text(pod, "/metadata/uid"));
    if !wanted.is_empty() && wanted != uid {
        return conflict(format!(
            "Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}"
        ));
    }
    if is_deleting(pod) {
        return conflict(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    let holder = text(pod, "/spec/nodeName");
    if !holder.is_empty() {
        return conflict(format!("pod {name} is already assigned to node \"{holder}\""));
    }
    let mut pod = pod.clone();
    section(&mut pod, "spec").insert("nodeName".to_owned(), node.into());
    for (name, value) in fields(binding, "/metadata/annotations") {
        section(&mut pod["metadata"], "annotations").insert(name.clone(), value.clone());
    }
    let scheduled = json!({
        "type": "PodScheduled", "status": "True", "lastTransitionTime": time::rfc3339(time::now()),
    });
    let mut conditions: Vec<Value> = array(&pod, "/status/conditions").to_vec();
    conditions.retain(|one| one["type"] != "PodScheduled");
    conditions.push(scheduled);
    section(&mut pod, "status").insert("conditions".to_owned(), conditions.into());
    Ok(pod)
}
