//! Greetings: a custom resource, somebody who disturbs them and their ConfigMaps, and what should be
//! true of the two.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;

use super::{Cluster, ignore_missing};
use crate::support::{Error, Until};

const NAME: &str = "greetings.example.com";

pub fn resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("example.com", "v1", "Greeting");
    ApiResource::from_gvk_with_plural(&kind, "greetings")
}

/// Defines the resource, and waits until it is served. A run that was killed has left it defined.
pub async fn define(cluster: &Cluster) -> Result<(), Error> {
    let text = json!({"type": "object", "properties": {"words": {"type": "string"}}});
    let definition = json!({
        "metadata": {"name": NAME},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "greetings", "singular": "greeting", "kind": "Greeting"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"name": {"type": "string"}}},
                    "status": text,
                }}},
            }],
        },
    });
    let definitions = Api::<CustomResourceDefinition>::all(cluster.client.clone());
    match definitions.create(&PostParams::default(), &serde_json::from_value(definition)?).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        created => drop(created?),
    }
    loop {
        let status = definitions.get(NAME).await?.status.unwrap_or_default();
        let mut conditions = status.conditions.into_iter().flatten();
        if conditions.any(|one| one.type_ == "Established" && one.status == "True") {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Removes the resource, and with it what is left of Greetings, of a run that was killed too: nobody
/// else takes off their finalizers.
pub async fn remove(cluster: &Cluster) -> Result<(), Error> {
    let definitions = Api::<CustomResourceDefinition>::all(cluster.client.clone());
    ignore_missing(definitions.delete(NAME, &DeleteParams::default()).await)?;
    let all = Api::<DynamicObject>::all_with(cluster.client.clone(), &resource());
    for _ in 0..300 {
        if definitions.get_opt(NAME).await?.is_none() {
            return Ok(());
        }
        let left = all.list(&ListParams::default()).await.map(|list| list.items);
        for greeting in left.unwrap_or_default() {
            let (client, meta) = (cluster.client.clone(), greeting.metadata);
            let namespace = meta.namespace.unwrap_or_default();
            let greetings = Api::<DynamicObject>::namespaced_with(client, &namespace, &resource());
            if meta.deletion_timestamp.is_some() {
                let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
                let name = meta.name.unwrap_or_default();
                ignore_missing(greetings.patch(&name, &PatchParams::default(), &none).await)?;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("{NAME} is still there").into())
}

/// What a Greeting wants said.
pub fn words_for(greeting: &DynamicObject) -> String {
    let name = greeting.data.pointer("/spec/name").and_then(|name| name.as_str());
    format!("Hello, {}!", name.unwrap_or("world"))
}

/// Whether a ConfigMap is what a Greeting wants, and belongs to it.
pub fn is_right(map: &ConfigMap, greeting: &DynamicObject) -> bool {
    let words = map.data.as_ref().and_then(|data| data.get("words"));
    words == Some(&words_for(greeting))
        && belongs_to(map, greeting)
        && map.metadata.deletion_timestamp.is_none()
}

/// Whether a ConfigMap belongs to a Greeting, and not to an earlier one of its name.
pub fn belongs_to(map: &ConfigMap, greeting: &DynamicObject) -> bool {
    let mut owners = map.metadata.owner_references.iter().flatten();
    owners.any(|owner| Some(&owner.uid) == greeting.metadata.uid.as_ref())
}

/// Creates, edits and deletes Greetings, and edits and deletes their ConfigMaps, which nobody should.
/// How many changes were made.
pub async fn disturb(
    greetings: &Api<DynamicObject>,
    maps: &Api<ConfigMap>,
    resource: &ApiResource,
    mut until: Until,
) -> Result<usize, Error> {
    let (mut changes, params) = (0, PatchParams::default());
    for step in 0_usize.. {
        if !until.pause(Duration::from_millis(15)).await {
            break;
        }
        let name = format!("greeting-{}", step * 7 % 20);
        let spec = json!({"spec": {"name": format!("number {step}")}});
        let done = match step * 5 % 11 {
            0 => greetings.delete(&name, &DeleteParams::default()).await.map(drop),
            1 => maps.delete(&name, &DeleteParams::default()).await.map(drop),
            2 => {
                let spoilt = Patch::Merge(json!({"data": {"words": "spoilt"}}));
                maps.patch(&name, &params, &spoilt).await.map(drop)
            }
            3 | 4 => greetings.patch(&name, &params, &Patch::Merge(spec)).await.map(drop),
            _ => {
                let greeting = DynamicObject::new(&name, resource).data(spec);
                greetings.create(&PostParams::default(), &greeting).await.map(drop)
            }
        };
        match done {
            Ok(()) => changes += 1,
            // It is not there, or it is.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(changes)
}

/// How many ConfigMaps belong to Greetings.
pub async fn count(maps: &Api<ConfigMap>) -> Result<usize, Error> {
    let maps = maps.list(&ListParams::default()).await?.items;
    let of_greeting = |map: &&ConfigMap| {
        map.metadata.owner_references.iter().flatten().any(|owner| owner.kind == "Greeting")
    };
    Ok(maps.iter().filter(of_greeting).count())
}

/// Waits until each Greeting has its ConfigMap, and there is no other; how many there are then.
pub async fn settle(greetings: &Api<DynamicObject>, maps: &Api<ConfigMap>) -> Result<usize, Error> {
    for _ in 0..300 {
        let wanted = greetings.list(&ListParams::default()).await?.items;
        let there = maps.list(&ListParams::default()).await?.items;
        let has_map = |greeting: &DynamicObject| {
            let of_name = there.iter().find(|map| map.metadata.name == greeting.metadata.name);
            of_name.is_some_and(|map| is_right(map, greeting))
                && greeting.metadata.deletion_timestamp.is_none()
        };
        if wanted.iter().all(has_map) && count(maps).await? == wanted.len() {
            return Ok(wanted.len());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("Greetings and ConfigMaps do not come to agree".into())
}
