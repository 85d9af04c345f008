//! Text, packed: the objects of a resource resemble each other, and most of each has been said before
//! by the first of them.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use lz4_flex::block::{
    compress_into_with_dict, decompress_into_with_dict, get_maximum_output_size,
};

thread_local! {
    /// Where texts are packed. What is kept is copied out in its own size: shrunk in place, each of thousands of
    /// small texts would leave a hole beside it that hardly anything fits, a third of all memory together.
    static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What the objects of one resource are packed against: the first one's text.
/// A clone is the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dictionary(Arc<OnceLock<Arc<[u8]>>>);

/// A text in a fraction of its size.
#[derive(Debug)]
pub(super) struct Packed {
    dictionary: Arc<[u8]>,
    len: u32,
    bytes: Box<[u8]>,
}

impl Dictionary {
    pub(super) fn pack(&self, text: &[u8]) -> Packed {
        let dictionary = Arc::clone(self.0.get_or_init(|| text.into()));
        let bytes = ROOM.with_borrow_mut(|room| {
            room.resize(room.len().max(get_maximum_output_size(text.len())), 0);
            let len = compress_into_with_dict(text, room, &dictionary).expect("there is room");
            Box::from(&room[..len])
        });
        // Requests are bounded far below what does not fit.
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        Packed { dictionary, len, bytes }
    }
}

impl Packed {
    /// The length of the text.
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// How much memory it takes beside the dictionary, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether it is the same text: packing depends on nothing but that and the dictionary.
    pub(super) fn is(&self, other: &Packed) -> bool {
        Arc::ptr_eq(&self.dictionary, &other.dictionary) && self.bytes == other.bytes
    }

    /// Shows the text where texts are packed.
    pub(super) fn with<R>(&self, show: impl FnOnce(&[u8]) -> R) -> R {
        ROOM.with_borrow_mut(|room| {
            room.resize(room.len().max(self.len()), 0);
            let text = &mut room[..self.len()];
            let unpacked = decompress_into_with_dict(&self.bytes, text, &self.dictionary);
            debug_assert_eq!(unpacked.ok(), Some(self.len()), "it was packed here");
            show(text)
        })
    }

    /// Writes the text.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + self.len(), 0);
        let unpacked = decompress_into_with_dict(&self.bytes, &mut out[start..], &self.dictionary);
        debug_assert_eq!(unpacked.ok(), Some(self.len()), "it was packed here");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back() {
        let dictionary = Dictionary::default();
        let first = "a text that says \"resourceVersion\" and much more. ".repeat(40);
        for (text, most) in [
            (first.clone(), 100),
            (first.replace("much", "little"), 1_000),
            (String::new(), 10),
            ("unlike".to_owned(), 20),
        ] {
            let packed = dictionary.pack(text.as_bytes());
            let mut out = b"before".to_vec();
            packed.write(&mut out);
            assert_eq!(out, ["before", &text].concat().into_bytes());
            assert!(packed.bytes() <= most, "{} bytes of {}", packed.bytes(), text.len());
            assert!(packed.is(&dictionary.pack(text.as_bytes())));
        }
    }
}
