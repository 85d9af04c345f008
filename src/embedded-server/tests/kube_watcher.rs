//! kube's own watcher against the server, unchanged.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use watchcache_embedded_server::{Config, EmbeddedServer, HistoryLimit};

fn place(pod: &Pod) -> (String, Option<String>) {
    let key = format!("{}/{}", pod.namespace().unwrap(), pod.name_any());
    (key, pod.resource_version())
}

async fn mirror_equals_server(config: watcher::Config) {
    let server =
        EmbeddedServer::start(Config { pods: 200, rate: 400, ..Config::default() }).await.unwrap();
    let config_client = kube::Config::new(server.url().parse().unwrap());
    let api: Api<Pod> = Api::all(Client::try_from(config_client).unwrap());

    let mut events = watcher(api.clone(), config).boxed();
    let (mut mirror, mut fresh) = (BTreeMap::new(), BTreeMap::new());
    let (mut changes, mut cuts, mut target) = (0, 0, None);
    loop {
        if target.is_none() && changes > 300 {
            server.pause().await;
            let list = api.list(&Default::default()).await.unwrap();
            target = Some(list.iter().map(place).collect::<BTreeMap<_, _>>());
        }
        if target.as_ref() == Some(&mirror) {
            break;
        }
        let event = tokio::time::timeout(Duration::from_secs(20), events.next())
            .await
            .expect("the mirror stopped short of the server");
        match event.unwrap() {
            Ok(Event::Init) => fresh.clear(),
            Ok(Event::InitApply(pod)) => {
                fresh.extend([place(&pod)]);
            }
            Ok(Event::InitDone) => mirror = std::mem::take(&mut fresh),
            Ok(Event::Apply(pod)) => {
                changes += 1;
                mirror.extend([place(&pod)]);
            }
            Ok(Event::Delete(pod)) => {
                changes += 1;
                mirror.remove(&place(&pod).0);
            }
            // A cut is an error to the watcher; it goes on when it is asked again.
            Err(error) => assert!(cuts > 0, "{error}"),
        }
        if cuts == 0 && changes > 100 {
            server.disconnect_watches();
            cuts += 1;
        }
    }
    let again: Vec<_> = api.list(&Default::default()).await.unwrap().into_iter().collect();
    assert_eq!(again.len(), mirror.len());
    drop(events);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn list_and_watch() {
    mirror_equals_server(watcher::Config::default().page_size(45)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streaming_list() {
    mirror_equals_server(watcher::Config::default().streaming_lists()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_watch_starts_over() {
    let config =
        Config { pods: 60, rate: 400, history: HistoryLimit::changes(50), ..Config::default() };
    let server = EmbeddedServer::start(config).await.unwrap();
    let client = Client::try_from(kube::Config::new(server.url().parse().unwrap())).unwrap();
    let events = watcher(Api::<Pod>::all(client), watcher::Config::default()).boxed();
    let mut events = events.filter_map(|event| async { event.ok() }).map(Ok::<_, ()>).boxed();
    let mut starts = 0;
    while starts < 2 {
        if let Event::InitDone = events.try_next().await.unwrap().unwrap() {
            starts += 1;
            // Not reading for a while: the watch falls behind the compaction.
            tokio::time::sleep(Duration::from_millis(500)).await;
            server.disconnect_watches();
        }
    }
    server.stop().await;
}
