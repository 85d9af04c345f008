//! A key's text, which a lookup compares: written once, when the key comes, and not again for its updates.

use std::mem::MaybeUninit;
use std::ptr;

use crate::KeyRef;
use crate::sync::Lifetime;

/// Bytes of a text that lies in the cell itself: with them a cell is a cache line.
const INLINE: usize = 56;

/// A key's text, namespace then name.
///
/// It is reached by raw pointers alone: the writer gives it to another key once nobody reads it any more.
#[repr(C, align(64))]
pub(super) struct Cell {
    namespace_len: u32,
    name_len: u32,
    text: Text,
    life: Lifetime,
}

/// Where the text lies: here, or in an allocation of its own where it is longer than [`INLINE`].
union Text {
    inline: [MaybeUninit<u8>; INLINE],
    long: *mut u8,
}

impl Cell {
    /// Without a key.
    pub(super) fn new() -> Self {
        let text = Text { inline: [MaybeUninit::uninit(); INLINE] };
        Self { namespace_len: 0, name_len: 0, text, life: Lifetime::new() }
    }

    /// Bytes that a text takes beyond its cell.
    pub(super) fn beyond(len: usize) -> usize {
        if len > INLINE { len } else { 0 }
    }

    /// Gives a cell that nobody reads a key.
    ///
    /// # Safety
    /// The cell has none, lies in an allocation that `this` may write to, and nobody else accesses it.
    ///
    /// # Panics
    /// If a part of the key is 4 GiB or longer; a [`Key`](crate::Key)'s is far shorter.
    pub(super) unsafe fn begin(this: *mut Self, key: KeyRef<'_>) {
        let (namespace, name) = key.parts();
        let len = |part: &str| u32::try_from(part.len()).expect("a key's part is below 4 GiB");
        let (namespace_len, name_len) = (len(namespace), len(name));
        let total = namespace.len() + name.len();
        // SAFETY: the caller may write to the cell, and nobody else accesses it; what is allocated has room for
        // the whole text.
        unsafe {
            (*this).life.begin();
            (*this).namespace_len = namespace_len;
            (*this).name_len = name_len;
            let text = if total > INLINE {
                let long: Box<[u8]> = vec![0; total].into();
                let long = Box::into_raw(long).cast::<u8>();
                (*this).text.long = long;
                long
            } else {
                (&raw mut (*this).text).cast::<u8>()
            };
            text.copy_from_nonoverlapping(namespace.as_ptr(), namespace.len());
            text.add(namespace.len()).copy_from_nonoverlapping(name.as_ptr(), name.len());
        }
    }

    /// Takes the key away.
    ///
    /// # Safety
    /// It has one, and nobody can reach it any more.
    pub(super) unsafe fn end(this: *mut Self) {
        // SAFETY: nobody else accesses the cell; `begin` allocated what is longer than the cell has room for.
        unsafe {
            (*this).life.end();
            let total = Self::len(this);
            if total > INLINE {
                drop(Box::from_raw(ptr::slice_from_raw_parts_mut((*this).text.long, total)));
            }
        }
    }

    /// For the models: the cell's record is used.
    ///
    /// # Safety
    /// As for [`key`](Self::key).
    #[inline]
    pub(super) unsafe fn visit(this: *const Self) {
        // SAFETY: as the caller upholds.
        unsafe { (*this).life.visit() };
    }

    /// The length of the text.
    ///
    /// # Safety
    /// As for [`key`](Self::key).
    pub(super) unsafe fn len(this: *const Self) -> usize {
        // SAFETY: nobody writes it while the cell has its key.
        unsafe { (*this).namespace_len as usize + (*this).name_len as usize }
    }

    /// # Safety
    /// The cell keeps its key for `'a`.
    #[inline]
    pub(super) unsafe fn key<'a>(this: *const Self) -> KeyRef<'a> {
        // SAFETY: as the caller upholds, and `begin` wrote two valid strs.
        unsafe {
            let (namespace, name) = Self::parts(this);
            KeyRef::from((
                std::str::from_utf8_unchecked(namespace),
                std::str::from_utf8_unchecked(name),
            ))
        }
    }

    /// Returns whether a key is this cell's. Not inlined: a probe that has it inside keeps so many registers that it
    /// costs more than the call.
    ///
    /// # Safety
    /// The cell keeps its key meanwhile.
    #[inline(never)]
    pub(super) unsafe fn has(this: *const Self, key: KeyRef<'_>) -> bool {
        // SAFETY: as the caller upholds.
        let (namespace, name) = unsafe { Self::parts(this) };
        let (its_namespace, its_name) = key.parts();
        is_same(name, its_name.as_bytes()) && is_same(namespace, its_namespace.as_bytes())
    }

    /// # Safety
    /// As for [`key`](Self::key).
    #[inline]
    unsafe fn parts<'a>(this: *const Self) -> (&'a [u8], &'a [u8]) {
        // SAFETY: nobody writes it for `'a`, and `begin` wrote as many bytes.
        unsafe {
            (*this).life.visit();
            let (namespace_len, name_len) =
                ((*this).namespace_len as usize, (*this).name_len as usize);
            let text = if namespace_len + name_len > INLINE {
                (*this).text.long.cast_const()
            } else {
                (&raw const (*this).text).cast::<u8>()
            };
            let namespace = std::slice::from_raw_parts(text, namespace_len);
            let name = std::slice::from_raw_parts(text.add(namespace_len), name_len);
            (namespace, name)
        }
    }
}

/// Compares texts without a call: they are short, and as a rule the same.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && match one.len() {
            0..4 => one.iter().eq(other),
            4..8 => have_same_ends::<4>(one, other),
            8..16 => have_same_ends::<8>(one, other),
            16..=32 => have_same_ends::<16>(one, other),
            _ => {
                // What is left over lies in the last sixteen bytes.
                let mut chunks = one.as_chunks::<16>().0.iter().zip(other.as_chunks().0);
                one.last_chunk::<16>() == other.last_chunk()
                    && chunks.all(|(one, other)| one == other)
            }
        }
}

/// Compares the first and the last bytes, which may overlap.
#[inline]
fn have_same_ends<const N: usize>(one: &[u8], other: &[u8]) -> bool {
    one.first_chunk::<N>() == other.first_chunk() && one.last_chunk::<N>() == other.last_chunk()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wherever they differ, and whether the cell has room for them or not.
    #[test]
    fn a_cell_has_its_key_and_no_other() {
        for len in 0..2 * INLINE {
            let text: String = ('!'..='z').cycle().take(len + 1).collect();
            for namespace_len in [0, len / 3, len] {
                let key = |text: &str| {
                    let (namespace, name) = text.split_at(namespace_len);
                    (namespace.to_owned(), name.to_owned())
                };
                let (namespace, name) = key(&text);
                let mut cell = Cell::new();
                let cell = &raw mut cell;
                // SAFETY: this is all that accesses the cell.
                unsafe {
                    Cell::begin(cell, (&*namespace, &*name).into());
                    assert!(Cell::has(cell, (&*namespace, &*name).into()));
                    assert!(Cell::key(cell) == (&*namespace, &*name).into());
                    for at in 0..text.len() {
                        let mut other = text.clone();
                        other.replace_range(at..=at, "~");
                        let (namespace, name) = key(&other);
                        assert!(!Cell::has(cell, (&*namespace, &*name).into()), "{at} of {text}");
                    }
                    Cell::end(cell);
                }
            }
        }
    }
}
