//! Turning bytes that are not quite JSON text into text.

use std::borrow::Cow;

/// Text, and where something in it was put in the place of what no JSON text may hold.
#[derive(Debug)]
pub(super) struct Mended<'a> {
    pub(super) text: Cow<'a, str>,
    /// In order.
    replaced: Vec<usize>,
}

impl<'a> Mended<'a> {
    /// Text that needs no mending.
    pub(super) fn unchanged(text: impl Into<Cow<'a, str>>) -> Self {
        Self { text: text.into(), replaced: Vec::new() }
    }

    /// The bytes as text, with U+FFFD for each sequence that is not UTF-8, and for each control
    /// character within a string. Nothing else changes, so values end where they did.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(bytes.len());
        let mut replaced = Vec::new();
        let mut replace = |text: &mut String| {
            replaced.push(text.len());
            text.push(char::REPLACEMENT_CHARACTER);
        };
        let (mut in_string, mut escaped) = (false, false);
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                if in_string && c < ' ' {
                    replace(&mut text);
                    continue;
                }
                text.push(c);
                (in_string, escaped) = match c {
                    _ if escaped => (in_string, false),
                    '\\' => (in_string, in_string),
                    '"' => (!in_string, false),
                    _ => (in_string, false),
                };
            }
            if !chunk.invalid().is_empty() {
                replace(&mut text);
                escaped = false;
            }
        }
        Self { text: text.into(), replaced }
    }

    /// How many places were replaced in all.
    pub(super) fn replaced(&self) -> usize {
        self.replaced.len()
    }

    /// How many places were replaced within a part of the text.
    pub(super) fn replaced_in(&self, part: &std::ops::Range<usize>) -> usize {
        let before = |place: usize| self.replaced.partition_point(|at| *at < place);
        before(part.end) - before(part.start)
    }
}

/// What is wrong with an object in which something was replaced.
pub(super) const NO_TEXT: &str =
    "it holds bytes that are not UTF-8, or control characters within a string";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_replaced_and_marked() {
        let mended = Mended::of(b"{\n\"a\":\"caf\xe9\",\"b\":\"\\\"\x01\n\",\"c\":\"\xf0\x9f\"}");
        assert_eq!(
            mended.text,
            "{\n\"a\":\"caf\u{fffd}\",\"b\":\"\\\"\u{fffd}\u{fffd}\",\"c\":\"\u{fffd}\"}"
        );
        assert_eq!(mended.replaced(), 4);
        let end_of_a = mended.text.find(",\"b\"").expect("there");
        assert_eq!(mended.replaced_in(&(0..end_of_a)), 1);
        assert_eq!(mended.replaced_in(&(end_of_a..mended.text.len())), 3);
    }

    #[test]
    fn what_is_text_stays() {
        for text in ["", "{ \"a\\\\\": \"\u{e4}\u{7f}\" }\r\n", "\"\\\"\t"] {
            let mended = Mended::of(text.as_bytes());
            let changed = text.ends_with('\t');
            assert_eq!(
                (mended.text == text, mended.replaced() > 0),
                (!changed, changed),
                "{text:?}"
            );
        }
    }
}
