//! Pods: the compact state kept of each, and the object it stands for.

use std::sync::Arc;

use serde_json::{Value, json};

use super::node::Node;
use super::workload::{Kind, Revision, Style, Workload};
use super::{managed_fields, names, pod_spec, pod_status};
use crate::time::rfc3339;

/// How far a pod has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub(super) enum Stage {
    /// Not created yet: a happening that is under way will.
    Planned,
    /// Created, and waiting for the scheduler.
    Pending,
    /// Bound to a node whose kubelet has not seen it yet.
    Scheduled,
    /// The kubelet is pulling images and mounting volumes.
    Creating,
    /// Running, but not ready.
    Started,
    /// Running and ready.
    Ready,
    /// Running, and failing its readiness probe; unlike `Started`, no fresh start.
    Unready,
    /// The first container has just failed.
    Crashed,
    /// The first container waits out its back-off.
    BackOff,
    /// Every container has ended.
    Completed,
}

/// What is kept of a pod. Everything else of its JSON follows from this, its workload and its
/// node, so that tens of thousands of pods stay small.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) uid: u128,
    pub(super) workload: usize,
    pub(super) revision: Arc<Revision>,
    /// Index of the node that the scheduler has chosen or will choose.
    pub(super) node: usize,
    pub(super) stage: Stage,
    pub(super) created: i64,
    pub(super) scheduled: i64,
    /// When the kubelet took it on.
    pub(super) accepted: i64,
    /// When the running instance of the first container started.
    pub(super) started: i64,
    /// When the stage last changed.
    pub(super) changed: i64,
    pub(super) restarts: u32,
    /// When it must be gone, once it is being deleted.
    pub(super) deletion: Option<i64>,
    /// Whether a client has removed it.
    pub(super) lost: bool,
}

impl Pod {
    /// Moves to `stage` at `now`.
    pub(super) fn enter(&mut self, stage: Stage, now: i64) {
        match stage {
            Stage::Pending => self.created = now,
            Stage::Scheduled => self.scheduled = now,
            Stage::Creating => self.accepted = now,
            Stage::Started => self.started = now,
            Stage::BackOff => self.restarts += 1,
            _ => {}
        }
        self.stage = stage;
        self.changed = now;
    }

    /// Begins its deletion with the usual grace.
    pub(super) fn terminate(&mut self, now: i64) {
        self.deletion = Some(now + GRACE);
    }

    /// Returns whether a Service may send it requests.
    pub(super) fn is_ready(&self) -> bool {
        self.stage == Stage::Ready && self.deletion.is_none() && !self.lost
    }
}

const GRACE: i64 = 30;

/// The labels that a workload's revision gives its pods.
fn labels(workload: &Workload, revision: &Revision) -> Value {
    let mut labels = json!({
        "app.kubernetes.io/name": workload.name,
        "app.kubernetes.io/version": revision.image_tag,
    });
    match workload.kind {
        Kind::Deployment => labels["pod-template-hash"] = revision.hash.as_str().into(),
        Kind::Job => {
            labels["batch.kubernetes.io/controller-uid"] = names::uid(revision.owner).into();
            labels["batch.kubernetes.io/job-name"] = workload.owner_name(revision).into();
        }
    }
    labels
}

/// The complete Pod in `slot`.
pub(super) fn object(
    pod: &Pod,
    slot: usize,
    workload: &Workload,
    namespace: &str,
    node: &Node,
) -> Value {
    let revision = &*pod.revision;
    let kind = match workload.kind {
        Kind::Deployment => "ReplicaSet",
        Kind::Job => "Job",
    };
    // The part that the controller writes; it is also what the controller owns.
    let mut controller_metadata = json!({
        "generateName": format!("{}-", workload.owner_name(revision)),
        "labels": labels(workload, revision),
        "ownerReferences": [{
            "apiVersion": if kind == "Job" { "batch/v1" } else { "apps/v1" },
            "kind": kind,
            "name": workload.owner_name(revision),
            "uid": names::uid(revision.owner),
            "controller": true,
            "blockOwnerDeletion": true,
        }],
    });
    if workload.style() >= Style::Usual {
        controller_metadata["annotations"] = json!({
            "prometheus.io/scrape": "true",
            "prometheus.io/port": "8080",
        });
    }
    let created = json!({
        "metadata": controller_metadata,
        "spec": pod_spec::template(workload, revision),
    });
    let status = pod_status::status(pod, slot, workload, node);

    let mut managers =
        vec![managed_fields::entry("kube-controller-manager", None, pod.created, &created)];
    if pod.stage >= Stage::Creating {
        let owned = json!({ "status": pod_status::owned_by_kubelet(&status) });
        managers.push(managed_fields::entry("kubelet", Some("status"), pod.changed, &owned));
    }

    let mut object = created;
    object["apiVersion"] = "v1".into();
    object["kind"] = "Pod".into();
    let metadata = &mut object["metadata"];
    metadata["name"] = pod.name.as_str().into();
    metadata["namespace"] = namespace.into();
    metadata["uid"] = names::uid(pod.uid).into();
    metadata["creationTimestamp"] = rfc3339(pod.created).into();
    metadata["generation"] = 1.into();
    metadata["managedFields"] = managers.into();
    if let Some(deletion) = pod.deletion {
        metadata["generation"] = 2.into();
        metadata["deletionTimestamp"] = rfc3339(deletion).into();
        metadata["deletionGracePeriodSeconds"] = GRACE.into();
    }
    let node_name = (pod.stage >= Stage::Scheduled).then_some(node.name.as_str());
    pod_spec::admit(&mut object["spec"], &pod.name, node_name);
    object["status"] = status;
    object
}
