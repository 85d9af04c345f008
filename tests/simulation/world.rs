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
        let first = self.log.partition_point(|change| change.object.version <= version);
        let Some(last) = self.log[first..].iter().take(most).next_back() else {
            return Vec::new();
        };
        let until = last.object.version;
        let changes = self.log[first..].iter();
        changes.take_while(|change| change.object.version <= until).cloned().collect()
    }

    pub(crate) fn changes_up_to(&self, version: u64) -> &[Change] {
        &self.log[..self.log.partition_point(|change| change.object.version <= version)]
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
        self.log.truncate(self.log.partition_point(|change| change.object.version <= version));
        self.version = version;
        self.compacted = self.compacted.min(version);
    }

    fn any_key(&mut self) -> String {
        let namespace = self.random.random_range(0..self.size.namespaces);
        let name = self.random.random_range(0..self.size.names);
        format!("ns-{namespace}/pod-{name}")
    }

    fn put(&mut self, key: &str, bad: bool) {
        let (kind, uid) = match self.objects.get(key) {
            Some(held) => (Kind::Modified, held.uid),
            None => {
                self.uids += 1;
                (Kind::Added, self.uids)
            }
        };
        let object = Object { version: self.version, uid, bad };
        self.objects.insert(key.to_owned(), object);
        self.log.push(Change { key: key.to_owned(), object, kind, before: 0 });
    }

    fn delete(&mut self, key: &str) {
        let Some(last) = self.objects.remove(key) else { return };
        let object = Object { version: self.version, ..last };
        let kind = Kind::Deleted;
        self.log.push(Change { key: key.to_owned(), object, kind, before: last.version });
    }
}
