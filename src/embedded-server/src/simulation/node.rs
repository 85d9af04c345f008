//! Nodes and their heartbeats.

use std::net::Ipv4Addr;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::{managed_fields, names};
use crate::time::rfc3339;

const HOST_NETWORK: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 10);

/// What is kept of a node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) uid: u128,
    index: usize,
    created: i64,
    pub(super) heartbeat: i64,
    seed: u64,
}

impl Node {
    pub(super) fn new(rng: &mut ChaCha8Rng, index: usize, now: i64) -> Self {
        let host = names::address(HOST_NETWORK, index).replace('.', "-");
        Node {
            name: format!("ip-{host}.eu-west-1.compute.internal"),
            uid: rng.random(),
            index,
            created: now - rng.random_range(86_400..86_400 * 90),
            heartbeat: now - rng.random_range(0..300),
            seed: rng.random(),
        }
    }

    /// Its address on the hosts' network.
    pub(super) fn address(&self) -> String {
        names::address(HOST_NETWORK, self.index)
    }

    /// The zone it stands in.
    pub(super) fn zone(&self) -> &'static str {
        ["eu-west-1a", "eu-west-1b", "eu-west-1c"][self.index % 3]
    }

    /// The complete Node.
    pub(super) fn object(&self) -> Value {
        let conditions = self.conditions();
        let labels = json!({
            "beta.kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
            "node.kubernetes.io/instance-type": "m6i.8xlarge",
            "topology.kubernetes.io/region": "eu-west-1",
            "topology.kubernetes.io/zone": self.zone(),
        });
        let annotations = json!({
            "node.alpha.kubernetes.io/ttl": "0",
            "volumes.kubernetes.io/controller-managed-attach-detach": "true",
        });
        let registered = json!({"metadata": {"labels": labels, "annotations": annotations}});
        let reported = json!({"status": {"conditions": conditions, "images": null}});
        json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self.name,
                "uid": names::uid(self.uid),
                "creationTimestamp": rfc3339(self.created),
                "labels": labels,
                "annotations": annotations,
                "managedFields": [
                    managed_fields::entry("kubelet", None, self.created, &registered),
                    managed_fields::entry("kubelet", Some("status"), self.heartbeat, &reported),
                ],
            },
            "spec": self.spec(),
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": self.address()},
                    {"type": "Hostname", "address": self.name},
                ],
                "capacity": resources("32", "129546176Ki"),
                "allocatable": resources("31850m", "126451540Ki"),
                "conditions": conditions,
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
                "nodeInfo": {
                    "architecture": "amd64",
                    "bootID": names::uid(self.uid.rotate_left(17)),
                    "containerRuntimeVersion": "containerd://2.0.5",
                    "kernelVersion": "6.12.40-64.114.amzn2023.x86_64",
                    "kubeProxyVersion": "",
                    "kubeletVersion": "v1.33.4",
                    "machineID": format!("{:032x}", self.uid.rotate_left(41)),
                    "operatingSystem": "linux",
                    "osImage": "Amazon Linux 2023.8.20250818",
                    "systemUUID": names::uid(self.uid.rotate_left(73)),
                },
                "images": self.images(),
            },
        })
    }

    /// Returns whether ordinary pods are kept off it: every tenth node is for others.
    pub(super) fn is_dedicated(&self) -> bool {
        self.index % 10 == 9
    }

    fn spec(&self) -> Value {
        let id = names::mix(self.seed, 0);
        let mut spec = json!({"providerID": format!("aws:///{}/i-{id:016x}", self.zone())});
        if self.is_dedicated() {
            spec["taints"] = json!([
                {"key": "dedicated", "value": "infrastructure", "effect": "NoSchedule"},
            ]);
        }
        spec
    }

    fn conditions(&self) -> Value {
        let condition = |kind: &str, status: &str, reason: &str, message: &str| {
            json!({
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": rfc3339(self.heartbeat),
                "lastTransitionTime": rfc3339(self.created + 25),
            })
        };
        json!([
            condition(
                "MemoryPressure",
                "False",
                "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available",
            ),
            condition(
                "DiskPressure",
                "False",
                "KubeletHasNoDiskPressure",
                "kubelet has no disk pressure",
            ),
            condition(
                "PIDPressure",
                "False",
                "KubeletHasSufficientPID",
                "kubelet has sufficient PID available",
            ),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ])
    }

    fn images(&self) -> Value {
        const REPOSITORIES: &[&str] = &[
            "docker.io/envoyproxy/envoy",
            "cr.fluentbit.io/fluent/fluent-bit",
            "registry.k8s.io/pause",
            "registry.k8s.io/kube-proxy",
            "quay.io/cilium/cilium",
            "registry.example.com/checkout-api",
            "registry.example.com/orders-worker",
        ];
        REPOSITORIES
            .iter()
            .zip(1_u64..)
            .map(|(repository, number)| {
                json!({
                    "names": [
                        format!("{repository}@sha256:{}", names::digest(self.seed, number)),
                        format!("{repository}:v1.{number}.0"),
                    ],
                    "sizeBytes": names::mix(self.seed, number) % 400_000_000 + 300_000,
                })
            })
            .collect()
    }
}

fn resources(cpu: &str, memory: &str) -> Value {
    json!({
        "cpu": cpu,
        "memory": memory,
        "ephemeral-storage": "83873772Ki",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "pods": "110",
    })
}
