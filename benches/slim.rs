//! A Pod of nothing but what one program reads: where it runs, what it asks for, how it does, and whose it
//! is. Shared by the benches that mirror Pods, each of which is a package or a program of its own.
//!
//! Declared so that it takes little: texts and lists without room to grow, and no text where Kubernetes has a
//! word for it.

use std::fmt;

use k8s_openapi::api::core::v1::Pod;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use watchcache::reflector::{Decode, DecodeError, Encoded, Report};
use watchcache::{KeyRef, Object};

type Text = Box<str>;

/// What is measured is that these fields are read and kept: hardly any is looked at.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "kept to be measured")]
pub(crate) struct SlimPod {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    namespace: Text,
    name: Text,
    uid: Text,
    resource_version: Text,
    labels: Texts,
    owner_references: Box<[Owner]>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Owner {
    kind: Text,
    name: Text,
    uid: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: Text,
    containers: Box<[Container]>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    resources: Resources,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Resources {
    requests: Requests,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Requests {
    cpu: Text,
    memory: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: Phase,
    #[serde(rename = "podIP")]
    pod_ip: Text,
    conditions: Box<[Condition]>,
}

#[derive(Debug, Default, Deserialize)]
enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
    #[default]
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    condition_type: ConditionType,
    status: ConditionStatus,
}

#[derive(Debug, Default, Deserialize)]
enum ConditionType {
    PodScheduled,
    PodReadyToStartContainers,
    Initialized,
    ContainersReady,
    Ready,
    DisruptionTarget,
    PodResizePending,
    PodResizeInProgress,
    /// A readiness gate's, for one.
    #[default]
    #[serde(other)]
    Other,
}

#[derive(Debug, Default, Deserialize)]
enum ConditionStatus {
    True,
    False,
    #[default]
    #[serde(other)]
    Unknown,
}

/// A small map, which as a tree would take a kilobyte.
#[derive(Debug, Default)]
struct Texts(Box<[(Text, Text)]>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Texts, M::Error> {
                let mut entries = Vec::with_capacity(map.size_hint().unwrap_or_default());
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Texts(entries.into()))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

impl Object for SlimPod {
    fn key(&self) -> KeyRef<'_> {
        (&*self.metadata.namespace, &*self.metadata.name).into()
    }

    fn uid(&self) -> Option<&str> {
        Some(&self.metadata.uid)
    }

    fn resource_version(&self) -> Option<&str> {
        Some(&self.metadata.resource_version)
    }

    fn label(&self, name: &str) -> Option<&str> {
        let mut labels = self.metadata.labels.0.iter();
        labels.find_map(|(label, value)| (**label == *name).then_some(&**value))
    }
}

impl Decode for SlimPod {
    type Resource = Pod;

    fn decode(encoded: Encoded<'_>, _: Option<&Report>) -> Result<Self, DecodeError> {
        encoded.decode()
    }
}
