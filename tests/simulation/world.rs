//! What the server holds: objects, and the changes that led to them.

use std::collections::BTreeMap;

use rand::Rng;
use rand::rngs::StdRng;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) version: u64,
    /// Tells it from an object of the same key that was there before.
    pub(crate) uid: u64,
    /// Whether a reflector cannot decode it.
    pub(crate) bad: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) key: String,
    /// When it happened. The object's version is the same, but for one that moved.
    pub(crate) at: u64,
    pub(crate) object: Object,
    pub(crate) kind: Kind,
    /// The object's version before a deletion, which some servers write in its place.
    pub(crate) before: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Added,
    Modified,
    Deleted,
}

/// All objects at a version.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) version: u64,
    pub(crate) objects: Vec<(String, Object)>,
}

/// How large a world is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) namespaces: u64,
    pub(crate) names: u64,
}

#[derive(Debug)]
pub(crate) struct World {
    random: StdRng,
    size: Size,
    version: u64,
    uids: u64,
    compacted: u64,
    objects: BTreeMap<String, Object>,
    log: Vec<Change>,
}

impl World {
    pub(crate) fn new(random: StdRng, size: Size) -> Self {
        Self {
            random,
            size,
            version: 1,
            uids: 0,
            compacted: 0,
            objects: BTreeMap::new(),
            log: Vec::new(),
        }
    }

    pub(crate) fn objects(&self) -> &BTreeMap<String, Object> {
        &self.objects
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// How many objects gave way to others of lower versions.
    pub(crate) fn moved(&self) -> u64 {
        self.log.iter().filter(|change| change.at != change.object.version).count() as u64
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let objects = self.objects.iter().map(|(key, object)| (key.clone(), *object)).collect();
        Snapshot { version: self.version, objects }
    }

    /// What was there at a version, by the log of changes.
    pub(crate) fn at(&self, version: u64) -> BTreeMap<&str, Object> {
        let mut objects = BTreeMap::new();
        for change in self.changes_up_to(version) {
            match change.kind {
                Kind::Deleted => objects.remove(change.key.as_str()),
                Kind::Added | Kind::Modified => objects.insert(change.key.as_str(), change.object),
            };
        }
        objects
    }

    /// The first changes after a version; all of the last one's.
    pub(crate) fn changes_after(&self, version: u64, most: usize) -> Vec<Change> {
        let first = self.log.partition_point(|change| change.at <= version);
        let Some(last) = self.log[first..].iter().take(most).next_back() else {
            return Vec::new();
        };
        let until = last.at;
        let changes = self.log[first..].iter();
        changes.take_while(|change| change.at <= until).cloned().collect()
    }

    pub(crate) fn changes_up_to(&self, version: u64) -> &[Change] {
        &self.log[..self.log.partition_point(|change| change.at <= version)]
    }

    pub(crate) fn churn(&mut self, changes: usize) {
        for _ in 0..changes {
            let key = self.any_key();
            self.version += 1;
            if self.random.random_bool(0.3) {
                self.delete(&key);
                if self.random.random_bool(0.3) {
                    self.version += 1;
                    self.put(&key, false);
                }
            } else {
                let bad = self.random.random_bool(0.05);
                self.put(&key, bad);
            }
            // Other resources use up versions too.
            self.version += self.random.random_range(0..3);
        }
    }

    /// Changes this many objects at one version, as a transaction or a delete by prefix does.
    pub(crate) fn transaction(&mut self, changes: usize) {
        self.version += 1;
        let delete = self.random.random_bool(0.5);
        if delete {
            let keys: Vec<_> = self.objects.keys().take(changes).cloned().collect();
            keys.iter().for_each(|key| self.delete(key));
        } else {
            for n in 0..changes as u64 {
                let key = format!("ns-{}/many-{n}", n % self.size.namespaces);
                self.put(&key, false);
            }
        }
    }

    /// Others take the place of some objects, of a place where versions are lower. No watch tells, so
    /// each has to end.
    pub(crate) fn move_here(&mut self) {
        self.version += 1;
        let keys: Vec<String> = self.objects.keys().cloned().collect();
        for key in keys {
            let before = self.objects[&key].version;
            if before < 2 || self.random.random_bool(0.7) {
                continue;
            }
            let version = self.random.random_range(1..before);
            let same = |change: &Change| change.key == key && change.object.version == version;
            if self.log.iter().any(same) {
                continue;
            }
            self.uids += 1;
            let object = Object { version, uid: self.uids, bad: false };
            self.objects.insert(key.clone(), object);
            self.log.push(Change {
                key,
                at: self.version,
                object,
                kind: Kind::Modified,
                before: 0,
            });
        }
        self.compacted = self.version;
    }

    /// Makes one good change in each namespace, the last ones; the newest version.
    pub(crate) fn touch(&mut self) -> u64 {
        for namespace in 0..self.size.namespaces {
            self.version += 1;
            self.put(&format!("ns-{namespace}/last"), false);
        }
        self.version
    }

    /// Forgets the changes before a random version.
    pub(crate) fn compact(&mut self) {
        self.compacted = self.random.random_range(self.compacted..=self.version);
    }

    /// Restores a backup: everything after a version never happened.
    pub(crate) fn restore(&mut self, version: u64) {
        self.objects =
            self.at(version).into_iter().map(|(key, object)| (key.to_owned(), object)).collect();
        self.log.truncate(self.log.partition_point(|change| change.at <= version));
        self.version = version;
        self.compacted = self.compacted.min(version);
    }

    fn any_key(&mut self) -> String {
        let namespace = self.random.random_range(0..self.size.namespaces);
        let name = self.random.random_range(0..self.size.names);
        format!("ns-{namespace}/pod-{name}")
    }

    fn put(&mut self, key: &str, bad: bool) {
        let held = self.objects.get(key).map(|held| held.uid);
        let kind = if held.is_some() { Kind::Modified } else { Kind::Added };
        // That one object was deleted and another one made may be told as one change.
        let uid = held.filter(|_| self.random.random_bool(0.95)).unwrap_or_else(|| {
            self.uids += 1;
            self.uids
        });
        let object = Object { version: self.version, uid, bad };
        self.objects.insert(key.to_owned(), object);
        self.log.push(Change { key: key.to_owned(), at: self.version, object, kind, before: 0 });
    }

    fn delete(&mut self, key: &str) {
        let Some(last) = self.objects.remove(key) else { return };
        let object = Object { version: self.version, ..last };
        let kind = Kind::Deleted;
        let (key, at) = (key.to_owned(), self.version);
        self.log.push(Change { key, at, object, kind, before: last.version });
    }
}
