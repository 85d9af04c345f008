//! A sink that passes on only the changes that matter to another one.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use super::facts::version_of;
use crate::panic::catch_as_sentence;
use crate::sync::{Mutex, MutexGuard, PoisonError, mark_hasher};
use crate::{Batch, Change, Key, KeyRef, Listing, Object, Refused, Sink};

/// A sink that passes an object on only if it is new, or if one of its chosen aspects changed: so that a
/// worker behind a [`Fifo`](crate::Fifo) is not woken by its own writes to an object's status, nor by any
/// other change that does not concern it.
///
/// Deletions always pass, and so does another object of the same key (one with another uid). The first
/// list passes as a list; of a later one, the changes pass as a batch, and another object as the deletion
/// of the old one and its own addition. Resyncs pass whole. Memory: a key and 24 bytes for each object.
///
/// ```
/// use watchcache::reflector::ChangeFilter;
/// use watchcache::{Batch, Fifo, KeyRef, Object, Sink};
///
/// struct Pod { labels: Vec<(String, String)>, phase: &'static str }
/// impl Object for Pod {
///     fn key(&self) -> KeyRef<'_> { "default/web-0".into() }
/// }
///
/// let fifo = Fifo::new();
/// let relabelled = ChangeFilter::new(fifo.clone()).on(|pod: &Pod| &pod.labels);
/// let sent = |phase, labels: &[&str]| {
///     let labels = labels.iter().map(|name| ((*name).to_owned(), String::new())).collect();
///     let mut batch = Batch::new();
///     batch.add(Pod { labels, phase }).unwrap();
///     relabelled.apply(&batch);
///     fifo.try_pop().ok().map(|pod| pod.phase)
/// };
/// assert_eq!(sent("Pending", &[]), Some("Pending"));
/// assert_eq!(sent("Running", &[]), None);
/// assert_eq!(sent("Succeeded", &["done"]), Some("Succeeded"));
/// ```
pub struct ChangeFilter<T, S> {
    sink: S,
    aspects: Vec<Aspect<T>>,
    seen: Mutex<Seen>,
}

type Aspect<T> = Box<dyn Fn(&T, &mut dyn Hasher) + Send + Sync>;

#[derive(Default)]
struct Seen {
    listed: bool,
    marks: HashMap<Key, Mark, RandomState>,
}

/// Hashes of an object; 0 if there is nothing to compare with.
#[derive(Clone, Copy, Default)]
struct Mark {
    uid: u64,
    version: u64,
    aspects: u64,
}

impl Mark {
    fn is_another(self, that: Self) -> bool {
        self.uid != that.uid && self.uid != 0 && that.uid != 0
    }

    fn is_unchanged(self, that: Self) -> bool {
        let Self { uid, aspects, .. } = self;
        uid == that.uid && aspects == that.aspects && uid != 0 && aspects != 0
    }
}

fn hash(hash: impl FnOnce(&mut dyn Hasher)) -> u64 {
    let mut hasher = mark_hasher().build_hasher();
    hash(&mut hasher);
    hasher.finish().max(1)
}

fn hash_of_version(version: &str) -> u64 {
    hash(|mut hasher| version.hash(&mut hasher))
}

impl<T: Object, S> ChangeFilter<T, S> {
    /// In front of `sink`. Until an aspect is chosen, only additions and deletions of objects pass.
    #[must_use]
    pub fn new(sink: S) -> Self {
        Self { sink, aspects: Vec::new(), seen: Mutex::default() }
    }

    /// An aspect whose changes matter. Called for each object that arrives, under no lock; an object for
    /// which it panics passes.
    #[must_use]
    pub fn on<A: Hash + ?Sized>(
        mut self,
        aspect: impl Fn(&T) -> &A + Send + Sync + 'static,
    ) -> Self {
        self.aspects.push(Box::new(move |object, mut hasher| aspect(object).hash(&mut hasher)));
        self
    }

    fn mark(&self, object: &T) -> Mark {
        // Each is user code, which may panic.
        let uid = catch_as_sentence(|| hash(|mut hasher| object.uid().hash(&mut hasher)));
        let version = catch_as_sentence(|| object.resource_version().map(hash_of_version));
        let aspects = catch_as_sentence(|| {
            hash(|hasher| self.aspects.iter().for_each(|aspect| aspect(object, hasher)))
        });
        Mark {
            uid: uid.unwrap_or(0),
            version: version.ok().flatten().unwrap_or(0),
            aspects: aspects.unwrap_or(0),
        }
    }

    /// What the sink refused is no longer compared with: it passes when it arrives again.
    fn reported(&self, refused: Vec<Refused>) -> Vec<Refused> {
        if !refused.is_empty() {
            let mut seen = self.seen();
            for refused in &refused {
                seen.marks.entry(refused.key.clone()).or_default().aspects = 0;
            }
        }
        refused
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Only the map's own code runs under the lock.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what came last of the key is another version.
    fn is_outdated(&self, key: KeyRef<'_>, resource_version: &str) -> bool {
        let newest = self.seen().marks.get(&key).map(|mark| mark.version);
        newest.is_none_or(|newest| newest != 0 && newest != hash_of_version(resource_version))
    }
}

#[cfg(feature = "kube")]
impl<K: kube::Resource + Send + Sync + 'static, S> ChangeFilter<K, S> {
    /// The object's generation, which the API server raises when its specification changes; for an object
    /// without one, any change.
    #[must_use]
    pub fn on_generation(mut self) -> Self {
        self.aspects.push(Box::new(|object, mut hasher| {
            let meta = object.meta();
            meta.generation.hash(&mut hasher);
            if meta.generation.is_none() {
                meta.resource_version.hash(&mut hasher);
            }
        }));
        self
    }

    /// The object's labels.
    #[must_use]
    pub fn on_labels(self) -> Self {
        self.on(|object: &K| &object.meta().labels)
    }

    /// The object's annotations.
    #[must_use]
    pub fn on_annotations(self) -> Self {
        self.on(|object: &K| &object.meta().annotations)
    }
}

/// How an object in a state compares with the sink's.
#[derive(PartialEq, Eq)]
enum News {
    None,
    Change,
    /// Another object than the one that the sink has.
    Another,
}

impl Seen {
    fn admit(&mut self, key: KeyRef<'_>, mark: Mark) -> News {
        let before = match self.marks.get_mut(&key) {
            Some(held) => Some(std::mem::replace(held, mark)),
            None => self.marks.insert(key.to_key_unchecked(), mark),
        };
        match before {
            Some(before) if mark.is_another(before) => News::Another,
            Some(before) if mark.is_unchanged(before) => News::None,
            _ => News::Change,
        }
    }
}

impl<T: Object, S> ChangeFilter<T, S> {
    /// The part of a batch that passes.
    fn passed(&self, batch: &Batch<T>) -> Batch<T> {
        let marks = batch.changes().map(|(_, change)| match change {
            Change::Add(object) => self.mark(object),
            Change::Delete(_) => Mark::default(),
        });
        let marks: Vec<Mark> = marks.collect();
        let mut passed = Batch::new();
        let mut seen = self.seen();
        for ((key, change), mark) in batch.changes().zip(marks) {
            let passes = match change {
                Change::Add(_) => seen.admit(key, mark) != News::None,
                Change::Delete(_) => {
                    seen.marks.remove(&key);
                    true
                }
            };
            if passes {
                passed.changes_mut().push(key, change.clone());
            }
        }
        drop(seen);
        if let Some(version) = batch.resource_version() {
            passed.set_resource_version(version.clone());
        }
        passed.set_versions(batch.versions());
        passed
    }

    /// The changes that a list brings; `None` for the first one, which passes as it is.
    fn changed_by(&self, listing: &Listing<T>) -> Option<Batch<T>> {
        let marks: Vec<Mark> = listing.objects().map(|(_, object)| self.mark(object)).collect();
        let listed: HashSet<KeyRef<'_>, RandomState> =
            listing.objects().map(|(key, _)| key).collect();
        let mut passed = Batch::new();
        let mut seen = self.seen();
        let first = !std::mem::replace(&mut seen.listed, true);
        seen.marks.retain(|key, _| {
            let stays = listed.contains(&key.as_ref());
            if !stays {
                passed.delete(key);
            }
            stays
        });
        for ((key, object), mark) in listing.objects().zip(marks) {
            let news = seen.admit(key, mark);
            if news == News::Another {
                // In a list an object counts whatever its version, which a batch cannot express.
                passed.delete(key);
            }
            if news != News::None {
                passed.changes_mut().push(key, Change::Add(Arc::clone(object)));
            }
        }
        drop(seen);
        if first {
            return None;
        }
        if let Some(version) = listing.resource_version() {
            passed.set_resource_version(version.clone());
        }
        passed.set_versions(listing.versions());
        Some(passed)
    }
}

impl<T: Object, S: Sink<T>> Sink<T> for ChangeFilter<T, S> {
    fn apply(&self, batch: &Batch<T>) {
        self.sink.apply(&self.passed(batch));
    }

    fn replace(&self, listing: &Listing<T>) {
        match self.changed_by(listing) {
            Some(changed) => self.sink.apply(&changed),
            None => self.sink.replace(listing),
        }
    }

    fn apply_reporting(&self, batch: &Batch<T>) -> Vec<Refused> {
        self.reported(self.sink.apply_reporting(&self.passed(batch)))
    }

    fn replace_reporting(&self, listing: &Listing<T>) -> Vec<Refused> {
        self.reported(match self.changed_by(listing) {
            Some(changed) => self.sink.apply_reporting(&changed),
            None => self.sink.replace_reporting(listing),
        })
    }

    fn resync(&self, batch: &Batch<T>) {
        self.sink.resync(batch);
    }

    fn held(&self, key: KeyRef<'_>, uid: Option<&str>, resource_version: &str) -> Option<Arc<T>> {
        self.sink.held(key, uid, resource_version)
    }

    fn is_current(&self, key: KeyRef<'_>, resource_version: &str) -> Option<bool> {
        if self.is_outdated(key, resource_version) {
            return Some(false);
        }
        // The sink's object may be older than what was left out.
        self.sink.is_current(key, resource_version).filter(|current| *current)
    }

    fn is_held(&self, key: KeyRef<'_>, resource_version: &str) -> Option<bool> {
        if self.is_outdated(key, resource_version) {
            return Some(false);
        }
        self.sink.is_held(key, resource_version).filter(|held| *held)
    }

    fn current(&self, key: KeyRef<'_>) -> Option<Arc<T>> {
        let held = self.sink.current(key)?;
        // What was left out since is newer.
        let version = version_of(&*held)?;
        if self.is_outdated(key, version) { None } else { Some(Arc::clone(&held)) }
    }

    fn failed(&self, error: &(dyn std::error::Error + 'static)) {
        self.sink.failed(error);
    }

    fn ended(&self, error: Option<&(dyn std::error::Error + 'static)>) {
        self.sink.ended(error);
    }
}

impl<T, S: fmt::Debug> fmt::Debug for ChangeFilter<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeFilter")
            .field("sink", &self.sink)
            .field("aspects", &self.aspects.len())
            .finish_non_exhaustive()
    }
}
