//! The whole path over real HTTP: embedded server, Kubernetes source, reflector, store and Fifo.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Client, ResourceExt};
use watchcache::reflector::{KubeSource, Monitor, Phase, Reflector};
use watchcache::{Fifo, Object, Store};
use watchcache_embedded_server::{Config, EmbeddedServer};

fn client(server: &EmbeddedServer) -> Client {
    Client::try_from(kube::Config::new(server.url().parse().unwrap())).unwrap()
}

async fn server(pods: usize, rate: u32) -> EmbeddedServer {
    EmbeddedServer::start(Config { pods, rate, seed: 7, ..Config::default() }).await.unwrap()
}

/// Polls until `done`; a mirror that never gets there fails the test instead of hanging it.
async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

fn by_key(pods: impl IntoIterator<Item = Pod>) -> BTreeMap<String, Pod> {
    pods.into_iter().map(|pod| (pod.key().to_string(), pod)).collect()
}

async fn listed(server: &EmbeddedServer, params: &ListParams) -> BTreeMap<String, Pod> {
    by_key(Api::<Pod>::all(client(server)).list(params).await.unwrap())
}

fn held(store: &Store<Pod>) -> BTreeMap<String, Pod> {
    by_key(store.list().iter().map(|pod| Pod::clone(pod)))
}

fn run<S>(reflector: Reflector<S>) -> Monitor
where
    S: watchcache::reflector::Source,
{
    let monitor = reflector.monitor();
    tokio::spawn(reflector.run(std::future::pending()));
    monitor
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_and_the_fifos_consumer_end_equal_to_the_server() {
    let server = server(600, 1_000).await;
    let store = Arc::new(Store::<Pod>::new());
    let fifo = Fifo::<Pod>::new();
    let source = KubeSource::all(client(&server)).keep_managed_fields();
    let monitor = run(Reflector::builder(source)
        .sink(store.clone())
        .sink(fifo.clone())
        .page_size(Some(100))
        .build());

    // A consumer keeps what it saw, and asks the store whether an object still exists.
    let seen: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
    let consumer = std::thread::spawn({
        let (fifo, seen) = (fifo.clone(), Arc::clone(&seen));
        move || {
            while let Ok(lease) = fifo.lease() {
                let version = lease.metadata.resource_version.clone().unwrap();
                let key = lease.key().to_string();
                seen.lock().unwrap().insert(key, version);
                lease.done();
            }
        }
    });

    monitor.synced().await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.disconnect_watches();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(monitor.progress().relists, 0, "a cut connection is resumed");

    let last = server.pause().await;
    let expected = listed(&server, &ListParams::default()).await;
    eventually("the mirror catches up", || held(&store) == expected).await;
    eventually("the queue is worked off", || fifo.is_empty()).await;
    assert!(fifo.has_synced());
    fifo.close();
    consumer.join().unwrap();
    let seen = seen.lock().unwrap().clone();
    for (key, pod) in &expected {
        assert_eq!(seen.get(key), pod.metadata.resource_version.as_ref(), "{key}");
    }
    let reached = store.resource_version().unwrap().number().unwrap();
    assert!(reached <= last, "{reached} is ahead of the server's {last}");
    let progress = monitor.progress();
    assert_eq!((progress.undecodable, progress.unknown_events), (0, 0));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_and_an_expired_version_lose_nothing() {
    // A slow history: the reflector is cut off, and what it would resume from is compacted.
    let server = server(300, 500).await;
    let store = Arc::new(Store::<Pod>::new());
    let monitor = run(Reflector::builder(KubeSource::all(client(&server)).keep_managed_fields())
        .sink(store.clone())
        .build());
    monitor.synced().await.unwrap();
    // Whether a cut lets the reflector resume before the compaction is a race that it may win, so
    // cut until it has lost once.
    for _ in 0..200 {
        if monitor.progress().relists > 0 {
            break;
        }
        server.compact(server.resource_version());
        server.disconnect_watches();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(monitor.progress().relists > 0, "never expired");
    server.pause().await;
    let expected = listed(&server, &ListParams::default()).await;
    eventually("the mirror catches up", || held(&store) == expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn selectors_and_namespaces_restrict_the_mirror() {
    let server = server(300, 0).await;
    let all = listed(&server, &ListParams::default()).await;
    let app =
        all.values().find_map(|pod| pod.labels().get("app.kubernetes.io/name").cloned()).unwrap();
    let selector = format!("app.kubernetes.io/name={app}");
    let store = Arc::new(Store::<Pod>::new());
    let source = KubeSource::all(client(&server)).keep_managed_fields().labels(&selector);
    run(Reflector::builder(source).sink(store.clone()).build()).synced().await.unwrap();
    let expected = listed(&server, &ListParams::default().labels(&selector)).await;
    assert!(!expected.is_empty() && expected.len() < all.len());
    assert_eq!(held(&store), expected);

    let store = Arc::new(Store::<Pod>::new());
    let source = KubeSource::namespaced(client(&server), "kube-system").keep_managed_fields();
    run(Reflector::builder(source).sink(store.clone()).build()).synced().await.unwrap();
    assert!(!store.is_empty());
    assert!(store.list().iter().all(|pod| pod.namespace().as_deref() == Some("kube-system")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_that_does_not_exist_is_refused_with_the_servers_status() {
    let server = server(50, 0).await;
    let widgets = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Widget"));
    let source =
        KubeSource::<DynamicObject>::all_with(client(&server), &widgets).keep_managed_fields();
    let reflector = Reflector::builder(source).sink(Arc::new(Store::new())).build();
    let monitor = reflector.monitor();
    let error = reflector.run(std::future::pending()).await.unwrap_err();
    assert!(error.is_permanent(), "{error}");
    assert_eq!(monitor.progress().phase, Phase::Stopped);
}

/// Asking for Nodes as Pods: the list is one of another kind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_an_unexpected_kind_is_a_failure() {
    let server = server(50, 0).await;
    let mut wrong = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Pod"));
    wrong.plural = "nodes".to_owned();
    let source = KubeSource::<DynamicObject>::all_with(client(&server), &wrong);
    let store = Arc::new(Store::new());
    let monitor = run(Reflector::builder(source).sink(store.clone()).build());
    eventually("it fails", || monitor.progress().failures > 0).await;
    let error = monitor.progress().last_error.unwrap();
    assert!(error.contains("expected a PodList, found a NodeList of v1"), "{error}");
    assert!(store.is_empty());
}
