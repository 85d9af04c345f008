//! What memory takes beside the objects' own sizes, as a usual allocator gives it.

use super::chain::{Record, Version};
use super::postings::PAGE;
use crate::sync::Arc;

const WORD: usize = size_of::<usize>();

/// What an allocation of so many bytes takes: a word of the allocator's comes with it, and sizes are multiples
/// of two words, from four on.
pub(super) const fn allocated(bytes: usize) -> usize {
    match bytes.saturating_add(3 * WORD - 1) / (2 * WORD) {
        _ if bytes == 0 => 0,
        multiple @ ..2 => (multiple + 1) * 2 * WORD,
        multiple => multiple * 2 * WORD,
    }
}

/// Of an object, beside its size: the counts in front of it, and what its allocation is rounded by.
pub(super) const fn object<T>() -> usize {
    allocated(size_of::<T>() + 2 * WORD) - size_of::<T>()
}

/// Of a version, beside its object's size.
pub(super) const fn version<T>(key_len: usize, value: Option<&Arc<T>>) -> usize {
    let this = allocated(size_of::<Version<T>>() + key_len);
    match value {
        Some(_) => this + object::<T>(),
        // Nothing else needs its record, and its slot in a table that is half full.
        None => this + size_of::<Record<T>>() + 4 * WORD,
    }
}

/// Of a page of an index that was copied.
pub(super) const fn page() -> usize {
    allocated(PAGE * WORD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_is_what_glibc_takes_for_it() {
        if WORD == 8 {
            assert_eq!([0, 1, 24, 25, 40, 41].map(allocated), [0, 32, 32, 48, 48, 64]);
            assert_eq!(object::<[u64; 16]>(), 32);
        }
    }
}
