//! The world as a source: lists, and what any request may meet.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::time::Instant;
use watchcache::Status;
use watchcache::reflector::{
    Interest, Item, ListPage, ListRequest, Report, Source, SourceError, Undecodable, WatchEvent,
    WatchRequest, WatchStart,
};

use crate::common::Pod;
use crate::plan::{Bad, Restored};
use crate::server::Server;
use crate::watch::Watch;
use crate::world::{Object, Snapshot};

/// What was asked of a source, and what was done to whoever asked.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// When lists were begun and watches asked for.
    pub(crate) requests: Vec<Instant>,
    /// Watches that were told that their version is gone.
    pub(crate) expired: u64,
    /// Objects of other shards that were told as nothing but a version.
    pub(crate) foreign: u64,
    /// Watches that were sent something unintelligible.
    pub(crate) garbage: u64,
    /// Watches that failed, or were not granted.
    pub(crate) failed_watches: u64,
    /// Lists whose later pages are newer than the first.
    pub(crate) mixed_lists: u64,
    /// Lists from before what was already listed.
    pub(crate) old_lists: u64,
    /// Streaming lists that broke off.
    pub(crate) torn: u64,
}

impl Counts {
    fn request(&mut self) {
        // Virtual time stands still in a tight loop, which would not end.
        assert!(self.requests.len() < 50_000, "a tight loop of requests");
        self.requests.push(Instant::now());
    }
}

pub(crate) struct Faulty {
    pub(crate) server: Arc<Server>,
    /// Which of the reflectors it is for.
    pub(crate) reflector: usize,
    pub(crate) counts: Arc<Mutex<Counts>>,
    pub(crate) report: Arc<Mutex<Option<Report>>>,
    pub(crate) interest: Option<Interest<Pod>>,
    last_was_old: Mutex<bool>,
}

pub(crate) type Event = Result<WatchEvent<Pod>, SourceError>;

impl Faulty {
    pub(crate) fn new(server: Arc<Server>, reflector: usize) -> Self {
        Self {
            server,
            reflector,
            counts: Arc::default(),
            report: Arc::default(),
            interest: None,
            last_was_old: Mutex::new(false),
        }
    }
}

impl Source for Faulty {
    type Object = Pod;
    type Watch = BoxStream<'static, Event>;

    fn attach(&mut self, report: Report, interest: Interest<Pod>) {
        *self.report.lock().unwrap() = Some(report);
        // Half of the sources leave it to the reflector to find what has not changed.
        self.interest = (self.server.below(2) == 0).then_some(interest);
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage<Pod>, SourceError> {
        let server = &self.server;
        if request.continue_token.is_none() {
            self.counts.lock().unwrap().request();
        }
        trouble(server).await?;
        let limit = request.limit.map_or(usize::MAX, |limit| limit as usize);
        let (list, start) = match request.continue_token.as_deref() {
            None => (self.begin_list(), 0),
            Some(token) => {
                let (newer, place) = match token.strip_prefix("newer ") {
                    Some(place) => (true, place),
                    None => (false, token),
                };
                let (list, start) = place.split_once(' ').unwrap();
                let (list, start): (usize, usize) = (list.parse().unwrap(), start.parse().unwrap());
                if server.state().lists[list].version == 0 {
                    return Err(expired(None));
                }
                if !newer && server.fault(0.1) {
                    return Err(self.token_expired(list, start));
                }
                (list, start)
            }
        };
        let state = server.state();
        let snapshot = &state.lists[list];
        let end = start.saturating_add(limit).min(snapshot.objects.len());
        let more = end < snapshot.objects.len();
        let items = snapshot.objects[start..end].iter();
        let items = items.filter_map(|(key, object)| self.item(key, *object)).collect();
        let version = snapshot.version.to_string();
        drop(state);
        let mut page = ListPage::new(items, version);
        page.continue_token = more.then(|| format!("{list} {end}"));
        Ok(page)
    }

    async fn watch(&self, request: WatchRequest) -> Result<Self::Watch, SourceError> {
        let server = Arc::clone(&self.server);
        self.counts.lock().unwrap().request();
        let refused = |error| {
            self.counts.lock().unwrap().failed_watches += 1;
            error
        };
        // One that hangs is given up without a word.
        self.counts.lock().unwrap().failed_watches += 1;
        let served = trouble(&server).await;
        self.counts.lock().unwrap().failed_watches -= 1;
        served.map_err(refused)?;
        let epoch = server.state().epoch;
        let mut watch = Watch::new(self, epoch, Instant::now() + request.timeout);
        match request.start {
            WatchStart::After(version) => watch.start_after(version.number().unwrap()),
            WatchStart::InitialEvents => {
                if server.fault(0.2) {
                    return Err(refused(Status::bad_request("sendInitialEvents").into()));
                }
                watch.start_initial();
            }
            other => panic!("nobody asks for {other:?}"),
        }
        if watch.is_poisoned() && server.below(2) == 0 {
            return Err(refused(Status::bad_request("invalid resource version").into()));
        }
        if watch.is_ahead() && server.plan.restore == Some(Restored::Refuses) {
            let current = server.world().version();
            let wait = Duration::from_secs(1);
            let status = Status::resource_version_too_large(watch.cursor(), current, wait);
            return Err(refused(status.into()));
        }
        if watch.is_expired() && server.below(2) == 0 {
            self.counts.lock().unwrap().expired += 1;
            return Err(expired(None));
        }
        Ok(stream::unfold(watch, |mut watch| async move {
            watch.next().await.map(|event| (event, watch))
        })
        .boxed())
    }
}

impl Faulty {
    fn begin_list(&self) -> usize {
        let world = self.server.world();
        let mut snapshot = world.snapshot();
        let mut last_was_old = self.last_was_old.lock().unwrap();
        // Never twice in a row: that is what a history that was set back looks like.
        *last_was_old = !*last_was_old && self.server.fault(0.05);
        if *last_was_old {
            let back = self.server.below(10);
            let version = world.version().saturating_sub(back).max(1);
            let objects = world.at(version).into_iter();
            let objects = objects.map(|(key, object)| (key.to_owned(), object)).collect();
            snapshot = Snapshot { version, objects };
            self.counts.lock().unwrap().old_lists += 1;
        }
        drop(world);
        snapshot.objects.retain(|(key, _)| self.server.plan.selects(self.reflector, key));
        let mut state = self.server.state();
        state.lists.push(snapshot);
        state.lists.len() - 1
    }

    fn item(&self, key: &str, object: Object) -> Option<Item<Pod>> {
        let interest = self.interest.as_ref().filter(|interest| !interest.is_everything());
        if interest.is_some_and(|interest| !interest.wants(key.into())) {
            return None;
        }
        let (uid, version) = (uid(object), object.version.to_string());
        let held = interest.and_then(|interest| interest.held(key.into(), Some(&uid), &version));
        Some(match held {
            Some(pod) => Item::Held(pod),
            None => decoded(&self.server, key, object).map_or_else(Item::Undecodable, Item::Object),
        })
    }

    /// The list's version is gone; the rest may be offered at today's.
    fn token_expired(&self, list: usize, start: usize) -> SourceError {
        if !self.server.plan.disorder || self.server.below(2) == 0 {
            return expired(None);
        }
        let now = self.server.world().snapshot();
        let mut state = self.server.state();
        let last = state.lists[list].objects[start - 1].0.clone();
        let selects = |key: &str| self.server.plan.selects(self.reflector, key);
        let rest = now.objects.into_iter().filter(|(key, _)| *key > last && selects(key)).collect();
        state.lists.push(Snapshot { version: now.version, objects: rest });
        self.counts.lock().unwrap().mixed_lists += 1;
        expired(Some(format!("newer {} 0", state.lists.len() - 1)))
    }
}

/// Delay, and what a request may meet before it is served.
async fn trouble(server: &Server) -> Result<(), SourceError> {
    tokio::time::sleep(Duration::from_millis(server.below(500))).await;
    if server.fault(0.02) {
        std::future::pending::<()>().await;
    }
    if server.fault(0.08) {
        return Err(broken());
    }
    if server.fault(0.04) {
        return Err(Status::too_many_requests(Duration::from_secs(server.below(20))).into());
    }
    if server.fault(0.04) {
        return Err(Status::service_unavailable("the server is starting").into());
    }
    Ok(())
}

/// A bad object's uid gives it away to whoever looks.
pub(crate) const BAD: &str = "bad-";

pub(crate) fn uid(object: Object) -> String {
    format!("{}{}", if object.bad { BAD } else { "" }, object.uid)
}

pub(crate) fn decoded(server: &Server, key: &str, object: Object) -> Result<Arc<Pod>, Undecodable> {
    if object.bad && server.plan.bad == Bad::Told {
        return Err(undecodable(key, object.version));
    }
    Ok(Arc::new(Pod::new(key, object.version).with_uid(&uid(object))))
}

pub(crate) fn undecodable(key: &str, version: u64) -> Undecodable {
    Undecodable::new(key.parse().ok(), Some(version.to_string().into()), "it is bad")
}

pub(crate) fn expired(continue_token: Option<String>) -> SourceError {
    SourceError::Expired { message: "too old resource version".to_owned(), continue_token }
}

pub(crate) fn broken() -> SourceError {
    SourceError::transport("connection reset by peer")
}
