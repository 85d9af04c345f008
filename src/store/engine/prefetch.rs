//! Prefetching, so that cache misses overlap.

/// Begins to load the cache line at an address, which may be dangling.
#[inline]
pub(super) fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of any address has no effect but on caches.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Begins to load the counts of a shared object at an address, and with them its first words.
#[inline]
pub(super) fn prefetch_counts<T>(object: *const T) {
    /// The counts lie before the object.
    const COUNTS: usize = 2 * size_of::<usize>();
    prefetch(object.wrapping_byte_sub(COUNTS));
}
