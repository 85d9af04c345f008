//! A value of an index.

use std::any::TypeId;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::mem::needs_drop;

use crate::panic::contain;
use crate::sync::Arc;

/// Its comparison and its destructor are user code, which runs in the middle of a write and of freeing.
/// So a panic in one is caught here: a comparison that panics counts as less.
pub(crate) struct Value<V: ?Sized>(
    /// Only the destructor takes it out.
    Option<Arc<V>>,
);

/// By far the most common type, whose comparison never panics and is one.
#[inline]
pub(super) fn is_text<V: ?Sized + 'static>() -> bool {
    TypeId::of::<V>() == TypeId::of::<str>()
}

impl<V: ?Sized> Value<V> {
    pub(crate) fn new(value: Arc<V>) -> Self {
        Self(Some(value))
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Arc<V> {
        match &self.0 {
            Some(value) => value,
            None => unreachable!("it is there until it is dropped"),
        }
    }
}

impl<V: ?Sized> Clone for Value<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V: ?Sized> Drop for Value<V> {
    #[inline]
    fn drop(&mut self) {
        if needs_drop::<V>() {
            contain(|| drop(self.0.take()));
        }
    }
}

/// For readers: a panic of their comparison is passed on to them.
impl<V: ?Sized> Borrow<V> for Value<V> {
    fn borrow(&self) -> &V {
        self.shared()
    }
}

impl<V: Ord + ?Sized + 'static> Ord for Value<V> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let (this, other) = (self.shared(), other.shared());
        if is_text::<V>() {
            return this.cmp(other);
        }
        contain(|| this.cmp(other)).unwrap_or(Ordering::Less)
    }
}

impl<V: Ord + ?Sized + 'static> PartialOrd for Value<V> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<V: Ord + ?Sized + 'static> PartialEq for Value<V> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<V: Ord + ?Sized + 'static> Eq for Value<V> {}
