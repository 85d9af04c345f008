//! The world as a source, with every fault that a server, a proxy or a network can add.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use watchcache::Status;
use watchcache::reflector::{
    Interest, Item, ListPage, ListRequest, Report, Source, SourceError, Undecodable, WatchEvent,
    WatchRequest, WatchStart,
};

use crate::common::Pod;
use crate::server::Server;
use crate::world::{Change, Kind, Object, Snapshot};

pub(crate) struct Faulty {
    server: Arc<Server>,
    interest: Option<Interest<Pod>>,
}

type Event = Result<WatchEvent<Pod>, SourceError>;

impl Faulty {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self { server, interest: None }
    }
}

impl Source for Faulty {
    type Object = Pod;
    type Watch = BoxStream<'static, Event>;

    fn attach(&mut self, _: Report, interest: Interest<Pod>) {
        // Half of the sources leave it to the reflector to find what has not changed.
        self.interest = (self.server.below(2) == 0).then_some(interest);
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage<Pod>, SourceError> {
        let server = &self.server;
        trouble(server, true).await?;
        let limit = request.limit.map_or(usize::MAX, |limit| limit as usize);
        let (list, start) = match request.continue_token.as_deref() {
            None => {
                let snapshot = server.world().snapshot();
                let mut state = server.state();
                state.lists.push(snapshot);
                (state.lists.len() - 1, 0)
            }
            Some(token) => {
                let (newer, place) = match token.strip_prefix("newer ") {
                    Some(place) => (true, place),
                    None => (false, token),
                };
                let (list, start) = place.split_once(' ').unwrap();
                let (list, start) = (list.parse().unwrap(), start.parse().unwrap());
                if !newer && server.fault(0.1) {
                    return Err(self.token_expired(list, start));
                }
                (list, start)
            }
        };
        let state = server.state();
        let snapshot = &state.lists[list];
        let end = start.saturating_add(limit).min(snapshot.objects.len());
        let interest = self.interest.as_ref().filter(|interest| !interest.is_everything());
        let items = snapshot.objects[start..end].iter().map(|(key, object)| {
            let version = object.version.to_string();
            let held = |interest: &Interest<Pod>| {
                interest.held(key.as_str().into(), Some("uid"), &version)
            };
            match interest.and_then(held) {
                Some(pod) => Item::Held(pod),
                None => decoded(key, *object).map_or_else(Item::Undecodable, Item::Object),
            }
        });
        let mut page = ListPage::new(items.collect(), snapshot.version.to_string());
        page.continue_token = (end < snapshot.objects.len()).then(|| format!("{list} {end}"));
        Ok(page)
    }

    async fn watch(&self, request: WatchRequest) -> Result<Self::Watch, SourceError> {
        let server = Arc::clone(&self.server);
        trouble(&server, false).await?;
        let end = tokio::time::Instant::now() + request.timeout;
        let mut watch = Watch { server, end, cursor: 0, queue: VecDeque::new(), over: false };
        match request.start {
            WatchStart::After(version) => watch.cursor = version.number().unwrap(),
            WatchStart::InitialEvents => {
                if watch.server.fault(0.2) {
                    return Err(Status::bad_request("sendInitialEvents is forbidden").into());
                }
                watch.start_initial();
            }
        }
        if watch.is_expired() && watch.server.below(2) == 0 {
            watch.server.state().counts.expired += 1;
            return Err(expired(None));
        }
        Ok(stream::unfold(watch, |mut watch| async move {
            watch.next().await.map(|event| (event, watch))
        })
        .boxed())
    }
}

impl Faulty {
    /// The list's version is gone; the rest may be offered at today's.
    fn token_expired(&self, list: usize, start: usize) -> SourceError {
        if self.server.below(2) == 0 {
            return expired(None);
        }
        let now = self.server.world().snapshot();
        let mut state = self.server.state();
        let last = state.lists[list].objects[start - 1].0.clone();
        let rest = now.objects.into_iter().filter(|(key, _)| *key > last).collect();
        state.lists.push(Snapshot { version: now.version, objects: rest });
        state.counts.mixed_lists += 1;
        expired(Some(format!("newer {} 0", state.lists.len() - 1)))
    }
}

struct Watch {
    server: Arc<Server>,
    end: tokio::time::Instant,
    cursor: u64,
    queue: VecDeque<Event>,
    over: bool,
}

impl Watch {
    fn start_initial(&mut self) {
        let snapshot = self.server.world().snapshot();
        self.cursor = snapshot.version;
        let added = snapshot.objects.iter().map(|(key, object)| {
            Ok(decoded(key, *object).map_or_else(WatchEvent::Undecodable, WatchEvent::Added))
        });
        self.queue.extend(added);
        let end = WatchEvent::InitialEventsEnd(snapshot.version.to_string().into());
        self.queue.push_back(Ok(end));
    }

    fn is_expired(&self) -> bool {
        self.cursor < self.server.world().compacted()
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.over || tokio::time::Instant::now() >= self.end {
                return None;
            }
            if self.is_expired() {
                self.over = true;
                self.server.state().counts.expired += 1;
                return Some(Err(expired(None)));
            }
            if let Some(end) = self.fault().await {
                return end;
            }
            self.fill();
            if self.queue.is_empty() {
                let pause = Duration::from_millis(100 + self.server.below(3_000));
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// What may go wrong between two events; `Some` is what the reader gets then.
    async fn fault(&mut self) -> Option<Option<Event>> {
        let server = Arc::clone(&self.server);
        if server.fault(0.02) {
            return Some(None);
        }
        if server.fault(0.02) {
            self.over = true;
            return Some(Some(Err(broken())));
        }
        if server.fault(0.01) {
            self.over = true;
            server.state().counts.garbage += 1;
            return Some(Some(Err(SourceError::Protocol("this is not an event".to_owned()))));
        }
        if server.fault(0.01) {
            self.over = true;
            return Some(Some(Err(Status::internal("etcd leader changed").into())));
        }
        if server.fault(0.005) {
            self.over = true;
            server.state().counts.expired += 1;
            return Some(Some(Err(expired(None))));
        }
        if server.fault(0.005) {
            return std::future::pending().await;
        }
        if server.fault(0.02) {
            let event_type = "FROBBED".to_owned();
            self.queue.push_back(Ok(WatchEvent::Unknown { event_type }));
        }
        None
    }

    /// The next changes, with what a faulty server makes of them.
    fn fill(&mut self) {
        let most = 1 + self.server.below(8) as usize;
        let mut changes = self.server.world().changes_after(self.cursor, most);
        if let Some(last) = changes.last() {
            self.cursor = last.object.version;
        } else {
            self.cursor = self.server.world().version();
        }
        if changes.len() > 1 && self.server.fault(0.1) {
            let late = self.server.below(changes.len() as u64 - 1) as usize;
            changes.swap(late, late + 1);
        }
        if !changes.is_empty() && self.server.fault(0.2) {
            let repeated = self.server.below(changes.len() as u64) as usize;
            changes.push(changes[repeated].clone());
        }
        if self.server.fault(0.05) {
            // Something from long ago, which this watch has had before or never asked for.
            let world = self.server.world();
            let old = world.changes_up_to(self.cursor);
            if !old.is_empty() {
                changes.push(old[self.server.below(old.len() as u64) as usize].clone());
            }
        }
        let bookmark = changes.is_empty() && self.server.below(10) == 0;
        self.queue.extend(changes.iter().map(event));
        if bookmark {
            self.queue.push_back(Ok(WatchEvent::Bookmark(self.cursor.to_string().into())));
        } else if self.server.fault(0.02) {
            let back = self.cursor.saturating_sub(5).to_string();
            self.queue.push_back(Ok(WatchEvent::Bookmark(back.into())));
        }
    }
}

/// Delay, and what a request may meet before it is served.
async fn trouble(server: &Server, list: bool) -> Result<(), SourceError> {
    {
        let counts = &mut server.state().counts;
        counts.requests += 1;
        counts.pages += u64::from(list);
    }
    let delay = Duration::from_millis(server.below(500));
    tokio::time::sleep(delay).await;
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

fn event(change: &Change) -> Event {
    Ok(match (decoded(&change.key, change.object), change.kind) {
        (Ok(pod), Kind::Added) => WatchEvent::Added(pod),
        (Ok(pod), Kind::Modified) => WatchEvent::Modified(pod),
        (Ok(pod), Kind::Deleted) => WatchEvent::Deleted(pod),
        (Err(bad), kind) => {
            WatchEvent::Undecodable(Undecodable { deleted: kind == Kind::Deleted, ..bad })
        }
    })
}

fn decoded(key: &str, object: Object) -> Result<Arc<Pod>, Undecodable> {
    if object.bad {
        return Err(Undecodable {
            key: key.parse().ok(),
            resource_version: Some(object.version.to_string().into()),
            error: "it is bad".to_owned(),
            ..Undecodable::default()
        });
    }
    Ok(Arc::new(Pod::new(key, object.version)))
}

fn expired(continue_token: Option<String>) -> SourceError {
    SourceError::Expired { message: "too old resource version".to_owned(), continue_token }
}

fn broken() -> SourceError {
    SourceError::Transport { message: "connection reset by peer".to_owned(), source: None }
}
