//! Watches, with what a faulty server, a proxy or a network makes of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;
use watchcache::Status;
use watchcache::reflector::{Interest, SourceError, Undecodable, WatchEvent};

use crate::common::Pod;
use crate::plan::Restored;
use crate::server::Server;
use crate::source::{Counts, Event, Faulty, broken, decoded, expired};
use crate::world::{Change, Kind};

pub(crate) struct Watch {
    server: Arc<Server>,
    reflector: usize,
    interest: Option<Interest<Pod>>,
    counts: Arc<Mutex<Counts>>,
    epoch: u32,
    end: Instant,
    cursor: u64,
    queue: VecDeque<Event>,
    over: bool,
}

impl Watch {
    pub(crate) fn new(source: &Faulty, epoch: u32, end: Instant) -> Self {
        Self {
            server: Arc::clone(&source.server),
            reflector: source.reflector,
            interest: source.interest.clone(),
            counts: Arc::clone(&source.counts),
            epoch,
            end,
            cursor: 0,
            queue: VecDeque::new(),
            over: false,
        }
    }

    pub(crate) fn start_after(&mut self, version: u64) {
        self.cursor = version;
        if self.server.fault(0.2) {
            // As etcd's source, which so learns that the watch is there.
            self.queue.push_back(Ok(WatchEvent::Bookmark(version.to_string().into())));
        }
    }

    pub(crate) fn cursor(&self) -> u64 {
        self.cursor
    }

    pub(crate) fn start_initial(&mut self) {
        let snapshot = self.server.world().snapshot();
        self.cursor = snapshot.version;
        let selected = snapshot.objects.iter();
        let selected = selected.filter(|(key, _)| self.server.plan.selects(self.reflector, key));
        let added = selected.map(|(key, object)| {
            if let Some(gone) = self.foreign(key, object.version) {
                return Ok(gone);
            }
            let decoded = decoded(&self.server, key, *object);
            Ok(decoded.map_or_else(WatchEvent::Undecodable, WatchEvent::Added))
        });
        self.queue = added.collect();
        if self.server.fault(0.3) {
            // Something that is deleted again before the list is complete.
            let key = "ns-0/short-lived";
            let object = crate::world::Object { version: 1, uid: 0, bad: false };
            if let Ok(pod) = decoded(&self.server, key, object) {
                self.queue.push_front(Ok(WatchEvent::Added(Arc::clone(&pod))));
                self.queue.push_back(match self.server.below(2) {
                    0 => Ok(WatchEvent::Deleted(pod)),
                    _ => Ok(WatchEvent::Gone { key: key.parse().unwrap(), version: "1".into() }),
                });
            }
        }
        if self.server.fault(0.2) {
            let length = self.queue.len() as u64 + 1;
            self.queue.truncate(self.server.below(length) as usize);
            self.counts().torn += 1;
            self.over = true;
            self.queue.extend(match self.server.below(4) {
                0 => None,
                1 => Some(Err(broken())),
                2 => Some(Err(SourceError::Protocol("half a line".to_owned()))),
                _ => Some(Ok(WatchEvent::InitialEventsEnd("".into()))),
            });
            return;
        }
        let end = WatchEvent::InitialEventsEnd(snapshot.version.to_string().into());
        self.queue.push_back(Ok(end));
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap()
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.cursor < self.server.world().compacted()
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.cursor < self.server.state().poisoned
    }

    /// Whether it asks for what follows a version that there is not yet.
    pub(crate) fn is_ahead(&self) -> bool {
        self.cursor > self.server.world().version()
    }

    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if self.epoch != self.server.state().epoch {
                self.queue.clear();
                if !std::mem::replace(&mut self.over, true) {
                    self.counts().failed_watches += 1;
                }
            }
            if let Some(event) = self.queue.pop_front() {
                if event.is_err() {
                    self.counts().failed_watches += 1;
                }
                return Some(event);
            }
            if self.over || Instant::now() >= self.end {
                return None;
            }
            if self.is_ahead() && self.server.plan.restore == Some(Restored::Bookmarks) {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let version = self.server.world().version().to_string();
                return Some(Ok(WatchEvent::Bookmark(version.into())));
            }
            if self.is_poisoned() {
                self.over = true;
                self.counts().failed_watches += 1;
                return match self.server.below(3) {
                    0 => None,
                    1 => Some(Err(broken())),
                    _ => Some(Err(Status::internal("PrevKv=nil").into())),
                };
            }
            if self.is_expired() {
                self.over = true;
                self.counts().expired += 1;
                return Some(Err(expired(None)));
            }
            if let Some(end) = self.fault().await {
                self.counts().failed_watches += 1;
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
            self.counts().garbage += 1;
            return Some(Some(Err(SourceError::Protocol("this is not an event".to_owned()))));
        }
        if server.fault(0.01) {
            self.over = true;
            return Some(Some(Err(Status::internal("etcd leader changed").into())));
        }
        if server.fault(0.005) {
            self.over = true;
            self.counts().expired += 1;
            return Some(Some(Err(expired(None))));
        }
        if server.fault(0.005) {
            return std::future::pending().await;
        }
        if server.fault(0.02) {
            let event_type = "FROBBED".to_owned();
            self.queue.push_back(Ok(WatchEvent::Unknown { event_type }));
        }
        if server.fault(0.02) {
            // Nobody knows what it is.
            let bad = Undecodable::new(None, None, "no name");
            self.queue.push_back(Ok(WatchEvent::Undecodable(bad)));
        }
        None
    }

    /// The next changes, with what a faulty server makes of them.
    fn fill(&mut self) {
        let most = 1 + self.server.below(8) as usize;
        let mut changes = self.server.world().changes_after(self.cursor, most);
        if let Some(last) = changes.last() {
            self.cursor = last.at;
        } else {
            self.cursor = self.cursor.max(self.server.world().version());
        }
        changes.retain(|change| self.server.plan.selects(self.reflector, &change.key));
        let cut = changes.len() > 20 && self.server.fault(0.3) && self.cut(&mut changes);
        if !cut && self.server.plan.disorder && changes.len() > 1 && self.server.fault(0.1) {
            let late = self.server.below(changes.len() as u64 - 1) as usize;
            changes.swap(late, late + 1);
        }
        if !cut && !changes.is_empty() && self.server.fault(0.2) {
            let repeated = self.server.below(changes.len() as u64) as usize;
            changes.push(changes[repeated].clone());
        }
        if !cut && self.server.fault(0.05) {
            // Something from long ago, which this watch has had before or never asked for.
            let world = self.server.world();
            let old = world.changes_up_to(self.cursor);
            if !old.is_empty() {
                let old = old[self.server.below(old.len() as u64) as usize].clone();
                if self.server.plan.selects(self.reflector, &old.key) {
                    changes.push(old);
                }
            }
        }
        let bookmark = changes.is_empty() && self.server.below(10) == 0;
        for change in &changes {
            let event = self.event(change);
            self.queue.push_back(Ok(event));
        }
        if cut {
            self.queue.push_back(Err(broken()));
            self.over = true;
        } else if bookmark {
            self.queue.push_back(Ok(WatchEvent::Bookmark(self.cursor.to_string().into())));
        } else if self.server.fault(0.02) {
            let back = self.cursor.saturating_sub(5).to_string();
            let odd = ["", "0", &back][self.server.below(3) as usize];
            self.queue.push_back(Ok(WatchEvent::Bookmark(odd.into())));
        }
    }

    /// Cuts a batch in the middle of a transaction, of which at least two changes are left: nobody
    /// could tell a single one from a change of its own.
    fn cut(&self, changes: &mut Vec<Change>) -> bool {
        let at = |n: usize| changes[n].at;
        let from = 2 + self.server.below(changes.len() as u64 - 2) as usize;
        let Some(n) = (from..changes.len()).find(|n| at(n - 2) == at(*n)) else { return false };
        changes.truncate(n);
        true
    }

    /// What a source may make of an object of another shard without decoding it.
    fn foreign(&self, key: &str, version: u64) -> Option<WatchEvent<Pod>> {
        let interest = self.interest.as_ref()?;
        if interest.wants(key.into()) || self.server.below(2) == 0 {
            return None;
        }
        self.counts().foreign += 1;
        Some(WatchEvent::Gone { key: key.parse().unwrap(), version: version.to_string().into() })
    }

    fn event(&self, change: &Change) -> WatchEvent<Pod> {
        let deleted = change.kind == Kind::Deleted;
        let mut object = change.object;
        if deleted && self.server.plan.old_deletions {
            object.version = change.before;
        }
        if let Some(gone) = self.foreign(&change.key, object.version) {
            return gone;
        }
        if deleted && !self.server.plan.old_deletions && self.server.below(5) == 0 {
            let version = change.object.version.to_string().into();
            return WatchEvent::Gone { key: change.key.parse().unwrap(), version };
        }
        match (decoded(&self.server, &change.key, object), change.kind) {
            (Ok(pod), Kind::Added) => WatchEvent::Added(pod),
            (Ok(pod), Kind::Modified) => WatchEvent::Modified(pod),
            (Ok(pod), Kind::Deleted) => WatchEvent::Deleted(pod),
            (Err(mut bad), _) => {
                bad.deleted = deleted;
                WatchEvent::Undecodable(bad)
            }
        }
    }
}
