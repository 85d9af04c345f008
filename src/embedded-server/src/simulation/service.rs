//! The Service in front of a workload, and the EndpointSlice behind that.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::node::Node;
use super::pod::{Pod, Stage};
use super::workload::Workload;
use super::{names, pod_status};
use crate::time::rfc3339;

const SERVICE_NETWORK: Ipv4Addr = Ipv4Addr::new(10, 32, 0, 10);

/// The Service of the workload at `index`.
pub(super) fn service(workload: &Workload, index: usize, namespace: &str) -> Value {
    let address = names::address(SERVICE_NETWORK, index);
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": workload.name,
            "namespace": namespace,
            "uid": names::uid(workload.service_uid),
            "creationTimestamp": rfc3339(workload.created),
            "labels": {
                "app.kubernetes.io/name": workload.name,
                "app.kubernetes.io/managed-by": "Helm",
            },
            "annotations": {
                "meta.helm.sh/release-name": workload.name,
                "meta.helm.sh/release-namespace": namespace,
            },
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": address,
            "clusterIPs": [address],
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}],
            "selector": {"app.kubernetes.io/name": workload.name},
            "sessionAffinity": "None",
        },
        "status": {"loadBalancer": {}},
    })
}

/// The name of a workload's EndpointSlice.
pub(super) fn slice_name(workload: &Workload) -> String {
    format!("{}-{}", workload.name, workload.slice_suffix)
}

/// The EndpointSlice of a workload with its existing `pods`.
pub(super) fn endpoint_slice<'a>(
    workload: &Workload,
    namespace: &str,
    changed: i64,
    pods: impl Iterator<Item = (usize, &'a Pod, &'a Node)>,
) -> Value {
    let endpoints: Vec<Value> = pods
        // Without an address, or after its containers ended, a pod is not an endpoint.
        .filter(|(_, pod, _)| {
            pod.stage >= Stage::Started && pod.stage != Stage::Completed && !pod.lost
        })
        .map(|(slot, pod, node)| {
            json!({
                "addresses": [pod_status::pod_ip(slot)],
                "conditions": {
                    "ready": pod.is_ready(),
                    "serving": pod.stage == Stage::Ready,
                    "terminating": pod.deletion.is_some(),
                },
                "nodeName": node.name,
                "zone": node.zone(),
                "targetRef": {
                    "kind": "Pod",
                    "namespace": namespace,
                    "name": pod.name,
                    "uid": names::uid(pod.uid),
                },
            })
        })
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": slice_name(workload),
            "generateName": format!("{}-", workload.name),
            "namespace": namespace,
            "uid": names::uid(workload.slice_uid),
            "creationTimestamp": rfc3339(workload.created),
            "labels": {
                "app.kubernetes.io/name": workload.name,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                "kubernetes.io/service-name": workload.name,
            },
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": rfc3339(changed)},
            "ownerReferences": [{
                "apiVersion": "v1",
                "kind": "Service",
                "name": workload.name,
                "uid": names::uid(workload.service_uid),
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    })
}
