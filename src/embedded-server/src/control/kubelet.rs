//! Running Pods: what the kubelet reports of those of clients, and how their deletion ends.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Controllers, Work};
use crate::object::{array, finalizers, is_deleting, name, section, text};
use crate::resource::{NODES, PODS};
use crate::simulation::Scheduler;
use crate::status::Failure;
use crate::storage::{Entry, Origin};
use crate::time;
use crate::write::{Part, Request};

/// How long containers take to start, and to end.
const START: Duration = Duration::from_millis(100);
const END: Duration = Duration::from_millis(200);

/// The block that Pods of clients have their addresses from; those of simulated ones lie before it.
const POD_NETWORK: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 1);

impl Controllers {
    /// The next step in the life of a Pod.
    pub(super) fn pod(
        &mut self,
        request: &Request,
        entry: &Arc<Entry>,
        pod: &Value,
    ) -> Result<(), Failure> {
        if is_deleting(pod) {
            return self.end(request, entry, pod);
        }
        if entry.origin() != Origin::Client {
            return Ok(());
        }
        let is_bound = !text(pod, "/spec/nodeName").is_empty();
        let is_ours = text(pod, "/spec/schedulerName") == "default-scheduler";
        if !is_bound {
            return match self.scheduler {
                Scheduler::Simulated if is_ours => self.schedule(request, pod),
                _ => Ok(()),
            };
        }
        match text(pod, "/status/phase") {
            // The first call only starts the wait.
            "Pending" if self.starting.insert(crate::object::uid(pod).to_owned()) => {
                self.again_after(entry, START);
                Ok(())
            }
            "Pending" => self.start(request, pod),
            _ => Ok(()),
        }
    }

    fn again_after(&mut self, entry: &Entry, delay: Duration) {
        let work = Work { resource: PODS, key: entry.key().to_string() };
        self.queue.push_after(work, delay);
    }

    /// All containers run, and are ready.
    fn start(&mut self, request: &Request, pod: &Value) -> Result<(), Failure> {
        self.starting.remove(crate::object::uid(pod));
        let kubelet = Request { manager: "kubelet".to_owned(), ..request.clone() };
        let host = self.host_address(text(pod, "/spec/nodeName"));
        self.addresses += 1;
        let address =
            Ipv4Addr::from(u32::from(POD_NETWORK).wrapping_add(self.addresses)).to_string();
        self.writer.change(&kubelet, name(pod), Part::Status, |pod| {
            let now = time::rfc3339(time::now());
            let mut pod = pod.clone();
            let containers: Vec<Value> = array(&pod, "/spec/containers")
                .iter()
                .map(|container| {
                    let image = text(container, "/image");
                    json!({
                        "name": container["name"], "image": image,
                        "imageID": format!("{image}@simulated"),
                        "containerID": format!("containerd://{}", crate::write::suffix(32)),
                        "ready": true, "started": true, "restartCount": 0, "lastState": {},
                        "state": {"running": {"startedAt": now}},
                    })
                })
                .collect();
            let mut conditions = array(&pod, "/status/conditions").to_vec();
            for kind in ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"] {
                conditions.retain(|one| one["type"] != kind);
                conditions.push(json!({"type": kind, "status": "True", "lastTransitionTime": now}));
            }
            let status = section(&mut pod, "status");
            for (field, value) in [
                ("phase", json!("Running")),
                ("startTime", json!(now)),
                ("hostIP", json!(host)),
                ("hostIPs", json!([{"ip": host}])),
                ("podIP", json!(address)),
                ("podIPs", json!([{"ip": address}])),
                ("containerStatuses", Value::Array(containers)),
                ("conditions", Value::Array(conditions)),
            ] {
                status.insert(field.to_owned(), value);
            }
            Ok(pod)
        })?;
        for container in array(pod, "/spec/containers") {
            let message = format!("Started container {}", text(container, "/name"));
            self.record(pod, "Normal", "Started", &message, "kubelet");
        }
        Ok(())
    }

    /// The address of a Node, or some address if clients have named one that does not exist.
    fn host_address(&self, node: &str) -> String {
        let definition = self.writer.registry.by_id(NODES);
        let entry = self.writer.storage.get(NODES, node);
        let node = definition.zip(entry).map(|(nodes, entry)| entry.value(&nodes));
        let addresses = node.as_ref().map_or(&[][..], |node| array(node, "/status/addresses"));
        let internal = addresses.iter().find(|one| one["type"] == "InternalIP");
        internal.map_or("127.0.0.1", |one| text(one, "/address")).to_owned()
    }

    /// The containers end, and the Pod is deleted unless something else holds it.
    fn end(&mut self, request: &Request, entry: &Arc<Entry>, pod: &Value) -> Result<(), Failure> {
        let uid = crate::object::uid(pod).to_owned();
        let grace = pod.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64);
        if grace.unwrap_or(0) > 0 && self.ending.insert(uid.clone()) {
            self.record(pod, "Normal", "Killing", "Stopping its containers", "kubelet");
            self.again_after(entry, END);
            return Ok(());
        }
        self.ending.remove(&uid);
        if finalizers(pod).next().is_none() {
            self.writer.finish(request, entry);
        } else if grace != Some(0) {
            self.writer.end_grace(request, name(pod))?;
        }
        Ok(())
    }

    /// Sets one condition of a Pod.
    pub(super) fn set_condition(
        &self,
        request: &Request,
        name: &str,
        condition: &Value,
    ) -> Result<(), Failure> {
        self.writer.change(request, name, Part::Status, |pod| {
            let mut pod = pod.clone();
            let mut conditions = array(&pod, "/status/conditions").to_vec();
            conditions.retain(|one| one["type"] != condition["type"]);
            let mut condition = condition.clone();
            condition["lastTransitionTime"] = time::rfc3339(time::now()).into();
            conditions.push(condition);
            section(&mut pod, "status").insert("conditions".to_owned(), conditions.into());
            Ok(pod)
        })?;
        Ok(())
    }
}
