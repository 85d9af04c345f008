//! Memory of what was freed, kept for the next of its kind.

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use crate::sync::FREES;

/// How many places are kept: about as many as gather before they are freed. None for what looks at memory: a
/// place that was recycled hides that somebody still reads what was there.
const KEPT: usize = if cfg!(any(miri, watchcache_instrumented)) { 0 } else { 4096 };

/// Where the writer makes what each write needs, so that it allocates nothing in the steady state. Each place is
/// an allocation of its own: what is more than is kept goes back at once.
pub(super) struct Pool<V>(Vec<Box<MaybeUninit<V>>>);

impl<V> Pool<V> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    #[inline]
    pub(super) fn make(&mut self, value: V) -> NonNull<V> {
        let place = self.0.pop().unwrap_or_else(Box::new_uninit);
        let place = Box::into_raw(Box::write(place, value));
        // SAFETY: a box is not null.
        unsafe { NonNull::new_unchecked(place) }
    }

    /// Drops a value, and keeps its place.
    ///
    /// # Safety
    /// A pool made it, and nobody can reach it any more.
    #[inline]
    pub(super) unsafe fn free(&mut self, this: NonNull<V>) {
        if !FREES {
            return;
        }
        // SAFETY: `make` gave a box up, and nobody can reach it any more.
        let mut place = unsafe { Box::from_raw(this.as_ptr().cast::<MaybeUninit<V>>()) };
        // SAFETY: `make` wrote a value, and nobody else drops it.
        unsafe { place.assume_init_drop() };
        if self.0.len() < KEPT {
            self.0.push(place);
        }
    }
}
