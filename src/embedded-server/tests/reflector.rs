//! The reflector over real HTTP, through everything that may go wrong with it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, ListParams, PartialObjectMeta};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use watchcache::reflector::{
    Decode, KubeSource, Lazy, Monitor, Reflector, ReflectorBuilder, Shard,
};
use watchcache::{Object, Store};
use watchcache_embedded_server::{Config, EmbeddedServer, Fault, Request};

async fn server() -> EmbeddedServer {
    let config = Config { pods: 150, rate: 300, seed: 11, ..Config::default() };
    EmbeddedServer::start(config).await.unwrap()
}

fn client(server: &EmbeddedServer) -> Client {
    // The reflector is to see each failure, not what the client's own retries leave of it.
    let mut config = kube::Config::new(server.url().parse().unwrap());
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

struct Mirror<K: Object> {
    store: Arc<Store<K>>,
    monitor: Monitor,
}

fn mirror<K: Decode>(
    source: KubeSource<K>,
    configure: impl FnOnce(ReflectorBuilder<KubeSource<K>>) -> ReflectorBuilder<KubeSource<K>>,
) -> Mirror<K> {
    let store = Arc::new(Store::new());
    let builder = Reflector::builder(source)
        .sink(store.clone())
        .page_size(Some(40))
        .silence_limit(Duration::from_secs(1));
    let reflector = configure(builder).build();
    let monitor = reflector.monitor();
    tokio::spawn(reflector.run(std::future::pending()));
    Mirror { store, monitor }
}

/// Waits for the server's last version and compares keys and versions with a list of its own.
async fn assert_equal<K: Object>(server: &EmbeddedServer, mirror: &Mirror<K>) {
    let last = server.pause().await;
    let pods = Api::<Pod>::all(client(server)).list(&ListParams::default()).await.unwrap();
    let newest =
        pods.iter().filter_map(|pod| Object::resource_version(pod)?.parse::<u64>().ok()).max();
    // The last change may be of another resource.
    let wanted = newest.unwrap().min(last).to_string();
    let reached = mirror.monitor.wait_for(&wanted.as_str().into());
    tokio::time::timeout(Duration::from_secs(60), reached).await.expect("caught up").unwrap();
    let on_server: BTreeMap<_, _> = pods
        .iter()
        .map(|pod| (pod.key().to_string(), Object::resource_version(pod).unwrap().to_owned()))
        .collect();
    let mut held = BTreeMap::new();
    for _ in 0..200 {
        held = mirror
            .store
            .list()
            .iter()
            .map(|pod| (pod.key().to_string(), pod.resource_version().unwrap().to_owned()))
            .collect();
        if held == on_server {
            return;
        }
        // A deletion may be newer than every object.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(held, on_server);
}

fn watch_faults() -> Vec<Fault> {
    let stray = Fault::WrongKind { namespace: "default".to_owned(), name: "stray".to_owned() };
    vec![
        Fault::Cut,
        Fault::Reset,
        Fault::Garbage,
        Fault::Stall,
        stray,
        Fault::Huge { bytes: 3 << 20 },
        Fault::Answer { code: 429, retry_after: Some(1) },
        Fault::Answer { code: 500, retry_after: None },
        Fault::Page { code: 502 },
        Fault::Cut,
    ]
}

async fn survives<K: Decode<Resource = Pod>>(
    configure: impl FnOnce(KubeSource<K>) -> KubeSource<K>,
) {
    let server = server().await;
    server.inject(Request::List, Fault::Answer { code: 503, retry_after: Some(1) });
    server.inject(Request::List, Fault::Cut);
    let mut faults = watch_faults().into_iter();
    server.inject(Request::Watch, faults.next().expect("there are some"));
    let source = configure(KubeSource::all_with(client(&server), &()));
    let mirror = mirror(source, |builder| {
        builder.watch_timeout(Duration::from_secs(1)..Duration::from_secs(2))
    });
    // One after the other, with changes between them: several at one place lead to a list.
    let mut events = 0;
    for _ in 0..600 {
        let progress = mirror.monitor.progress();
        if server.faults_left() == 0 && progress.events > events {
            events = progress.events;
            match faults.next() {
                Some(fault) => server.inject(Request::Watch, fault),
                None => break,
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!((server.faults_left(), faults.count()), (0, 0));
    assert_equal(&server, &mirror).await;
    let progress = mirror.monitor.progress();
    assert_eq!(progress.relists, 0, "each of these can be resumed from: {progress:?}");
    assert_eq!((progress.undecodable, progress.unknown_events), (1, 1));
    let stray = mirror.monitor.quarantine_of("default/stray").expect("listed");
    assert!(stray.error.contains("found example.com/v1 Stray"), "{}", stray.error);
    assert!(stray.raw.unwrap().contains("Stray"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_typed_mirror_survives_every_fault_without_a_relist() {
    survives::<Pod>(|source| source).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_typed_mirror_in_json_survives_every_fault_without_a_relist() {
    survives::<Pod>(KubeSource::json_only).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lazy_mirror_survives_every_fault_without_a_relist() {
    survives::<Lazy<Pod>>(|source| source).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lazy_mirror_in_json_survives_every_fault_without_a_relist() {
    survives::<Lazy<Pod>>(KubeSource::json_only).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gone_by_http_and_in_the_stream_both_relist_once() {
    let server = server().await;
    let mirror = mirror(KubeSource::<Pod>::all(client(&server)), |builder| builder);
    mirror.monitor.synced().await.unwrap();
    server.inject(Request::Watch, Fault::Answer { code: 410, retry_after: None });
    server.disconnect_watches();
    for _ in 0..200 {
        if mirror.monitor.progress().relists == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_equal(&server, &mirror).await;
    let progress = mirror.monitor.progress();
    assert_eq!((progress.relists, progress.relist_causes.expired), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streaming_list_and_a_metadata_mirror_equal_the_server() {
    let server = server().await;
    let streaming = mirror(KubeSource::<Lazy<Pod>>::all(client(&server)), |builder| {
        builder.streaming_list(true)
    });
    let metadata = mirror(KubeSource::<PartialObjectMeta<Pod>>::all(client(&server)), |b| b);
    streaming.monitor.synced().await.unwrap();
    metadata.monitor.synced().await.unwrap();
    assert_equal(&server, &streaming).await;
    assert_equal(&server, &metadata).await;
    assert!(metadata.store.list().iter().all(|pod| pod.metadata.managed_fields.is_none()));
    assert!(metadata.monitor.progress().bytes > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_list_is_a_list() {
    let server = server().await;
    // The client of these tests takes gzip, so what it is sent is what this asks for.
    let request = "GET /api/v1/pods?limit=40 HTTP/1.1\r\nhost: test\r\naccept-encoding: gzip\r\n";
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(format!("{request}connection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let head = String::from_utf8_lossy(&answer[..answer.len().min(400)]).to_lowercase();
    assert!(head.contains("content-encoding: gzip"), "{head}");

    let mirror = mirror(KubeSource::<Pod>::all(client(&server)), |builder| builder);
    mirror.monitor.synced().await.unwrap();
    assert_equal(&server, &mirror).await;
    assert_eq!(mirror.monitor.progress().failures, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_of_several_processes_are_disjoint_and_complete() {
    let server = server().await;
    let stray = Fault::WrongKind { namespace: "default".to_owned(), name: "stray".to_owned() };
    let mut mirrors = Vec::new();
    for index in 0..3 {
        let shard = Shard::by_key(index, 3).unwrap();
        let source = KubeSource::<Lazy<Pod>>::all(client(&server));
        let mirror = mirror(source, |builder| builder.shard(shard));
        mirror.monitor.synced().await.unwrap();
        mirrors.push(mirror);
    }
    // One of the watches that follow is of whoever owns the stray object, or it is nobody's.
    server.inject(Request::Watch, stray);
    server.disconnect_watches();
    let whole = mirror(KubeSource::<Pod>::all(client(&server)), |builder| builder);
    whole.monitor.synced().await.unwrap();
    assert_equal(&server, &whole).await;
    let reached = whole.store.resource_version().unwrap();
    let expected = versions(&whole);
    let mut union = BTreeMap::new();
    for mirror in &mirrors {
        // The versions of changes in other shares count, too.
        let reached = mirror.monitor.wait_for(&reached);
        tokio::time::timeout(Duration::from_secs(60), reached).await.expect("caught up").unwrap();
        assert!(!mirror.store.is_empty());
        for (key, version) in versions(mirror) {
            assert!(union.insert(key.clone(), version).is_none(), "{key} is in two shares");
        }
    }
    assert_eq!(union, expected);
    let strays: usize = mirrors.iter().map(|mirror| mirror.monitor.quarantined().len()).sum();
    assert!(strays <= 1);
}

fn versions<K: Object>(mirror: &Mirror<K>) -> BTreeMap<String, String> {
    let entry = |pod: &Arc<K>| (pod.key().to_string(), pod.resource_version().unwrap().to_owned());
    mirror.store.list().iter().map(entry).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relist_keeps_what_has_not_changed() {
    let config = Config { pods: 150, rate: 0, seed: 11, ..Config::default() };
    let server = EmbeddedServer::start(config).await.unwrap();
    let transformed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&transformed);
    let mirror = mirror(KubeSource::<Lazy<Pod>>::all(client(&server)), |builder| {
        builder.transform(move |pod| {
            count.fetch_add(1, Ordering::Relaxed);
            pod
        })
    });
    mirror.monitor.synced().await.unwrap();
    let before = mirror.store.list();
    assert_eq!(transformed.load(Ordering::Relaxed), before.len());

    server.disconnect_watches();
    server.advance(30);
    server.compact(server.resource_version());
    for _ in 0..600 {
        if mirror.monitor.progress().relists > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_equal(&server, &mirror).await;
    let mut kept = 0;
    for old in before.iter() {
        let Some(new) = mirror.store.get(old.key()) else { continue };
        let same = old.resource_version() == new.resource_version();
        assert_eq!(Arc::ptr_eq(old, &new), same, "{:?}", old.key());
        kept += usize::from(same);
    }
    assert!(kept > before.len() / 2, "{kept} of {}", before.len());
    let progress = mirror.monitor.progress();
    assert_eq!(progress.relists, 1, "{progress:?}");
    let brought = transformed.load(Ordering::Relaxed) - before.len();
    assert!(brought <= 30, "only what changed is transformed, not {brought}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lazy_object_is_the_typed_one_in_protobuf() {
    a_lazy_object_is_the_typed_one(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lazy_object_is_the_typed_one_in_json() {
    a_lazy_object_is_the_typed_one(true).await;
}

async fn a_lazy_object_is_the_typed_one(json: bool) {
    fn source<K: Decode<Resource = Pod>>(server: &EmbeddedServer, json: bool) -> KubeSource<K> {
        let source = KubeSource::all_with(client(server), &());
        if json { source.json_only() } else { source }
    }
    let server = server().await;
    server.pause().await;
    let typed = mirror(source::<Pod>(&server, json).keep_managed_fields(), |b| b);
    let lazy = mirror(source::<Lazy<Pod>>(&server, json).keep_managed_fields(), |b| b);
    let pruned = mirror(source::<Lazy<Pod>>(&server, json), |b| b);
    for monitor in [&typed.monitor, &lazy.monitor, &pruned.monitor] {
        monitor.synced().await.unwrap();
    }
    assert_eq!(lazy.store.len(), typed.store.len());
    for pod in typed.store.list().iter() {
        let key = pod.key();
        let held = lazy.store.get(key).unwrap();
        assert!(!held.is_decoded());
        assert_eq!(held.uid(), Object::uid(&**pod));
        let labels: BTreeMap<_, _> =
            held.labels().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(labels, pod.metadata.labels.clone().unwrap_or_default());
        assert_eq!(held.get().unwrap(), &**pod);
        assert!(held.is_decoded());

        let pruned = pruned.store.get(key).unwrap();
        let mut expected = Pod::clone(pod);
        assert!(expected.metadata.managed_fields.is_some(), "or there is nothing to prune");
        expected.metadata.managed_fields = None;
        assert_eq!(pruned.get().unwrap(), &expected);
        assert!(pruned.json().unwrap().len() < held.json().unwrap().len());
    }
}
