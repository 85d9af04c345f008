//! What Pods ask for and Nodes have, and a demand for some more of it than there is.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod, Taint, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;
use watchcache::store::Index;
use watchcache::{LabelSelector, Object};

use super::Cluster;
use crate::support::{Error, Until};

/// The Node that a Pod is bound to.
pub fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

pub fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// By Node, the Pods that take room there, which those that have ended do not.
pub fn by_node() -> Index<Pod, str> {
    Index::lending("node", |pod: &Pod, lend| {
        node_of(pod).filter(|_| !has_ended(pod)).into_iter().for_each(lend);
    })
}

/// Whether a Pod waits for this scheduler to bind it.
pub fn is_unbound(pod: &Pod, scheduler: &str) -> bool {
    let spec = pod.spec.as_ref();
    spec.is_some_and(|spec| {
        spec.node_name.is_none() && spec.scheduler_name.as_deref() == Some(scheduler)
    }) && pod.metadata.deletion_timestamp.is_none()
}

/// What a Pod's `nodeSelector` asks of Nodes.
pub fn selector(pod: &Pod) -> LabelSelector {
    let labels = pod.spec.iter().flat_map(|spec| spec.node_selector.iter().flatten());
    let labels: Vec<_> = labels.map(|(name, value)| format!("{name}={value}")).collect();
    labels.join(",").parse().expect("the API server takes labels alone")
}

/// CPUs and bytes, in thousandths, and Pods: what a Pod wants.
fn requested(pod: &Pod) -> [i64; 3] {
    let mut sum = [0, 0, 1];
    for container in pod.spec.iter().flat_map(|spec| &spec.containers) {
        let requests = container.resources.as_ref().and_then(|all| all.requests.as_ref());
        for (i, resource) in ["cpu", "memory"].into_iter().enumerate() {
            sum[i] += millis(requests.and_then(|requests| requests.get(resource)));
        }
    }
    sum[2] = 1_000;
    sum
}

/// What is left of it beside a Pod.
pub fn less(left: [i64; 3], pod: &Pod) -> [i64; 3] {
    let taken = requested(pod);
    std::array::from_fn(|i| left[i] - taken[i])
}

/// The same of what a Node can give.
pub fn allocatable(node: &Node) -> [i64; 3] {
    let all = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
    ["cpu", "memory", "pods"].map(|resource| millis(all.and_then(|all| all.get(resource))))
}

/// Whether a Node is open to a Pod: not cordoned, and with no taint that the Pod does not tolerate.
pub fn takes(node: &Node, pod: &Pod) -> bool {
    let Some((node, pod)) = node.spec.as_ref().zip(pod.spec.as_ref()) else { return true };
    let repels = |taint: &Taint| {
        let tolerations = pod.tolerations.as_deref().unwrap_or_default();
        taint.effect != "PreferNoSchedule" && !tolerations.iter().any(|one| tolerates(one, taint))
    };
    node.unschedulable != Some(true) && !node.taints.iter().flatten().any(repels)
}

/// Whether a Pod may be on a Node: that is open to it, and has the labels that it selects by.
pub fn may_be_on(node: &Node, pod: &Pod) -> bool {
    takes(node, pod) && selector(pod).matches(|label| node.label(label))
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let key = toleration.key.as_deref().unwrap_or_default();
    let exists = toleration.operator.as_deref() == Some("Exists");
    let effect = toleration.effect.as_deref().unwrap_or_default();
    let value = |value: &Option<String>| value.clone().unwrap_or_default();
    (effect.is_empty() || effect == taint.effect)
        && ((key.is_empty() && exists) || key == taint.key)
        && (exists || value(&toleration.value) == value(&taint.value))
}

/// A quantity in thousandths of its unit: 1,500 for "1500m", 1,024,000 for "1Ki".
fn millis(quantity: Option<&Quantity>) -> i64 {
    let text = quantity.map_or("0", |quantity| &quantity.0);
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let power =
        |letters: &str, of: f64, unit: &str| letters.find(unit).map(|at| of.powi(at as i32 + 1));
    let factor = match unit.strip_suffix('i') {
        Some(unit) => power("KMGTPE", 1024.0, unit),
        None if unit.is_empty() => Some(1.0),
        None if unit == "m" => Some(0.001),
        None => power("kMGTPE", 1000.0, unit),
    };
    // No API server lets a quantity pass that is no number, with a unit or with an exponent.
    match factor {
        Some(factor) => {
            number.parse().map_or(0, |number: f64| (number * factor * 1e3).ceil() as i64)
        }
        None => text.parse().map_or(0, |number: f64| (number * 1e3).ceil() as i64),
    }
}

/// Creates Pods that want a third of a Node each, in one zone or another, some of them on tainted
/// Nodes, too, and deletes the oldest: a few more than there is room for.
pub async fn demand(
    cluster: &Cluster,
    scheduler: &str,
    nodes: Vec<Arc<Node>>,
    mut until: Until,
) -> Result<(), Error> {
    const ZONE: &str = "topology.kubernetes.io/zone";
    let cpu = nodes.iter().map(|node| allocatable(node)[0]).max().unwrap_or(0) / 3;
    let pods = cluster.api::<Pod>();
    let mut alive = std::collections::VecDeque::new();
    for (number, node) in nodes.iter().cycle().enumerate() {
        let zone = node.metadata.labels.as_ref().and_then(|labels| labels.get(ZONE));
        let tolerations = if number % 4 == 0 { json!([{"operator": "Exists"}]) } else { json!([]) };
        let pod = serde_json::from_value(json!({
            "metadata": {"name": format!("demand-{number}")},
            "spec": {
                "schedulerName": scheduler,
                "nodeSelector": zone.map(|zone| json!({ZONE: zone})),
                "tolerations": tolerations,
                "containers": [{
                    "name": "pause", "image": "registry.k8s.io/pause:3.10",
                    "resources": {"requests": {"cpu": format!("{cpu}m"), "memory": "16Mi"}},
                }],
            },
        }))?;
        pods.create(&PostParams::default(), &pod).await?;
        alive.push_back(pod.metadata.name.unwrap_or_default());
        if alive.len() > nodes.len() * 3
            && let Some(oldest) = alive.pop_front()
        {
            pods.delete(&oldest, &DeleteParams::default().grace_period(0)).await?;
        }
        if !until.pause(Duration::from_millis(20)).await {
            break;
        }
    }
    Ok(())
}

/// A Pod that does nothing.
pub fn pause(namespace: &str, name: &str) -> Result<Pod, Error> {
    Ok(serde_json::from_value(json!({
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"containers": [{"name": "pause", "image": "registry.k8s.io/pause:3.10"}]},
    }))?)
}
