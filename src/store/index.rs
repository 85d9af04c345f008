//! Indexes that users make: a function that finds an object's values, and the handle to look them up by.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use super::engine::{Function, IndexId, NewIndex};
use crate::panic::contain;
use crate::sync::Arc;
use crate::{Key, Object};

/// An index: what a store is to find objects by, and the handle to find them with.
///
/// A function gives an object's values, any number of them. They are of any type that has an order:
/// texts, numbers, pairs; see [`IndexValue`]. Make the index, give it to the
/// [builder](super::StoreBuilder::index) or to [`Store::add_index`](super::Store::add_index), and look up by
/// it with [`Snapshot::by`](super::Snapshot::by) and [`Snapshot::groups`](super::Snapshot::groups). It is a
/// handle: clones are the same index. One may be given to any number of stores, which keep what they hold
/// apart.
///
/// The name is for messages, and need not be unique.
///
/// A lookup by an index is right whether or not the store has it. If it does not, all objects are looked
/// at, as [`Snapshot::by`](super::Snapshot::by) says.
///
/// # User code
/// The function, and comparisons and destructors of values, run while a write holds the writer's lock. They
/// may read the store; a write from within one deadlocks. An object for which the function fails, by an
/// error or a panic, is not stored; see [`Applied::rejected`](super::Applied::rejected). A comparison that
/// panics, or that is no total order, makes lookups by this index find too little, and nothing else.
///
/// ```
/// use watchcache::store::Index;
/// use watchcache::{KeyRef, Object, Store};
///
/// struct Pod { name: &'static str, node: String, ports: Vec<u16> }
/// impl Object for Pod {
///     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
/// }
///
/// let by_node = Index::new("node", |pod: &Pod| [pod.node.clone()]);
/// let by_port = Index::new("port", |pod: &Pod| pod.ports.clone());
/// let store = Store::builder().index(&by_node).index(&by_port).build();
/// store.add(Pod { name: "web-0", node: "n1".into(), ports: vec![80, 443] })?;
/// store.add(Pod { name: "web-1", node: "n2".into(), ports: vec![80] })?;
///
/// let snapshot = store.snapshot();
/// assert_eq!(snapshot.by(&by_node, "n1").len(), 1);
/// assert_eq!(snapshot.by(&by_port, &80).len(), 2);
/// # Ok::<(), watchcache::store::WriteError>(())
/// ```
pub struct Index<T, V: ?Sized> {
    name: Arc<str>,
    function: Arc<Function<T, V>>,
}

impl<T: Object, V: Ord + Send + Sync + ?Sized + 'static> Index<T, V> {
    /// An index by the values that the function gives.
    ///
    /// A value is held once for all objects that have it; [`IndexValue`] tells as what.
    pub fn new<I>(name: &str, values: impl Fn(&T) -> I + Send + Sync + 'static) -> Self
    where
        I: IntoIterator<Item: IndexValue<Value = V>>,
    {
        Self::try_new(name, move |object| Ok::<_, Infallible>(values(object)))
    }

    /// An index whose function can fail. An object that it fails on is not stored; see
    /// [`Applied::rejected`](super::Applied::rejected). Behind a reflector it is listed as quarantined, by
    /// `Monitor::quarantined`.
    pub fn try_new<I, E>(
        name: &str,
        values: impl Fn(&T) -> Result<I, E> + Send + Sync + 'static,
    ) -> Self
    where
        I: IntoIterator<Item: IndexValue<Value = V>>,
        E: fmt::Display,
    {
        let function = move |object: &T, found: &mut dyn FnMut(Arc<V>)| match values(object) {
            Ok(values) => {
                values.into_iter().for_each(|value| found(value.into_shared()));
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        };
        Self { name: name.into(), function: Arc::new(function) }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn id(&self) -> IndexId {
        IndexId::of(&self.function)
    }

    /// The index of one store, for [`StoreBuilder::label_index`](super::StoreBuilder::label_index) if it
    /// is by a label.
    pub(super) fn of_a_store(&self, label: Option<&str>) -> NewIndex<T> {
        let (name, function) = (Arc::clone(&self.name), Arc::clone(&self.function));
        NewIndex::new(name, label.map(Arc::from), function)
    }

    /// An object's values, for a snapshot that does not have the index. An object that the function fails
    /// on has none: where there is the index, it is not there.
    pub(super) fn values(&self, object: &T) -> Vec<Arc<V>> {
        self.try_values(object).unwrap_or_default()
    }

    /// An object's values, unless the function fails on it.
    pub(super) fn try_values(&self, object: &T) -> Option<Vec<Arc<V>>> {
        let mut values = Vec::new();
        let found = contain(|| (self.function)(object, &mut |value| values.push(value)));
        found?.ok().map(|()| values)
    }
}

impl<T, V: ?Sized> Clone for Index<T, V> {
    fn clone(&self) -> Self {
        Self { name: Arc::clone(&self.name), function: Arc::clone(&self.function) }
    }
}

impl<T, V: ?Sized> fmt::Debug for Index<T, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What an index function may give, and what it is looked up by.
///
/// Owned and borrowed texts are held and looked up as `str`, vectors as slices, and an `Arc<V>` as what
/// it holds; everything else is held as itself. So a type of one's own needs an `Arc` around it, or an
/// implementation:
///
/// ```
/// use std::sync::Arc;
/// use watchcache::store::{Index, IndexValue};
/// use watchcache::{KeyRef, Object, Store};
///
/// #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
/// enum Phase { Pending, Running }
/// impl IndexValue for Phase {
///     type Value = Self;
///     fn into_shared(self) -> Arc<Self> { Arc::new(self) }
/// }
///
/// struct Pod(&'static str, Phase);
/// impl Object for Pod {
///     fn key(&self) -> KeyRef<'_> { ("default", self.0).into() }
/// }
/// let by_phase = Index::new("phase", |pod: &Pod| [pod.1]);
/// let store = Store::builder().index(&by_phase).build();
/// store.add(Pod("web-0", Phase::Pending))?;
/// assert_eq!(store.snapshot().by(&by_phase, &Phase::Pending).len(), 1);
/// assert_eq!(store.snapshot().by(&by_phase, &Phase::Running).len(), 0);
/// # Ok::<(), watchcache::store::WriteError>(())
/// ```
pub trait IndexValue {
    /// What it is held as, ordered by and looked up by.
    type Value: Ord + Send + Sync + ?Sized + 'static;

    /// The value as it is held.
    fn into_shared(self) -> Arc<Self::Value>;
}

impl<V: Ord + Send + Sync + ?Sized + 'static> IndexValue for Arc<V> {
    type Value = V;

    fn into_shared(self) -> Arc<V> {
        self
    }
}

/// Held as another type, by a conversion of the standard library's.
macro_rules! held_as {
    ($([$($parameters:tt)*] $type:ty => $value:ty),* $(,)?) => {$(
        impl<$($parameters)*> IndexValue for $type {
            type Value = $value;

            fn into_shared(self) -> Arc<$value> {
                self.into()
            }
        }
    )*};
}

held_as! {
    [] String => str,
    [] Box<str> => str,
    [] &str => str,
    [] Cow<'_, str> => str,
    [V: Ord + Send + Sync + 'static] Vec<V> => [V],
}

/// Held as themselves.
macro_rules! held {
    ($([$($parameters:tt)*] $type:ty),* $(,)?) => {
        held_as! { $([$($parameters)*] $type => Self),* }
    };
}

held! {
    [] (), [] bool, [] char,
    [] u8, [] u16, [] u32, [] u64, [] u128, [] usize,
    [] i8, [] i16, [] i32, [] i64, [] i128, [] isize,
    [] Duration, [] Instant, [] SystemTime,
    [] IpAddr, [] Ipv4Addr, [] Ipv6Addr, [] SocketAddr,
    [] Key,
    [V: Ord + Send + Sync + 'static] Option<V>,
    [V: Ord + Send + Sync + 'static] Reverse<V>,
    [V: Ord + Send + Sync + 'static, const N: usize] [V; N],
    [A: Ord + Send + Sync + 'static, B: Ord + Send + Sync + 'static] (A, B),
    [
        A: Ord + Send + Sync + 'static,
        B: Ord + Send + Sync + 'static,
        C: Ord + Send + Sync + 'static
    ] (A, B, C),
}
