//! Filters: which objects a subscription is about.

use super::Item;
use crate::selector::LabelSelector;
use crate::store::{Entries, Index, Snapshot};
use crate::sync::Arc;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::{ArcRef, KeyRef, Object, panic};

/// A value of an index that objects are to have.
pub(super) trait Indexed<T>: Send + Sync {
    /// `None` if the index function fails.
    fn has(&self, object: &T) -> Option<bool>;

    fn candidates<'a>(&self, content: &'a Snapshot<T>) -> Entries<'a, T>;
}

pub(super) fn indexed<T: Object, V>(index: &Index<T, V>, value: Arc<V>) -> Box<dyn Indexed<T>>
where
    V: Ord + Send + Sync + ?Sized + 'static,
{
    Box::new(Value { index: index.clone(), value })
}

struct Value<T, V: ?Sized> {
    index: Index<T, V>,
    value: Arc<V>,
}

impl<T: Object, V: Ord + Send + Sync + ?Sized + 'static> Indexed<T> for Value<T, V> {
    fn has(&self, object: &T) -> Option<bool> {
        let values = self.index.try_values(object)?;
        Some(values.iter().any(|value| **value.shared() == *self.value))
    }

    fn candidates<'a>(&self, content: &'a Snapshot<T>) -> Entries<'a, T> {
        content.by(&self.index, &*self.value)
    }
}

pub(super) type Predicate<T> = dyn Fn(&T) -> bool + Send + Sync;
pub(super) type Difference<T> = dyn Fn(&T, &T) -> bool + Send + Sync;

/// The objects that a subscription is about: those that every part accepts.
pub(super) struct Filter<T> {
    /// An empty one stands for cluster-scoped objects.
    pub(super) namespaces: Vec<Box<str>>,
    pub(super) labels: Vec<LabelSelector>,
    pub(super) indexed: Vec<Box<dyn Indexed<T>>>,
    pub(super) predicates: Vec<Box<Predicate<T>>>,
    /// Whether an update is of interest; empty if each is.
    pub(super) differences: Vec<Box<Difference<T>>>,
    /// How often the user's code panicked, or an index function failed. Whoever asks may outlive this.
    pub(super) failures: Arc<AtomicU64>,
}

impl<T: Object> Filter<T> {
    pub(super) fn all() -> Self {
        Self {
            namespaces: Vec::new(),
            labels: Vec::new(),
            indexed: Vec::new(),
            predicates: Vec::new(),
            differences: Vec::new(),
            failures: Arc::new(AtomicU64::new(0)),
        }
    }

    pub(super) fn is_all(&self) -> bool {
        self.namespaces.is_empty()
            && self.labels.is_empty()
            && self.indexed.is_empty()
            && self.predicates.is_empty()
            && self.differences.is_empty()
    }

    pub(super) fn failures(&self) -> u64 {
        // ORDERING: Relaxed: statistics; no ordering needed.
        self.failures.load(Ordering::Relaxed)
    }

    pub(super) fn has_key(&self, key: KeyRef<'_>) -> bool {
        let namespace = key.namespace().unwrap_or_default();
        self.namespaces.iter().all(|wanted| **wanted == *namespace)
    }

    /// Returns whether an object is wanted, given that its key is. One on which user code fails is not.
    pub(super) fn has(&self, object: &T) -> bool {
        let selects =
            |selector: &LabelSelector| self.ask(|| selector.matches(|label| object.label(label)));
        self.labels.iter().all(selects)
            && self.indexed.iter().all(|indexed| {
                let has = panic::catch(|| indexed.has(object)).ok().flatten();
                has.unwrap_or_else(|| {
                    self.failed();
                    false
                })
            })
            && self.predicates.iter().all(|wanted| self.ask(|| wanted(object)))
    }

    /// Returns whether an update is wanted. One on which user code fails is.
    fn is_update(&self, old: &T, new: &T) -> bool {
        let differs = |difference: &Difference<T>| {
            panic::catch(|| difference(old, new)).unwrap_or_else(|_| {
                self.failed();
                true
            })
        };
        self.differences.is_empty()
            || self.differences.iter().any(|difference| differs(&**difference))
    }

    fn ask(&self, code: impl FnOnce() -> bool) -> bool {
        panic::catch(code).unwrap_or_else(|_| {
            self.failed();
            false
        })
    }

    fn failed(&self) {
        // ORDERING: Relaxed, as above.
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Objects of a content that include all that are wanted.
    pub(super) fn candidates<'a>(&self, content: &'a Snapshot<T>) -> Entries<'a, T> {
        if let Some(indexed) = self.indexed.first() {
            // The comparison of values is user code. Where it fails, each object is asked.
            match panic::catch(|| indexed.candidates(content)) {
                Ok(candidates) => return candidates,
                Err(_) => self.failed(),
            }
        }
        match self.namespaces.first() {
            Some(namespace) => content.namespace(&**namespace),
            None => content.iter(),
        }
    }

    /// A change as it is delivered: an object that begins to match is new, and one that ceases to is
    /// deleted.
    #[inline]
    pub(super) fn apply<'a>(
        &self,
        key: KeyRef<'a>,
        old: Option<ArcRef<'a, T>>,
        new: Option<ArcRef<'a, T>>,
    ) -> Option<Item<'a, T>> {
        if self.is_all() {
            return Some(Item { key, old, new });
        }
        if !self.has_key(key) {
            return None;
        }
        let old = old.filter(|object| self.has(object));
        let new = new.filter(|object| self.has(object));
        if let (Some(old), Some(new)) = (old, new)
            && !self.is_update(&old, &new)
        {
            return None;
        }
        (old.is_some() || new.is_some()).then_some(Item { key, old, new })
    }
}

impl<T> Drop for Filter<T> {
    /// What the closures have captured is dropped by whoever had the subscription last.
    fn drop(&mut self) {
        panic::let_go(std::mem::take(&mut self.indexed));
        panic::let_go(std::mem::take(&mut self.predicates));
        panic::let_go(std::mem::take(&mut self.differences));
    }
}
