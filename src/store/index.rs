//! Index handles: a function from an object to its values, and the means to look objects up by them.

use std::borrow::{Borrow, Cow};
use std::cmp::Reverse;
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use super::engine::{Function, IndexId, NewIndex, Value, Values};
use crate::panic::contain;
use crate::sync::Arc;
use crate::{Key, Object};

/// An index: the values that a store finds objects by, and the handle to look them up with.
///
/// A function returns an object's values, any number of them, or [lends](Self::lending) them. They can be of any
/// ordered type: strings, numbers, pairs; see [`IndexValue`]. Create the index, give it to the [builder](super::StoreBuilder::index)
/// or to [`Store::add_index`](super::Store::add_index), and look objects up with
/// [`Snapshot::by`](super::Snapshot::by) and [`Snapshot::groups`](super::Snapshot::groups). It is a handle:
/// its clones are the same index, and any number of stores may use it, each for its own objects.
///
/// The name is for messages, and need not be unique.
///
/// A lookup is correct whether or not the store has the index, but without it the lookup scans all objects,
/// and nothing says so but [`Snapshot::has_index`](super::Snapshot::has_index). A handle that is made anew, of
/// the same function and name, is another index.
///
/// # User code
/// The function, and the comparisons and destructors of values, may run under the writer's lock: they may read
/// the store, but a write from within one deadlocks. An object that the function fails on, by an error or a
/// panic, is not stored; see [`Applied::rejected`](super::Applied::rejected). If a comparison panics, or is
/// not a total order, lookups by this index may miss objects, or an object of several values is not stored; nothing
/// else goes wrong.
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
    /// An index by the values that the function returns.
    ///
    /// A value is stored once for all objects that have it, in the form that [`IndexValue`] gives.
    pub fn new<I>(name: &str, values: impl Fn(&T) -> I + Send + Sync + 'static) -> Self
    where
        I: IntoIterator<Item: IndexValue<Value = V>>,
    {
        Self::try_new(name, move |object| Ok::<_, Infallible>(values(object)))
    }

    /// An index whose function can fail. An object that it fails on is not stored, see
    /// [`Applied::rejected`](super::Applied::rejected); a reflector lists it as quarantined.
    ///
    /// ```
    /// use watchcache::store::Index;
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Pod { port: &'static str }
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { "default/web-0".into() }
    /// # }
    /// let by_port = Index::try_new("port", |pod: &Pod| pod.port.parse::<u16>().map(|port| [port]));
    /// let store = Store::builder().index(&by_port).build();
    /// assert!(store.add(Pod { port: "80" }).is_ok());
    /// assert!(store.add(Pod { port: "http" }).is_err());
    /// ```
    pub fn try_new<I, E>(
        name: &str,
        values: impl Fn(&T) -> Result<I, E> + Send + Sync + 'static,
    ) -> Self
    where
        I: IntoIterator<Item: IndexValue<Value = V>>,
        E: fmt::Display,
    {
        let function = move |object: &T, found: &mut dyn Values<V>| match values(object) {
            Ok(values) => {
                for value in values {
                    if found.knows(value.borrow()) {
                        contain(|| drop(value));
                    } else {
                        found.add(value.into());
                    }
                }
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        };
        Self { name: name.into(), function: Arc::new(function) }
    }

    /// An index whose function lends the values to `lend`, one call for each, instead of returning them. So a text
    /// that the object has need not be cloned: an update that leaves an object's values as they were allocates
    /// nothing for the index.
    ///
    /// ```
    /// use watchcache::store::Index;
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Pod { node: Option<String>, labels: Vec<(String, String)> }
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { "default/web-0".into() }
    /// # }
    /// let by_node = Index::lending("node", |pod: &Pod, lend| pod.node.as_deref().into_iter().for_each(lend));
    /// let by_label = Index::lending("label", |pod: &Pod, lend| {
    ///     for (name, _) in &pod.labels {
    ///         lend(name.as_str());
    ///     }
    /// });
    /// let store = Store::builder().index(&by_node).index(&by_label).build();
    /// store.add(Pod { node: Some("n1".into()), labels: vec![("app".into(), "web".into())] })?;
    /// assert_eq!(store.snapshot().by(&by_node, "n1").len(), 1);
    /// assert_eq!(store.snapshot().by(&by_label, "app").len(), 1);
    /// # Ok::<(), watchcache::store::WriteError>(())
    /// ```
    pub fn lending(
        name: &str,
        values: impl Fn(&T, &mut dyn FnMut(&V)) + Send + Sync + 'static,
    ) -> Self
    where
        V: ToOwned<Owned: IndexValue<Value = V>>,
    {
        let function = move |object: &T, found: &mut dyn Values<V>| {
            values(object, &mut |value| {
                if !found.knows(value) {
                    found.add(value.to_owned().into());
                }
            });
            Ok(())
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

    /// The index as one store has it; with a label, the one that
    /// [`StoreBuilder::label_index`](super::StoreBuilder::label_index) adds.
    pub(super) fn of_a_store(&self, label: Option<&str>) -> NewIndex<T> {
        let (name, function) = (Arc::clone(&self.name), Arc::clone(&self.function));
        NewIndex::new(name, label.map(Arc::from), function)
    }

    /// An object's values, for a scan. If the function fails on the object there are none, since a store with
    /// the index would not hold it.
    pub(super) fn values(&self, object: &T) -> Vec<Value<V>> {
        self.try_values(object).unwrap_or_default()
    }

    /// An object's values, unless the function fails on it.
    pub(super) fn try_values(&self, object: &T) -> Option<Vec<Value<V>>> {
        let mut values = Vec::new();
        let found = contain(|| (self.function)(object, &mut values));
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

/// What an index function may return, and what it is looked up by.
///
/// Values own their data or are `'static`; what borrows from the object is [lent](Index::lending). Strings,
/// `&'static str` among them, are stored and looked up as `str`, vectors as slices, and an `Arc<V>` as `V`;
/// everything else is stored as itself. An `Option` is one value or none:
///
/// ```
/// use watchcache::store::Index;
/// # use watchcache::{KeyRef, Object, Store};
/// # struct Pod { name: &'static str, port: Option<u16> }
/// # impl Object for Pod {
/// #     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
/// # }
/// let by_port = Index::new("port", |pod: &Pod| pod.port);
/// let store = Store::builder().index(&by_port).build();
/// store.add(Pod { name: "web-0", port: Some(80) })?;
/// store.add(Pod { name: "web-1", port: None })?;
/// assert_eq!(store.snapshot().by(&by_port, &80).len(), 1);
/// # Ok::<(), watchcache::store::WriteError>(())
/// ```
///
/// A value is allocated only if it is new to its object: so numbers that stay as they are cost no allocation.
///
/// A type of your own needs an `Arc` around it, or an implementation, which says what it is stored as:
///
/// ```
/// use watchcache::store::{Index, IndexValue};
/// use watchcache::{KeyRef, Object, Store};
///
/// #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
/// enum Phase { Pending, Running }
/// impl IndexValue for Phase {
///     type Value = Self;
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
pub trait IndexValue:
    Borrow<<Self as IndexValue>::Value> + Into<Arc<<Self as IndexValue>::Value>>
{
    /// The type that it is stored, ordered and looked up as.
    type Value: Ord + Send + Sync + ?Sized + 'static;
}

/// Values stored as another type, by conversions of the standard library.
macro_rules! held_as {
    ($([$($parameters:tt)*] $type:ty => $value:ty),* $(,)?) => {$(
        impl<$($parameters)*> IndexValue for $type {
            type Value = $value;
        }
    )*};
}

held_as! {
    [] String => str,
    [] Box<str> => str,
    [] &str => str,
    [] Cow<'_, str> => str,
    [V: Ord + Send + Sync + 'static] Vec<V> => [V],
    [V: Ord + Send + Sync + ?Sized + 'static] Arc<V> => V,
}

/// Values stored as themselves.
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
