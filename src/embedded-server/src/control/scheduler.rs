//! Binding the Pods of clients, unless a client does it.

use serde_json::{Value, json};

use super::Controllers;
use crate::object::{array, fields, name, text};
use crate::resource::NODES;
use crate::status::Failure;
use crate::write::Request;

impl Controllers {
    /// Binds a Pod to a Node that takes it; the next in turn, so that they fill up evenly.
    pub(super) fn schedule(&mut self, request: &Request, pod: &Value) -> Result<(), Failure> {
        let Some(nodes) = self.writer.registry.by_id(NODES) else { return Ok(()) };
        let (_, entries) = self.writer.storage.all(NODES);
        let count = entries.len();
        let start = self.next_node;
        let in_turn = (0..count).map(|step| &entries[(start + step) % count]);
        let mut fitting = in_turn.filter(|entry| takes(&entry.value(&nodes), pod));
        let Some(node) = fitting.next() else {
            return self.unschedulable(request, pod, count);
        };
        self.next_node = start.wrapping_add(1);
        let binding = json!({"target": {"kind": "Node", "name": node.name()}});
        let scheduler = Request { manager: "kube-scheduler".to_owned(), ..request.clone() };
        self.writer.bind(&scheduler, name(pod), &binding)?;
        let message = format!(
            "Successfully assigned {}/{} to {}",
            crate::object::namespace(pod),
            name(pod),
            node.name()
        );
        self.record(pod, "Normal", "Scheduled", &message, "default-scheduler");
        Ok(())
    }

    fn unschedulable(&self, request: &Request, pod: &Value, nodes: usize) -> Result<(), Failure> {
        let message = format!("0/{nodes} nodes are available: none of them takes the Pod.");
        let said = array(pod, "/status/conditions").iter().any(|one| one["message"] == *message);
        if said {
            return Ok(());
        }
        self.set_condition(request, name(pod), &json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
        }))?;
        self.record(pod, "Warning", "FailedScheduling", &message, "default-scheduler");
        Ok(())
    }
}

/// Returns whether a Node is open to a Pod: not cordoned, with the labels that the Pod selects, and with
/// no taint that it does not tolerate.
fn takes(node: &Value, pod: &Value) -> bool {
    let labels = &node["metadata"]["labels"];
    let is_open = node.pointer("/spec/unschedulable") != Some(&Value::Bool(true));
    let is_selected =
        fields(pod, "/spec/nodeSelector").all(|(name, value)| labels.get(name) == Some(value));
    let repels = |taint: &Value| {
        text(taint, "/effect") != "PreferNoSchedule"
            && !array(pod, "/spec/tolerations").iter().any(|one| tolerates(one, taint))
    };
    is_open && is_selected && !array(node, "/spec/taints").iter().any(repels)
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let (key, effect) = (text(toleration, "/key"), text(toleration, "/effect"));
    let exists = text(toleration, "/operator") == "Exists";
    (effect.is_empty() || effect == text(taint, "/effect"))
        && ((key.is_empty() && exists) || key == text(taint, "/key"))
        && (exists || text(toleration, "/value") == text(taint, "/value"))
}
