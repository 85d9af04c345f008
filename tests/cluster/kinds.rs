//! A kind that the server learns, in more than one version.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams};
use serde_json::{Value, json};
use watchcache::reflector::KubeSource;

use crate::cluster::Cluster;
use crate::mirror::Mirror;

const GROUP: &str = "tests.example.com";

fn version(name: &str, storage: bool) -> Value {
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    json!({
        "name": name, "served": true, "storage": storage,
        "schema": { "openAPIV3Schema": schema },
    })
}

pub(crate) async fn a_custom_resource_in_versions(cluster: Arc<Cluster>) {
    let namespace = cluster.namespace().await;
    let client = cluster.client().await;
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let definition = serde_json::from_value(json!({
        "metadata": { "name": format!("gadgets.{GROUP}") },
        "spec": {
            "group": GROUP,
            "names": { "kind": "Gadget", "plural": "gadgets" },
            "scope": "Namespaced",
            "versions": [version("v1", true), version("v1beta1", false)],
        },
    }));
    definitions.create(&PostParams::default(), &definition.unwrap()).await.unwrap();

    let resource =
        |version| ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, version, "Gadget"));
    let (v1, v1beta1) = (resource("v1"), resource("v1beta1"));
    let stable = Api::<DynamicObject>::namespaced_with(client.clone(), &namespace, &v1);
    let beta = Api::<DynamicObject>::namespaced_with(client.clone(), &namespace, &v1beta1);
    // The server takes a moment to serve a new kind.
    while stable.list(&Default::default()).await.is_err()
        || beta.list(&Default::default()).await.is_err()
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let in_v1 = Mirror::synced(KubeSource::namespaced_with(client.clone(), &namespace, &v1)).await;
    let in_beta = Mirror::synced(KubeSource::namespaced_with(client, &namespace, &v1beta1)).await;

    for (name, api, resource) in
        [("one", &stable, &v1), ("two", &beta, &v1beta1), ("three", &stable, &v1)]
    {
        let gadget =
            DynamicObject::new(name, resource).data(json!({ "spec": { "size": name.len() } }));
        api.create(&PostParams::default(), &gadget).await.unwrap();
    }
    beta.delete("three", &DeleteParams::default()).await.unwrap();
    assert_eq!(in_v1.assert_equals(&stable).await, 2);
    assert_eq!(in_beta.assert_equals(&beta).await, 2);
    // One object, each mirror in the version that it asked for.
    for (mirror, expected) in [(&in_v1, "v1"), (&in_beta, "v1beta1")] {
        let gadget = mirror.store.get((namespace.as_str(), "two")).unwrap();
        let types = gadget.types.as_ref().unwrap();
        assert_eq!(types.api_version, format!("{GROUP}/{expected}"));
        assert_eq!(gadget.data["spec"]["size"], 3);
        assert_eq!(mirror.progress().relists, 0);
    }

    // With the kind go its objects, one by one.
    definitions.delete(&format!("gadgets.{GROUP}"), &DeleteParams::default()).await.unwrap();
    in_v1.until("told of each deletion", |progress| progress.events >= 6).await;
    in_beta.until("told of each deletion", |progress| progress.events >= 6).await;
    assert!(in_v1.store.is_empty() && in_beta.store.is_empty());
}
