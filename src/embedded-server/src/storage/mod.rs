//! Every version of every object within the kept history.
//!
//! One counter numbers the changes of all resources. Each object keeps its versions since the
//! last compaction, so a list can be answered at any version that is still kept; each resource
//! keeps its changes in order, so any number of watches read the same log with a cursor each.

mod commit_times;
mod entry;
mod limit;
mod log;
mod message;
mod packed;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use tokio::sync::watch;
use watchcache::reflector::protobuf;

use crate::resource::{Definition, ResourceId};
use commit_times::CommitTimes;
use log::Log;

pub(crate) use entry::{Content, Entry, Origin};
pub use limit::HistoryLimit;
pub(crate) use log::{Event, Remaining};
pub(crate) use message::{Extent, Message};
pub(crate) use packed::Dictionary;

/// The version asked for lies before the last compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compacted {
    /// The oldest version that can still be read.
    pub(crate) oldest: u64,
}

/// The query of a list.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    pub(crate) resource: ResourceId,
    pub(crate) namespace: Option<&'a str>,
    /// `None` reads the newest version.
    pub(crate) version: Option<u64>,
    /// The first key to return, from an earlier page.
    pub(crate) start: Option<&'a str>,
    pub(crate) limit: Option<usize>,
    pub(crate) remaining: Remaining,
}

impl<'a> Query<'a> {
    /// Everything of a resource at the newest version.
    pub(crate) fn all(resource: ResourceId, namespace: Option<&'a str>) -> Query<'a> {
        let remaining = Remaining::Unasked;
        Query { resource, namespace, version: None, start: None, limit: None, remaining }
    }
}

/// One page of a list.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) version: u64,
    pub(crate) entries: Vec<Arc<Entry>>,
    /// The key the next page starts at; `None` on the last page.
    pub(crate) next: Option<String>,
    /// How many objects match after this page, if requested.
    pub(crate) remaining: usize,
}

/// A change to an object.
#[derive(Debug)]
pub(crate) enum Change {
    Put(Content),
    Delete,
}

/// The state that a write was based on is no longer the newest.
#[derive(Debug)]
pub(crate) struct Stale;

#[derive(Debug, Default)]
struct State {
    version: u64,
    compacted: u64,
    /// Which resource each version after `compacted` changed, in order.
    order: VecDeque<ResourceId>,
    /// Memory of the kept changes, beside the present objects.
    bytes: usize,
    logs: Vec<Log>,
}

/// The shared store: one writer at a time, any number of readers.
#[derive(Debug)]
pub(crate) struct Storage {
    state: RwLock<State>,
    /// Apart from `state`, so that asking for a time never waits for a long list.
    times: Mutex<CommitTimes>,
    /// Held while a write is decided: that needs the newest state, but not the state's lock.
    writer: Mutex<()>,
    /// Held while an object is encoded: all watches ask for it at the same time.
    encoder: Mutex<()>,
    version: AtomicU64,
    /// Changes when an object changes that is not the simulation's alone.
    clients: watch::Sender<u64>,
    limit: HistoryLimit,
}

impl Storage {
    pub(crate) fn new(limit: HistoryLimit) -> Storage {
        Storage {
            state: RwLock::default(),
            times: Mutex::new(CommitTimes::new()),
            writer: Mutex::default(),
            encoder: Mutex::default(),
            version: AtomicU64::new(0),
            clients: watch::Sender::new(0),
            limit,
        }
    }

    /// Changes objects in order and wakes the watches once. `decide` gets the newest state of each and
    /// returns the change, or none.
    pub(crate) fn commit<T>(
        &self,
        items: impl IntoIterator<Item = (ResourceId, String, T)>,
        mut decide: impl FnMut(T, Option<&Arc<Entry>>) -> Option<Change>,
    ) {
        let writer = lock(&self.writer);
        let mut touched = Vec::new();
        for (resource, key, item) in items {
            let newest = self.read().newest(resource, &key).cloned();
            let Some(change) = decide(item, newest.as_ref()) else { continue };
            if self.apply(resource, &key, change).is_some() && !touched.contains(&resource) {
                touched.push(resource);
            }
        }
        drop(writer);
        touched.into_iter().for_each(|resource| self.wake(resource));
    }

    /// Changes one object, provided that `expected` is its newest version (`None`: that it does not
    /// exist); returns the resulting event.
    pub(crate) fn compare_and_commit(
        &self,
        resource: ResourceId,
        key: &str,
        expected: Option<u64>,
        change: Change,
    ) -> Result<Arc<Event>, Stale> {
        let writer = lock(&self.writer);
        if self.read().newest(resource, key).map(|entry| entry.version) != expected {
            return Err(Stale);
        }
        let event = self.apply(resource, key, change).ok_or(Stale)?;
        drop(writer);
        self.wake(resource);
        Ok(event)
    }

    /// Called by the one writer only.
    fn apply(&self, resource: ResourceId, key: &str, change: Change) -> Option<Arc<Event>> {
        let content = match change {
            Change::Put(content) => Some(content),
            Change::Delete => None,
        };
        let mut state = self.write();
        let next = state.version + 1;
        let event = state.log(resource).apply(key, content, next)?;
        state.version = next;
        state.order.push_back(resource);
        state.bytes += event.bytes();
        // Before the state is unlocked: a reader that sees the event can ask for its time.
        lock(&self.times).push();
        // ORDERING: Release pairs with the Acquire in `version`.
        self.version.store(next, Ordering::Release);
        if event.is_of_client() {
            self.clients.send_replace(next);
        }
        let forgotten = self.keep_within_limit(&mut state);
        drop(state);
        // Freed under no lock but the writer's.
        drop(forgotten);
        Some(event)
    }

    fn wake(&self, resource: ResourceId) {
        if let Some(log) = self.read().logs.get(resource.0) {
            log.wake.send_replace(self.version());
        }
    }

    /// The last committed version.
    pub(crate) fn version(&self) -> u64 {
        // ORDERING: Acquire pairs with the Release in `apply`.
        self.version.load(Ordering::Acquire)
    }

    /// The oldest version that can still be listed or watched from.
    pub(crate) fn compacted(&self) -> u64 {
        self.read().compacted
    }

    /// When `version` was committed, within the kept history.
    pub(crate) fn committed_at(&self, version: u64) -> Option<Instant> {
        lock(&self.times).get(version)
    }

    /// Drops everything that only versions before `version` need.
    pub(crate) fn compact(&self, version: u64) {
        let mut state = self.write();
        let mut forgotten = Vec::new();
        while state.compacted < version {
            let Some(event) = state.forget() else { break };
            forgotten.push(event);
        }
        lock(&self.times).forget_before(state.compacted);
    }

    fn keep_within_limit(&self, state: &mut State) -> Vec<Arc<Event>> {
        let mut forgotten = Vec::new();
        while state.order.len() > self.limit.changes || state.bytes > self.limit.bytes {
            let Some(event) = state.forget() else { break };
            forgotten.push(event);
        }
        if !forgotten.is_empty() {
            // The time of the compacted version itself stays: its state can still be read.
            lock(&self.times).forget_before(state.compacted);
        }
        forgotten
    }

    /// A receiver that changes after each write, or batch of them, that touches `resource`.
    pub(crate) fn subscribe(&self, resource: ResourceId) -> watch::Receiver<u64> {
        self.write().log(resource).wake.subscribe()
    }

    /// A receiver that changes when an object changes that is not the simulation's alone.
    pub(crate) fn subscribe_to_clients(&self) -> watch::Receiver<u64> {
        self.clients.subscribe()
    }

    /// The newest state of one object.
    pub(crate) fn get(&self, resource: ResourceId, key: &str) -> Option<Arc<Entry>> {
        self.read().newest(resource, key).cloned()
    }

    /// An object in protobuf: encoded once, by whoever asks first, and then kept with the object.
    pub(crate) fn message(
        &self,
        definition: &Definition,
        entry: &Arc<Entry>,
    ) -> Result<Arc<Message>, protobuf::Error> {
        let encode = || Message::new(definition, entry.value(definition)).map(Arc::new);
        // Under other names it is another message, as it is other JSON; few ask for it.
        if !definition.renamed.is_empty() {
            return encode();
        }
        if let Some(message) = entry.message() {
            return Ok(Arc::clone(message));
        }
        let encoder = lock(&self.encoder);
        if let Some(message) = entry.message() {
            return Ok(Arc::clone(message));
        }
        let message = encode()?;
        let mut state = self.write();
        entry.keep(Arc::clone(&message));
        if state.log(definition.id).is_replaced(entry) {
            state.bytes += message.bytes();
        }
        let forgotten = self.keep_within_limit(&mut state);
        drop(state);
        drop((encoder, forgotten));
        Ok(message)
    }

    /// The objects that `matches` at the version the query names.
    pub(crate) fn list(
        &self,
        query: &Query<'_>,
        matches: impl Fn(&Entry) -> bool,
    ) -> Result<Page, Compacted> {
        let state = self.read();
        let version = query.version.unwrap_or(state.version);
        if version < state.compacted {
            return Err(Compacted { oldest: state.compacted });
        }
        Ok(match state.logs.get(query.resource.0) {
            Some(log) => log.list(query, version, matches),
            None => Page { version, entries: Vec::new(), next: None, remaining: 0 },
        })
    }

    /// Everything of a resource at the newest version, and that version.
    pub(crate) fn all(&self, resource: ResourceId) -> (u64, Vec<Arc<Entry>>) {
        let page = self.list(&Query::all(resource, None), |_| true);
        // The newest version is never compacted.
        page.map_or_else(|_| (self.version(), Vec::new()), |page| (page.version, page.entries))
    }

    /// Everything of a resource in a namespace.
    pub(crate) fn in_namespace(&self, resource: ResourceId, namespace: &str) -> Vec<Arc<Entry>> {
        let page = self.list(&Query::all(resource, Some(namespace)), |_| true);
        page.map_or_else(|_| Vec::new(), |page| page.entries)
    }

    /// The next changes of `resource` after `cursor`, at most `max`, and the new cursor.
    ///
    /// Fails only when a change of this resource after `cursor` was dropped: changes of other resources
    /// do not end a watch that has nothing to miss.
    pub(crate) fn events_since(
        &self,
        resource: ResourceId,
        cursor: u64,
        max: usize,
    ) -> Result<(Vec<Arc<Event>>, u64), Compacted> {
        let state = self.read();
        let Some(log) = state.logs.get(resource.0) else {
            return Ok((Vec::new(), state.version.max(cursor)));
        };
        let Some((events, are_all)) = log.since(cursor, max) else {
            return Err(Compacted { oldest: state.compacted });
        };
        let cursor = match events.last() {
            Some(last) if !are_all => last.version,
            _ => state.version.max(cursor),
        };
        Ok((events, cursor))
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn newest(&self, resource: ResourceId, key: &str) -> Option<&Arc<Entry>> {
        self.logs.get(resource.0)?.newest(key)
    }

    fn log(&mut self, resource: ResourceId) -> &mut Log {
        if self.logs.len() <= resource.0 {
            self.logs.resize_with(resource.0 + 1, Log::default);
        }
        &mut self.logs[resource.0]
    }

    /// Moves the compaction up by one version; returns the event of that version.
    fn forget(&mut self) -> Option<Arc<Event>> {
        let resource = self.order.pop_front()?;
        self.compacted += 1;
        let event = self.log(resource).forget()?;
        self.bytes -= event.bytes();
        Some(event)
    }
}

/// The key the storage orders by, as the real one does: `namespace/name`.
pub(crate) fn key(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
