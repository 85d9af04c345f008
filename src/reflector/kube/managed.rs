//! An object without `metadata.managedFields`: often half of what an object takes to decode and to
//! keep, and of use to few.

use std::borrow::Cow;
use std::ops::Range;

use simd_json::Node;

use super::header::{Header, Metadata, range_of};

/// The text without them: an update that names none leaves the server's as they are, but an empty list
/// would clear them.
pub(super) fn without(json: &str) -> Cow<'_, str> {
    let places = places(&Header::of(json).metadata.unwrap_or_default(), json);
    if places.is_empty() { json.into() } else { cut(json, &places).into() }
}

/// Where they lie in a text, in order, each with its name and with one of the commas around it.
pub(super) fn places(metadata: &Metadata<'_>, json: &str) -> Vec<Range<usize>> {
    let mut places: Vec<Range<usize>> = Vec::with_capacity(metadata.managed_fields.len());
    for fields in &metadata.managed_fields {
        let gone = places.last().map_or(0, |place| place.end);
        places.extend(member(json, &range_of(fields.get(), json), gone));
    }
    places
}

/// Where the member of an object lies that has its value here. What comes before `gone` is taken for
/// nothing.
fn member(json: &str, value: &Range<usize>, gone: usize) -> Option<Range<usize>> {
    let name = json.get(..value.start)?.trim_ascii_end().strip_suffix(':')?.trim_ascii_end();
    // A name that reads as this one has no quotes within it.
    let start = name.strip_suffix('"')?.rfind('"')?;
    let before = json.get(gone..start)?.trim_ascii_end();
    if before.ends_with(',') {
        return Some(gone + before.len() - 1..value.end);
    }
    let after = json.get(value.end..)?.trim_ascii_start();
    let comma = after.strip_prefix(',').map(|rest| json.len() - rest.len());
    Some(start..comma.unwrap_or(value.end))
}

/// The text without what lies in these places.
pub(super) fn cut(json: &str, places: &[Range<usize>]) -> String {
    let gone: usize = places.iter().map(ExactSizeIterator::len).sum();
    let mut text = String::with_capacity(json.len() - gone);
    let mut end = 0;
    for place in places {
        // They were found in this very text.
        text.push_str(json.get(end..place.start).unwrap_or_default());
        end = place.end;
    }
    text.push_str(json.get(end..).unwrap_or_default());
    text
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

    fn off_the_tape(json: &str) -> Value {
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
                r#"{"metadata":{"managedFields":[1],"a":1,"managedFields":[2],"b":2,"managedFields":[3]}}"#,
                r#"{"metadata":{"a":1,"b":2}}"#,
            ),
            (
                r#"{"metadata":{"managedFields":[1],"managedFields":[2],"managedFields":[3]}}"#,
                r#"{"metadata":{}}"#,
            ),
            (
                r#"{"metadata":{"a":"x,","managedFields":"y,","managedFields":"z","b":[]}}"#,
                r#"{"metadata":{"a":"x,","b":[]}}"#,
            ),
            (
                r#"{"metadata":{"managedFields":[1]},"metadata":{"managedFields":[2],"b":2}}"#,
                r#"{"metadata":{"b":2}}"#,
            ),
            (r#"{"metadata":[]}"#, r#"{"metadata":[]}"#),
            ("[]", "[]"),
            ("1", "1"),
        ] {
            for space in ["", " ", "\n\t"] {
                let spaced = |json: &str| {
                    let json = json.replace(':', &format!("{space}:{space}"));
                    json.replace("\",\"", &format!("\"{space},{space}\""))
                };
                let (json, expected) = (spaced(json), spaced(expected));
                let expected: Value = serde_json::from_str(&expected).expect("JSON");
                assert_eq!(off_the_tape(&json), expected, "{json}");
                let text: Value = serde_json::from_str(&without(&json)).expect("JSON");
                assert_eq!(text, expected, "{json}");
            }
        }
    }

    #[test]
    fn a_text_is_the_same_before_and_after_them() {
        let json = r#"{"metadata":{"managedFields":[{"a":1}] , "name" : "a"}, "x":1}"#;
        assert_eq!(without(json), r#"{"metadata":{ "name" : "a"}, "x":1}"#);
        for unchanged in [r#"{"metadata":{"name":"a"}}"#, "{}", "no JSON"] {
            assert!(matches!(without(unchanged), Cow::Borrowed(text) if text == unchanged));
        }
    }
}
