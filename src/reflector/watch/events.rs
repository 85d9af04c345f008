//! Events of a watch: which of them go into the batch.

use super::gathered::Gathered;
use crate::reflector::facts::{Facts, version_of};
use crate::reflector::order::Admission;
use crate::reflector::run::Run;
use crate::reflector::{Source, Undecodable, WatchEvent};
use crate::version::number_of;
use crate::{Change, Key, KeyRef, ResourceVersion};

/// What happened to an object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Added,
    Modified,
    Deleted,
}

impl<S: Source> Run<'_, S> {
    /// Adds an event to the batch.
    pub(super) fn collect(
        &mut self,
        event: WatchEvent<S::Object>,
        gathered: &mut Gathered<S::Object>,
    ) {
        let (object, kind) = match event {
            WatchEvent::Added(object) => (object, Kind::Added),
            WatchEvent::Modified(object) => (object, Kind::Modified),
            WatchEvent::Deleted(object) => (object, Kind::Deleted),
            WatchEvent::Bookmark(version) | WatchEvent::InitialEventsEnd(version) => {
                return self.bookmark(&version, gathered);
            }
            WatchEvent::Unknown { event_type } => return self.shared.unknown_event(&event_type),
            WatchEvent::Undecodable(bad) => return self.collect_bad(bad, gathered),
            WatchEvent::Gone { key, version } => {
                return self.collect_gone(key.as_ref(), &version, gathered);
            }
        };
        let facts = Facts::of(&*object);
        let key = match facts.key {
            Ok(key) => key,
            Err(error) => {
                let bad = Undecodable {
                    error,
                    resource_version: facts.version.map(ResourceVersion::from),
                    ..Undecodable::default()
                };
                return self.collect_bad(bad, gathered);
            }
        };
        if !self.config.wants(key) {
            self.order.pass(facts.version);
            // An older one shows nothing: what is held of such keys, nobody here knows.
            self.advance(facts.version, kind, gathered);
            return;
        }
        let news = self.is_news(key, facts.uid, facts.version, kind, gathered);
        // An event that is not new still comes after everything before it.
        let older = self.advance(facts.version, kind, gathered);
        // News without a version moves no position, and shows as well as any that the watch works.
        gathered.complete |= news && facts.version.is_none() && !gathered.replays;
        let repeated = !news && self.is_known(key, facts.uid, facts.version);
        if older && !repeated && kind != Kind::Deleted {
            self.old_event(facts.version, self.is_unknown(key, facts.version));
        }
        if !news {
            if !repeated {
                self.doubt_list(key, Some(facts.uid), facts.version, kind);
            }
            gathered.stale += 1;
            return;
        }
        let transform = self.config.transform.as_ref();
        let version = transform.and(facts.version).map(ResourceVersion::from);
        let pending = gathered.batch.changes_mut().key(key);
        match self.config.transformed(object) {
            Ok(object) if kind == Kind::Deleted => {
                self.shared.release(pending.key(), || None);
                pending.push(Change::Delete(Some(object)));
            }
            Ok(object) => {
                self.shared.release(pending.key(), || version_of(&*object));
                pending.push(Change::Add(object));
            }
            Err(error) => {
                let bad = Undecodable {
                    key: Some(pending.key().to_key_unchecked()),
                    resource_version: version,
                    error,
                    deleted: kind == Kind::Deleted,
                    raw: None,
                };
                self.set_aside(bad, gathered);
            }
        }
    }

    fn collect_gone(
        &mut self,
        key: KeyRef<'_>,
        version: &ResourceVersion,
        gathered: &mut Gathered<S::Object>,
    ) {
        let version = Some(version.as_str()).filter(|version| !version.is_empty());
        if !self.config.wants(key) {
            self.order.pass(version);
            // It may stand for an object of another shard that the watch began with.
            self.advance(version, Kind::Added, gathered);
            return;
        }
        let news = match self.order.admit(key, version, true) {
            Admission::New => true,
            Admission::NewIfHeld => self.may_be_held(key, version),
            Admission::Old => false,
        };
        self.advance(version, Kind::Deleted, gathered);
        gathered.complete |= news && version.is_none();
        if !news {
            self.doubt_list(key, None, version, Kind::Deleted);
            gathered.stale += 1;
            return;
        }
        self.shared.release(key, || None);
        gathered.batch.delete(key);
    }

    fn collect_bad(&mut self, bad: Undecodable, gathered: &mut Gathered<S::Object>) {
        let kind = if bad.deleted { Kind::Deleted } else { Kind::Modified };
        let version = bad.resource_version.clone();
        let version = version.as_ref().map(ResourceVersion::as_str);
        let version = version.filter(|version| !version.is_empty());
        let wanted = self.config.wants_bad(&bad);
        let news = match bad.key.as_ref().map(Key::as_ref) {
            Some(key) if wanted => match self.order.admit(key, version, bad.deleted) {
                Admission::New => true,
                Admission::NewIfHeld => self.may_be_held(key, version),
                Admission::Old => false,
            },
            _ => {
                self.order.pass(version);
                true
            }
        };
        let older = self.advance(version, kind, gathered);
        // Of an object whose key is unknown, or another shard's, nothing is known that it could repeat.
        if let Some(key) = bad.key.as_ref().map(Key::as_ref).filter(|_| wanted && (older || !news))
            && (news || !self.is_known_bad(key, version))
        {
            if older && kind != Kind::Deleted {
                self.old_event(version, self.is_unknown(key, version));
            }
            if !news {
                self.doubt_list(key, None, version, kind);
            }
        }
        if !news {
            gathered.stale += 1;
        } else if wanted {
            self.set_aside(bad, gathered);
        }
    }

    /// Returns whether exactly this version of the key is what is known of it, so that an event of it is
    /// a repeated one.
    fn is_known(&self, key: KeyRef<'_>, uid: Option<&str>, version: Option<&str>) -> bool {
        self.order.is_newest(key, version)
            || self.is_set_aside(key, version)
            || version.is_some_and(|version| self.config.held(key, uid, version).is_some())
    }

    /// The same of an object that did not decode, and whose uid is unknown.
    fn is_known_bad(&self, key: KeyRef<'_>, version: Option<&str>) -> bool {
        self.order.is_newest(key, version)
            || self.is_set_aside(key, version)
            || version.is_some_and(|version| self.config.is_held(key, version) == Some(true))
    }

    /// Doubts the list for an event that is neither news nor a repetition: it should have had this version, if
    /// it is newer than what the sinks hold of the object; and it may have lacked an object of which they
    /// hold nothing. `uid`: the object's, if that is known.
    fn doubt_list(
        &mut self,
        key: KeyRef<'_>,
        uid: Option<Option<&str>>,
        version: Option<&str>,
        kind: Kind,
    ) {
        let Some(version) = version.filter(|_| self.order.is_ordered()) else { return };
        let Some(number) = number_of(version) else { return };
        // A watch has told what came later, or it is known why it is not held.
        if self.order.has(key) || self.shared.quarantine().get(key).is_some() {
            return;
        }
        let held = self.config.current(key);
        let held = held.as_ref().map(|held| Facts::of(&**held));
        match held.filter(|held| uid.is_none_or(|uid| held.uid == uid)) {
            Some(held) if held.version.and_then(number_of).is_some_and(|held| held < number) => {
                self.doubt.contradicted(version.into());
            }
            Some(_) => {}
            // It may be one of long ago that is repeated, and was deleted since.
            None if kind != Kind::Deleted && self.config.is_held(key, version) == Some(false) => {
                self.doubt.unanswered(version.into());
            }
            None => {}
        }
    }

    /// Returns whether exactly this version of the key is quarantined, or is what the sinks hold as far
    /// as any of them knows.
    fn may_be_held(&self, key: KeyRef<'_>, version: Option<&str>) -> bool {
        let held = version.map(|version| self.config.is_held(key, version));
        held.is_some_and(|held| held != Some(false)) || self.is_set_aside(key, version)
    }

    /// Returns whether no sink reports what it holds, as a queue does not.
    fn is_unknown(&self, key: KeyRef<'_>, version: Option<&str>) -> bool {
        version.is_some_and(|version| self.config.is_held(key, version).is_none())
    }

    /// Returns whether exactly this version of the key is quarantined.
    pub(crate) fn is_set_aside(&self, key: KeyRef<'_>, version: Option<&str>) -> bool {
        let quarantined = self.shared.quarantine().get(key).and_then(|bad| bad.resource_version);
        quarantined.is_some_and(|quarantined| Some(quarantined.as_str()) == version)
    }

    /// Quarantines an object that arrived and could not be used; a deletion still counts.
    fn set_aside(&mut self, bad: Undecodable, gathered: &mut Gathered<S::Object>) {
        self.shared.undecodable(&bad);
        match &bad.key {
            Some(key) if bad.deleted => {
                self.shared.release(key.as_ref(), || None);
                gathered.batch.delete(key);
            }
            _ => self.shared.quarantine_one(bad),
        }
    }

    fn is_news(
        &mut self,
        key: KeyRef<'_>,
        uid: Option<&str>,
        version: Option<&str>,
        kind: Kind,
        gathered: &Gathered<S::Object>,
    ) -> bool {
        let held = |version| self.config.held(key, uid, version).is_some();
        match self.order.admit(key, version, kind == Kind::Deleted) {
            Admission::Old => false,
            Admission::NewIfHeld => {
                version.is_some_and(held)
                    || self.is_set_aside(key, version)
                    || self.is_unknown(key, version)
            }
            // A watch without a version begins with the existing objects, most of which are known.
            Admission::New if gathered.replays && kind == Kind::Added => !version.is_some_and(held),
            Admission::New => true,
        }
    }
}
