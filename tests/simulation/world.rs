//! What the server holds: objects, and the changes that led to them.

use std::collections::BTreeMap;

use rand::Rng;
use rand::rngs::StdRng;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) version: u64,
    /// Whether a reflector cannot decode it.
    pub(crate) bad: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) key: String,
    pub(crate) object: Object,
    pub(crate) kind: Kind,
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

#[derive(Debug)]
pub(crate) struct World {
    random: StdRng,
    version: u64,
    compacted: u64,
    objects: BTreeMap<String, Object>,
    log: Vec<Change>,
}

impl World {
    pub(crate) fn new(random: StdRng) -> Self {
        Self { random, version: 1, compacted: 0, objects: BTreeMap::new(), log: Vec::new() }
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

    /// The first changes after a version.
    pub(crate) fn changes_after(&self, version: u64, most: usize) -> Vec<Change> {
        let first = self.log.partition_point(|change| change.object.version <= version);
        self.log[first..].iter().take(most).cloned().collect()
    }

    pub(crate) fn changes_up_to(&self, version: u64) -> &[Change] {
        &self.log[..self.log.partition_point(|change| change.object.version <= version)]
    }

    pub(crate) fn churn(&mut self, changes: usize) {
        for _ in 0..changes {
            let key = format!(
                "ns-{}/pod-{}",
                self.random.random_range(0..2),
                self.random.random_range(0..12)
            );
            if self.random.random_bool(0.3) {
                self.delete(key);
            } else {
                let bad = self.random.random_bool(0.05);
                self.put(key, bad);
            }
            // Other resources use up versions too.
            self.version += self.random.random_range(0..3);
        }
    }

    /// Makes one good change, the last one; its version.
    pub(crate) fn touch(&mut self) -> u64 {
        self.put("ns-0/last".to_owned(), false);
        self.version
    }

    /// Forgets the changes before a random version.
    pub(crate) fn compact(&mut self) {
        self.compacted = self.random.random_range(self.compacted..=self.version);
    }

    fn put(&mut self, key: String, bad: bool) {
        self.version += 1;
        let object = Object { version: self.version, bad };
        let kind = match self.objects.insert(key.clone(), object) {
            Some(_) => Kind::Modified,
            None => Kind::Added,
        };
        self.log.push(Change { key, object, kind });
    }

    fn delete(&mut self, key: String) {
        let Some(last) = self.objects.remove(&key) else { return };
        self.version += 1;
        let object = Object { version: self.version, bad: last.bad };
        self.log.push(Change { key, object, kind: Kind::Deleted });
    }
}
