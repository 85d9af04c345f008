//! Making a store.

use std::fmt;

use arc_swap::ArcSwap;

use super::engine::Engine;
use super::feed::{Feed, FeedLimits};
use super::index::Definition;
use super::{Observer, Store};
use crate::sync::{Arc, SegQueue};
use crate::{Object, panic};

/// Builds a [`Store`] with indexes and an observer.
///
/// ```
/// use watchcache::{KeyRef, Object, Store};
///
/// struct Pod { name: &'static str, addresses: Vec<String> }
/// impl Object for Pod {
///     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
/// }
///
/// let store = Store::builder().index("address", |pod: &Pod| pod.addresses.clone()).build();
/// store.add(Pod { name: "web-0", addresses: vec!["10.0.0.7".into(), "fd00::7".into()] })?;
/// let snapshot = store.snapshot();
/// assert_eq!(snapshot.by_index("address", "fd00::7")?.count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StoreBuilder<T> {
    definitions: Vec<Definition<T>>,
    observer: Option<Box<dyn Observer>>,
    feed: FeedLimits,
}

impl<T: Object> StoreBuilder<T> {
    pub(super) fn new() -> Self {
        Self { definitions: Vec::new(), observer: None, feed: FeedLimits::default() }
    }

    /// Adds an index. The function gives an object's values, any number of them. A later index of
    /// the same name takes the place of an earlier one.
    #[must_use]
    pub fn index<I>(self, name: &str, values: impl Fn(&T) -> I + Send + Sync + 'static) -> Self
    where
        I: IntoIterator<Item: Into<Arc<str>>>,
    {
        self.try_index(name, move |object| Ok::<_, std::convert::Infallible>(values(object)))
    }

    /// Adds an index whose function can fail. An object that it fails on is not stored; see
    /// [`Applied::rejected`](super::Applied::rejected). Behind a reflector it is listed as
    /// quarantined, by `Monitor::quarantined`.
    #[must_use]
    pub fn try_index<I, E>(
        mut self,
        name: &str,
        values: impl Fn(&T) -> Result<I, E> + Send + Sync + 'static,
    ) -> Self
    where
        I: IntoIterator<Item: Into<Arc<str>>>,
        E: fmt::Display,
    {
        self.definitions.retain(|definition| &*definition.name != name);
        self.definitions.push(Definition::new(name, values));
        self
    }

    /// Adds the index `label:<label>` over the values of a label, which
    /// [`Snapshot::select`](super::Snapshot::select) uses for selectors that ask for values of it.
    /// No other index may have that name.
    #[must_use]
    pub fn label_index(self, label: &str) -> Self {
        let name = label.to_owned();
        self.index(&super::select::index_name(label), move |object: &T| {
            object.label(&name).map(Arc::from)
        })
    }

    /// Calls an observer after each [`apply`](Store::apply) and [`replace`](Store::replace). `add`,
    /// `compare_and_update` and `delete` return what they did, and are not observed.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// How much the store keeps for its [subscriptions](Store::subscribe).
    #[must_use]
    pub fn feed(mut self, limits: FeedLimits) -> Self {
        self.feed = limits;
        self
    }

    /// The store, empty.
    #[must_use]
    pub fn build(self) -> Store<T> {
        use std::hash::BuildHasher;
        let seed = foldhash::fast::RandomState::default().hash_one(0_u8);
        let engine = Arc::new(Engine::new(seed, size_of_object));
        let store = Store {
            feed: Feed::new(&engine, self.feed),
            engine,
            definitions: ArcSwap::from_pointee(Vec::new()),
            waiting: SegQueue::new(),
            observer: self.observer,
        };
        for definition in self.definitions {
            let added = store.add_definition(definition);
            debug_assert!(added.is_ok(), "names are distinct and there is no object to fail on");
        }
        store
    }
}

fn size_of_object<T: Object>(object: &T) -> usize {
    panic::catch(|| object.size()).unwrap_or(0)
}

impl<T> fmt::Debug for StoreBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.definitions.iter().map(|definition| &definition.name).collect();
        f.debug_struct("StoreBuilder").field("indexes", &names).finish_non_exhaustive()
    }
}
