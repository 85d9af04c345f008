//! A source whose answers are written down, and a mirror of it in virtual time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use watchcache::reflector::{
    Item, ListPage, ListRequest, Monitor, ReflectorBuilder, Source, SourceError, WatchEvent,
    WatchRequest, WatchStart,
};
use watchcache::{Fifo, Reflector, Status, Store};

use crate::common::Pod;

/// What the source answers; when the script runs out it stays silent.
pub(crate) enum Answer {
    List(Result<ListPage<Pod>, SourceError>),
    Watch(Result<Vec<Event>, SourceError>, End),
    /// None, for ever.
    Hangs,
}

pub(crate) type Event = Result<WatchEvent<Pod>, SourceError>;

/// What follows the events of a watch.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Closes,
    StaysOpen,
    ClosesAfter(Duration),
    BreaksAfter(Duration),
    /// The events come one by one, this far apart; the watch stays open.
    Every(Duration),
}

/// Answers a question, the n-th from 0.
type Answers = Box<dyn Fn(&str, usize) -> Option<Answer> + Send + Sync>;

/// What was asked, and when.
type Asked = Arc<Mutex<Vec<(Duration, String)>>>;

pub(crate) struct Script {
    answers: Answers,
    asked: Asked,
    started: tokio::time::Instant,
}

impl Script {
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers: Mutex<VecDeque<_>> = Mutex::new(answers.into_iter().collect());
        Self::of(move |_, _| answers.lock().unwrap().pop_front())
    }

    pub(crate) fn of(
        answers: impl Fn(&str, usize) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let started = tokio::time::Instant::now();
        Self { answers: Box::new(answers), asked: Arc::default(), started }
    }

    pub(crate) fn asked(&self) -> Asked {
        Arc::clone(&self.asked)
    }

    fn next(&self, question: String) -> Option<Answer> {
        let mut asked = self.asked.lock().unwrap();
        // Virtual time stands still in a tight loop, which would not end.
        assert!(asked.len() < 50_000, "a tight loop of requests");
        let answer = (self.answers)(&question, asked.len());
        asked.push((self.started.elapsed(), question));
        answer
    }
}

impl Source for Script {
    type Object = Pod;
    type Watch = BoxStream<'static, Event>;

    async fn list(&self, request: ListRequest) -> Result<ListPage<Pod>, SourceError> {
        let question = match (request.continue_token, request.limit) {
            (Some(token), _) => format!("list {token}"),
            (None, Some(_)) => "list ".to_owned(),
            (None, None) => "list at once".to_owned(),
        };
        match self.next(question) {
            Some(Answer::List(answer)) => answer,
            Some(Answer::Watch(..)) => panic!("the script expected a watch"),
            Some(Answer::Hangs) | None => std::future::pending().await,
        }
    }

    async fn watch(&self, request: WatchRequest) -> Result<Self::Watch, SourceError> {
        let question = match request.start {
            WatchStart::After(version) => format!("watch {version}"),
            WatchStart::InitialEvents => "stream".to_owned(),
            other => panic!("nobody asks for {other:?}"),
        };
        match self.next(question) {
            Some(Answer::Watch(answer, end)) => {
                let events = stream::iter(answer?);
                Ok(match end {
                    End::Closes => events.boxed(),
                    End::StaysOpen => events.chain(stream::pending()).boxed(),
                    End::ClosesAfter(time) => {
                        let closing = stream::once(tokio::time::sleep(time));
                        events.chain(closing.filter_map(async |()| None)).boxed()
                    }
                    End::Every(time) => {
                        let events = events.then(move |event| async move {
                            tokio::time::sleep(time).await;
                            event
                        });
                        events.chain(stream::pending()).boxed()
                    }
                    End::BreaksAfter(time) => {
                        let breaking = stream::once(tokio::time::sleep(time));
                        events.chain(breaking.map(|()| Err(unavailable()))).boxed()
                    }
                })
            }
            Some(Answer::List(_)) => panic!("the script expected a list"),
            Some(Answer::Hangs) => std::future::pending().await,
            None => Ok(stream::pending().boxed()),
        }
    }
}

pub(crate) fn pod(key: &str, version: u64) -> Arc<Pod> {
    Arc::new(Pod::new(key, version))
}

pub(crate) fn page(version: u64, next: Option<&str>, pods: &[(&str, u64)]) -> Answer {
    let items = pods.iter().map(|(key, version)| Item::Object(pod(key, *version))).collect();
    let mut page = ListPage::new(items, version.to_string());
    page.continue_token = next.map(str::to_owned);
    Answer::List(Ok(page))
}

/// A Pod as an aggregator writes it: any version, any uid.
pub(crate) fn odd(key: &str, uid: &str, version: &str) -> Arc<Pod> {
    let mut pod = Pod::new(key, 0).with_uid(uid);
    pod.resource_version = version.to_owned();
    Arc::new(pod)
}

pub(crate) fn odd_page(version: Option<&str>, pods: &[(&str, &str, &str)]) -> Answer {
    let items = pods.iter().map(|(key, uid, version)| Item::Object(odd(key, uid, version)));
    let mut page = ListPage::new(items.collect(), version.unwrap_or_default());
    page.resource_version = version.map(Into::into);
    Answer::List(Ok(page))
}

pub(crate) fn open(events: Vec<WatchEvent<Pod>>) -> Answer {
    Answer::Watch(Ok(events.into_iter().map(Ok).collect()), End::StaysOpen)
}

pub(crate) fn closed(events: Vec<WatchEvent<Pod>>) -> Answer {
    Answer::Watch(Ok(events.into_iter().map(Ok).collect()), End::Closes)
}

pub(crate) struct Mirror {
    pub(crate) store: Arc<Store<Pod>>,
    pub(crate) fifo: Fifo<Pod>,
    pub(crate) monitor: Monitor,
    pub(crate) asked: Asked,
    pub(crate) result: Result<(), SourceError>,
}

impl Mirror {
    pub(crate) fn content(&self) -> Vec<(String, u64)> {
        let mut content: Vec<_> =
            self.store.list().iter().map(|pod| (pod.key.clone(), pod.version())).collect();
        content.sort();
        content
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(_, question)| question.clone()).collect()
    }
}

/// Runs the script for five virtual minutes.
pub(crate) async fn mirror(answers: impl IntoIterator<Item = Answer>) -> Mirror {
    mirror_with(answers, |builder| builder).await
}

pub(crate) async fn mirror_with(
    answers: impl IntoIterator<Item = Answer>,
    configure: impl FnOnce(ReflectorBuilder<Script>) -> ReflectorBuilder<Script>,
) -> Mirror {
    run(Script::new(answers), configure, tokio::time::sleep(FIVE_MINUTES)).await
}

/// Runs against a server that answers anew each time, for five virtual minutes.
pub(crate) async fn served(
    answers: impl Fn(&str, usize) -> Option<Answer> + Send + Sync + 'static,
) -> Mirror {
    run(Script::of(answers), |builder| builder, tokio::time::sleep(FIVE_MINUTES)).await
}

pub(crate) const FIVE_MINUTES: Duration = Duration::from_secs(300);

pub(crate) async fn run(
    source: Script,
    configure: impl FnOnce(ReflectorBuilder<Script>) -> ReflectorBuilder<Script>,
    stop: impl Future<Output = ()>,
) -> Mirror {
    let asked = source.asked();
    let store = Arc::new(Store::new());
    let fifo = Fifo::new();
    let hour = Duration::from_secs(3600);
    let builder = Reflector::builder(source)
        .sink(store.clone())
        .sink(fifo.clone())
        .batch_limit(100)
        .watch_timeout(hour..2 * hour)
        .silence_limit(hour);
    let reflector = configure(builder).build();
    let monitor = reflector.monitor();
    let result = reflector.run(stop).await;
    if let Err(SourceError::Panicked(panic)) = &result {
        panic!("{panic}");
    }
    Mirror { store, fifo, monitor, asked, result }
}

pub(crate) fn expired() -> SourceError {
    expired_with(None)
}

pub(crate) fn expired_with(token: Option<&str>) -> SourceError {
    SourceError::Expired {
        message: "too old resource version: 1 (9)".to_owned(),
        continue_token: token.map(str::to_owned),
    }
}

/// Whatever a server says of itself.
pub(crate) fn failed(status: Status) -> SourceError {
    status.into()
}

pub(crate) fn garbage() -> SourceError {
    SourceError::Protocol("this is not an event".to_owned())
}

pub(crate) fn unavailable() -> SourceError {
    SourceError::transport("connection refused")
}
