//! Every version of every object within the kept history, and the log of changes.
//!
//! One counter numbers the changes of all resources. Each object keeps its versions since the
//! last compaction, so a list can be answered at any version that is still kept; each resource
//! keeps its changes in order, so any number of watches read the same log with a cursor each.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use tokio::sync::watch;

use crate::entry::Entry;
use crate::resource;
use crate::simulation::{Mutation, Resource};

/// One committed change.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) version: u64,
    /// The new state; `None` when the object was deleted.
    pub(crate) current: Option<Arc<Entry>>,
    /// The state before, `None` when the object was created.
    pub(crate) previous: Option<Arc<Entry>>,
}

/// The version asked for lies before the last compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compacted {
    /// The oldest version that can still be read.
    pub(crate) oldest: u64,
}

/// What a list asks for.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    pub(crate) resource: Resource,
    pub(crate) namespace: Option<&'a str>,
    /// `None` reads the newest version.
    pub(crate) version: Option<u64>,
    /// The first key to look at, from an earlier page.
    pub(crate) start: Option<&'a str>,
    pub(crate) limit: Option<usize>,
}

/// One page of a list.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) version: u64,
    pub(crate) entries: Vec<Arc<Entry>>,
    /// The key the next page starts at; `None` on the last page.
    pub(crate) next: Option<String>,
    /// How many objects match after this page.
    pub(crate) remaining: usize,
}

/// The versions of one object since the last compaction, oldest first; `None` is a deletion.
type Versions = Vec<(u64, Option<Arc<Entry>>)>;

#[derive(Debug, Default)]
struct Log {
    objects: BTreeMap<String, Versions>,
    events: VecDeque<Arc<Event>>,
    /// The version of the last event dropped from `events`.
    dropped: u64,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    compacted: u64,
    /// Which resource each version after `compacted` changed, in order.
    order: VecDeque<Resource>,
    logs: [Log; resource::ALL.len()],
}

#[derive(Debug, Default)]
struct CommitTimes {
    first: u64,
    times: VecDeque<Instant>,
}

/// The shared store: one writer at a time, any number of readers.
#[derive(Debug)]
pub(crate) struct History {
    state: RwLock<State>,
    /// Apart from `state`, so that asking for a time never waits for a long list.
    times: Mutex<CommitTimes>,
    /// Held while a batch is serialised: that work needs the next version, not the state's lock.
    writer: Mutex<()>,
    version: AtomicU64,
    wake: [watch::Sender<u64>; resource::ALL.len()],
    keep: usize,
}

impl History {
    /// An empty history that keeps the last `keep` changes.
    pub(crate) fn new(keep: usize) -> History {
        History {
            state: RwLock::default(),
            times: Mutex::new(CommitTimes { first: 1, times: VecDeque::new() }),
            writer: Mutex::default(),
            version: AtomicU64::new(0),
            wake: std::array::from_fn(|_| watch::Sender::new(0)),
            keep,
        }
    }

    /// Applies `mutations` in order and wakes the watches once.
    pub(crate) fn commit(&self, mutations: impl IntoIterator<Item = Mutation>) {
        let _writer = lock(&self.writer);
        let mut next = self.version.load(Ordering::Acquire) + 1;
        let mut touched = [false; resource::ALL.len()];
        for mutation in mutations {
            let (resource, key, entry) = prepare(mutation, next);
            let mut state = self.write();
            if state.apply(resource, key, entry, next) {
                touched[resource::index(resource)] = true;
                // Before the state is unlocked: whoever sees the event can ask for its time.
                lock(&self.times).times.push_back(Instant::now());
                self.version.store(next, Ordering::Release);
                next += 1;
                let target = state.version.saturating_sub(self.keep as u64);
                self.compact_locked(&mut state, target);
            }
        }
        for (sender, _) in self.wake.iter().zip(touched).filter(|(_, touched)| *touched) {
            sender.send_replace(next - 1);
        }
    }

    /// The last committed version.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The oldest version that can still be listed or watched from.
    pub(crate) fn compacted(&self) -> u64 {
        self.read().compacted
    }

    /// When `version` was committed, within the kept history.
    pub(crate) fn committed_at(&self, version: u64) -> Option<Instant> {
        let times = lock(&self.times);
        let place = usize::try_from(version.checked_sub(times.first)?).ok()?;
        times.times.get(place).copied()
    }

    /// Forgets everything that only versions before `version` need.
    pub(crate) fn compact(&self, version: u64) {
        let mut state = self.write();
        self.compact_locked(&mut state, version);
    }

    fn compact_locked(&self, state: &mut State, version: u64) {
        if state.compact(version) {
            let mut times = lock(&self.times);
            // The time of the compacted version itself stays: its state can still be read.
            while times.first < state.compacted && times.times.pop_front().is_some() {
                times.first += 1;
            }
        }
    }

    /// A receiver that changes after each batch that touches `resource`.
    pub(crate) fn subscribe(&self, resource: Resource) -> watch::Receiver<u64> {
        self.wake[resource::index(resource)].subscribe()
    }

    /// The current state of one object.
    pub(crate) fn get(
        &self,
        resource: Resource,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<Arc<Entry>> {
        let state = self.read();
        let versions = state.logs[resource::index(resource)].objects.get(&key(namespace, name))?;
        versions.last()?.1.clone()
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
        let prefix = query.namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let start = query.start.filter(|start| *start > prefix.as_str()).unwrap_or(&prefix);
        let mut page = Page { version, entries: Vec::new(), next: None, remaining: 0 };
        let objects = &state.logs[resource::index(query.resource)].objects;
        for (key, versions) in objects
            .range::<str, _>((Bound::Included(start), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(&prefix))
        {
            let Some(entry) = at(versions, version).filter(|entry| matches(entry)) else {
                continue;
            };
            if query.limit.is_some_and(|limit| page.entries.len() >= limit) {
                page.next.get_or_insert_with(|| key.clone());
                page.remaining += 1;
            } else {
                page.entries.push(Arc::clone(entry));
            }
        }
        Ok(page)
    }

    /// The next changes of `resource` after `cursor`, at most `max`, and the new cursor.
    ///
    /// Fails only when a change of this resource after `cursor` is gone: a watch that nothing
    /// concerned is not thrown out because other resources changed.
    pub(crate) fn events_since(
        &self,
        resource: Resource,
        cursor: u64,
        max: usize,
    ) -> Result<(Vec<Arc<Event>>, u64), Compacted> {
        let state = self.read();
        let log = &state.logs[resource::index(resource)];
        if cursor < log.dropped {
            return Err(Compacted { oldest: state.compacted });
        }
        let from = log.events.partition_point(|event| event.version <= cursor);
        let to = log.events.len().min(from + max);
        let events: Vec<_> = log.events.range(from..to).cloned().collect();
        let cursor = match events.last() {
            Some(last) if to < log.events.len() => last.version,
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
    /// Records one change; `false` when it changes nothing (a deletion of what is not there).
    fn apply(
        &mut self,
        resource: Resource,
        key: String,
        entry: Option<Entry>,
        version: u64,
    ) -> bool {
        let log = &mut self.logs[resource::index(resource)];
        let previous = log.objects.get(&key).and_then(|versions| versions.last()?.1.clone());
        if entry.is_none() && previous.is_none() {
            return false;
        }
        let current = entry.map(Arc::new);
        log.objects
            .entry(key)
            .or_insert_with(|| Vec::with_capacity(1))
            .push((version, current.clone()));
        log.events.push_back(Arc::new(Event { version, current, previous }));
        self.order.push_back(resource);
        self.version = version;
        true
    }

    /// Moves the compaction up to `version`; `false` when it is there already.
    fn compact(&mut self, version: u64) -> bool {
        let before = self.compacted;
        while self.compacted < version {
            let Some(resource) = self.order.pop_front() else {
                break;
            };
            self.compacted += 1;
            let log = &mut self.logs[resource::index(resource)];
            if let Some(event) = log.events.pop_front() {
                log.forget(&event);
            }
        }
        self.compacted > before
    }
}

impl Log {
    /// Drops the versions that `event` replaced, and a deletion nobody can see the past of.
    fn forget(&mut self, event: &Event) {
        self.dropped = event.version;
        let Some(entry) = event.current.as_ref().or(event.previous.as_ref()) else {
            return;
        };
        let key = key(entry.namespace.as_deref(), &entry.name);
        let Some(versions) = self.objects.get_mut(&key) else {
            return;
        };
        versions.retain(|(version, entry)| {
            *version > event.version || (*version == event.version && entry.is_some())
        });
        if versions.is_empty() {
            self.objects.remove(&key);
        }
    }
}

/// The key the storage orders by, as the real one does: `namespace/name`.
fn key(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}

fn at(versions: &Versions, version: u64) -> Option<&Arc<Entry>> {
    versions.iter().rev().find(|(at, _)| *at <= version)?.1.as_ref()
}

fn prepare(mutation: Mutation, version: u64) -> (Resource, String, Option<Entry>) {
    match mutation {
        Mutation::Put { resource, namespace, name, object } => {
            let key = key(namespace.as_deref(), &name);
            (resource, key, Some(Entry::new(namespace, name, &object, version)))
        }
        Mutation::Delete { resource, namespace, name } => {
            (resource, key(namespace.as_deref(), &name), None)
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn put(name: &str) -> Mutation {
        Mutation::Put {
            resource: Resource::Pods,
            namespace: Some("a".into()),
            name: name.into(),
            object: json!({"metadata": {"name": name}}),
        }
    }

    fn delete(name: &str) -> Mutation {
        Mutation::Delete {
            resource: Resource::Pods,
            namespace: Some("a".into()),
            name: name.into(),
        }
    }

    fn names(history: &History, version: u64) -> Result<Vec<String>, Compacted> {
        let query = Query {
            resource: Resource::Pods,
            namespace: Some("a"),
            version: Some(version),
            start: None,
            limit: None,
        };
        let page = history.list(&query, |_| true)?;
        Ok(page.entries.iter().map(|entry| format!("{}@{}", entry.name, entry.version)).collect())
    }

    #[test]
    fn lists_any_kept_version() {
        let history = History::new(100);
        history.commit(vec![put("x"), put("y"), delete("x"), put("y"), delete("absent"), put("x")]);
        assert_eq!(history.version(), 5);
        assert_eq!(names(&history, 2).expect("kept"), ["x@1", "y@2"]);
        assert_eq!(names(&history, 3).expect("kept"), ["y@2"]);
        assert_eq!(names(&history, 5).expect("kept"), ["x@5", "y@4"]);
        history.compact(3);
        assert_eq!(names(&history, 2), Err(Compacted { oldest: 3 }));
        assert_eq!(names(&history, 3).expect("kept"), ["y@2"]);
        assert_eq!(names(&history, 4).expect("kept"), ["y@4"]);
        history.compact(99);
        assert_eq!(names(&history, 5).expect("kept"), ["x@5", "y@4"]);
        assert!(history.committed_at(4).is_none());
        assert!(history.committed_at(5).is_some());
    }

    #[test]
    fn keeps_only_what_it_is_told_to() {
        let history = History::new(3);
        for _ in 0..10 {
            history.commit(vec![put("x")]);
        }
        assert_eq!(history.compacted(), 7);
        assert!(history.events_since(Resource::Pods, 6, 9).is_err());
        let (events, cursor) = history.events_since(Resource::Pods, 7, 2).expect("kept");
        assert_eq!((events.len(), cursor), (2, 9));
        // Nothing about nodes was dropped: their watches go on.
        assert!(history.events_since(Resource::Nodes, 0, 9).is_ok());
    }
}
