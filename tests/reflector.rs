//! The reflector against a scripted source, in virtual time.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::Pod;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use watchcache::reflector::{
    Item, ListPage, ListRequest, Monitor, Phase, Source, SourceError, Undecodable, WatchEvent,
};
use watchcache::{Fifo, Reflector, ResourceVersion, Status, Store};

/// What the source answers, in order; when the script runs out it stays silent.
enum Answer {
    List(Result<ListPage<Pod>, SourceError>),
    Watch(Result<Vec<Result<WatchEvent<Pod>, SourceError>>, SourceError>, End),
}

#[derive(Clone, Copy)]
enum End {
    Closes,
    StaysOpen,
}

#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = Answer>) -> (Self, Arc<Mutex<Vec<String>>>) {
        let script =
            Self { answers: Mutex::new(answers.into_iter().collect()), asked: Arc::default() };
        let asked = Arc::clone(&script.asked);
        (script, asked)
    }

    fn next(&self, question: String) -> Option<Answer> {
        self.asked.lock().unwrap().push(question);
        self.answers.lock().unwrap().pop_front()
    }
}

impl Source for Script {
    type Object = Pod;
    type Watch = BoxStream<'static, Result<WatchEvent<Pod>, SourceError>>;

    async fn list(&self, request: ListRequest) -> Result<ListPage<Pod>, SourceError> {
        match self.next(format!("list {}", request.continue_token.unwrap_or_default())) {
            Some(Answer::List(answer)) => answer,
            Some(Answer::Watch(..)) => panic!("the script expected a watch"),
            None => std::future::pending().await,
        }
    }

    async fn watch(&self, version: &ResourceVersion) -> Result<Self::Watch, SourceError> {
        match self.next(format!("watch {version}")) {
            Some(Answer::Watch(answer, end)) => {
                let events = stream::iter(answer?);
                Ok(match end {
                    End::Closes => events.boxed(),
                    End::StaysOpen => events.chain(stream::pending()).boxed(),
                })
            }
            Some(Answer::List(_)) => panic!("the script expected a list"),
            None => Ok(stream::pending().boxed()),
        }
    }
}

fn pod(key: &str, version: u64) -> Arc<Pod> {
    Arc::new(Pod::new(key, version))
}

fn page(version: u64, next: Option<&str>, pods: &[(&str, u64)]) -> Answer {
    Answer::List(Ok(ListPage {
        items: pods.iter().map(|(key, version)| Item::Object(pod(key, *version))).collect(),
        resource_version: Some(version.to_string().into()),
        continue_token: next.map(str::to_owned),
        remaining: None,
    }))
}

fn open(events: Vec<WatchEvent<Pod>>) -> Answer {
    Answer::Watch(Ok(events.into_iter().map(Ok).collect()), End::StaysOpen)
}

fn closed(events: Vec<WatchEvent<Pod>>) -> Answer {
    Answer::Watch(Ok(events.into_iter().map(Ok).collect()), End::Closes)
}

struct Mirror {
    store: Arc<Store<Pod>>,
    fifo: Fifo<Pod>,
    monitor: Monitor,
    asked: Arc<Mutex<Vec<String>>>,
    result: Result<(), SourceError>,
}

impl Mirror {
    fn content(&self) -> Vec<(String, u64)> {
        let mut content: Vec<_> =
            self.store.list().iter().map(|pod| (pod.key.clone(), pod.version())).collect();
        content.sort();
        content
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Runs the script for five virtual minutes.
async fn mirror(answers: impl IntoIterator<Item = Answer>) -> Mirror {
    let (source, asked) = Script::new(answers);
    let store = Arc::new(Store::new());
    let fifo = Fifo::new();
    let reflector =
        Reflector::builder(source).sink(store.clone()).sink(fifo.clone()).batch_limit(100).build();
    let monitor = reflector.monitor();
    let result = reflector.run(tokio::time::sleep(Duration::from_secs(300))).await;
    Mirror { store, fifo, monitor, asked, result }
}

fn expired() -> SourceError {
    SourceError::Expired("too old resource version: 1 (9)".to_owned())
}

fn unavailable() -> SourceError {
    SourceError::Transport { message: "connection refused".to_owned(), source: None }
}

#[tokio::test(start_paused = true)]
async fn lists_in_pages_then_watches_into_every_sink() {
    let mirror = mirror([
        page(10, Some("next"), &[("a/1", 1), ("a/2", 2)]),
        page(10, None, &[("a/3", 3)]),
        open(vec![
            WatchEvent::Added(pod("a/4", 11)),
            WatchEvent::Modified(pod("a/1", 12)),
            WatchEvent::Deleted(pod("a/2", 13)),
        ]),
    ])
    .await;
    assert_eq!(mirror.content(), [("a/1".into(), 12), ("a/3".into(), 3), ("a/4".into(), 11)]);
    assert_eq!(mirror.asked(), ["list ", "list next", "watch 10"]);
    assert_eq!(mirror.store.resource_version().unwrap().as_str(), "13");
    let queued: Vec<_> = mirror.fifo.list().iter().map(|pod| pod.key.clone()).collect();
    assert_eq!(queued, ["a/1", "a/3", "a/4"]);
    let progress = mirror.monitor.progress();
    assert_eq!((progress.events, progress.batches, progress.relists), (3, 1, 0));
    assert_eq!(progress.phase, Phase::Stopped);
    mirror.result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_busy_stream_is_applied_in_batches_up_to_the_limit() {
    let events = (0..250).map(|i| WatchEvent::Modified(pod("a/1", 11 + i))).collect();
    let mirror = mirror([page(10, None, &[("a/1", 1)]), open(events)]).await;
    let progress = mirror.monitor.progress();
    assert_eq!((progress.events, progress.batches, progress.largest_batch), (250, 3, 100));
    assert_eq!(mirror.content(), [("a/1".into(), 260)]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_or_breaks_resumes_without_a_relist() {
    let mirror = mirror([
        page(10, None, &[("a/1", 1)]),
        closed(vec![WatchEvent::Modified(pod("a/1", 11))]),
        Answer::Watch(
            Ok(vec![Ok(WatchEvent::Modified(pod("a/1", 12))), Err(unavailable())]),
            End::Closes,
        ),
        Answer::Watch(Err(unavailable()), End::Closes),
        closed(vec![]),
        open(vec![WatchEvent::Bookmark("40".into())]),
    ])
    .await;
    assert_eq!(
        mirror.asked(),
        ["list ", "watch 10", "watch 11", "watch 12", "watch 12", "watch 12"]
    );
    assert_eq!(mirror.monitor.progress().relists, 0);
    assert_eq!(mirror.store.resource_version().unwrap().as_str(), "40");
}

#[tokio::test(start_paused = true)]
async fn an_expired_version_relists_and_tells_what_is_gone() {
    for answer in [
        Answer::Watch(Ok(vec![Err(expired())]), End::Closes),
        Answer::Watch(Err(expired()), End::Closes),
        Answer::Watch(Ok(vec![Err(Status::expired("gone").into())]), End::Closes),
    ] {
        let mirror = mirror([
            page(10, None, &[("a/1", 1), ("a/2", 2)]),
            answer,
            page(50, None, &[("a/2", 2), ("a/3", 45)]),
        ])
        .await;
        assert_eq!(mirror.content(), [("a/2".into(), 2), ("a/3".into(), 45)]);
        assert_eq!(mirror.asked(), ["list ", "watch 10", "list ", "watch 50"]);
        assert_eq!(mirror.monitor.progress().relists, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_list_is_asked_less_and_less_often_and_the_store_is_kept() {
    let failures = (0..200).map(|_| Answer::List(Err(unavailable())));
    let answers =
        [page(10, None, &[("a/1", 1)]), Answer::Watch(Err(expired()), End::Closes)].into_iter();
    let mirror = mirror(answers.chain(failures)).await;
    assert_eq!(mirror.content(), [("a/1".into(), 1)]);
    let lists = mirror.asked().len();
    // 0.8 s doubling to 30 s: five virtual minutes hold between 8 and 16 tries, not 200.
    assert!((8..=17).contains(&lists), "{lists} requests");
    assert_eq!(mirror.monitor.progress().last_error.unwrap(), "connection refused");
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured() {
    let busy = Status::too_many_requests(Duration::from_secs(120));
    let mirror = mirror([
        Answer::List(Err(busy.clone().into())),
        Answer::List(Err(busy.clone().into())),
        Answer::List(Err(busy.into())),
    ])
    .await;
    assert_eq!(mirror.asked().len(), 3, "two waits of two minutes fit into five");
}

#[tokio::test(start_paused = true)]
async fn unknown_events_and_bad_objects_are_counted_and_the_stream_goes_on() {
    let bad = |version: &str| Undecodable {
        key: "a/bad".parse().ok(),
        resource_version: Some(version.into()),
        error: "expected v1 Pod, found v1 Node".to_owned(),
    };
    let mirror = mirror([
        Answer::List(Ok(ListPage {
            items: vec![Item::Undecodable(bad("2")), Item::Object(pod("a/1", 1))],
            resource_version: Some("10".into()),
            continue_token: None,
            remaining: None,
        })),
        closed(vec![
            WatchEvent::Unknown { event_type: "FROBBED".to_owned() },
            WatchEvent::Added(pod("not/a/key", 11)),
            WatchEvent::Undecodable(bad("12")),
            WatchEvent::Added(pod("a/2", 13)),
            WatchEvent::Undecodable(bad("14")),
        ]),
    ])
    .await;
    assert_eq!(mirror.content(), [("a/1".into(), 1), ("a/2".into(), 13)]);
    let progress = mirror.monitor.progress();
    assert_eq!((progress.unknown_events, progress.undecodable), (1, 4));
    assert_eq!(mirror.asked(), ["list ", "watch 10", "watch 14"]);
}

#[tokio::test(start_paused = true)]
async fn a_first_list_that_is_refused_for_good_ends_the_run() {
    let refused = Status::forbidden("", "pods", "", "User \"dev\" cannot list resource");
    let mirror = mirror([Answer::List(Err(refused.into()))]).await;
    let error = mirror.result.unwrap_err();
    assert!(error.to_string().contains("cannot list"), "{error}");
    assert_eq!(mirror.monitor.progress().phase, Phase::Stopped);
}

#[tokio::test(start_paused = true)]
async fn every_waiter_for_the_first_sync_is_woken() {
    let (source, _) = Script::new([page(10, None, &[("a/1", 1)])]);
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(source).sink(store.clone()).build();
    let monitor = reflector.monitor();
    let waiters: Vec<_> = (0..3).map(|_| tokio::spawn(monitor.synced())).collect();
    tokio::task::yield_now().await;
    reflector
        .run(async {
            futures_util::future::join_all(waiters).await;
        })
        .await
        .unwrap();
    assert!(store.contains("a/1"));
}
