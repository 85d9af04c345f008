//! Decoding JSON into typed objects, fast and compact.

use std::cell::RefCell;

use serde::de::DeserializeOwned;
use simd_json::{Buffers, Node};

use super::managed;

/// An object larger than this leaves no working memory behind.
const KEPT: usize = 1 << 20;

/// How deep an object may be nested to be decoded without another look. `serde_json` refuses what is
/// nested deeper, unless it need not decode that part.
const DEEPEST: usize = 127;

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
///
/// Managed fields are left out before anything of them is decoded, unless they are kept.
pub(super) fn from_str<K: DeserializeOwned>(
    json: &str,
    managed_fields: bool,
) -> Result<K, serde_json::Error> {
    fast(json, managed_fields).map_or_else(
        || match managed_fields {
            true => serde_json::from_str(json),
            false => serde_json::from_str(&managed::without(json)),
        },
        Ok,
    )
}

fn fast<K: DeserializeOwned>(json: &str, managed_fields: bool) -> Option<K> {
    // It takes a zero byte for a space (found by fuzzing), and there is none in JSON.
    if memchr::memchr(0, json.as_bytes()).is_some() {
        return None;
    }
    let decode = |scratch: &RefCell<Scratch>| {
        // Taken already where an object decodes another one within itself.
        let mut scratch = scratch.try_borrow_mut().ok()?;
        let Scratch { text, buffers } = &mut *scratch;
        // It unescapes in place.
        text.clear();
        text.extend_from_slice(json.as_bytes());
        let mut tape = simd_json::to_tape_with_buffers(text, buffers).ok();
        if let Some(tape) = &mut tape
            && !managed_fields
        {
            managed::off_tape(&mut tape.0);
        }
        // It decodes by recursion without a limit, and content must not overflow the stack.
        let object = tape.filter(|tape| !is_deep(&tape.0)).and_then(|tape| tape.deserialize().ok());
        if text.capacity() > KEPT {
            *scratch = Scratch::default();
        }
        object
    };
    // A destructor may decode when the thread's own state is gone.
    SCRATCH.try_with(decode).ok().flatten()
}

/// Whether lists and objects are nested deeper than [`DEEPEST`]. Each tells how many of the nodes
/// after it lie within it.
fn is_deep(tape: &[Node<'_>]) -> bool {
    let mut ends = [0; DEEPEST];
    let mut depth = 0;
    for (at, node) in tape.iter().enumerate() {
        let (Node::Object { count, .. } | Node::Array { count, .. }) = node else { continue };
        while depth > 0 && ends[depth - 1] <= at {
            depth -= 1;
        }
        if depth == DEEPEST {
            return true;
        }
        ends[depth] = at + 1 + count;
        depth += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::Value;
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
        let odd: Odd = from_str(json, true).expect("serde_json takes both");
        assert_eq!((odd.raw.get(), odd.large), (r#"{"a":[1, 2]}"#, u128::MAX));
        let error = from_str::<Vec<u8>>("[1,", true).expect_err("cut");
        assert!(error.is_eof(), "{error}");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for bad in ["[1\0]", "[1]\0", "\0[1]", "[1] 2", "[01]", "[1,]"] {
            assert!(from_str::<Vec<u8>>(bad, true).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn escapes_and_large_objects_decode() {
        let long = "x".repeat(2 * KEPT);
        let list: Vec<String> =
            from_str(&format!(r#"["\u00e4\n","{long}"]"#), true).expect("valid");
        assert_eq!(list, ["\u{e4}\n", &long]);
    }

    fn lists(levels: usize) -> String {
        // What stands beside does not count.
        format!("[[[]],{}{}]", "[".repeat(levels - 1), "]".repeat(levels - 1))
    }

    fn objects(levels: usize) -> String {
        let (open, close) = (r#"{"b":{},"a":"#, "}");
        format!("{}{{}}{}", open.repeat(levels - 1), close.repeat(levels - 1))
    }

    #[test]
    fn what_is_nested_too_deep_is_refused_as_serde_json_refuses_it() {
        for levels in [3, 100, DEEPEST - 1, DEEPEST, DEEPEST + 1, 1_000, 100_000] {
            for json in [lists(levels), objects(levels)] {
                assert_eq!(fast::<Value>(&json, true).is_some(), levels <= DEEPEST, "{levels}");
                assert_eq!(from_str::<Value>(&json, true).is_ok(), levels <= DEEPEST, "{levels}");
            }
        }
    }

    #[test]
    fn what_nobody_decodes_may_be_as_deep_as_it_likes() {
        #[derive(Deserialize)]
        struct Flat {
            a: u8,
        }
        let json = format!(r#"{{"deep":{},"a":1}}"#, lists(100_000));
        assert_eq!(from_str::<Flat>(&json, true).expect("taken").a, 1);
    }

    #[test]
    fn managed_fields_are_left_out_whoever_decodes() {
        let large = u128::MAX;
        for rest in ["1".to_owned(), large.to_string()] {
            let json = format!(r#"{{"metadata":{{"managedFields":[{{"a":{{}}}}]}},"x":{rest}}}"#);
            #[derive(Deserialize)]
            struct Pruned {
                metadata: Value,
                x: u128,
            }
            let kept: Pruned = from_str(&json, true).expect("valid");
            assert_eq!(kept.metadata["managedFields"][0]["a"], serde_json::json!({}));
            let pruned: Pruned = from_str(&json, false).expect("valid");
            // An empty list would be an order to forget them, in an update.
            assert!(pruned.x.to_string() == rest && pruned.metadata.get("managedFields").is_none());
        }
    }
}
