//! kube-runtime's events into a store.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher::{self, Event};
use watchcache::Store;
use watchcache::reflector::reflector;

fn map(name: &str, version: u64) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata.namespace = Some("a".to_owned());
    map.metadata.name = Some(name.to_owned());
    map.metadata.resource_version = Some(version.to_string());
    map
}

async fn content(events: Vec<watcher::Result<Event<ConfigMap>>>) -> Vec<(String, String)> {
    let store = Arc::new(Store::new());
    let count = events.len();
    let passed = reflector(store.clone(), stream::iter(events)).count().await;
    assert_eq!(passed, count, "every event is passed on");
    let mut content: Vec<_> = store
        .list()
        .iter()
        .map(|map| {
            let meta = &map.metadata;
            (meta.name.clone().unwrap(), meta.resource_version.clone().unwrap())
        })
        .collect();
    content.sort();
    content
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect()
}

#[tokio::test]
async fn a_store_follows_the_events() {
    let events = vec![
        Ok(Event::Init),
        Ok(Event::InitApply(map("one", 1))),
        Ok(Event::InitApply(map("two", 2))),
        Ok(Event::InitDone),
        Ok(Event::Apply(map("one", 5))),
        Err(watcher::Error::NoResourceVersion),
        Ok(Event::Delete(map("two", 6))),
        Ok(Event::Apply(map("three", 7))),
    ];
    assert_eq!(content(events).await, owned(&[("one", "5"), ("three", "7")]));
}

#[tokio::test]
async fn a_relist_counts_when_it_is_complete() {
    let mut events = vec![
        Ok(Event::Init),
        Ok(Event::InitApply(map("one", 1))),
        Ok(Event::InitDone),
        // Begun twice, as after a broken page.
        Ok(Event::Init),
        Ok(Event::InitApply(map("half", 2))),
        Ok(Event::Init),
        Ok(Event::InitApply(map("two", 3))),
    ];
    assert_eq!(content(events.clone_good()).await, owned(&[("one", "1")]));
    events.push(Ok(Event::InitDone));
    assert_eq!(content(events).await, owned(&[("two", "3")]));
}

/// Events can be cloned, results of them cannot.
trait CloneGood {
    fn clone_good(&self) -> Self;
}

impl CloneGood for Vec<watcher::Result<Event<ConfigMap>>> {
    fn clone_good(&self) -> Self {
        self.iter().flatten().cloned().map(Ok).collect()
    }
}
