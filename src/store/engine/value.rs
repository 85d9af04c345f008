//! A value of an index.

use std::any::TypeId;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::mem::{ManuallyDrop, needs_drop};

use crate::panic::contain;
use crate::sync::Arc;

/// Its comparison and its destructor are user code, which runs in the middle of a write and of freeing.
/// So a panic in one is caught here: a comparison that panics counts as less.
pub(crate) struct Value<V: ?Sized>(
    /// Only the destructor takes it out.
    ManuallyDrop<Arc<V>>,
);

/// By far the most common type, whose comparison never panics and is one.
#[inline]
pub(super) fn is_text<V: ?Sized + 'static>() -> bool {
    TypeId::of::<V>() == TypeId::of::<str>()
}

impl<V: ?Sized> Value<V> {
    pub(crate) fn new(value: Arc<V>) -> Self {
        Self(ManuallyDrop::new(value))
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Arc<V> {
        &self.0
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
        // SAFETY: nobody uses it after this.
        let value = unsafe { ManuallyDrop::take(&mut self.0) };
        if needs_drop::<V>() {
            contain(|| drop(value));
        }
    }
}

/// For readers: a panic of their comparison is passed on to them.
impl<V: ?Sized> Borrow<V> for Value<V> {
    fn borrow(&self) -> &V {
        self.shared()
    }
}

impl<V: Ord + ?Sized + 'static> Value<V> {
    #[inline]
    pub(super) fn compare(&self, other: &V) -> Ordering {
        let this = self.shared().as_ref();
        if is_text::<V>() {
            return this.cmp(other);
        }
        contain(|| this.cmp(other)).unwrap_or(Ordering::Less)
    }
}

impl<V: Ord + ?Sized + 'static> Ord for Value<V> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(other.shared())
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
