//! kube-runtime's own controller beside a store of ours, both fed from one watcher.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::controller::{self, Action, trigger_self};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, applier};
use watchcache::reflector::{Phase, reflector, reflector_with_monitor};
use watchcache::store::feed::SyncError;
use watchcache::{Fifo, Store};

fn map(name: &str, version: u64) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata.namespace = Some("a".to_owned());
    map.metadata.name = Some(name.to_owned());
    map.metadata.resource_version = Some(version.to_string());
    map
}

#[tokio::test]
async fn its_reconciles_find_in_our_store_what_they_are_about() {
    let events = [
        Event::Init,
        Event::InitApply(map("one", 4)),
        Event::InitApply(map("two", 2)),
        Event::InitDone,
        Event::Apply(map("three", 7)),
    ];
    // A watch goes on; with its end their controller drops what waits.
    let events = stream::iter(events.map(watcher::Result::Ok)).chain(stream::pending());
    let ours = Arc::new(Store::new());
    let (theirs, writer) = kube::runtime::reflector::store();
    // Ours first: what their controller is woken for is there.
    let events = reflector(Arc::clone(&ours), events);
    let applied = kube::runtime::reflector(writer, events).applied_objects();
    let reconcile = |map: Arc<ConfigMap>, ours: Arc<Store<ConfigMap>>| {
        let key = ("a", map.metadata.name.as_deref().unwrap());
        assert!(ours.is_synced() && ours.contains(key));
        std::future::ready(Ok::<_, Infallible>(Action::await_change()))
    };
    let reconciled = applier(
        reconcile,
        |_, error, _| match *error {},
        Arc::clone(&ours),
        theirs,
        trigger_self(applied, ()),
        controller::Config::default(),
    );
    let mut names: Vec<_> = reconciled.map(|done| done.unwrap().0.name).take(3).collect().await;
    names.sort();
    assert_eq!(names, ["one", "three", "two"]);
    assert_eq!(ours.len(), 3);
}

/// Lets a stream go on by one event.
async fn next(events: &mut (impl futures_util::Stream + Unpin)) {
    assert!(events.next().await.is_some());
}

#[tokio::test]
async fn the_watchers_stream_has_versions_failures_and_readiness() {
    let events = vec![
        Ok(Event::Init),
        Ok(Event::InitApply(map("one", 4))),
        Ok(Event::InitApply(map("two", 2))),
        Ok(Event::InitDone),
        Ok(Event::Apply(map("two", 6))),
        Err(watcher::Error::NoResourceVersion),
        Ok(Event::Delete(map("one", 9))),
        // A relist that has nothing as new as what is known.
        Ok(Event::Init),
        Ok(Event::InitApply(map("two", 6))),
        Ok(Event::InitDone),
    ];
    let store = Arc::new(Store::new());
    let (monitor, events) = reflector_with_monitor(Arc::clone(&store), stream::iter(events));
    let mut events = Box::pin(events);
    let version = || monitor.progress().resource_version.map(|version| version.to_string());
    let stores = || store.snapshot().resource_version().map(ToString::to_string);
    for _ in 0..3 {
        next(&mut events).await;
    }
    assert!(!store.is_synced() && !monitor.progress().synced);
    assert_eq!(monitor.progress().phase, Phase::Listing);
    next(&mut events).await;
    assert!(store.is_synced() && monitor.is_ready(Duration::from_secs(60)));
    monitor.synced().await.unwrap();
    assert_eq!((version().as_deref(), stores().as_deref()), (Some("4"), Some("4")));
    next(&mut events).await;
    monitor.wait_for(&"5".into()).await.unwrap();
    assert_eq!(store.wait_for_version(&"6".into(), Some(Duration::ZERO)), Ok(()));
    next(&mut events).await;
    let progress = monitor.progress();
    assert!(progress.failures == 1 && progress.last_error.is_some());
    next(&mut events).await;
    assert_eq!((version().as_deref(), stores().as_deref()), (Some("9"), Some("9")));
    for _ in 0..3 {
        next(&mut events).await;
    }
    assert_eq!(store.len(), 1);
    assert_eq!((version().as_deref(), stores().as_deref()), (Some("6"), Some("9")));
    drop(events);
    assert_eq!(monitor.progress().phase, Phase::Stopped);
}

#[tokio::test]
async fn what_is_listed_is_all_there_is_however_new_it_was() {
    let events = [
        Event::Init,
        Event::InitApply(map("old", 1)),
        Event::InitApply(map("new", 9)),
        Event::InitDone,
        Event::Init,
        Event::InitApply(map("old", 1)),
        Event::InitDone,
    ];
    let store = Arc::new(Store::new());
    reflector(Arc::clone(&store), stream::iter(events.map(watcher::Result::Ok))).count().await;
    assert!(!store.contains("a/new"), "it was deleted meanwhile");
}

#[tokio::test]
async fn whoever_waits_learns_of_the_streams_end() {
    let (store, queue) = (Arc::new(Store::<ConfigMap>::new()), Fifo::<ConfigMap>::new());
    let none = || stream::iter([watcher::Result::<Event<ConfigMap>>::Ok(Event::Init)]);
    reflector(Arc::clone(&store), none()).count().await;
    reflector(queue.clone(), none()).count().await;
    let waited = store.wait_synced(Some(Duration::from_secs(60)));
    assert_eq!(waited, Err(SyncError::SourceEnded { error: None }));
    assert!(queue.is_closed());
    let (monitor, events) = reflector_with_monitor(Arc::clone(&store), none());
    drop(events);
    assert!(monitor.synced().await.is_err());
    // Whoever keeps it when it has ended, too.
    let queue = Fifo::<ConfigMap>::new();
    let mut events = Box::pin(reflector(queue.clone(), none()));
    next(&mut events).await;
    assert!(!queue.is_closed());
    assert!(events.next().await.is_none() && queue.is_closed());
}
