//! A borrowed `Arc`: what a view lends.

use std::fmt;
use std::ops::Deref;

use crate::store::Lent;
use crate::sync::Arc;

/// A shared object, borrowed from whoever holds it: a snapshot, a pin, a delivery or a lease.
///
/// It dereferences to the `Arc` and so to the object, and is as cheap to copy as a reference.
///
/// ```
/// use std::sync::Arc;
///
/// use watchcache::{ArcRef, KeyRef, Object, Store};
///
/// #[derive(Debug, PartialEq)]
/// struct Node { cores: u32 }
/// impl Object for Node {
///     fn key(&self) -> KeyRef<'_> { "node-1".into() }
/// }
///
/// let store = Store::new();
/// store.add(Node { cores: 8 })?;
/// let snapshot = store.snapshot();
/// let lent: Option<ArcRef<'_, Node>> = snapshot.get("node-1");
/// assert_eq!(lent.map(|node| node.cores), Some(8));
///
/// let borrowed: Option<&Node> = lent.map(|node| node.object());
/// let shared: Option<Arc<Node>> = lent.map(|node| node.to_arc());
/// assert_eq!(borrowed, shared.as_deref());
/// # Ok::<(), watchcache::store::WriteError>(())
/// ```
///
/// Neither it nor the object can be used once what lends it is gone:
///
/// ```compile_fail,E0505
/// # use watchcache::{KeyRef, Object, Store};
/// # struct Node(u32);
/// # impl Object for Node {
/// #     fn key(&self) -> KeyRef<'_> { "node-1".into() }
/// # }
/// let store = Store::<Node>::new();
/// let snapshot = store.snapshot();
/// let node = snapshot.get("node-1").map(|lent| lent.object());
/// drop(snapshot);
/// assert!(node.is_none());
/// ```
pub struct ArcRef<'a, T>(pub(crate) Lent<'a, T>);

impl<'a, T> ArcRef<'a, T> {
    /// The object, for as long as what lends it. (Through [`Deref`] it lives only as long as this.)
    #[inline]
    #[must_use]
    pub fn object(self) -> &'a T {
        self.0.object()
    }

    /// Shares the object: one that outlives what lends it.
    #[inline]
    #[must_use]
    pub fn to_arc(self) -> Arc<T> {
        Arc::clone(&self)
    }
}

impl<T> Clone for ArcRef<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ArcRef<'_, T> {}

impl<T> Deref for ArcRef<'_, T> {
    type Target = Arc<T>;

    #[inline]
    fn deref(&self) -> &Arc<T> {
        self.0.arc()
    }
}

impl<'a, T> From<&'a Arc<T>> for ArcRef<'a, T> {
    #[inline]
    fn from(object: &'a Arc<T>) -> Self {
        Self(object.into())
    }
}

/// As [`to_arc`](ArcRef::to_arc): what a view lends can be put into a store or a queue.
impl<T> From<ArcRef<'_, T>> for Arc<T> {
    #[inline]
    fn from(object: ArcRef<'_, T>) -> Self {
        object.to_arc()
    }
}

/// Compares the objects, as `Arc` does; `Arc::ptr_eq` asks whether they are the same one.
impl<T: PartialEq> PartialEq for ArcRef<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.object() == other.object()
    }
}

impl<T: Eq> Eq for ArcRef<'_, T> {}

impl<T: fmt::Debug> fmt::Debug for ArcRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.object().fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for ArcRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.object().fmt(f)
    }
}
