//! A pod's `status`, as the scheduler and then the kubelet report it.

use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use super::node::Node;
use super::pod::{Pod, Stage};
use super::workload::Workload;
use super::{names, pod_spec};
use crate::time::rfc3339;

/// The block that the cluster's network gives pods their addresses from.
const POD_NETWORK: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);

/// The address of the pod in `slot`; slots are unique among the living, and so are addresses.
pub(super) fn pod_ip(slot: usize) -> String {
    names::address(POD_NETWORK, slot)
}

/// The whole status.
pub(super) fn status(pod: &Pod, slot: usize, workload: &Workload, node: &Node) -> Value {
    let mut status = json!({
        "phase": phase(pod),
        "conditions": conditions(pod, workload),
        "qosClass": "Burstable",
    });
    if pod.stage >= Stage::Creating {
        let host = node.address();
        status["startTime"] = rfc3339(pod.accepted).into();
        status["hostIP"] = host.as_str().into();
        status["hostIPs"] = json!([{"ip": host}]);
        status["containerStatuses"] = (0..workload.containers.len())
            .map(|index| container_status(pod, workload, index))
            .collect();
    }
    if pod.stage >= Stage::Started {
        let ip = pod_ip(slot);
        status["podIP"] = ip.as_str().into();
        status["podIPs"] = json!([{"ip": ip}]);
    }
    status
}

/// The part of a status that the kubelet owns: all but the scheduler's condition and the class.
pub(super) fn owned_by_kubelet(status: &Value) -> Value {
    let mut owned = Map::new();
    for (name, field) in status.as_object().into_iter().flatten() {
        match name.as_str() {
            "qosClass" => {}
            "conditions" => {
                let conditions = field.as_array().into_iter().flatten();
                let kubelets = conditions.filter(|each| each["type"] != "PodScheduled");
                owned.insert(name.clone(), kubelets.cloned().collect());
            }
            // An atomic list counts as one field, whatever it holds.
            "containerStatuses" => {
                owned.insert(name.clone(), Value::Null);
            }
            _ => {
                owned.insert(name.clone(), field.clone());
            }
        }
    }
    Value::Object(owned)
}

fn phase(pod: &Pod) -> &'static str {
    match pod.stage {
        Stage::Planned | Stage::Pending | Stage::Scheduled | Stage::Creating => "Pending",
        Stage::Started | Stage::Ready | Stage::Unready | Stage::Crashed | Stage::BackOff => {
            "Running"
        }
        Stage::Completed => "Succeeded",
    }
}

fn conditions(pod: &Pod, workload: &Workload) -> Value {
    let condition = |kind: &str, holds: bool, since: i64, reason: &str| {
        let mut condition = json!({
            "type": kind,
            "status": if holds { "True" } else { "False" },
            "lastTransitionTime": rfc3339(since),
        });
        if !holds && !reason.is_empty() {
            condition["reason"] = reason.into();
        }
        condition
    };
    if pod.stage <= Stage::Pending {
        let mut pending = condition("PodScheduled", false, pod.created, "Unschedulable");
        pending["message"] = "0/3 nodes are available: 3 Insufficient cpu.".into();
        return json!([pending]);
    }
    let scheduled = condition("PodScheduled", true, pod.scheduled, "");
    if pod.stage == Stage::Scheduled {
        return json!([scheduled]);
    }
    let ready = pod.stage == Stage::Ready;
    let reason = if pod.stage == Stage::Completed { "PodCompleted" } else { "ContainersNotReady" };
    let mut readiness = [
        condition("Ready", ready, pod.changed, reason),
        condition("ContainersReady", ready, pod.changed, reason),
    ];
    if reason == "ContainersNotReady" && !ready {
        let unready: Vec<&str> = workload
            .containers
            .iter()
            .take(if pod.stage == Stage::Creating { usize::MAX } else { 1 })
            .map(|container| container.name.as_str())
            .collect();
        for each in &mut readiness {
            each["message"] =
                format!("containers with unready status: [{}]", unready.join(" ")).into();
        }
    }
    let [ready, containers_ready] = readiness;
    let sandboxed = pod.stage >= Stage::Started && pod.stage != Stage::Completed;
    let sandbox_since = if sandboxed { pod.accepted + 2 } else { pod.changed };
    json!([
        condition("PodReadyToStartContainers", sandboxed, sandbox_since, ""),
        condition("Initialized", true, pod.accepted, ""),
        ready,
        containers_ready,
        scheduled,
    ])
}

fn container_status(pod: &Pod, workload: &Workload, index: usize) -> Value {
    let template = &workload.containers[index];
    let number = index as u64;
    // Only the first container ever crashes; its neighbours run on.
    let restarts = if index == 0 { pod.restarts } else { 0 };
    let seed = (pod.uid >> 64) as u64;
    let id = |restart: u32| {
        format!("containerd://{}", names::digest(seed, number * 1_000_003 + u64::from(restart)))
    };
    let first_start = pod.accepted + 3;
    let started = if index == 0 { pod.started } else { first_start };
    let terminated = |exit: i32, reason: &str, instance: u32, from: i64, to: i64| {
        json!({"terminated": {
            "exitCode": exit,
            "reason": reason,
            "startedAt": rfc3339(from),
            "finishedAt": rfc3339(to),
            "containerID": id(instance),
        }})
    };
    let running = json!({"running": {"startedAt": rfc3339(started)}});
    let failing = index == 0;
    let state = match pod.stage {
        Stage::Crashed if failing => terminated(1, "Error", restarts, started, pod.changed),
        Stage::BackOff if failing => json!({"waiting": {
            "reason": "CrashLoopBackOff",
            "message": format!(
                "back-off {}s restarting failed container={} pod={}",
                10 << restarts.min(5), template.name, pod.name
            ),
        }}),
        Stage::Completed => terminated(0, "Completed", restarts, started, pod.changed),
        stage if stage >= Stage::Started => running,
        _ => json!({"waiting": {"reason": "ContainerCreating"}}),
    };
    let up = state.get("running").is_some();
    let mut status = json!({
        "name": template.name,
        "image": pod_spec::image(template, &pod.revision),
        "imageID": "",
        "restartCount": restarts,
        "ready": up && (pod.stage == Stage::Ready || !failing),
        "started": up,
        "state": state,
        "lastState": {},
    });
    if pod.stage >= Stage::Started {
        let digest = names::digest(pod.revision.digest_seed, number);
        status["imageID"] = format!("{}@sha256:{digest}", template.repository).into();
        // While it waits out a back-off the last container is the one that crashed.
        let current =
            if pod.stage == Stage::BackOff { restarts.saturating_sub(1) } else { restarts };
        status["containerID"] = id(current).into();
    }
    if restarts > 0 {
        let end = if pod.stage == Stage::BackOff { pod.changed } else { started };
        status["lastState"] = terminated(1, "Error", restarts - 1, end - 20, end - 2);
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_count_up_from_the_block() {
        assert_eq!(pod_ip(0), "10.64.0.1");
        assert_eq!(pod_ip(255), "10.64.1.0");
    }
}
