//! What a mirror holds does not depend on how it came: in JSON or in protobuf, whole, lazily decoded, or
//! slim.
#![allow(clippy::unwrap_used)]

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, ObjectMeta, PartialObjectMeta};
use kube::{Client, Resource};
use serde::Deserialize;
use watchcache::reflector::{Decode, KubeSource, Lazy, Monitor, Reflector};
use watchcache::{Object, Store};
use watchcache_embedded_server::{Config, EmbeddedServer};

/// What a program reads of a Pod; `#[derive(kube::Resource)]` with `#[resource(inherit = Pod)]` writes
/// what follows it.
#[derive(Debug, PartialEq, Deserialize)]
struct Slim {
    metadata: ObjectMeta,
    spec: SlimSpec,
    status: SlimStatus,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SlimSpec {
    node_name: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct SlimStatus {
    phase: Option<String>,
}

impl Resource for Slim {
    type DynamicType = ();
    type Scope = <Pod as Resource>::Scope;

    fn kind(_: &()) -> Cow<'_, str> {
        Pod::kind(&())
    }

    fn group(_: &()) -> Cow<'_, str> {
        Pod::group(&())
    }

    fn version(_: &()) -> Cow<'_, str> {
        Pod::version(&())
    }

    fn plural(_: &()) -> Cow<'_, str> {
        Pod::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

struct Mirror<K: Object> {
    store: Arc<Store<K>>,
    monitor: Monitor,
}

impl<K: Decode> Mirror<K>
where
    <K::Resource as Resource>::DynamicType: Default,
{
    fn start(
        server: &EmbeddedServer,
        streams: bool,
        configure: impl FnOnce(KubeSource<K>) -> KubeSource<K>,
    ) -> Self {
        let store = Arc::new(Store::new());
        let reflector = Reflector::builder(configure(KubeSource::all(client(server))))
            .sink(store.clone())
            .page_size(Some(30))
            .streaming_list(streams)
            .build();
        let monitor = reflector.monitor();
        tokio::spawn(reflector.run(std::future::pending()));
        Mirror { store, monitor }
    }

    async fn reaches(&self, version: &str) {
        let reached = self.monitor.wait_for(&version.into());
        tokio::time::timeout(Duration::from_secs(60), reached).await.expect("in time").unwrap();
        let progress = self.monitor.progress();
        assert_eq!((progress.failures, progress.relists), (0, 0), "{progress:?}");
        assert!(self.monitor.quarantined().is_empty());
    }

    /// Compares it with another mirror, object by object.
    fn assert_equals<O: Object>(&self, other: &Mirror<O>, same: impl Fn(&K, &O)) {
        assert_eq!(self.store.len(), other.store.len());
        for one in self.store.list().iter() {
            let other = other.store.get(one.key()).expect("the same keys");
            same(one, &other);
        }
    }
}

fn client(server: &EmbeddedServer) -> Client {
    Client::try_from(kube::Config::new(server.url().parse().unwrap())).unwrap()
}

/// Changes until the last change has left a Pod; its version.
async fn last_of_pods(server: &EmbeddedServer) -> String {
    loop {
        server.advance(1);
        let last = server.resource_version().to_string();
        let pods = Api::<Pod>::all(client(server)).list(&ListParams::default()).await.unwrap();
        if pods.iter().any(|pod| pod.metadata.resource_version.as_ref() == Some(&last)) {
            return last;
        }
    }
}

async fn every_form_is_the_same(streams: bool) {
    let config = Config { pods: 100, rate: 0, seed: 7, ..Config::default() };
    let server = EmbeddedServer::start(config).await.unwrap();
    let json = Mirror::<Pod>::start(&server, streams, KubeSource::json_only);
    let typed = Mirror::<Pod>::start(&server, streams, |source| source);
    let lazy = Mirror::<Lazy<Pod>>::start(&server, streams, |source| source);
    let lazy_json = Mirror::<Lazy<Pod>>::start(&server, streams, KubeSource::json_only);
    let slim = Mirror::<Slim>::start(&server, streams, |source| source);
    let slim_json = Mirror::<Slim>::start(&server, streams, KubeSource::json_only);
    let metadata = Mirror::<PartialObjectMeta<Pod>>::start(&server, streams, |source| source);

    for changes in [0, 500] {
        server.advance(changes);
        let version = last_of_pods(&server).await;
        json.reaches(&version).await;
        typed.reaches(&version).await;
        lazy.reaches(&version).await;
        lazy_json.reaches(&version).await;
        slim.reaches(&version).await;
        slim_json.reaches(&version).await;
        metadata.reaches(&version).await;

        assert!(json.store.len() > 60);
        json.assert_equals(&typed, |json, typed| assert_eq!(json, typed));
        json.assert_equals(&lazy, |json, lazy| assert_eq!(json, lazy.get().unwrap()));
        json.assert_equals(&lazy_json, |json, lazy| assert_eq!(json, lazy.get().unwrap()));
        json.assert_equals(&slim_json, |json, slim| {
            assert_eq!(json.metadata, slim.metadata);
            assert_eq!(json.spec.as_ref().unwrap().node_name, slim.spec.node_name);
            assert_eq!(json.status.as_ref().unwrap().phase, slim.status.phase);
        });
        slim_json.assert_equals(&slim, |json, slim| assert_eq!(json, slim));
        json.assert_equals(&metadata, |json, partial| assert_eq!(json.metadata, partial.metadata));

        // What came in protobuf has no JSON but what is made of it.
        let is_made = |lazy: &Lazy<Pod>| matches!(lazy.json().unwrap(), Cow::Owned(_));
        assert!(lazy.store.list().iter().all(|pod| is_made(pod)));
        assert!(lazy_json.store.list().iter().all(|pod| !is_made(pod)));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_is_the_same_after_a_list_in_pages_and_a_watch() {
    every_form_is_the_same(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_is_the_same_after_a_streaming_list() {
    every_form_is_the_same(true).await;
}
