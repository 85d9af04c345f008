//! What the parts of a merge hold, and what its sinks have been told.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::{FixedState, RandomState};
use hashbrown::{HashMap, HashSet};

use super::Told;
use super::tombstones::Tombstones;
use crate::keyed::Keyed;
use crate::panic::catch_as_sentence;
use crate::version::number_of;
use crate::{Batch, Change, Key, KeyRef, Listing, Object, Refused, ResourceVersion};

pub(super) struct Merged<T> {
    parts: Vec<Held<T>>,
    /// What the sinks were told last of each key that some part holds.
    told: HashMap<Key, State, RandomState>,
    /// What a sink refused of that.
    refused: HashMap<Key, Refused, RandomState>,
    /// Objects that are no longer needed, for whoever may run their destructors.
    freed: Vec<Arc<T>>,
    tombstones: Tombstones,
    /// The newest objects, with their places, until each part has listed; `None` from then on.
    waiting: Option<HashMap<Key, (usize, Arc<T>), RandomState>>,
    places: usize,
    /// Why the first part that failed ended.
    error: Option<String>,
    /// How a sink panicked.
    broken: Option<String>,
}

/// What a part holds.
struct Held<T> {
    listed: bool,
    ended: bool,
    /// Whether it no longer counts.
    left: bool,
    version: Option<ResourceVersion>,
    /// The object that it brought last of each key; where the sinks were told the same state, the
    /// object that they were given.
    objects: HashMap<Key, Arc<T>, RandomState>,
    /// Keys in whose present state a sink refused them, which the part's reflector was not told yet.
    unreported: Vec<Key>,
}

// Not derived: `T` need not be `Default`.
impl<T> Default for Held<T> {
    fn default() -> Self {
        Self {
            listed: false,
            ended: false,
            left: false,
            version: None,
            objects: HashMap::default(),
            unreported: Vec::new(),
        }
    }
}

/// An object's version: as a number, or 0, and as a mark of it and the uid; 0 for an object that has
/// none, which is never taken to be unchanged.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    number: u64,
    mark: u64,
}

impl State {
    const NONE: Self = Self { number: 0, mark: 0 };

    fn of<T: Object>(object: &T) -> Self {
        // A user's code, which may panic.
        let state = catch_as_sentence(|| {
            let version = object.resource_version().filter(|version| !version.is_empty())?;
            let mark = FixedState::default().hash_one((object.uid(), version)).max(1);
            Some(Self { number: number_of(version).unwrap_or(0), mark })
        });
        state.ok().flatten().unwrap_or(Self::NONE)
    }

    fn is_same(self, other: Self) -> bool {
        self.mark != 0 && self.mark == other.mark
    }

    fn is_older_than(self, other: Self) -> bool {
        self.number > 0 && self.number < other.number
    }
}

impl<T: Object> Merged<T> {
    pub(super) fn new(parts: usize) -> Self {
        Self {
            parts: std::iter::repeat_with(Held::default).take(parts).collect(),
            told: HashMap::default(),
            refused: HashMap::default(),
            freed: Vec::new(),
            tombstones: Tombstones::default(),
            waiting: Some(HashMap::default()),
            places: 0,
            error: None,
            broken: None,
        }
    }

    pub(super) fn replace(&mut self, index: usize, listing: &Listing<T>) -> Told<T> {
        let unordered = listing.is_unordered();
        let mut batch = Batch::new();
        let listed: HashSet<KeyRef<'_>, RandomState> =
            listing.objects().map(|(key, _)| key).collect();
        let held = self.parts[index].objects.keys();
        let gone: Vec<_> = held.filter(|key| !listed.contains(&key.as_ref())).cloned().collect();
        for key in &gone {
            self.release(index, key.as_ref(), None, &mut batch);
        }
        for (key, object) in listing.objects() {
            self.add(index, key, object, unordered, &mut batch);
        }
        if unordered {
            // Versions from before have no place in what comes.
            let buried = self.tombstones.clear();
            for key in gone.iter().chain(&buried) {
                self.fall_back(key, &mut batch);
            }
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

    /// A sink did not take these, of what it was told.
    pub(super) fn refuse(&mut self, refused: Vec<Refused>) {
        for refused in refused {
            for index in 0..self.parts.len() {
                if self.holds_as_told(index, &refused.key) {
                    self.parts[index].unreported.push(refused.key.clone());
                }
            }
            self.refused.insert(refused.key.clone(), refused);
        }
    }

    /// What was refused of that which the part holds, since the last question.
    pub(super) fn report(&mut self, index: usize) -> Vec<Refused> {
        let mut keys = std::mem::take(&mut self.parts[index].unreported);
        // It may have let go of it in the same batch.
        keys.retain(|key| self.holds_as_told(index, key));
        keys.iter().filter_map(|key| self.refused.get(key).cloned()).collect()
    }

    /// Whether the part holds the key in the state that the sinks were told last.
    fn holds_as_told(&self, index: usize, key: &Key) -> bool {
        let held = self.parts[index].objects.get(key).map(|object| State::of(&**object));
        held.is_some() && held == self.told.get(key).copied()
    }

    /// What may be dropped once nothing is locked.
    pub(super) fn take_freed(&mut self) -> Vec<Arc<T>> {
        std::mem::take(&mut self.freed)
    }

    /// The object, if the part holds it in just this version. What the sinks hold is another
    /// question: another part may have told them of a newer one.
    pub(super) fn held(
        &self,
        index: usize,
        key: KeyRef<'_>,
        uid: Option<&str>,
        resource_version: &str,
    ) -> Option<Arc<T>> {
        let object = self.parts[index].objects.get(&key)?;
        let same = object.uid() == uid && object.resource_version() == Some(resource_version);
        same.then(|| Arc::clone(object))
    }

    /// Whether the part holds the key in this version.
    pub(super) fn holds(&self, index: usize, key: KeyRef<'_>, resource_version: &str) -> bool {
        let object = self.parts[index].objects.get(&key);
        object.is_some_and(|object| object.resource_version() == Some(resource_version))
    }

    /// What of a batch the part holds, without what a sink refused while others took it; `None`
    /// before the sinks were told anything.
    pub(super) fn own(&self, index: usize, batch: &Batch<T>) -> Option<Batch<T>> {
        if self.waiting.is_some() {
            return None;
        }
        let mut own = Batch::new();
        for (key, change) in batch.changes() {
            let held = self.parts[index].objects.contains_key(&key);
            if held && !self.refused.contains_key(&key) {
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
        for (key, object) in std::mem::take(&mut self.parts[index].objects) {
            self.freed.push(object);
            // That nobody holds it any more says nothing of the object: another part may yet bring
            // it in this very version, but in no older one.
            self.let_go(&key, None, |told| told.number, &mut batch);
        }
        self.tell(index, batch, None, false)
    }

    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// A sink panicked: what it holds is unknown, so nothing more is told.
    pub(super) fn break_off(&mut self, panic: &str) {
        self.broken = Some(panic.to_owned());
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
        let (news, same) = match self.told.get(key) {
            _ if !unordered && self.tombstones.covers(key, state.number) => (false, false),
            Some(told) if !unordered && state.is_older_than(*told) => (false, false),
            Some(told) if state.is_same(*told) => (false, true),
            _ => (true, false),
        };
        if same && self.refused.contains_key(key) {
            self.parts[index].unreported.push(key.clone());
        }
        let given = if same { self.given(index, key, state) } else { None };
        let object = given.unwrap_or_else(|| Arc::clone(object));
        if news {
            self.tombstones.remove(key);
            self.tell_of(key, state, &object, batch);
        }
        self.freed.extend(self.parts[index].objects.insert(key.clone(), object));
    }

    /// The key, of which all that know it share one text.
    fn owned(&self, key: KeyRef<'_>) -> Key {
        let told = self.told.get_key_value(&key);
        told.map_or_else(|| key.to_key_unchecked(), |(told, _)| told.clone())
    }

    /// The object in this state that a part holds already, this part before others.
    fn given(&self, index: usize, key: &Key, state: State) -> Option<Arc<T>> {
        let own = self.parts[index].objects.get(key);
        let others = self.parts.iter().filter_map(|part| part.objects.get(key));
        let mut all = own.into_iter().chain(others);
        all.find(|object| State::of(&***object).is_same(state)).cloned()
    }

    fn tell_of(&mut self, key: &Key, state: State, object: &Arc<T>, batch: &mut Batch<T>) {
        self.told.insert(key.clone(), state);
        self.refused.remove(key);
        batch.changes_mut().push(key.as_ref(), Change::Add(Arc::clone(object)));
    }

    /// What the sinks were told of the key may be of a history that was set back. If no part holds
    /// it in that state, what counts is the newest that one does hold.
    fn fall_back(&mut self, key: &Key, batch: &mut Batch<T>) {
        let held = self.parts.iter().filter_map(|part| part.objects.get(key));
        let held: Vec<_> = held.map(|object| (State::of(&**object), object)).collect();
        let told = self.told.get(key);
        if told.is_some_and(|told| held.iter().any(|(state, _)| state.is_same(*told))) {
            return;
        }
        let newest = held.into_iter().max_by_key(|(state, _)| state.number);
        if let Some((state, object)) = newest.map(|(state, object)| (state, Arc::clone(object))) {
            self.tell_of(key, state, &object, batch);
        }
    }

    fn release(
        &mut self,
        index: usize,
        key: KeyRef<'_>,
        last: Option<&Arc<T>>,
        batch: &mut Batch<T>,
    ) {
        if let Some((key, object)) = self.parts[index].objects.remove_entry(&key) {
            let held = State::of(&*object);
            self.freed.push(object);
            // It left one part's selection in a version in which it may be in another's.
            let deleted = last.map_or(0, |last| State::of(&**last).number);
            // Of an older state this is the end of that one: what was told last may still come.
            let back_from = |told: State| told.number + u64::from(held.is_same(told));
            self.let_go(&key, last, |told| deleted.max(back_from(told)), batch);
        }
    }

    /// A part no longer holds the key: it is gone unless another part does, until it comes in the
    /// version that `back_from` makes of the one that was told last.
    fn let_go(
        &mut self,
        key: &Key,
        last: Option<&Arc<T>>,
        back_from: impl FnOnce(State) -> u64,
        batch: &mut Batch<T>,
    ) {
        if self.parts.iter().any(|part| part.objects.contains_key(key)) {
            return;
        }
        // Where it is a tombstone already, the part held an older state than that.
        let Some(told) = self.told.remove(key) else { return };
        self.refused.remove(key);
        if told.number > 0 {
            self.tombstones.insert(key.clone(), back_from(told));
        }
        // A sink would take the end of an older state for a late event.
        let last = last.filter(|last| !State::of(&***last).is_older_than(told));
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
                    let before = waiting.insert(owned, (place, Arc::clone(object)));
                    self.freed.extend(before.map(|(_, object)| object));
                }
                Change::Delete(_) => {
                    self.freed.extend(waiting.remove(&key).map(|(_, object)| object));
                }
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
