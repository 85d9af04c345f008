//! Objects through the real API, with nothing in the way.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use watchcache::reflector::KubeSource;

use crate::cluster::Cluster;
use crate::mirror::Mirror;

/// Requests that a test has under way at once.
const AT_ONCE: usize = 32;

pub(crate) fn config_map(name: &str, value: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        data: Some(BTreeMap::from([("value".to_owned(), value.to_owned())])),
        ..ConfigMap::default()
    }
}

pub(crate) fn secret(name: &str) -> Secret {
    Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        ..Secret::default()
    }
}

pub(crate) async fn create(api: &Api<ConfigMap>, numbers: std::ops::Range<usize>) {
    stream::iter(numbers)
        .map(async |i| {
            let object = config_map(&format!("object-{i:05}"), "created");
            api.create(&PostParams::default(), &object).await.map(drop)
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await
        .unwrap();
}

pub(crate) async fn creates_updates_and_deletes(cluster: Arc<Cluster>) {
    let namespace = cluster.namespace().await;
    let api = Api::<ConfigMap>::namespaced(cluster.client().await, &namespace);
    create(&api, 0..20).await;
    let (client, wire) = cluster.wired_client().await;
    let mirror = Mirror::synced(KubeSource::namespaced(client, &namespace)).await;
    assert_eq!(mirror.assert_equals(&api).await, 20);

    create(&api, 20..60).await;
    for i in 10..40 {
        let change = Patch::Merge(json!({ "data": { "value": format!("changed {i}") } }));
        api.patch(&format!("object-{i:05}"), &PatchParams::default(), &change).await.unwrap();
    }
    for i in (0..60).step_by(3) {
        api.delete(&format!("object-{i:05}"), &DeleteParams::default()).await.unwrap();
    }
    // Deleted and made again under the same name: another object, with another uid.
    create(&api, 0..1).await;
    assert_eq!(mirror.assert_equals(&api).await, 41);
    let changed = mirror.store.get((namespace.as_str(), "object-00011")).unwrap();
    assert_eq!(changed.data.as_ref().unwrap()["value"], "changed 11");
    assert!(mirror.store.get((namespace.as_str(), "object-00003")).is_none());

    let progress = mirror.progress();
    assert_eq!((progress.relists, progress.failures), (0, 0), "{progress:?}");
    assert_eq!((wire.lists(), wire.watches()), (1, 1));
    assert_eq!(progress.events, 40 + 30 + 20 + 1, "each change arrives once");
}

pub(crate) async fn ten_thousand_objects_in_pages(cluster: Arc<Cluster>) {
    let namespace = cluster.namespace().await;
    let api = Api::<ConfigMap>::namespaced(cluster.client().await, &namespace);
    create(&api, 0..6_000).await;
    let (client, wire) = cluster.wired_client().await;
    let mirror = Mirror::synced(KubeSource::namespaced(client, &namespace)).await;
    assert_eq!(mirror.store.len(), 6_000);
    assert_eq!((wire.lists(), wire.further_pages()), (1, 11), "pages of 500");

    create(&api, 6_000..10_000).await;
    assert_eq!(mirror.assert_equals(&api).await, 10_000);
    let progress = mirror.progress();
    assert_eq!((progress.relists, progress.failures, progress.events), (0, 0, 4_000));

    // A mirror that starts now gets all of them by its list.
    let (client, wire) = cluster.wired_client().await;
    let late = Mirror::synced(KubeSource::namespaced(client, &namespace)).await;
    assert_eq!(late.assert_equals(&api).await, 10_000);
    assert_eq!((wire.lists(), wire.further_pages(), late.progress().events), (1, 19, 0));

    api.delete_collection(&DeleteParams::default(), &Default::default()).await.unwrap();
    assert_eq!(mirror.assert_equals(&api).await, 0);
    assert_eq!(late.assert_equals(&api).await, 0);
    assert_eq!((mirror.progress().relists, late.progress().relists), (0, 0));
}

/// The initial state comes through the watch that goes on with the changes; nothing is listed.
pub(crate) async fn a_streaming_list(cluster: Arc<Cluster>) {
    let namespace = cluster.namespace().await;
    let api = Api::<ConfigMap>::namespaced(cluster.client().await, &namespace);
    create(&api, 0..1_000).await;
    let (client, wire, proxy) = cluster.proxied_client().await;
    let mirror = Mirror::streamed(KubeSource::namespaced(client, &namespace)).await;
    assert_eq!(mirror.store.len(), 1_000);
    assert_eq!((wire.lists(), wire.streaming_lists(), wire.watches()), (0, 1, 1));

    create(&api, 1_000..1_050).await;
    api.delete("object-00007", &DeleteParams::default()).await.unwrap();
    assert_eq!(mirror.assert_equals(&api).await, 1_049);
    assert_eq!(wire.watches(), 1, "changes come by the same watch");

    proxy.cut();
    create(&api, 1_050..1_060).await;
    assert_eq!(mirror.assert_equals(&api).await, 1_059);
    assert_eq!((wire.lists(), wire.streaming_lists()), (0, 1), "a watch resumes");
    assert_eq!(mirror.progress().relists, 0);
}

/// Shortly before it ends a watch, the server tells how far it is, and the next one starts there.
pub(crate) async fn bookmarks_move_an_idle_mirror_on(cluster: Arc<Cluster>) {
    let namespace = cluster.namespace().await;
    let client = cluster.client().await;
    let (wired, wire) = cluster.wired_client().await;
    wire.end_watches_after(5);
    let mirror = Mirror::synced(KubeSource::<ConfigMap>::namespaced(wired, &namespace)).await;

    // Something else happens: the mirror sees none of it, but learns how far the server is.
    let other = Api::<Secret>::namespaced(client.clone(), &namespace);
    let made = other.create(&PostParams::default(), &secret("other")).await.unwrap();
    let reached = made.metadata.resource_version.unwrap().parse::<u64>().unwrap();
    mirror
        .until("at the server's version", |progress| {
            let version = progress.resource_version.as_ref().and_then(|version| version.number());
            version.is_some_and(|version| version >= reached)
        })
        .await;
    assert_eq!(mirror.store.resource_version(), mirror.progress().resource_version);
    while wire.watches() < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let api = Api::<ConfigMap>::namespaced(client, &namespace);
    create(&api, 0..5).await;
    assert_eq!(mirror.assert_equals(&api).await, 5);
    let progress = mirror.progress();
    assert_eq!((progress.events, progress.relists, progress.failures), (5, 0, 0));
}
