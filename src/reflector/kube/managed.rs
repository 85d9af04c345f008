//! An object without `metadata.managedFields`: often half of what an object takes to decode and to
//! keep, and of use to few.

use std::borrow::Cow;
use std::ops::Range;

use simd_json::Node;

use super::header::{Header, range_of};

/// What stands in their place in a text.
pub(super) const NONE: &str = "[]";

/// The text without them.
pub(super) fn without(json: &str) -> Cow<'_, str> {
    let header = Header::of(json);
    let fields = header.metadata.and_then(|metadata| metadata.managed_fields);
    match fields.map(|fields| range_of(fields.get(), json)) {
        Some(place) => cut(json, &place).into(),
        None => json.into(),
    }
}

/// The text with an empty list in this place.
pub(super) fn cut(json: &str, place: &Range<usize>) -> String {
    // It was found in this very text.
    let [before, after] = [json.get(..place.start), json.get(place.end..)];
    [before.unwrap_or_default(), NONE, after.unwrap_or_default()].concat()
}

/// Takes them off the tape of an object, so that nothing of them is decoded.
pub(super) fn off_tape(tape: &mut Vec<Node<'_>>) {
    let all: Vec<_> = members(tape, 0, "metadata")
        .flat_map(|metadata| members(tape, metadata, "managedFields").map(move |it| (metadata, it)))
        .collect();
    // From the last on, so that the places of the others stay.
    for (metadata, fields) in all.into_iter().rev() {
        // With its name, which is the node before.
        let member = fields - 1..after(tape, fields);
        shrink(tape, 0, 0, member.len());
        shrink(tape, metadata, 1, member.len());
        tape.drain(member);
    }
}

/// Where the values of this name lie in an object.
fn members(tape: &[Node<'_>], object: usize, name: &str) -> impl Iterator<Item = usize> {
    let mut left = match tape.get(object) {
        Some(Node::Object { len, .. }) => *len,
        _ => 0,
    };
    let mut at = object + 1;
    std::iter::from_fn(move || {
        while left > 0 {
            let value = at + 1;
            let found = matches!(tape.get(at), Some(Node::String(found)) if *found == name);
            (left, at) = (left - 1, after(tape, value));
            if found {
                return Some(value);
            }
        }
        None
    })
}

/// The node behind a value.
fn after(tape: &[Node<'_>], value: usize) -> usize {
    match tape.get(value) {
        Some(Node::Object { count, .. } | Node::Array { count, .. }) => value + 1 + count,
        _ => value + 1,
    }
}

fn shrink(tape: &mut [Node<'_>], object: usize, members: usize, nodes: usize) {
    if let Some(Node::Object { len, count }) = tape.get_mut(object) {
        *len -= members;
        *count -= nodes;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn pruned(json: &str) -> Value {
        let mut bytes = json.as_bytes().to_vec();
        let mut tape = simd_json::to_tape(&mut bytes).expect("JSON");
        off_tape(&mut tape.0);
        tape.deserialize().expect("an object")
    }

    #[test]
    fn they_are_gone_and_nothing_else_is() {
        for (json, expected) in [
            (
                r#"{"metadata":{"name":"a","managedFields":[{"a":[1]}]},"x":1}"#,
                r#"{"metadata":{"name":"a"},"x":1}"#,
            ),
            (
                r#"{"metadata":{"managedFields":null,"labels":{"a":"b"}}}"#,
                r#"{"metadata":{"labels":{"a":"b"}}}"#,
            ),
            (r#"{"metadata":{"managed\u0046ields":[[]]}}"#, r#"{"metadata":{}}"#),
            (
                r#"{"managedFields":1,"metadata":{"x":{"managedFields":2}},"spec":{"metadata":{"managedFields":3}}}"#,
                r#"{"managedFields":1,"metadata":{"x":{"managedFields":2}},"spec":{"metadata":{"managedFields":3}}}"#,
            ),
            (
                r#"{"metadata":{"managedFields":[1]},"metadata":{"managedFields":[2],"b":2,"managedFields":[3]}}"#,
                r#"{"metadata":{"b":2}}"#,
            ),
            (r#"{"metadata":[]}"#, r#"{"metadata":[]}"#),
            ("[]", "[]"),
            ("1", "1"),
        ] {
            let expected: Value = serde_json::from_str(expected).expect("JSON");
            assert_eq!(pruned(json), expected, "{json}");
        }
    }

    #[test]
    fn of_a_text_an_empty_list_is_left() {
        let json = r#"{"metadata":{"managedFields":[{"a":1}],"name":"a"}}"#;
        assert_eq!(without(json), r#"{"metadata":{"managedFields":[],"name":"a"}}"#);
        for unchanged in [r#"{"metadata":{"name":"a"}}"#, "{}", "no JSON"] {
            assert!(matches!(without(unchanged), Cow::Borrowed(text) if text == unchanged));
        }
    }
}
