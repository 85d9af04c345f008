//! What is assumed, by key and by deadline: plain data.

use std::collections::BTreeMap;
use std::time::Instant;

use hashbrown::HashMap;

use super::super::engine::Assumption;
use crate::panic::let_go;
use crate::sync::Arc;
use crate::{Key, KeyRef};

/// The assumptions of a store.
///
/// Readers look at it beside what is published. So a key is in it before the publication that shows what is
/// assumed, and until after the one that no longer does: what is not in it was never assumed, or was told.
pub(super) struct Ledger<T> {
    by_key: HashMap<Key, Entry<T>, foldhash::fast::RandomState>,
    /// The second part tells apart what is due at one moment.
    by_deadline: BTreeMap<(Instant, u64), Key>,
    deadlines: u64,
    /// What the next publication no longer shows.
    ended: Vec<Key>,
    /// The keys for which something else is assumed, or known of the source, than at the last publication.
    touched: Vec<Key>,
}

pub(super) struct Entry<T> {
    pub(super) known: Assumption<T>,
    until: Option<(Instant, u64)>,
    pub(super) has_ended: bool,
    /// Whether what readers see until it is published is assumed, too.
    pub(super) replaces: bool,
}

impl<T> Ledger<T> {
    pub(super) fn new() -> Self {
        Self {
            by_key: HashMap::default(),
            by_deadline: BTreeMap::new(),
            deadlines: 0,
            ended: Vec::new(),
            touched: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// What a reader may meet: what has ended, too, until that is published.
    pub(super) fn published(&self, key: KeyRef<'_>) -> Option<&Entry<T>> {
        self.by_key.get(&key)
    }

    /// What stands for the writer.
    pub(super) fn get(&self, key: KeyRef<'_>) -> Option<&Entry<T>> {
        self.published(key).filter(|assumption| !assumption.has_ended)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Entry<T>)> {
        self.by_key.iter().filter(|(_, assumption)| !assumption.has_ended)
    }

    /// Assumes an object; returns what stood in its place, and whether it is due before all others.
    pub(super) fn insert(
        &mut self,
        key: KeyRef<'_>,
        object: Arc<T>,
        told: Option<Arc<T>>,
        until: Option<Instant>,
    ) -> (Option<Entry<T>>, bool) {
        self.touched.push(key.to_key_unchecked());
        self.deadlines += 1;
        let until = until.map(|until| (until, self.deadlines));
        let known = Assumption { object, told };
        let mut new = Entry { known, until, has_ended: false, replaces: false };
        let before = match self.by_key.get_mut(&key) {
            Some(held) => {
                new.replaces = true;
                Some(std::mem::replace(held, new))
            }
            None => self.by_key.insert(key.to_key_unchecked(), new),
        };
        self.no_deadline(before.as_ref().and_then(|before| before.until));
        let Some(until) = until else { return (before, false) };
        self.by_deadline.insert(until, key.to_key_unchecked());
        (before, self.by_deadline.first_key_value().is_some_and(|(first, _)| *first == until))
    }

    /// Notes what the source said; returns what it had said before.
    pub(super) fn tell(&mut self, key: KeyRef<'_>, told: Option<Arc<T>>) -> Option<Arc<T>> {
        let (key, assumption) = self.by_key.get_key_value_mut(&key)?;
        let before = std::mem::replace(&mut assumption.known.told, told);
        // Where it still has no object, nothing has changed, and nothing is published.
        if before.is_some() || assumption.known.told.is_some() {
            self.touched.push(key.clone());
        }
        before
    }

    /// Ends an assumption, as of the next publication.
    pub(super) fn end(&mut self, key: KeyRef<'_>) {
        let Some((key, assumption)) = self.by_key.get_key_value_mut(&key) else { return };
        assumption.has_ended = true;
        let until = assumption.until.take();
        self.ended.push(key.clone());
        self.touched.push(key.clone());
        self.no_deadline(until);
    }

    /// Takes out what the publication that was just made no longer shows.
    pub(super) fn settle(&mut self) -> Vec<Entry<T>> {
        let mut gone = Vec::with_capacity(self.ended.len());
        for key in std::mem::take(&mut self.ended) {
            // Something else may be assumed of it by now.
            if self.by_key.get(&key).is_some_and(|assumption| assumption.has_ended) {
                gone.extend(self.by_key.remove(&key));
            }
        }
        gone
    }

    /// Takes the keys that were touched since this was last called, with what is assumed of them now.
    pub(super) fn take_touched(&mut self) -> Vec<(Key, Option<Assumption<T>>)> {
        let touched = std::mem::take(&mut self.touched);
        let now = |key: Key| {
            let now = self.get(key.as_ref()).map(|assumption| assumption.known.clone());
            (key, now)
        };
        touched.into_iter().map(now).collect()
    }

    pub(super) fn first_deadline(&self) -> Option<Instant> {
        self.by_deadline.first_key_value().map(|((until, _), _)| *until)
    }

    /// The key that is due first, if one is.
    pub(super) fn due(&self, now: Instant) -> Option<&Key> {
        let ((until, _), key) = self.by_deadline.first_key_value()?;
        (*until <= now).then_some(key)
    }

    fn no_deadline(&mut self, until: Option<(Instant, u64)>) {
        if let Some(until) = until {
            self.by_deadline.remove(&until);
        }
    }
}

impl<T> Drop for Ledger<T> {
    fn drop(&mut self) {
        let assumed = std::mem::take(&mut self.by_key).into_values();
        let_go(assumed.flat_map(|assumption| assumption.known.into_objects()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_leaves_nothing_behind() {
        let mut ledger = Ledger::new();
        let key = || KeyRef::from("a/x");
        ledger.insert(key(), Arc::new(7), None, None);
        assert_eq!(ledger.take_touched().len(), 1);
        for _ in 0..10 {
            assert!(ledger.tell(key(), None).is_none());
        }
        assert!(ledger.take_touched().is_empty());
        ledger.tell(key(), Some(Arc::new(8)));
        assert_eq!(ledger.take_touched().len(), 1);
    }
}
