//! The objects of one resource in every kept version, and their changes in order.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Content, Entry, Origin, Page, Query};

/// One committed change.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) version: u64,
    /// The new state; `None` when the object was deleted.
    pub(crate) current: Option<Arc<Entry>>,
    /// The state before, `None` when the object was created.
    pub(crate) previous: Option<Arc<Entry>>,
}

impl Event {
    /// The state after it, or the last one.
    pub(crate) fn newest(&self) -> Option<&Arc<Entry>> {
        self.current.as_ref().or(self.previous.as_ref())
    }

    /// Returns whether the object is not the simulation's alone.
    pub(crate) fn is_of_client(&self) -> bool {
        self.newest().is_some_and(|entry| entry.origin() != Origin::Simulation)
    }

    /// The memory that only this event keeps, about: the state that it replaced.
    pub(super) fn bytes(&self) -> usize {
        const OVERHEAD: usize = size_of::<Event>() + 64;
        OVERHEAD + self.previous.as_ref().map_or(0, |entry| entry.bytes())
    }
}

/// The versions of one object since the last compaction, oldest first; `None` is a deletion.
type Versions = Vec<(u64, Option<Arc<Entry>>)>;

#[derive(Debug, Default)]
pub(super) struct Log {
    objects: BTreeMap<Arc<str>, Versions>,
    events: VecDeque<Arc<Event>>,
    /// The version of the last event dropped from `events`.
    dropped: u64,
    pub(super) wake: watch::Sender<u64>,
}

impl Log {
    pub(super) fn newest(&self, key: &str) -> Option<&Arc<Entry>> {
        self.objects.get(key)?.last()?.1.as_ref()
    }

    /// Returns whether a state is kept for the history's sake alone: an event counts it.
    pub(super) fn is_replaced(&self, entry: &Arc<Entry>) -> bool {
        let Some(versions) = self.objects.get(&**entry.key()) else { return false };
        let Ok(place) = versions.binary_search_by_key(&entry.version, |(version, _)| *version)
        else {
            return false;
        };
        let is_it = versions[place].1.as_ref().is_some_and(|held| Arc::ptr_eq(held, entry));
        is_it && place + 1 < versions.len()
    }

    /// Records a change; `None` when it changes nothing (a deletion of what is not there).
    pub(super) fn apply(
        &mut self,
        key: &str,
        content: Option<Content>,
        version: u64,
    ) -> Option<Arc<Event>> {
        let held = self.objects.get_key_value(key);
        let previous = held.and_then(|(_, versions)| versions.last()?.1.clone());
        if content.is_none() && previous.is_none() {
            return None;
        }
        let key = held.map_or_else(|| Arc::from(key), |(key, _)| Arc::clone(key));
        let current = content.map(|content| Arc::new(content.at(Arc::clone(&key), version)));
        self.objects
            .entry(key)
            .or_insert_with(|| Vec::with_capacity(1))
            .push((version, current.clone()));
        let event = Arc::new(Event { version, current, previous });
        self.events.push_back(Arc::clone(&event));
        Some(event)
    }

    /// Drops the oldest event, the versions it replaced, and a deletion whose past can no longer be read.
    pub(super) fn forget(&mut self) -> Option<Arc<Event>> {
        let event = self.events.pop_front()?;
        self.dropped = event.version;
        let entry = event.newest()?;
        if let Some(versions) = self.objects.get_mut(&**entry.key()) {
            versions.retain(|(version, entry)| {
                *version > event.version || (*version == event.version && entry.is_some())
            });
            if versions.is_empty() {
                self.objects.remove(&**entry.key());
            } else if versions.len() == 1 {
                versions.shrink_to_fit();
            }
        }
        Some(event)
    }

    /// The next events after `cursor`, at most `max`, and whether these are all; `None` when some were
    /// dropped.
    pub(super) fn since(&self, cursor: u64, max: usize) -> Option<(Vec<Arc<Event>>, bool)> {
        if cursor < self.dropped {
            return None;
        }
        let from = self.events.partition_point(|event| event.version <= cursor);
        let to = self.events.len().min(from + max);
        Some((self.events.range(from..to).cloned().collect(), to == self.events.len()))
    }

    /// The objects that `matches` at `version`.
    pub(super) fn list(
        &self,
        query: &Query<'_>,
        version: u64,
        matches: impl Fn(&Entry) -> bool,
    ) -> Page {
        let prefix = query.namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let start = query.start.filter(|start| *start > prefix.as_str()).unwrap_or(&prefix);
        let mut found = self
            .objects
            .range::<str, _>((Bound::Included(start), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(&prefix))
            .filter_map(|(_, versions)| at(versions, version))
            .filter(|entry| matches(entry));
        let limit = query.limit.unwrap_or(usize::MAX);
        let entries: Vec<_> = found.by_ref().take(limit).cloned().collect();
        let next = found.next().map(|entry| entry.key().to_string());
        let remaining = match (&next, query.remaining) {
            (None, _) => 0,
            (Some(_), Remaining::Known(before)) => before.saturating_sub(entries.len()),
            (Some(_), Remaining::Counted) => 1 + found.count(),
            (Some(_), Remaining::Unasked) => 0,
        };
        Page { version, entries, next, remaining }
    }
}

/// Whether a page includes how many objects come after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remaining {
    Unasked,
    /// By counting, which goes through all of them.
    Counted,
    /// It is known how many were left before this page.
    Known(usize),
}

fn at(versions: &Versions, version: u64) -> Option<&Arc<Entry>> {
    versions.iter().rev().find(|(at, _)| *at <= version)?.1.as_ref()
}
