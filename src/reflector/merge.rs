//! Several reflectors into one cache.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::FixedState;

use crate::{Batch, Change, Key, KeyRef, Listing, Object, ResourceVersion, Sink};

/// Merges what several reflectors bring, of several namespaces or selectors, into one set of
/// sinks.
///
/// A relist replaces the content of a sink, so two reflectors cannot feed one sink as they are:
/// each would wipe what the other brought. Here each feeds a [`Part`], whose relist removes only
/// what no other part holds. Parts may overlap: a key goes when the last part lets go of it.
///
/// The sinks see one list, of everything, once each part has listed; from then on batches only.
/// Their version is the oldest of the parts'. Of each object a part's relist passes on only what
/// is new. Memory: a key and eight bytes for each object of each part.
///
/// ```
/// use std::sync::Arc;
/// use watchcache::reflector::Merge;
/// use watchcache::{Key, KeyError, Listing, Object, Sink, Store};
/// # struct Pod(&'static str);
/// # impl Object for Pod {
/// #     fn key(&self) -> Result<Key, KeyError> { self.0.parse() }
/// # }
///
/// let store = Arc::new(Store::new());
/// let [team_a, team_b] = Merge::new([store.clone()]).parts();
/// // Each would be a reflector's sink.
/// team_a.replace(&Listing::new([Pod("a/web-0"), Pod("a/web-1")], Some("7".into()))?);
/// team_b.replace(&Listing::new([Pod("b/web-0")], Some("8".into()))?);
/// team_a.replace(&Listing::new([Pod("a/web-0")], Some("9".into()))?);
///
/// assert!(store.contains("a/web-0") && store.contains("b/web-0"));
/// assert!(!store.contains("a/web-1"));
/// # Ok::<(), KeyError>(())
/// ```
pub struct Merge<T> {
    sinks: Vec<Box<dyn Sink<T>>>,
}

impl<T: Object> Merge<T> {
    /// Merges into these sinks.
    #[must_use]
    pub fn new<S: Sink<T> + 'static>(sinks: impl IntoIterator<Item = S>) -> Self {
        let boxed = |sink| Box::new(sink) as Box<dyn Sink<T>>;
        Self { sinks: sinks.into_iter().map(boxed).collect() }
    }

    /// Adds a sink, of whatever type.
    #[must_use]
    pub fn sink(mut self, sink: impl Sink<T> + 'static) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// The parts, one for each reflector; nothing is passed on before each has listed.
    #[must_use]
    pub fn parts<const N: usize>(self) -> [Part<T>; N] {
        let merged = self.merged(N);
        std::array::from_fn(|index| Part { merged: Arc::clone(&merged), index })
    }

    /// As [`parts`](Self::parts), for a number that is known at run time only.
    #[must_use]
    pub fn into_parts(self, count: usize) -> Vec<Part<T>> {
        let merged = self.merged(count);
        (0..count).map(|index| Part { merged: Arc::clone(&merged), index }).collect()
    }

    fn merged(self, count: usize) -> Arc<Mutex<Merged<T>>> {
        let parts = std::iter::repeat_with(Held::default).take(count).collect();
        Arc::new(Mutex::new(Merged { sinks: self.sinks, parts, waiting: Some(Vec::new()) }))
    }
}

/// One reflector's share of a [`Merge`].
pub struct Part<T> {
    merged: Arc<Mutex<Merged<T>>>,
    index: usize,
}

struct Merged<T> {
    sinks: Vec<Box<dyn Sink<T>>>,
    parts: Vec<Held>,
    /// What came before each part had listed; `None` from then on.
    waiting: Option<Vec<(Key, Arc<T>)>>,
}

/// What a part holds.
#[derive(Default)]
struct Held {
    listed: bool,
    version: Option<ResourceVersion>,
    /// Keys, and a mark of the version in which each was passed on.
    keys: HashMap<Key, u64, foldhash::fast::RandomState>,
}

/// Stands for an object's version; 0 for one that has none, which is never taken to be unchanged.
fn mark<T: Object>(object: &T) -> u64 {
    let Some(version) = object.resource_version() else { return 0 };
    FixedState::default().hash_one((object.uid(), version)).max(1)
}

impl<T: Object> Merged<T> {
    fn replace(&mut self, index: usize, listing: &Listing<T>) {
        let mut batch = Batch::new();
        let listed: HashSet<&Key> = listing.objects().iter().map(|(key, _)| key).collect();
        let gone: Vec<_> =
            self.parts[index].keys.keys().filter(|key| !listed.contains(key)).cloned().collect();
        for key in gone {
            self.release(index, &key, None, &mut batch);
        }
        for (key, object) in listing.objects() {
            let mark = mark(&**object);
            let before = self.parts[index].keys.insert(key.clone(), mark);
            if mark == 0 || before != Some(mark) {
                batch.push(key.clone(), Change::Put(Arc::clone(object)));
            }
        }
        self.parts[index].listed = true;
        self.pass_on(index, batch, listing.resource_version());
    }

    fn apply(&mut self, index: usize, changes: &Batch<T>) {
        let mut batch = Batch::new();
        for (key, change) in changes.changes() {
            match change {
                Change::Put(object) => {
                    self.parts[index].keys.insert(key.clone(), mark(&**object));
                    batch.push(key.clone(), change.clone());
                }
                Change::Delete(last) => self.release(index, key, last.as_ref(), &mut batch),
            }
        }
        self.pass_on(index, batch, changes.resource_version());
    }

    /// A part lets go of a key: it is gone unless another part holds it.
    fn release(&mut self, index: usize, key: &Key, last: Option<&Arc<T>>, batch: &mut Batch<T>) {
        let held = self.parts[index].keys.remove(key).is_some();
        if held && !self.parts.iter().any(|part| part.keys.contains_key(key)) {
            batch.push(key.clone(), Change::Delete(last.cloned()));
        }
    }

    fn pass_on(&mut self, index: usize, mut batch: Batch<T>, version: Option<&ResourceVersion>) {
        if let Some(version) = version {
            self.parts[index].version = Some(version.clone());
        }
        let oldest = self.oldest();
        if let Some(waiting) = &mut self.waiting {
            waiting.extend(batch.changes().iter().filter_map(|(key, change)| match change {
                Change::Put(object) => Some((key.clone(), Arc::clone(object))),
                Change::Delete(_) => None,
            }));
            if self.parts.iter().all(|part| part.listed) {
                self.pass_on_first_list(oldest);
            }
            return;
        }
        if let Some(oldest) = oldest {
            batch.set_resource_version(oldest);
        }
        for sink in &self.sinks {
            sink.apply(&batch);
        }
    }

    fn pass_on_first_list(&mut self, version: Option<ResourceVersion>) {
        let mut objects = self.waiting.take().unwrap_or_default();
        objects.retain(|(key, _)| self.parts.iter().any(|part| part.keys.contains_key(key)));
        let listing = Listing::from_keyed(objects, version);
        for sink in &self.sinks {
            sink.replace(&listing);
        }
    }

    /// The version up to which every part is complete.
    fn oldest(&self) -> Option<ResourceVersion> {
        let mut versions = self.parts.iter().map(|part| part.version.as_ref());
        let first = versions.next()??;
        let oldest = versions.try_fold(first, |oldest, version| {
            let version = version?;
            Some(if version.compare(oldest)?.is_lt() { version } else { oldest })
        });
        oldest.cloned()
    }
}

impl<T> Part<T> {
    fn lock(&self) -> MutexGuard<'_, Merged<T>> {
        // A panic in a sink leaves the keys that are held as they were received.
        self.merged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Object> Sink<T> for Part<T> {
    fn apply(&self, batch: &Batch<T>) {
        self.lock().apply(self.index, batch);
    }

    fn replace(&self, listing: &Listing<T>) {
        self.lock().replace(self.index, listing);
    }

    fn held(&self, key: KeyRef<'_>, uid: Option<&str>, resource_version: &str) -> Option<Arc<T>> {
        let merged = self.lock();
        merged.sinks.iter().find_map(|sink| sink.held(key, uid, resource_version))
    }
}

impl<T> fmt::Debug for Merge<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merge").field("sinks", &self.sinks.len()).finish()
    }
}

impl<T> fmt::Debug for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("index", &self.index).finish_non_exhaustive()
    }
}
