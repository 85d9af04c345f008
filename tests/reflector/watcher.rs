//! kube-runtime's events into a store.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use futures_util::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher::{self, Event};
use watchcache::reflector::{self, reflector, reflector_with_monitor};
use watchcache::store::Index;
use watchcache::store::feed::WaitError;
use watchcache::{Batch, Listing, ResourceVersion, Sink, Store};

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

/// As after a restore from a backup: the list names what is held in older versions.
#[tokio::test]
async fn a_list_that_is_older_than_what_is_held_is_taken_as_it_stands() {
    let list =
        |version| [Ok(Event::Init), Ok(Event::InitApply(map("one", version))), Ok(Event::InitDone)];
    let mut events: Vec<_> = list(90).into();
    events.push(Ok(Event::Apply(map("one", 120))));
    events.push(Ok(Event::Apply(map("lost", 121))));
    events.extend(list(90));
    assert_eq!(content(events).await, owned(&[("one", "90")]));
}

/// So is its version: who waited in the void history hears of it, and who waits now waits for the new one.
#[tokio::test]
async fn the_version_of_a_history_that_is_void_is_not_kept() {
    let list =
        |version| [Ok(Event::Init), Ok(Event::InitApply(map("one", version))), Ok(Event::InitDone)];
    let mut events: Vec<_> = list(90).into();
    events.push(Ok(Event::Apply(map("one", 120))));
    events.extend(list(90));
    let store = Arc::new(Store::new());
    let (monitor, events) = reflector_with_monitor(store.clone(), stream::iter(events));
    let mut events = std::pin::pin!(events);
    for _ in 0..4 {
        events.next().await;
    }
    let later = ResourceVersion::from("121");
    let waits = (store.wait_for_version_async(&later, None), monitor.wait_for(&later));
    assert_eq!(store.resource_version().unwrap().as_str(), "120");
    while events.next().await.is_some() {}
    assert_eq!(waits.0.now_or_never(), Some(Err(WaitError::StartedOver(later.clone()))));
    assert_eq!(waits.1.now_or_never(), Some(Err(reflector::WaitError::StartedOver)));
    assert_eq!(store.resource_version().unwrap().as_str(), "90");
    let waited = store.wait_for_version(&"100".into(), Some(Duration::ZERO));
    assert_eq!(waited, Err(WaitError::Timeout));
}

/// What the program itself has written since a page of the list was read shows nothing of the source's history, nor
/// does what it had written before the stream began.
#[tokio::test]
async fn a_list_from_before_a_write_of_ones_own_is_not_taken_for_another_history() {
    let store = Arc::new(Store::new());
    store.add(map("before", 500)).unwrap();
    let events = [
        Event::Init,
        Event::InitApply(map("one", 100)),
        Event::InitApply(map("before", 90)),
        Event::InitDone,
        Event::Apply(map("one", 110)),
        Event::Apply(map("two", 115)),
        Event::Init,
        Event::InitApply(map("one", 110)),
        Event::InitApply(map("two", 115)),
        Event::InitApply(map("before", 90)),
    ];
    let events = stream::iter(events.map(Ok));
    let writer = store.clone();
    let events = events.chain(stream::once(async move {
        writer.add(map("one", 120)).unwrap();
        Ok(Event::InitDone)
    }));
    reflector(store.clone(), events).count().await;
    let version = |name: &str| store.get(name).unwrap().metadata.resource_version.clone().unwrap();
    assert_eq!(["a/one", "a/before"].map(version), ["120", "500"]);
}

#[tokio::test]
async fn what_the_sink_refuses_is_told() {
    let index = Index::try_new("name", |map: &ConfigMap| {
        let name = map.metadata.name.clone().unwrap();
        if name.starts_with("bad") { Err("it is bad") } else { Ok([name]) }
    });
    let store = Arc::new(Store::builder().index(&index).build());
    let events = vec![
        Ok(Event::Init),
        Ok(Event::InitApply(map("bad-1", 1))),
        Ok(Event::InitApply(map("one", 2))),
        Ok(Event::InitDone),
        Ok(Event::Apply(map("bad-2", 3))),
        Ok(Event::Apply(map("bad-3", 4))),
        Ok(Event::Delete(map("bad-3", 5))),
    ];
    let (monitor, events) = reflector_with_monitor(store, stream::iter(events));
    events.count().await;
    let listed: Vec<_> =
        monitor.quarantined().into_iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(listed, ["a/bad-1", "a/bad-2"]);
    assert_eq!(monitor.progress().refused, 3);
}

struct Explosive;

impl Sink<ConfigMap> for Explosive {
    fn apply(&self, _: &Batch<ConfigMap>) {
        panic!("it will not have it");
    }

    fn replace(&self, _: &Listing<ConfigMap>) {}

    fn failed(&self, _: &(dyn std::error::Error + 'static)) {
        panic!("nor failures");
    }

    fn ended(&self, _: Option<&(dyn std::error::Error + 'static)>) {
        panic!("nor the end");
    }
}

/// A second panic, while the first unwinds, would end the process.
#[tokio::test]
async fn a_sink_that_panics_twice_does_not_end_the_process() {
    let failed = vec![Err(watcher::Error::NoResourceVersion)];
    assert_eq!(reflector(Explosive, stream::iter(failed)).count().await, 1);
    let task = tokio::spawn(async {
        let events = vec![Ok(Event::Apply(map("one", 1)))];
        reflector(Explosive, stream::iter(events)).count().await
    });
    assert!(task.await.unwrap_err().is_panic());
}
