//! What the source said, for a subscription that is not to hear of what is only assumed.
//!
//! Beside its place, such a subscription knows what the source said of each key of which something is
//! assumed there. A publication that begins, changes or ends an assumption says so, and is told with what the
//! source says before and after it in the place of what the store held. Where the content is read rather
//! than followed, both are learnt under the store's writing lock.

use super::delivery::{Content, DeliveryKind};
use crate::panic::let_go;
use crate::store::Snapshot;
use crate::store::assume::Assumed;
use crate::store::engine::{Assumption, Changes};
use crate::sync::Arc;
use crate::{ArcRef, Key, KeyRef, Object};

type Map<V> = hashbrown::HashMap<Key, V, foldhash::fast::RandomState>;

/// Of each key of which something is assumed, what that is and what the source said.
pub(crate) struct Overlay<T>(Map<Assumption<T>>);

impl<T> Overlay<T> {
    pub(crate) fn new() -> Self {
        Self(Map::default())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub(crate) fn get(&self, key: KeyRef<'_>) -> Option<&Assumption<T>> {
        self.0.get(&key)
    }

    pub(crate) fn iter(&self) -> OverlayIter<'_, T> {
        self.0.iter()
    }

    /// What the source said of a key that holds an object.
    fn said<'a>(&'a self, key: KeyRef<'_>, held: Option<ArcRef<'a, T>>) -> Option<ArcRef<'a, T>> {
        said(self.get(key), held)
    }
}

/// The keys of an [`Overlay`], with what it has of them.
pub(crate) type OverlayIter<'a, T> = hashbrown::hash_map::Iter<'a, Key, Assumption<T>>;

impl<T> FromIterator<(Key, Assumption<T>)> for Overlay<T> {
    fn from_iter<I: IntoIterator<Item = (Key, Assumption<T>)>>(assumed: I) -> Self {
        Self(assumed.into_iter().collect())
    }
}

impl<T> Clone for Overlay<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Drop for Overlay<T> {
    fn drop(&mut self) {
        let assumed = std::mem::take(&mut self.0).into_values();
        let_go(assumed.flat_map(Assumption::into_objects));
    }
}

pub(super) struct Confirmed<T> {
    assumed: Arc<Assumed<T>>,
    /// At the place of the subscription.
    at: Overlay<T>,
    /// The keys for which that has changed since the last delivery, each with what it was then. So a delivery
    /// costs what has changed, however much is assumed.
    before: Map<Option<Assumption<T>>>,
}

impl<T: Object> Confirmed<T> {
    pub(super) fn new(assumed: Arc<Assumed<T>>) -> Self {
        Self { assumed, at: Overlay::new(), before: Map::default() }
    }

    /// The content of now, to begin behind it.
    pub(super) fn begin(&mut self) -> Snapshot<T> {
        let (content, at) = self.assumed.content();
        self.at = at;
        content
    }

    /// The content of now, to move to it.
    pub(super) fn now(&mut self) -> Snapshot<T> {
        let (content, at) = self.assumed.content();
        let old = std::mem::replace(&mut self.at, at);
        for (key, _) in old.iter().chain(self.at.iter()) {
            if !self.before.contains_key(key) {
                self.before.insert(key.clone(), old.get(key.as_ref()).cloned());
            }
        }
        content
    }

    /// Moves on by a publication.
    pub(super) fn follow(&mut self, changes: &Changes<T>) {
        for (key, assumption) in &changes.assumed {
            let ended = match assumption {
                Some(assumption) => self.at.0.insert(key.clone(), assumption.clone()),
                None => self.at.0.remove(key),
            };
            if self.before.contains_key(key) {
                let_go(ended.into_iter().flat_map(Assumption::into_objects));
            } else {
                self.before.insert(key.clone(), ended);
            }
        }
    }

    /// A content that leads to this place, with what the source said.
    pub(super) fn confirm(&mut self, content: Content<T>) -> Content<T> {
        if self.before.is_empty() {
            return content;
        }
        let content = match content {
            Content::Whole { content, kind, .. } => {
                self.let_go_before();
                return Content::Whole { content, kind, assumed: self.at.clone() };
            }
            content => content,
        };
        let mut told = Changes::new();
        let mut before = std::mem::take(&mut self.before);
        let mut done = Vec::with_capacity(before.len());
        if let Some(changes) = content.changes() {
            for (key, old, new) in changes.iter() {
                let was = before.remove_entry(&key);
                let then = match &was {
                    Some((_, was)) => said(was.as_ref(), old),
                    None => self.at.said(key, old),
                };
                told.push(key, then.as_deref(), self.at.said(key, new).as_deref());
                done.extend(was);
            }
            // What the store holds is the same there, before and after.
            for (key, then) in &before {
                let (then, now) = (then.as_ref(), self.at.get(key.as_ref()));
                let held = now.or(then).map(|Assumption { object, .. }| ArcRef::from(object));
                told.push(key.as_ref(), said(then, held).as_deref(), said(now, held).as_deref());
            }
        }
        before.extend(done);
        self.before = before;
        self.let_go_before();
        let single = if told.is_empty() { DeliveryKind::Progress } else { DeliveryKind::Changes };
        let kind = match content {
            Content::Coalesced { kind, .. } => kind,
            _ => single,
        };
        Content::Coalesced {
            changes: told,
            revision: content.revision(),
            resource_version: content.resource_version().cloned(),
            synced: content.is_synced(),
            kind,
            is_relist: content.is_relist(),
        }
    }
}

impl<T> Confirmed<T> {
    fn let_go_before(&mut self) {
        let before = std::mem::take(&mut self.before).into_values().flatten();
        let_go(before.flat_map(Assumption::into_objects));
    }
}

impl<T> Drop for Confirmed<T> {
    fn drop(&mut self) {
        self.let_go_before();
    }
}

/// What the source said of a key that holds an object, of which this is assumed, if anything is.
fn said<'a, T>(
    assumption: Option<&'a Assumption<T>>,
    held: Option<ArcRef<'a, T>>,
) -> Option<ArcRef<'a, T>> {
    match assumption {
        Some(assumption) => assumption.told.as_ref().map(ArcRef::from),
        None => held,
    }
}
