//! JSON into a typed object, as fast and as small as it gets.

use std::cell::RefCell;

use serde::de::DeserializeOwned;
use simd_json::Buffers;

/// An object larger than this leaves no working memory behind.
const KEPT: usize = 1 << 20;

#[derive(Default)]
struct Scratch {
    text: Vec<u8>,
    buffers: Buffers,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Decodes by `simd-json`, which is faster, and knows how many elements a list has before it
/// decodes them, so that no `Vec` of an object is larger than its content: a Pod takes a seventh
/// less memory. Whatever it does not take `serde_json` decides on: a parser alone refuses nothing.
pub(super) fn from_str<K: DeserializeOwned>(json: &str) -> Result<K, serde_json::Error> {
    fast(json).map_or_else(|| serde_json::from_str(json), Ok)
}

fn fast<K: DeserializeOwned>(json: &str) -> Option<K> {
    // It takes a zero byte for a space (found by fuzzing), and there is none in JSON.
    if memchr::memchr(0, json.as_bytes()).is_some() {
        return None;
    }
    SCRATCH.with(|scratch| {
        // Taken already where an object decodes another one within itself.
        let mut scratch = scratch.try_borrow_mut().ok()?;
        let Scratch { text, buffers } = &mut *scratch;
        // It unescapes in place.
        text.clear();
        text.extend_from_slice(json.as_bytes());
        let object = simd_json::serde::from_slice_with_buffers(text, buffers).ok();
        if text.capacity() > KEPT {
            *scratch = Scratch::default();
        }
        object
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Deserialize)]
    struct Odd {
        raw: Box<RawValue>,
        large: u128,
    }

    #[test]
    fn what_the_fast_parser_refuses_is_decoded_all_the_same() {
        let json = r#"{"raw":{"a":[1, 2]},"large":340282366920938463463374607431768211455}"#;
        let odd: Odd = from_str(json).expect("serde_json takes both");
        assert_eq!((odd.raw.get(), odd.large), (r#"{"a":[1, 2]}"#, u128::MAX));
        let error = from_str::<Vec<u8>>("[1,").expect_err("cut");
        assert!(error.is_eof(), "{error}");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for bad in ["[1\0]", "[1]\0", "\0[1]", "[1] 2", "[01]", "[1,]"] {
            assert!(from_str::<Vec<u8>>(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn escapes_and_large_objects_decode() {
        let long = "x".repeat(2 * KEPT);
        let list: Vec<String> = from_str(&format!(r#"["\u00e4\n","{long}"]"#)).expect("valid");
        assert_eq!(list, ["\u{e4}\n", &long]);
    }
}
