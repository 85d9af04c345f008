//! Deliveries: what a subscription receives, some changes or the whole content.

use std::fmt;

use super::confirmed::{Overlay, OverlayIter};
use super::cursor::Held;
use super::filter::Filter;
use super::segment::Batch;
use crate::store::engine::{Changes, ChangesIter};
use crate::store::{Entries, Snapshot};
use crate::sync::{Arc, Guard};
use crate::{ArcRef, KeyRef, Object, ResourceVersion, Revision};

/// The kind of a delivery.
///
/// ```
/// use watchcache::store::feed::DeliveryKind;
/// use watchcache::{Key, Store};
///
/// let store = Store::<Key>::new();
/// store.add("a/web".parse::<Key>()?)?;
/// let mut subscription = store.subscribe().with_content().start()?;
/// let mut kinds = vec![subscription.try_next()?.kind()];
/// store.delete("a/web");
/// kinds.push(subscription.try_next()?.kind());
/// // The content is whole: no change, but worth knowing.
/// store.mark_synced();
/// kinds.push(subscription.try_next()?.kind());
/// assert_eq!(kinds, [DeliveryKind::Initial, DeliveryKind::Changes, DeliveryKind::Progress]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeliveryKind {
    /// The changes of one publication: a write, a batch, a relist, or some that became visible together.
    Changes,
    /// What several publications changed, coalesced: for each key the state before all of them and the
    /// state after. Either the subscription fell behind the log, or it asked for it by
    /// [`settle`](super::Subscribe::settle).
    Coalesced,
    /// No change: the source's version moved, its content came to be [whole](Delivery::is_synced), an index
    /// was added, the very object that a key holds was put once more, or the source said something of an
    /// object that is [assumed](crate::Store::assume), which only
    /// [confirmed](super::Subscribe::confirmed) subscriptions are told.
    Progress,
    /// The whole content, as the first delivery of a subscription that asked for it.
    Initial,
    /// The whole content, since the subscription fell so far behind that its last state was given up.
    /// Keys that it knows and does not find here were deleted.
    Reset,
}

/// One change, borrowed from its [`Delivery`].
///
/// ```
/// # use watchcache::{KeyRef, Object, Store};
/// use watchcache::store::feed::Item;
/// # struct Node(bool);
/// # impl Object for Node {
/// #     fn key(&self) -> KeyRef<'_> { "node-1".into() }
/// # }
///
/// fn told(item: Item<'_, Node>) -> String {
///     match (item.old, item.new) {
///         (None, Some(_)) => format!("{} is new", item.key),
///         (Some(old), Some(new)) if old.0 != new.0 => format!("{} is ready: {}", item.key, new.0),
///         (Some(_), Some(_)) => format!("{} is as ready as before", item.key),
///         (_, None) => format!("{} is gone", item.key),
///     }
/// }
/// let store = Store::new();
/// let mut subscription = store.subscribe().start()?;
/// store.add(Node(false))?;
/// store.add(Node(true))?;
/// store.delete("node-1");
/// let mut log = Vec::new();
/// while let Ok(delivery) = subscription.try_next() {
///     log.extend(delivery.iter().map(told));
/// }
/// assert_eq!(log, ["node-1 is new", "node-1 is ready: true", "node-1 is gone"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub struct Item<'a, T> {
    /// The key.
    pub key: KeyRef<'a>,
    /// The object before; `None` if the key is new to the subscription.
    pub old: Option<ArcRef<'a, T>>,
    /// The object now; `None` if it was deleted, or is no longer what the subscription is about.
    pub new: Option<ArcRef<'a, T>>,
}

pub(super) enum Content<T> {
    /// A publication in the log.
    Logged { segment: Held<T>, index: usize },
    /// Changes of its own: coalesced, or as the source told them.
    Coalesced {
        changes: Changes<T>,
        revision: u64,
        resource_version: Option<ResourceVersion>,
        synced: bool,
        kind: DeliveryKind,
        is_relist: bool,
    },
    Whole {
        content: Snapshot<T>,
        kind: DeliveryKind,
        /// What is only assumed in it, for whom that does not count.
        assumed: Overlay<T>,
    },
}

impl<T> Content<T> {
    pub(super) fn batch(&self) -> Option<&Batch<T>> {
        match self {
            Self::Logged { segment, index } => segment.as_ref()?.batch(*index),
            _ => None,
        }
    }

    /// The changes, unless it is the whole content.
    pub(super) fn changes(&self) -> Option<&Changes<T>> {
        match self {
            Self::Logged { .. } => self.batch().map(|batch| &batch.publication.changes),
            Self::Coalesced { changes, .. } => Some(changes),
            Self::Whole { .. } => None,
        }
    }

    pub(super) fn revision(&self) -> u64 {
        match self {
            Self::Logged { .. } => self.batch().map_or(0, |batch| batch.publication.revision),
            Self::Coalesced { revision, .. } => *revision,
            Self::Whole { content, .. } => content.revision().get(),
        }
    }

    pub(super) fn is_synced(&self) -> bool {
        match self {
            Self::Logged { .. } => self.batch().is_some_and(|batch| batch.publication.synced),
            Self::Coalesced { synced, .. } => *synced,
            Self::Whole { content, .. } => content.is_synced(),
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        use DeliveryKind::{Initial, Reset};
        match self {
            Self::Logged { .. } => false,
            Self::Coalesced { kind, .. } | Self::Whole { kind, .. } => {
                matches!(kind, Initial | Reset)
            }
        }
    }

    pub(super) fn is_relist(&self) -> bool {
        match self {
            Self::Coalesced { is_relist, .. } => *is_relist,
            _ => self.batch().is_some_and(|batch| batch.is_relist),
        }
    }

    pub(super) fn resource_version(&self) -> Option<&ResourceVersion> {
        match self {
            Self::Logged { .. } => self.batch()?.publication.resource_version.as_ref(),
            Self::Coalesced { resource_version, .. } => resource_version.as_ref(),
            Self::Whole { content, .. } => content.resource_version(),
        }
    }
}

/// Some changes, or the whole content, all of one moment; its items are read in place.
///
/// Keeping it also keeps its part of the log.
///
/// ```
/// use watchcache::{Batch, Key, Store};
///
/// let store = Store::<Key>::new();
/// let mut subscription = store.subscribe().start()?;
/// let mut batch = Batch::new();
/// batch.add("a/web".parse::<Key>()?)?;
/// batch.add("a/db".parse::<Key>()?)?;
/// batch.set_resource_version("7".into());
/// store.apply(&batch);
///
/// let delivery = subscription.try_next()?;
/// assert_eq!((delivery.iter().count(), delivery.revision()), (2, store.revision()));
/// assert_eq!(delivery.resource_version(), Some(&"7".into()));
/// // To be sent elsewhere; the subscription is free for the next one.
/// let kept = delivery.into_owned();
/// assert!(subscription.try_next().is_err() && !kept.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Delivery<'a, T: Object> {
    content: Content<T>,
    filter: FilterOf<'a, T>,
}

enum FilterOf<'a, T> {
    Borrowed(&'a Arc<Filter<T>>),
    Owned(Arc<Filter<T>>),
}

impl<'a, T: Object> Delivery<'a, T> {
    pub(super) fn new(content: Content<T>, filter: &'a Arc<Filter<T>>) -> Self {
        Self { content, filter: FilterOf::Borrowed(filter) }
    }

    /// The delivery without its borrow of the subscription, to be kept or sent elsewhere.
    #[must_use]
    pub fn into_owned(self) -> Delivery<'static, T> {
        let filter = match self.filter {
            FilterOf::Borrowed(filter) => Arc::clone(filter),
            FilterOf::Owned(filter) => filter,
        };
        let content = match self.content {
            Content::Logged { segment, index } => {
                // Takes a reference count: a thread has only a few of the slots that the guard may use
                // otherwise.
                let segment = Guard::from_inner(Guard::into_inner(segment));
                Content::Logged { segment, index }
            }
            content => content,
        };
        Delivery { content, filter: FilterOf::Owned(filter) }
    }

    /// The kind of this delivery.
    #[must_use]
    pub fn kind(&self) -> DeliveryKind {
        match &self.content {
            Content::Logged { .. } => match self.content.changes() {
                Some(changes) if !changes.is_empty() => DeliveryKind::Changes,
                _ => DeliveryKind::Progress,
            },
            Content::Coalesced { kind, .. } | Content::Whole { kind, .. } => *kind,
        }
    }

    /// Returns whether several publications are delivered as one.
    #[must_use]
    pub fn is_coalesced(&self) -> bool {
        self.kind() == DeliveryKind::Coalesced
    }

    /// Returns whether this is the whole content, [`Initial`](DeliveryKind::Initial) or
    /// [`Reset`](DeliveryKind::Reset), rather than changes to what was delivered before.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.content.is_whole()
    }

    /// Returns whether it is one publication that contains a relist
    /// ([`Store::replace`](crate::Store::replace)).
    #[must_use]
    pub fn is_relist(&self) -> bool {
        self.content.is_relist()
    }

    /// The revision that it leads to.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision::new(self.content.revision())
    }

    /// The source's version at that revision, once the source has sent one.
    #[must_use]
    pub fn resource_version(&self) -> Option<&ResourceVersion> {
        self.content.resource_version()
    }

    /// Returns whether the source's whole content was complete by then; see
    /// [`Snapshot::is_synced`](crate::Snapshot::is_synced). Every subscription receives the first
    /// delivery for which this is true, even if it has no items for it.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.content.is_synced()
    }

    /// The changes, each key once, in no particular order. In a whole content, each object is new.
    ///
    /// O(1) per change, matching or not; of the whole content of a namespace or an index's value, O(1)
    /// per object of it, and per object that is assumed.
    #[inline]
    #[must_use]
    pub fn iter(&self) -> Items<'_, T> {
        let source = match self.content.changes() {
            Some(changes) => Source::Changes(changes.iter()),
            None => self.whole(),
        };
        let filter = Some(self.filter()).filter(|filter| !filter.is_all());
        Items { source, filter }
    }

    fn whole(&self) -> Source<'_, T> {
        let Content::Whole { content, assumed, .. } = &self.content else { return Source::Nothing };
        let entries = self.filter().candidates(content);
        let assumed = (!assumed.is_empty()).then(|| (assumed, assumed.iter()));
        Source::Whole(Box::new(Whole { entries, assumed }))
    }

    /// Returns whether it has no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    #[inline]
    fn filter(&self) -> &Filter<T> {
        match &self.filter {
            FilterOf::Borrowed(filter) => filter,
            FilterOf::Owned(filter) => filter,
        }
    }
}

/// The items of a [`Delivery`].
///
/// ```
/// use watchcache::store::feed::Items;
/// use watchcache::{Key, Store};
///
/// fn gone(items: Items<'_, Key>) -> Vec<String> {
///     items.filter(|item| item.new.is_none()).map(|item| item.key.to_string()).collect()
/// }
/// let store = Store::<Key>::new();
/// store.add("a/web".parse::<Key>()?)?;
/// let mut subscription = store.subscribe().start()?;
/// store.delete("a/web");
/// assert_eq!(gone(subscription.try_next()?.iter()), ["a/web"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Items<'a, T> {
    source: Source<'a, T>,
    filter: Option<&'a Filter<T>>,
}

enum Source<'a, T> {
    Changes(ChangesIter<'a, T>),
    /// Boxed, as the usual items should be small.
    Whole(Box<Whole<'a, T>>),
    Nothing,
}

struct Whole<'a, T> {
    entries: Entries<'a, T>,
    /// What is only assumed in the content; what the source said of that comes behind it.
    assumed: Option<(&'a Overlay<T>, OverlayIter<'a, T>)>,
}

impl<'a, T: Object> Whole<'a, T> {
    fn next(&mut self) -> Option<(KeyRef<'a>, ArcRef<'a, T>)> {
        let Self { entries, assumed } = self;
        let is_said = |key| assumed.as_ref().is_none_or(|(assumed, _)| assumed.get(key).is_none());
        entries.find(|(key, _)| is_said(*key)).or_else(|| {
            let (_, told) = assumed.as_mut()?;
            told.find_map(|(key, known)| Some((key.as_ref(), known.told.as_ref()?.into())))
        })
    }
}

impl<'a, T: Object> Iterator for Items<'a, T> {
    type Item = Item<'a, T>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a, T>> {
        // Small, so that it becomes part of the loop that it is called in.
        match (&mut self.source, self.filter) {
            (Source::Changes(changes), None) => {
                changes.next().map(|(key, old, new)| Item { key, old, new })
            }
            _ => self.next_of_others(),
        }
    }
}

impl<'a, T: Object> Items<'a, T> {
    /// What has to be looked for.
    #[inline(never)]
    fn next_of_others(&mut self) -> Option<Item<'a, T>> {
        loop {
            let (key, old, new) = match &mut self.source {
                Source::Changes(changes) => changes.next()?,
                Source::Whole(whole) => {
                    let (key, object) = whole.next()?;
                    (key, None, Some(object))
                }
                Source::Nothing => return None,
            };
            match self.filter {
                None => return Some(Item { key, old, new }),
                Some(filter) => {
                    if let Some(item) = filter.apply(key, old, new) {
                        return Some(item);
                    }
                }
            }
        }
    }
}

impl<'a, T: Object> IntoIterator for &'a Delivery<'_, T> {
    type Item = Item<'a, T>;
    type IntoIter = Items<'a, T>;

    fn into_iter(self) -> Items<'a, T> {
        self.iter()
    }
}

impl<T: Object> fmt::Debug for Delivery<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("kind", &self.kind())
            .field("revision", &self.revision())
            .field("resource_version", &self.resource_version())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Item<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item")
            .field("key", &self.key)
            .field("old", &self.old.is_some())
            .field("new", &self.new.is_some())
            .finish()
    }
}

impl<T> fmt::Debug for Items<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").finish_non_exhaustive()
    }
}
