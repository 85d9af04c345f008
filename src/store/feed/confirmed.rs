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
use crate::{ArcRef, Key, KeyRef, Object};

/// Of each key of which something is assumed, what that is and what the source said.
pub(in crate::store) type Overlay<T> =
    hashbrown::HashMap<Key, Assumption<T>, foldhash::fast::RandomState>;

pub(super) struct Confirmed<T> {
    assumed: Arc<Assumed<T>>,
    /// At the place of the subscription.
    at: Overlay<T>,
    /// As it was when the last delivery was told, if that is something else.
    before: Option<Overlay<T>>,
}

impl<T: Object> Confirmed<T> {
    pub(super) fn new(assumed: Arc<Assumed<T>>) -> Self {
        Self { assumed, at: Overlay::default(), before: None }
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
        let before = std::mem::replace(&mut self.at, at);
        if self.before.is_some() {
            let_go(before);
        } else if !(before.is_empty() && self.at.is_empty()) {
            self.before = Some(before);
        }
        content
    }

    /// Moves on by a publication.
    pub(super) fn follow(&mut self, changes: &Changes<T>) {
        if changes.assumed.is_empty() {
            return;
        }
        self.before.get_or_insert_with(|| self.at.clone());
        for (key, assumption) in &changes.assumed {
            let ended = match assumption {
                Some(assumption) => self.at.insert(key.clone(), assumption.clone()),
                None => self.at.remove(key),
            };
            let_go(ended.map(|ended| (key.clone(), ended)));
        }
    }

    /// A content that leads to this place, with what the source said.
    pub(super) fn confirm(&mut self, content: Content<T>) -> Content<T> {
        let Some(before) = self.before.take() else { return content };
        let after = &self.at;
        let mut told = Changes::new();
        let kind = match &content {
            Content::Whole { content, kind } => {
                for (key, object) in content.iter() {
                    told.push(key, None, said(after, key, Some(object)).as_deref());
                }
                Some(*kind)
            }
            Content::Coalesced { kind, .. } => Some(*kind),
            Content::Logged { .. } => None,
        };
        if let Some(changes) = content.changes() {
            let mut rest = before.clone();
            rest.extend(after.iter().map(|(key, now)| (key.clone(), now.clone())));
            for (key, old, new) in changes.iter() {
                told.push(
                    key,
                    said(&before, key, old).as_deref(),
                    said(after, key, new).as_deref(),
                );
                rest.remove(&key);
            }
            // What the store holds is the same there, before and after.
            for (key, Assumption { object, .. }) in &rest {
                let (key, held) = (key.as_ref(), Some(ArcRef::from(object)));
                told.push(
                    key,
                    said(&before, key, held).as_deref(),
                    said(after, key, held).as_deref(),
                );
            }
            let_go(rest);
        }
        let_go(before);
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
        let_go(self.before.take().unwrap_or_default());
    }
}

/// Drops objects, of which a panic of one's destructor ends here.
fn let_go<T>(assumed: impl IntoIterator<Item = (Key, Assumption<T>)>) {
    let mut changes = Changes::new();
    changes.assumed = assumed.into_iter().map(|(key, now)| (key, Some(now))).collect();
}

/// What the source said of a key that holds this.
fn said<'a, T>(
    overlay: &'a Overlay<T>,
    key: KeyRef<'_>,
    held: Option<ArcRef<'a, T>>,
) -> Option<ArcRef<'a, T>> {
    match overlay.get(&key) {
        Some(assumption) => assumption.told.as_ref().map(ArcRef::from),
        None => held,
    }
}
