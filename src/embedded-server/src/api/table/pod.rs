//! The columns of Pods.

use serde_json::Value;

use super::{Column, age, age::since, array, name, text, text_or_none};

pub(super) const COLUMNS: &[Column] = &[
    ("Name", "name", 0),
    ("Ready", "string", 0),
    ("Status", "string", 0),
    ("Restarts", "string", 0),
    ("Age", "string", 0),
    ("IP", "string", 1),
    ("Node", "string", 1),
    ("Nominated Node", "string", 1),
    ("Readiness Gates", "string", 1),
];

pub(super) fn cells(pod: &Value) -> Vec<Value> {
    let statuses = array(pod, "/status/containerStatuses");
    let ready = statuses.iter().filter(|status| status["ready"] == true).count();
    let total = array(pod, "/spec/containers").len();
    vec![
        name(pod),
        format!("{ready}/{total}").into(),
        status(pod).into(),
        restarts(statuses).into(),
        age(pod),
        text_or_none(pod, "/status/podIP").into(),
        text_or_none(pod, "/spec/nodeName").into(),
        text_or_none(pod, "/status/nominatedNodeName").into(),
        readiness_gates(pod).into(),
    ]
}

/// One word for the state: the phase, unless a container has more to say.
fn status(pod: &Value) -> String {
    let mut status = match text(pod, "/status/reason") {
        "" => text(pod, "/status/phase"),
        reason => reason,
    }
    .to_owned();
    if let Some(initializing) = initializing(pod) {
        status = initializing;
    } else {
        let mut running = false;
        for container in array(pod, "/status/containerStatuses").iter().rev() {
            if let Some(reason) = waiting(container) {
                status = reason.to_owned();
            } else if let Some(reason) = terminated(container) {
                status = reason;
            } else if container["ready"] == true && container.pointer("/state/running").is_some() {
                running = true;
            }
        }
        if status == "Completed" && running {
            status = if is_ready(pod) { "Running" } else { "NotReady" }.to_owned();
        }
    }
    if !text(pod, "/metadata/deletionTimestamp").is_empty() {
        let lost = text(pod, "/status/reason") == "NodeLost";
        status = if lost { "Unknown" } else { "Terminating" }.to_owned();
    }
    status
}

/// What the first unfinished init container is doing.
fn initializing(pod: &Value) -> Option<String> {
    let containers = array(pod, "/status/initContainerStatuses");
    for (done, container) in containers.iter().enumerate() {
        let exit = container.pointer("/state/terminated/exitCode").and_then(Value::as_i64);
        if exit == Some(0) || container["started"] == true {
            continue;
        }
        return Some(match (terminated(container), waiting(container)) {
            (Some(reason), _) => format!("Init:{reason}"),
            (None, Some(reason)) if reason != "PodInitializing" => format!("Init:{reason}"),
            _ => format!("Init:{done}/{}", array(pod, "/spec/initContainers").len()),
        });
    }
    None
}

fn waiting(container: &Value) -> Option<&str> {
    Some(text(container, "/state/waiting/reason")).filter(|reason| !reason.is_empty())
}

fn terminated(container: &Value) -> Option<String> {
    let state = container.pointer("/state/terminated")?;
    Some(match (text(state, "/reason"), state["signal"].as_i64().unwrap_or(0)) {
        ("", 0) => format!("ExitCode:{}", state["exitCode"].as_i64().unwrap_or(0)),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    })
}

fn is_ready(pod: &Value) -> bool {
    array(pod, "/status/conditions")
        .iter()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn restarts(statuses: &[Value]) -> String {
    let count: i64 = statuses.iter().filter_map(|status| status["restartCount"].as_i64()).sum();
    // RFC 3339 times in UTC are in the order of their text.
    let last = statuses.iter().map(|status| text(status, "/lastState/terminated/finishedAt")).max();
    match last {
        Some(last) if count > 0 && !last.is_empty() => format!("{count} ({} ago)", since(last)),
        _ => count.to_string(),
    }
}

fn readiness_gates(pod: &Value) -> String {
    let gates = array(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let met = gates.iter().filter(|gate| {
        array(pod, "/status/conditions").iter().any(|condition| {
            condition["type"] == gate["conditionType"] && condition["status"] == "True"
        })
    });
    format!("{}/{}", met.count(), gates.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn states() {
        let mut pod = json!({"status": {"phase": "Running", "containerStatuses": [
            {"ready": true, "state": {"running": {}}},
        ]}});
        assert_eq!(status(&pod), "Running");
        pod["status"]["containerStatuses"][0]["state"] =
            json!({"waiting": {"reason": "CrashLoopBackOff"}});
        assert_eq!(status(&pod), "CrashLoopBackOff");
        pod["status"]["containerStatuses"][0]["state"] = json!({"terminated": {"exitCode": 3}});
        assert_eq!(status(&pod), "ExitCode:3");
        pod["spec"] = json!({"initContainers": [{}, {}]});
        pod["status"]["initContainerStatuses"] = json!([{"state": {"running": {}}}]);
        assert_eq!(status(&pod), "Init:0/2");
        pod["metadata"] = json!({"deletionTimestamp": "2024-01-01T00:00:00Z"});
        assert_eq!(status(&pod), "Terminating");
    }
}
