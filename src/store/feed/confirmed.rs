//! What the source said, for a subscription that is not to hear of what is only assumed.
//!
//! Beside its place, such a subscription knows what the source said of each key of which something is
//! assumed there. A publication that begins, changes or ends an assumption says so, and is told with what the
//! source says before and after it in the place of what the store held. Where the content is read rather
//! than followed, both are learnt under the store's writing lock.

use super::delivery::{Content, DeliveryKind};
use crate::store::Snapshot;
use crate::store::assume::Assumed;
use crate::store::engine::{Assumption, Changes};
use crate::sync::Arc;
use crate::{ArcRef, Key, Object};

/// Of each key of which something is assumed, what that is and what the source said.
pub(in crate::store) type Overlay<T> =
    hashbrown::HashMap<Key, Assumption<T>, foldhash::fast::RandomState>;

pub(super) struct Confirmed<T> {
    assumed: Arc<Assumed<T>>,
    /// At the place of the subscription.
    at: Overlay<T>,
    /// The keys for which that has changed since the last delivery, each with what it was then. So a delivery
    /// costs what has changed, however much is assumed.
    before: hashbrown::HashMap<Key, Option<Assumption<T>>, foldhash::fast::RandomState>,
}

impl<T: Object> Confirmed<T> {
    pub(super) fn new(assumed: Arc<Assumed<T>>) -> Self {
        Self { assumed, at: Overlay::default(), before: Default::default() }
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
        for key in old.keys().chain(self.at.keys()) {
            if !self.before.contains_key(key) {
                self.before.insert(key.clone(), old.get(key).cloned());
            }
        }
        let_go(old);
        content
    }

    /// Moves on by a publication.
    pub(super) fn follow(&mut self, changes: &Changes<T>) {
        for (key, assumption) in &changes.assumed {
            let ended = match assumption {
                Some(assumption) => self.at.insert(key.clone(), assumption.clone()),
                None => self.at.remove(key),
            };
            if self.before.contains_key(key) {
                let_go(ended.map(|ended| (key.clone(), ended)));
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
        let mut before = std::mem::take(&mut self.before);
        let mut done = Vec::with_capacity(before.len());
        let after = &self.at;
        let mut told = Changes::new();
        let kind = match &content {
            Content::Whole { content, kind } => {
                for (key, object) in content.iter() {
                    told.push(key, None, said(after.get(&key), Some(object)).as_deref());
                }
                Some(*kind)
            }
            Content::Coalesced { kind, .. } => Some(*kind),
            Content::Logged { .. } => None,
        };
        if let Some(changes) = content.changes() {
            for (key, old, new) in changes.iter() {
                let now = after.get(&key);
                let was = before.remove_entry(&key);
                let then = was.as_ref().map_or(now, |(_, was)| was.as_ref());
                told.push(key, said(then, old).as_deref(), said(now, new).as_deref());
                done.extend(was);
            }
            // What the store holds is the same there, before and after.
            for (key, then) in &before {
                let (then, now) = (then.as_ref(), after.get(key));
                let held = now.or(then).map(|Assumption { object, .. }| ArcRef::from(object));
                told.push(key.as_ref(), said(then, held).as_deref(), said(now, held).as_deref());
            }
        }
        let_go(before.into_iter().chain(done).filter_map(|(key, was)| Some((key, was?))));
        let single = if told.is_empty() { DeliveryKind::Progress } else { DeliveryKind::Changes };
        Content::Coalesced {
            changes: told,
            revision: content.revision(),
            resource_version: content.resource_version().cloned(),
            synced: content.is_synced(),
            kind: kind.unwrap_or(single),
            is_relist: content.is_relist(),
        }
    }
}

impl<T> Drop for Confirmed<T> {
    fn drop(&mut self) {
        let_go(std::mem::take(&mut self.at));
        let before = std::mem::take(&mut self.before);
        let_go(before.into_iter().filter_map(|(key, was)| Some((key, was?))));
    }
}

/// Drops objects, of which a panic of one's destructor ends here.
fn let_go<T>(assumed: impl IntoIterator<Item = (Key, Assumption<T>)>) {
    let mut changes = Changes::new();
    changes.assumed = assumed.into_iter().map(|(key, now)| (key, Some(now))).collect();
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
