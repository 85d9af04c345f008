//! What the parts of a merge hold, and what its sinks were told of it.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::{FixedState, RandomState};
use hashbrown::{HashMap, HashSet};

use super::Told;
use super::tombstones::Tombstones;
use crate::keyed::Keyed;
use crate::version::number_of;
use crate::{Batch, Change, Key, KeyRef, Listing, Object, ResourceVersion};

pub(super) struct Merged<T> {
    parts: Vec<Held>,
    /// What the sinks were told last of each key that some part holds.
    told: HashMap<Key, State, RandomState>,
    tombstones: Tombstones,
    /// The newest objects, with their places, until each part has listed; `None` from then on.
    waiting: Option<HashMap<Key, (usize, Arc<T>), RandomState>>,
    places: usize,
    /// Why the first part that failed ended.
    error: Option<String>,
}

/// What a part holds.
#[derive(Default)]
struct Held {
    listed: bool,
    ended: bool,
    /// Whether it no longer counts.
    left: bool,
    version: Option<ResourceVersion>,
    keys: HashSet<Key, RandomState>,
}

/// An object's version: as a number, or 0, and as a mark of it and the uid; 0 for an object that has
/// none, which is never taken to be unchanged.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    number: u64,
    mark: u64,
}

impl State {
    fn of<T: Object>(object: &T) -> Self {
        match object.resource_version().filter(|version| !version.is_empty()) {
            Some(version) => Self {
                number: number_of(version).unwrap_or(0),
                mark: FixedState::default().hash_one((object.uid(), version)).max(1),
            },
            None => Self { number: 0, mark: 0 },
        }
    }

    fn is_older_than(self, other: Self) -> bool {
        self.number > 0 && self.number < other.number
    }

    /// The same state, which a history that was set back no longer has: whatever comes is newer.
    fn lost(self) -> Self {
        Self { number: 0, ..self }
    }

    fn is_before_lost(self, told: Self) -> bool {
        self.number > 0 && told.number == 0
    }
}

impl<T: Object> Merged<T> {
    pub(super) fn new(parts: usize) -> Self {
        Self {
            parts: std::iter::repeat_with(Held::default).take(parts).collect(),
            told: HashMap::default(),
            tombstones: Tombstones::default(),
            waiting: Some(HashMap::default()),
            places: 0,
            error: None,
        }
    }

    pub(super) fn replace(&mut self, index: usize, listing: &Listing<T>) -> Told<T> {
        let unordered = listing.is_unordered();
        let mut batch = Batch::new();
        let listed: HashSet<KeyRef<'_>, RandomState> =
            listing.objects().map(|(key, _)| key).collect();
        let held = self.parts[index].keys.iter();
        let gone: Vec<_> = held.filter(|key| !listed.contains(&key.as_ref())).cloned().collect();
        for key in gone {
            self.release(index, key.as_ref(), None, &mut batch);
            // Another part holds it, in a state that only that part knows.
            if unordered && let Some(told) = self.told.get_mut(&key) {
                *told = told.lost();
            }
        }
        for (key, object) in listing.objects() {
            self.add(index, key, object, unordered, &mut batch);
        }
        if unordered {
            // Versions from before, those just let go of among them, have no place in what comes.
            self.tombstones.clear();
        }
        self.parts[index].listed = true;
        self.tell(index, batch, listing.resource_version(), unordered)
    }

    pub(super) fn apply(&mut self, index: usize, changes: &Batch<T>) -> Told<T> {
        let unordered = changes.is_unordered();
        let mut batch = Batch::new();
        for (key, change) in changes.changes() {
            match change {
                Change::Add(object) => self.add(index, key, object, unordered, &mut batch),
                Change::Delete(last) => self.release(index, key, last.as_ref(), &mut batch),
            }
        }
        self.tell(index, batch, changes.resource_version(), unordered)
    }

    /// The object, if it waits for the first list in just this version.
    pub(super) fn waiting(
        &self,
        key: KeyRef<'_>,
        uid: Option<&str>,
        resource_version: &str,
    ) -> Option<Arc<T>> {
        let (_, object) = self.waiting.as_ref()?.get(&key)?;
        let same = object.uid() == uid && object.resource_version() == Some(resource_version);
        same.then(|| Arc::clone(object))
    }

    pub(super) fn holds(&self, index: usize, key: KeyRef<'_>) -> bool {
        self.parts[index].keys.contains(&key)
    }

    /// What of a batch the part holds; `None` before the sinks were told anything.
    pub(super) fn own(&self, index: usize, batch: &Batch<T>) -> Option<Batch<T>> {
        if self.waiting.is_some() {
            return None;
        }
        let mut own = Batch::new();
        for (key, change) in batch.changes() {
            if self.parts[index].keys.contains(&key) {
                own.changes_mut().push(key, change.clone());
            }
        }
        Some(own)
    }

    /// The part ends without having listed: nobody waits for it any more.
    pub(super) fn leave_unlisted(&mut self, index: usize) -> Told<T> {
        if self.parts[index].listed { Told::Nothing } else { self.leave(index) }
    }

    /// The part lets go of all that it holds, unless it is the last.
    pub(super) fn leave(&mut self, index: usize) -> Told<T> {
        if std::mem::replace(&mut self.parts[index].left, true)
            || self.parts.iter().all(|part| part.left)
        {
            return Told::Nothing;
        }
        let mut batch = Batch::new();
        for key in std::mem::take(&mut self.parts[index].keys) {
            self.let_go(&key, None, &mut batch);
        }
        self.tell(index, batch, None, false)
    }

    /// The part has ended; once all have, what to tell of it.
    pub(super) fn end(&mut self, index: usize, error: Option<String>) -> Option<Option<String>> {
        if std::mem::replace(&mut self.parts[index].ended, true) {
            return None;
        }
        self.error = self.error.take().or(error);
        self.parts.iter().all(|part| part.ended).then(|| self.error.take())
    }

    fn add(
        &mut self,
        index: usize,
        key: KeyRef<'_>,
        object: &Arc<T>,
        unordered: bool,
        batch: &mut Batch<T>,
    ) {
        let state = State::of(&**object);
        let key = &self.owned(key);
        self.parts[index].keys.insert(key.clone());
        let news = match self.told.get(key) {
            _ if !unordered && self.tombstones.covers(key, state.number) => false,
            Some(told) if !unordered && state.is_older_than(*told) => false,
            Some(told) => state.mark == 0 || state.mark != told.mark,
            None => true,
        };
        if news {
            if self.told.get(key).is_some_and(|told| state.is_before_lost(*told)) {
                batch.set_unordered();
            }
            self.told.insert(key.clone(), state);
            self.tombstones.remove(key);
            batch.changes_mut().push(key.as_ref(), Change::Add(Arc::clone(object)));
        }
    }

    /// The key, of which all that know it share one text.
    fn owned(&self, key: KeyRef<'_>) -> Key {
        let told = self.told.get_key_value(&key);
        told.map_or_else(|| key.to_key_unchecked(), |(told, _)| told.clone())
    }

    fn release(
        &mut self,
        index: usize,
        key: KeyRef<'_>,
        last: Option<&Arc<T>>,
        batch: &mut Batch<T>,
    ) {
        if let Some(key) = self.parts[index].keys.take(&key) {
            self.let_go(&key, last, batch);
        }
    }

    /// A part no longer holds the key: it is gone unless another part does.
    fn let_go(&mut self, key: &Key, last: Option<&Arc<T>>, batch: &mut Batch<T>) {
        if self.parts.iter().any(|part| part.keys.contains(key)) {
            return;
        }
        // Where it is a tombstone already, the part held an older state than that.
        let Some(told) = self.told.remove(key) else { return };
        if told.number > 0 {
            // It left one part's selection in a version in which it may be in another's.
            let deleted = last.map_or(0, |last| State::of(&**last).number);
            self.tombstones.insert(key.clone(), deleted.max(told.number + 1));
        }
        // A sink would take the end of an older state for a late event.
        let last = last.filter(|last| {
            let last = State::of(&***last);
            !last.is_older_than(told) && !last.is_before_lost(told)
        });
        batch.changes_mut().push(key.as_ref(), Change::Delete(last.cloned()));
    }

    fn tell(
        &mut self,
        index: usize,
        mut batch: Batch<T>,
        version: Option<&ResourceVersion>,
        unordered: bool,
    ) -> Told<T> {
        if let Some(version) = version {
            self.parts[index].version = Some(version.clone());
        }
        let oldest = self.oldest();
        if let Some(reached) = oldest.as_ref().and_then(ResourceVersion::number) {
            self.tombstones.forget_up_to(reached);
        }
        if self.waiting.is_some() {
            self.hold_back(&batch);
            let all = self.parts.iter().all(|part| part.listed || part.left);
            return if all { self.first_list(oldest) } else { Told::Nothing };
        }
        if let Some(oldest) = oldest {
            batch.set_resource_version(oldest);
        }
        if unordered {
            batch.set_unordered();
        }
        Told::Apply(batch)
    }

    /// Keeps changes for the first list.
    fn hold_back(&mut self, batch: &Batch<T>) {
        for (key, change) in batch.changes() {
            let owned = self.owned(key);
            let Some(waiting) = &mut self.waiting else { return };
            match change {
                Change::Add(object) => {
                    let place = waiting.get(&key).map_or(self.places, |(place, _)| *place);
                    self.places += 1;
                    waiting.insert(owned, (place, Arc::clone(object)));
                }
                Change::Delete(_) => drop(waiting.remove(&key)),
            }
        }
    }

    fn first_list(&mut self, version: Option<ResourceVersion>) -> Told<T> {
        let waiting = self.waiting.take().unwrap_or_default();
        let mut waiting: Vec<_> = waiting.into_iter().collect();
        waiting.sort_unstable_by_key(|(_, (place, _))| *place);
        let mut objects = Keyed::new();
        for (key, (_, object)) in waiting {
            objects.push(key.as_ref(), object);
        }
        Told::Replace(Listing::from_list(objects, version))
    }

    /// The version up to which every part is complete.
    fn oldest(&self) -> Option<ResourceVersion> {
        let mut versions =
            self.parts.iter().filter(|part| !part.left).map(|part| part.version.as_ref());
        let first = versions.next()??;
        let oldest = versions.try_fold(first, |oldest, version| {
            let version = version?;
            Some(if version.compare(oldest)?.is_lt() { version } else { oldest })
        });
        oldest.cloned()
    }
}
