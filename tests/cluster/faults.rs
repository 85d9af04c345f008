//! Connections, servers and history that go away in mid-watch.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, DeleteParams, PostParams};
use kube::core::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;
use watchcache::reflector::KubeSource;

use crate::cluster::Cluster;
use crate::mirror::Mirror;
use crate::objects::{config_map, create, secret};

pub(crate) async fn a_cut_connection_is_resumed(cluster: Arc<Cluster>) {
    let namespace = cluster.namespace().await;
    let api = Api::<ConfigMap>::namespaced(cluster.client().await, &namespace);
    create(&api, 0..30).await;
    let (client, wire, proxy) = cluster.proxied_client().await;
    let mirror = Mirror::synced(KubeSource::namespaced(client, &namespace)).await;

    create(&api, 30..40).await;
    proxy.cut();
    create(&api, 40..50).await;
    assert_eq!(mirror.assert_equals(&api).await, 50);
    proxy.refuse();
    api.delete("object-00007", &DeleteParams::default()).await.unwrap();
    create(&api, 50..60).await;
    mirror.until("noticed", |progress| progress.failures >= 2).await;
    proxy.admit();
    assert_eq!(mirror.assert_equals(&api).await, 59);

    assert_eq!((mirror.progress().relists, wire.lists()), (0, 1), "a watch resumes");
    assert!(wire.watches() >= 3);
}

/// Changes while the mirror is cut off, and etcd forgets them before it is back.
pub(crate) async fn compaction_costs_one_relist(cluster: Arc<Cluster>) {
    let namespace = cluster.namespace().await;
    let api = Api::<Secret>::namespaced(cluster.client().await, &namespace);
    for name in ["kept", "changed", "deleted", "replaced"] {
        api.create(&PostParams::default(), &secret(name)).await.unwrap();
    }
    let (client, wire, proxy) = cluster.proxied_client().await;
    let mirror = Mirror::synced(KubeSource::namespaced(client, &namespace)).await;
    assert_eq!(mirror.assert_equals(&api).await, 4);
    let kept = mirror.store.get((namespace.as_str(), "kept")).unwrap();

    proxy.refuse();
    mirror.until("cut off", |progress| progress.failures > 0).await;
    touch(&api, "changed").await;
    api.delete("deleted", &DeleteParams::default()).await.unwrap();
    api.delete("replaced", &DeleteParams::default()).await.unwrap();
    api.create(&PostParams::default(), &secret("replaced")).await.unwrap();
    api.create(&PostParams::default(), &secret("created")).await.unwrap();
    cluster.server().await.obey("compact").await;
    proxy.admit();

    assert_eq!(mirror.assert_equals(&api).await, 4);
    assert_eq!((mirror.progress().relists, wire.lists()), (1, 2));
    let still = mirror.store.get((namespace.as_str(), "kept")).unwrap();
    assert!(Arc::ptr_eq(&kept, &still), "a relist keeps what did not change");

    // The new watch works.
    touch(&api, "kept").await;
    assert_eq!(mirror.assert_equals(&api).await, 4);
    assert_eq!(mirror.progress().relists, 1);
}

/// The rest of a list is gone before it was asked for: it is read at a newer version, and the watch
/// from the list's own version, which is gone too, leads to a whole list.
pub(crate) async fn compaction_between_two_pages(cluster: Arc<Cluster>) {
    let namespace = cluster.namespace().await;
    let api = Api::<Secret>::namespaced(cluster.client().await, &namespace);
    for i in 0..700 {
        api.create(&PostParams::default(), &secret(&format!("object-{i:03}"))).await.unwrap();
    }
    let (client, wire) = cluster.wired_client().await;
    wire.hold_further_pages();
    let mirror = Mirror::start(KubeSource::namespaced(client, &namespace));
    while wire.further_pages() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // On the first page, and after it.
    api.delete("object-100", &DeleteParams::default()).await.unwrap();
    api.delete("object-650", &DeleteParams::default()).await.unwrap();
    cluster.server().await.obey("compact").await;
    wire.release();

    assert_eq!(mirror.assert_equals(&api).await, 698);
    let progress = mirror.progress();
    assert_eq!((wire.lists(), progress.relists, progress.relist_causes.expired), (2, 1, 1));
    assert_eq!(
        wire.further_pages(),
        2,
        "the page that had expired, and the same at a newer version"
    );
}

pub(crate) async fn a_killed_api_server(cluster: Arc<Cluster>) {
    restarted_api_server(&cluster, "kill apiserver").await;
}

pub(crate) async fn a_stopped_api_server(cluster: Arc<Cluster>) {
    restarted_api_server(&cluster, "stop apiserver").await;
}

/// A watch that is served by etcd goes on where it was. One that is served by the API server's
/// cache cannot: the new cache knows nothing from before its own first list, and says so (410).
async fn restarted_api_server(cluster: &Cluster, end: &str) {
    let namespace = cluster.namespace().await;
    let client = cluster.client().await;
    let maps = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
    let secrets = Api::<Secret>::namespaced(client, &namespace);
    create(&maps, 0..30).await;
    secrets.create(&PostParams::default(), &secret("old")).await.unwrap();

    let (client, cached_wire) = cluster.wired_client().await;
    let cached = Mirror::synced(KubeSource::<ConfigMap>::namespaced(client, &namespace)).await;
    let (client, direct_wire) = cluster.wired_client().await;
    let direct = Mirror::synced(KubeSource::<Secret>::namespaced(client, &namespace)).await;
    let held = cached.store.len();
    // So that the cached mirror is behind the new cache's first list, which it does not see.
    secrets.create(&PostParams::default(), &secret("late")).await.unwrap();
    direct.until("told", |progress| progress.events == 1).await;

    cluster.server().await.obey(end).await;
    cached.until("noticed", |progress| progress.failures > 0).await;
    direct.until("noticed", |progress| progress.failures > 0).await;
    assert_eq!((cached.store.len(), direct.store.len()), (held, 2), "readers notice nothing");
    cluster.server().await.obey("start apiserver").await;

    // The old client's connections went with the server.
    let client = cluster.client().await;
    let maps = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
    let secrets = Api::<Secret>::namespaced(client, &namespace);
    create(&maps, 30..50).await;
    maps.delete("object-00003", &DeleteParams::default()).await.unwrap();
    secrets.create(&PostParams::default(), &secret("new")).await.unwrap();
    cached.assert_equals(&maps).await;
    direct.assert_equals(&secrets).await;
    assert_eq!((cached.progress().relists, cached_wire.lists()), (1, 2));
    assert_eq!((direct.progress().relists, direct_wire.lists()), (0, 1));
}

pub(crate) async fn etcd_stopped_and_started(cluster: Arc<Cluster>) {
    let namespace = cluster.namespace().await;
    let api = Api::<ConfigMap>::namespaced(cluster.client().await, &namespace);
    create(&api, 0..30).await;
    let (client, wire) = cluster.wired_client().await;
    let mirror = Mirror::synced(KubeSource::namespaced(client, &namespace)).await;
    let before = mirror.assert_equals(&api).await;

    cluster.server().await.obey("stop etcd").await;
    let (params, early) = (PostParams::default(), config_map("too-early", ""));
    let created = tokio::time::timeout(Duration::from_secs(1), api.create(&params, &early)).await;
    assert!(!matches!(created, Ok(Ok(_))), "nothing can be written");
    assert_eq!(mirror.store.len(), before, "and everything read");
    cluster.server().await.obey("start etcd").await;
    while api.create(&PostParams::default(), &config_map("first", "")).await.is_err() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    create(&api, 30..50).await;
    mirror.assert_equals(&api).await;
    assert_eq!((mirror.progress().relists, wire.lists()), (0, 1));
}

/// Changes an object in a way that any kind allows.
async fn touch<K>(api: &Api<K>, name: &str)
where
    K: Resource + Clone + Serialize + DeserializeOwned + std::fmt::Debug,
{
    let mut object = api.get(name).await.unwrap();
    object.meta_mut().annotations.get_or_insert_default().insert("touched".into(), "yes".into());
    api.replace(name, &PostParams::default(), &object).await.unwrap();
}
