//! What memory takes beside the objects' own sizes, as a usual allocator gives it.

use std::alloc::Layout;

use super::cell::Cell;
use super::chain::{Cold, Hot, Old};
use super::postings::PAGE;

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

/// Of an object, beside its size: the counts in front of it, at a distance that its alignment asks for, and what
/// its allocation is rounded by.
pub(super) const fn object<T>() -> usize {
    let counts = Layout::new::<[usize; 2]>();
    let Ok((shared, _)) = counts.extend(Layout::new::<T>()) else { return usize::MAX };
    allocated(shared.pad_to_align().size()) - size_of::<T>()
}

/// Of what a key held before, beside its object's size.
pub(super) const fn old<T>(has_object: bool) -> usize {
    let this = allocated(size_of::<Old<T>>());
    if has_object { this + object::<T>() } else { this }
}

/// Of a record with so long a key, and of its slot in a table that is half full.
pub(super) fn record<T>(key_len: usize) -> usize {
    let this = size_of::<Cell>() + size_of::<Hot<T>>() + size_of::<Cold<T>>();
    this + allocated(Cell::beyond(key_len)) + 6 * WORD
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

    /// The counts of one lie as far in front of it as it is aligned.
    #[test]
    fn an_object_of_great_alignment_has_its_counts_far_away() {
        #[repr(align(64))]
        struct Line {
            _bytes: [u8; 64],
        }
        if WORD == 8 {
            assert_eq!(object::<Line>(), 64 + 16);
            assert_eq!(object::<u8>(), 31);
        }
    }
}
