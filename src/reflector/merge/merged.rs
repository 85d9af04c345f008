//! The objects that the parts of a merge hold, and the states that its sinks have received.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use super::Told;
use super::first_list::FirstList;
use super::news::{News, Precedence};
use super::state::State;
use super::tombstones::{Again, Tombstone, Tombstones};
use crate::batch::Versions;
use crate::{Batch, Change, Key, KeyRef, Listing, Object, Refused, ResourceVersion};

pub(super) struct Merged<T> {
    pub(super) parts: Vec<Held<T>>,
    /// The last state that the sinks received of each key that some part holds.
    pub(super) told: HashMap<Key, State, RandomState>,
    /// Keys of `told` whose state there is known to be superseded: a part that held it let go of it, and
    /// none has brought it since. Some part still holds the key, mostly in an older state.
    superseded: HashSet<Key, RandomState>,
    /// The part of it that a sink refused.
    pub(super) refused: HashMap<Key, Refused, RandomState>,
    /// Objects that are no longer needed, to be dropped where destructors may run.
    pub(super) freed: Vec<Arc<T>>,
    pub(super) tombstones: Tombstones,
    /// Until each part has listed.
    first_list: Option<FirstList<T>>,
    /// Whether the sinks were told last that versions have no order.
    unordered: bool,
    /// Why the first part that failed ended.
    pub(super) error: Option<String>,
    /// The panic of a sink.
    pub(super) broken: Option<String>,
}

/// What a part holds.
pub(super) struct Held<T> {
    pub(super) listed: bool,
    pub(super) ended: bool,
    /// Whether the part no longer counts.
    pub(super) left: bool,
    version: Option<ResourceVersion>,
    /// Whether its versions have no order, as its last word says.
    unordered: bool,
    /// The last object that it brought for each key; if the sinks have the same state, the object that
    /// they were given.
    pub(super) objects: HashMap<Key, Arc<T>, RandomState>,
    /// Keys whose current state a sink refused, and which the part's reflector has yet to learn about.
    pub(super) unreported: Vec<Key>,
}

// Not derived: `T` need not be `Default`.
impl<T> Default for Held<T> {
    fn default() -> Self {
        Self {
            listed: false,
            ended: false,
            left: false,
            version: None,
            unordered: false,
            objects: HashMap::default(),
            unreported: Vec::new(),
        }
    }
}

impl<T: Object> Merged<T> {
    pub(super) fn new(parts: usize) -> Self {
        Self {
            parts: std::iter::repeat_with(Held::default).take(parts).collect(),
            told: HashMap::default(),
            superseded: HashSet::default(),
            refused: HashMap::default(),
            freed: Vec::new(),
            tombstones: Tombstones::default(),
            first_list: Some(FirstList::new()),
            unordered: false,
            error: None,
            broken: None,
        }
    }

    pub(super) fn replace(&mut self, index: usize, listing: &Listing<T>) -> Told<T> {
        let stands = listing.counts_as_it_stands();
        self.parts[index].unordered = listing.is_unordered();
        let precedence = match listing.resource_version() {
            _ if stands => Precedence::Latest,
            version => Precedence::Listed(version.and_then(ResourceVersion::number)),
        };
        let mut batch = Batch::new();
        let listed: HashSet<KeyRef<'_>, RandomState> =
            listing.objects().map(|(key, _)| key).collect();
        let held = self.parts[index].objects.keys();
        let gone: Vec<_> = held.filter(|key| !listed.contains(&key.as_ref())).cloned().collect();
        for key in &gone {
            self.release(index, key.as_ref(), None, precedence.listed(), &mut batch);
        }
        for (key, object) in listing.objects() {
            self.add(index, key, object, precedence, &mut batch);
        }
        if stands {
            // Versions from before cannot be compared with later ones.
            self.told.values_mut().for_each(|told| *told = told.alone());
            self.superseded.clear();
            let buried = self.tombstones.clear();
            let unheld = self.unheld();
            for key in gone.iter().chain(&buried).chain(&unheld) {
                self.fall_back(key, &mut batch);
            }
        }
        self.parts[index].listed = true;
        self.tell(index, batch, listing.resource_version(), listing.versions())
    }

    pub(super) fn apply(&mut self, index: usize, changes: &Batch<T>) -> Told<T> {
        self.parts[index].unordered = changes.is_unordered();
        let precedence =
            if changes.counts_as_it_stands() { Precedence::Latest } else { Precedence::Newest };
        let mut batch = Batch::new();
        if let Some(version) = changes.resource_version() {
            self.parts[index].version = Some(version.clone());
        }
        for (key, change) in changes.changes() {
            match change {
                Change::Add(object) => self.add(index, key, object, precedence, &mut batch),
                Change::Delete(last) => self.release(index, key, last.as_ref(), None, &mut batch),
            }
        }
        self.tell(index, batch, changes.resource_version(), changes.versions())
    }

    /// Objects to drop once nothing is locked.
    pub(super) fn take_freed(&mut self) -> Vec<Arc<T>> {
        std::mem::take(&mut self.freed)
    }

    /// The object, if the part holds it in exactly this version. The sinks may hold a newer one that
    /// another part brought.
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

    /// The object that the part holds.
    pub(super) fn current(&self, index: usize, key: KeyRef<'_>) -> Option<Arc<T>> {
        self.parts[index].objects.get(&key).cloned()
    }

    /// Returns whether the part holds the key in this version.
    pub(super) fn holds(&self, index: usize, key: KeyRef<'_>, resource_version: &str) -> bool {
        let object = self.parts[index].objects.get(&key);
        object.is_some_and(|object| object.resource_version() == Some(resource_version))
    }

    /// The part of a batch that this part holds, without what one sink refused and others took; `None`
    /// before the sinks received anything.
    pub(super) fn own(&self, index: usize, batch: &Batch<T>) -> Option<Batch<T>> {
        if self.first_list.is_some() {
            return None;
        }
        let mut own = Batch::new();
        if self.unordered {
            own.set_unordered();
        }
        for (key, change) in batch.changes() {
            let held = self.parts[index].objects.contains_key(&key);
            if held && !self.refused.contains_key(&key) {
                own.changes_mut().push(key, change.clone());
            }
        }
        Some(own)
    }

    fn add(
        &mut self,
        index: usize,
        key: KeyRef<'_>,
        object: &Arc<T>,
        precedence: Precedence,
        batch: &mut Batch<T>,
    ) {
        let state = State::of(&**object);
        let key = &self.owned(key);
        let news = self.news(index, key, state, object, precedence);
        if news == News::Same && self.refused.contains_key(key) {
            self.parts[index].unreported.push(key.clone());
        }
        if let (News::Same, Some(told)) = (news, self.told.get_mut(key)) {
            *told = told.confirmed_at(precedence.listed());
            self.superseded.remove(key);
        }
        let given = if news == News::Same { self.given(index, key, state) } else { None };
        let object = given.unwrap_or_else(|| Arc::clone(object));
        if news == News::Another {
            // A sink would reject it as older.
            batch.delete(key);
        }
        if matches!(news, News::Newer | News::Another) {
            self.tell_of(key, state.listed_at(precedence.listed()), &object, batch);
        }
        self.freed.extend(self.parts[index].objects.insert(key.clone(), object));
    }

    /// The key, of which all that know it share one text.
    fn owned(&self, key: KeyRef<'_>) -> Key {
        let told = self.told.get_key_value(&key);
        told.map_or_else(|| key.to_key_unchecked(), |(told, _)| told.clone())
    }

    /// The object in this state that a part holds already, this part before others.
    pub(super) fn given(&self, index: usize, key: &Key, state: State) -> Option<Arc<T>> {
        let own = self.parts[index].objects.get(key);
        let others = self.parts.iter().filter_map(|part| part.objects.get(key));
        let mut all = own.into_iter().chain(others);
        all.find(|object| State::of(&***object).is_same(state)).cloned()
    }

    fn tell_of(&mut self, key: &Key, state: State, object: &Arc<T>, batch: &mut Batch<T>) {
        self.told.insert(key.clone(), state);
        self.superseded.remove(key);
        self.tombstones.remove(key);
        self.refused.remove(key);
        batch.changes_mut().push(key.as_ref(), Change::Add(Arc::clone(object)));
    }

    /// The keys of which no part holds what the sinks received last: who brought that has let go of it, or
    /// was dropped, while others hold older states.
    fn unheld(&self) -> Vec<Key> {
        let is_held = |key: &Key, told: State| {
            let mut held = self.parts.iter().filter_map(|part| part.objects.get(key));
            held.any(|object| State::of(&**object).is_alike(told))
        };
        let unheld = self.told.iter().filter(|(key, told)| !is_held(key, **told));
        unheld.map(|(key, _)| key.clone()).collect()
    }

    /// The sinks' state of the key may belong to a history that was set back. If no part holds it in that
    /// state, the newest that a part does hold counts.
    fn fall_back(&mut self, key: &Key, batch: &mut Batch<T>) {
        let held = self.parts.iter().filter_map(|part| part.objects.get(key));
        let held: Vec<_> = held.map(|object| (State::of(&**object), object)).collect();
        let told = self.told.get(key);
        if told.is_some_and(|told| held.iter().any(|(state, _)| state.is_same(*told))) {
            return;
        }
        let newest = held.into_iter().max_by_key(|(state, _)| state.number());
        if let Some((state, object)) = newest.map(|(state, object)| (state, Arc::clone(object))) {
            self.tell_of(key, state, &object, batch);
        }
    }

    fn release(
        &mut self,
        index: usize,
        key: KeyRef<'_>,
        last: Option<&Arc<T>>,
        listed: Option<u64>,
        batch: &mut Batch<T>,
    ) {
        // A batch may end within the version of its last change.
        let reached = self.parts[index].version.as_ref().and_then(ResourceVersion::number);
        let past = reached.map(|reached| reached + 1);
        if let Some((key, object)) = self.parts[index].objects.remove_entry(&key) {
            let held = State::of(&*object);
            self.freed.push(object);
            // It left one part's selection in a version in which it may be in another's.
            let deleted = last.map_or(0, |last| State::of(&**last).number());
            // Whether an object is selected depends on its state alone: what a part held and lets go of is
            // superseded, unless its list is from before that state was last seen.
            let ends = |told: State| {
                held.is_same(told) && listed.is_none_or(|listed| listed >= told.as_of())
            };
            // A list that ends an older state says nothing of the state that was told: it never held that,
            // and who did may have been dropped. A deletion is a state of its own.
            let superseded = listed.is_none() || self.superseded.contains(&key);
            let gone = |told: State| {
                // Some servers write the object's last version.
                let version = listed.or((deleted > told.number()).then_some(deleted));
                let (back_from, again) = match (ends(told), version) {
                    (true, version) => {
                        let version = version.or(past).unwrap_or(told.as_of() + 1);
                        (told.as_of() + 1, Again::Since { part: index, version })
                    }
                    (false, Some(version)) if superseded && version >= told.as_of() => {
                        (told.as_of(), Again::Listed { version })
                    }
                    // Of another state this is the end of that one.
                    (false, _) => (told.as_of(), Again::Always),
                };
                Tombstone { back_from: back_from.max(deleted), last: told, again }
            };
            self.let_go(&key, last, gone, batch);
            if self.told.get(&key).copied().is_some_and(ends) {
                self.superseded.insert(key);
            }
        }
    }

    /// A part no longer holds the key: it is deleted unless another part holds it. `gone` makes the
    /// tombstone from the last state that was sent.
    pub(super) fn let_go(
        &mut self,
        key: &Key,
        last: Option<&Arc<T>>,
        gone: impl FnOnce(State) -> Tombstone,
        batch: &mut Batch<T>,
    ) {
        if self.parts.iter().any(|part| part.objects.contains_key(key)) {
            return;
        }
        // If there is a tombstone already, the part held an older state than that.
        let Some(told) = self.told.remove(key) else { return };
        self.superseded.remove(key);
        self.refused.remove(key);
        if told.number() > 0 {
            self.tombstones.insert(key.clone(), gone(told));
        }
        // A sink would take the deletion of an older state for a late event.
        let last = last.filter(|last| !State::of(&***last).is_outdated_by(told));
        batch.changes_mut().push(key.as_ref(), Change::Delete(last.cloned()));
    }

    pub(super) fn tell(
        &mut self,
        index: usize,
        mut batch: Batch<T>,
        version: Option<&ResourceVersion>,
        versions: Versions,
    ) -> Told<T> {
        if let Some(version) = version {
            self.parts[index].version = Some(version.clone());
        }
        // The merged versions have an order if those of each part have one.
        let unordered = self.parts.iter().any(|part| part.unordered && !part.left);
        let versions = match std::mem::replace(&mut self.unordered, unordered) {
            _ if unordered => Versions::Unordered,
            // The version that the sinks were told last is no measure of this one.
            true => Versions::Restart,
            false => versions,
        };
        let oldest = self.oldest();
        if let Some(reached) = oldest.as_ref().and_then(ResourceVersion::number) {
            self.tombstones.forget_up_to(reached);
        }
        if let Some(first) = &mut self.first_list {
            first.versions = first.versions.max(versions);
            self.hold_back(&batch);
            let all = self.parts.iter().all(|part| part.listed || part.left);
            let mut first = if all { self.first_list.take() } else { None };
            if let Some(first) = first.as_mut().filter(|_| !unordered) {
                first.versions = first.versions.min(Versions::Restart);
            }
            return first.map_or(Told::Nothing, |list| Told::Replace(list.into_listing(oldest)));
        }
        if let Some(oldest) = oldest {
            batch.set_resource_version(oldest);
        }
        batch.set_versions(versions);
        Told::Apply(batch)
    }

    /// Keeps changes for the first list.
    fn hold_back(&mut self, batch: &Batch<T>) {
        for (key, change) in batch.changes() {
            let key = self.owned(key);
            let list = self.first_list.as_mut();
            self.freed.extend(list.and_then(|list| list.take(key, change)));
        }
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
