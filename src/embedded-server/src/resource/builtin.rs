//! The resources that are served from the start.

use k8s_openapi::api::{
    apps::v1 as apps, coordination::v1 as coordination, core::v1 as core,
    discovery::v1 as discovery, events::v1 as events,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::learn::learn;
use super::{
    CONFIG_MAPS, CUSTOM_RESOURCE_DEFINITIONS, DEPLOYMENTS, Definition, ENDPOINT_SLICES, EVENTS,
    LEASES, NAMESPACES, NODES, PODS, REPLICA_SETS, Renamed, ResourceId, SERVICES, Scale, Types,
};
use crate::storage::Dictionary;

/// Every resource, in the order of their ids; then those that another group serves as well.
pub(crate) fn all() -> Vec<Definition> {
    let workload_scale = || Scale {
        spec_replicas: "/spec/replicas".into(),
        status_replicas: "/status/replicas".into(),
        selector: Some("/spec/selector".into()),
    };
    let dictionary_of_events = Dictionary::default();
    vec![
        Definition {
            short_names: vec!["po".into()],
            categories: vec!["all".into()],
            selectable: &[
                "spec.nodeName",
                "status.phase",
                "spec.schedulerName",
                "spec.restartPolicy",
                "spec.serviceAccountName",
                "status.podIP",
                "status.nominatedNodeName",
            ],
            has_status: true,
            ..of::<core::Pod>(PODS, "", "pods", "Pod")
        },
        Definition {
            short_names: vec!["no".into()],
            selectable: &["spec.unschedulable"],
            namespaced: false,
            has_status: true,
            ..of::<core::Node>(NODES, "", "nodes", "Node")
        },
        Definition {
            short_names: vec!["svc".into()],
            categories: vec!["all".into()],
            selectable: &["spec.clusterIP", "spec.type"],
            has_status: true,
            ..of::<core::Service>(SERVICES, "", "services", "Service")
        },
        of::<discovery::EndpointSlice>(
            ENDPOINT_SLICES,
            "discovery.k8s.io",
            "endpointslices",
            "EndpointSlice",
        ),
        Definition {
            short_names: vec!["cm".into()],
            ..of::<core::ConfigMap>(CONFIG_MAPS, "", "configmaps", "ConfigMap")
        },
        Definition {
            short_names: vec!["ns".into()],
            selectable: &["status.phase"],
            namespaced: false,
            has_status: true,
            ..of::<core::Namespace>(NAMESPACES, "", "namespaces", "Namespace")
        },
        Definition {
            short_names: vec!["ev".into()],
            selectable: &[
                "involvedObject.kind",
                "involvedObject.namespace",
                "involvedObject.name",
                "involvedObject.uid",
                "involvedObject.apiVersion",
                "involvedObject.resourceVersion",
                "involvedObject.fieldPath",
                "reason",
                "reportingComponent",
                "source",
                "type",
            ],
            dictionary: dictionary_of_events.clone(),
            ..of::<core::Event>(EVENTS, "", "events", "Event")
        },
        Definition {
            unconditional_update: false,
            ..of::<coordination::Lease>(LEASES, "coordination.k8s.io", "leases", "Lease")
        },
        Definition {
            short_names: vec!["deploy".into()],
            categories: vec!["all".into()],
            has_status: true,
            scale: Some(workload_scale()),
            ..of::<apps::Deployment>(DEPLOYMENTS, "apps", "deployments", "Deployment")
        },
        Definition {
            short_names: vec!["rs".into()],
            categories: vec!["all".into()],
            selectable: &["status.replicas"],
            has_status: true,
            scale: Some(workload_scale()),
            ..of::<apps::ReplicaSet>(REPLICA_SETS, "apps", "replicasets", "ReplicaSet")
        },
        Definition {
            short_names: vec!["crd".into(), "crds".into()],
            categories: vec!["api-extensions".into()],
            namespaced: false,
            has_status: true,
            unconditional_update: false,
            ..of::<apiextensions::CustomResourceDefinition>(
                CUSTOM_RESOURCE_DEFINITIONS,
                "apiextensions.k8s.io",
                "customresourcedefinitions",
                "CustomResourceDefinition",
            )
        },
        Definition {
            short_names: vec!["ev".into()],
            // In the order of the core group's.
            selectable: &[
                "regarding.kind",
                "regarding.namespace",
                "regarding.name",
                "regarding.uid",
                "regarding.apiVersion",
                "regarding.resourceVersion",
                "regarding.fieldPath",
                "reason",
                "reportingController",
                "source",
                "type",
            ],
            renamed: Renamed::EVENTS,
            dictionary: dictionary_of_events,
            ..of::<events::Event>(EVENTS, "events.k8s.io", "events", "Event")
        },
    ]
}

/// What most resources have in common: in a namespace, without subresources.
fn of<T: Serialize + DeserializeOwned>(
    id: ResourceId,
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
) -> Definition {
    Definition {
        id,
        group: group.into(),
        version: "v1".into(),
        plural: plural.into(),
        singular: kind.to_ascii_lowercase().into(),
        kind: kind.into(),
        list_kind: format!("{kind}List").into(),
        namespaced: true,
        short_names: Vec::new(),
        categories: Vec::new(),
        selectable: &[],
        renamed: Renamed::default(),
        has_status: false,
        unconditional_update: true,
        scale: None,
        types: Types::Builtin { through: through::<T>, learn: learn::<T> },
        dictionary: Dictionary::default(),
        messages: Dictionary::default(),
    }
}

fn through<T: Serialize + DeserializeOwned>(object: Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<T>(object)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_places() {
        let all = all();
        let (resources, others) = all.split_at(CUSTOM_RESOURCE_DEFINITIONS.0 + 1);
        for (place, definition) in resources.iter().enumerate() {
            assert_eq!(definition.id, ResourceId(place), "{}", definition.plural);
        }
        for other in others {
            assert_eq!(other.selectable.len(), all[other.id.0].selectable.len(), "the same places");
        }
    }

    #[test]
    fn each_has_a_schema_in_protobuf() {
        for one in all() {
            let object = serde_json::json!({"kind": one.kind, "apiVersion": one.api_version()});
            assert!(watchcache::reflector::protobuf::to_vec(&object).is_ok(), "{object}");
        }
    }
}
