//! What a subscription is told of.

use super::Item;
use crate::selector::LabelSelector;
use crate::store::index::Definition;
use crate::store::{Entries, Snapshot};
use crate::sync::Arc;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::{KeyRef, Object, panic};

/// Objects that a subscription is told of: those that every part of it wants.
pub(super) struct Filter<T> {
    /// Empty stands for cluster-scoped objects.
    pub(super) namespace: Option<Box<str>>,
    pub(super) labels: Option<LabelSelector>,
    pub(super) indexed: Option<(Definition<T>, Box<str>)>,
    /// How often the user's code panicked, or an index function failed.
    failures: AtomicU64,
}

impl<T: Object> Filter<T> {
    pub(super) fn all() -> Self {
        Self { namespace: None, labels: None, indexed: None, failures: AtomicU64::new(0) }
    }

    pub(super) fn is_all(&self) -> bool {
        self.namespace.is_none() && self.labels.is_none() && self.indexed.is_none()
    }

    pub(super) fn failures(&self) -> u64 {
        // ORDERING: Relaxed: a figure orders nothing.
        self.failures.load(Ordering::Relaxed)
    }

    pub(super) fn has_key(&self, key: KeyRef<'_>) -> bool {
        self.namespace.as_deref().is_none_or(|wanted| key.namespace().unwrap_or_default() == wanted)
    }

    /// Whether an object of a key that is wanted is. What the user's code fails on is not.
    pub(super) fn has(&self, key: KeyRef<'_>, object: &T) -> bool {
        let selected = self
            .labels
            .as_ref()
            .is_none_or(|selector| self.ask(|| selector.matches(|label| object.label(label))));
        selected
            && self.indexed.as_ref().is_none_or(|(index, wanted)| {
                let values = index.values(key, object);
                if values.is_err() {
                    self.failed();
                }
                values.is_ok_and(|values| values.iter().any(|value| **value == **wanted))
            })
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

    /// Objects of a content among which are all that are wanted.
    pub(super) fn candidates<'a>(&self, content: &'a Snapshot<T>) -> Entries<'a, T> {
        if let Some((index, value)) = &self.indexed
            && let Ok(entries) = content.by_index(&index.name, value)
        {
            return entries;
        }
        match self.namespace.as_deref() {
            Some(namespace) => content.namespace(namespace),
            None => content.iter(),
        }
    }

    /// A change as it is told: an object that comes to be wanted is new, and one that ceases to be is gone.
    #[inline]
    pub(super) fn apply<'a>(
        &self,
        key: KeyRef<'a>,
        old: Option<&'a Arc<T>>,
        new: Option<&'a Arc<T>>,
    ) -> Option<Item<'a, T>> {
        if self.is_all() {
            return Some(Item { key, old, new });
        }
        if !self.has_key(key) {
            return None;
        }
        let old = old.filter(|object| self.has(key, object));
        let new = new.filter(|object| self.has(key, object));
        (old.is_some() || new.is_some()).then_some(Item { key, old, new })
    }
}
