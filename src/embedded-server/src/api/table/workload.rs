//! The columns of Deployments and ReplicaSets.

use serde_json::Value;

use super::{Column, age, array, equalities, name, or_none, text};

pub(super) const DEPLOYMENT_COLUMNS: &[Column] = &[
    ("Name", "name", 0),
    ("Ready", "string", 0),
    ("Up-to-date", "integer", 0),
    ("Available", "integer", 0),
    ("Age", "string", 0),
    ("Containers", "string", 1),
    ("Images", "string", 1),
    ("Selector", "string", 1),
];

pub(super) fn deployment_cells(deployment: &Value) -> Vec<Value> {
    let ready = format!(
        "{}/{}",
        number(deployment, "/status/readyReplicas"),
        number(deployment, "/spec/replicas")
    );
    let mut cells = vec![
        name(deployment),
        ready.into(),
        number(deployment, "/status/updatedReplicas").into(),
        number(deployment, "/status/availableReplicas").into(),
        age(deployment),
    ];
    cells.extend(template(deployment));
    cells
}

pub(super) const REPLICA_SET_COLUMNS: &[Column] = &[
    ("Name", "name", 0),
    ("Desired", "integer", 0),
    ("Current", "integer", 0),
    ("Ready", "integer", 0),
    ("Age", "string", 0),
    ("Containers", "string", 1),
    ("Images", "string", 1),
    ("Selector", "string", 1),
];

pub(super) fn replica_set_cells(replica_set: &Value) -> Vec<Value> {
    let mut cells = vec![
        name(replica_set),
        number(replica_set, "/spec/replicas").into(),
        number(replica_set, "/status/replicas").into(),
        number(replica_set, "/status/readyReplicas").into(),
        age(replica_set),
    ];
    cells.extend(template(replica_set));
    cells
}

/// The containers and images of the Pods, and what selects these.
fn template(workload: &Value) -> [Value; 3] {
    let containers = array(workload, "/spec/template/spec/containers");
    let all =
        |field: &str| containers.iter().map(|one| text(one, field)).collect::<Vec<_>>().join(",");
    [
        all("/name").into(),
        all("/image").into(),
        or_none(equalities(workload, "/spec/selector/matchLabels")),
    ]
}

fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}
