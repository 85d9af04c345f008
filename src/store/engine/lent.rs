//! What a view lends: an `Arc` that nobody drops.

use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};

use crate::ArcRef;
use crate::sync::Arc;

/// The bits of an `Arc` whose count another has, for `'a`. The engine keeps addresses of objects, and so has no
/// `Arc` in its memory that a reference could lead to.
pub(crate) struct Lent<'a, T>(MaybeUninit<*const ()>, PhantomData<&'a Arc<T>>);

impl<T> Clone for Lent<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Lent<'_, T> {}

// SAFETY: it is a `&Arc<T>`, as far as others can tell.
unsafe impl<T: Send + Sync> Send for Lent<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Lent<'_, T> {}

impl<'a, T> Lent<'a, T> {
    const FITS: () = assert!(
        size_of::<Arc<T>>() == size_of::<*const ()>()
            && align_of::<Arc<T>>() == align_of::<*const ()>()
    );

    #[inline]
    fn new(object: ManuallyDrop<Arc<T>>) -> Self {
        let () = Self::FITS;
        let mut bits = MaybeUninit::<*const ()>::uninit();
        // SAFETY: it has the size and alignment of an `Arc`.
        unsafe { bits.as_mut_ptr().cast::<ManuallyDrop<Arc<T>>>().write(object) };
        Self(bits, PhantomData)
    }

    #[inline]
    pub(crate) fn arc(&self) -> &Arc<T> {
        // SAFETY: `new` wrote an `Arc`, and its count is kept for `'a`.
        unsafe { &*self.0.as_ptr().cast::<Arc<T>>() }
    }

    #[inline]
    pub(crate) fn object(self) -> &'a T {
        // SAFETY: a count of it is kept for `'a`.
        unsafe { &*Arc::as_ptr(self.arc()) }
    }
}

impl<'a, T> From<&'a Arc<T>> for Lent<'a, T> {
    #[inline]
    fn from(object: &'a Arc<T>) -> Self {
        // SAFETY: the count is not given up, and `object` keeps it for `'a`.
        Self::new(unsafe { ManuallyDrop::new(std::ptr::read(object)) })
    }
}

impl<T> ArcRef<'_, T> {
    /// An object by its address, or nothing by a null one.
    ///
    /// # Safety
    /// It is null, or the address came from [`Arc::into_raw`], and a count of it is kept for the lifetime.
    #[inline]
    pub(super) unsafe fn at(object: *const T) -> Option<Self> {
        // SAFETY: as the caller upholds; the count is never given up.
        let lent = || unsafe { Lent::new(ManuallyDrop::new(Arc::from_raw(object))) };
        (!object.is_null()).then(|| ArcRef(lent()))
    }
}
