//! Splitting a body that arrives in pieces into lines.

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt};

use crate::reflector::SourceError;

/// The lines of each piece, without their ends, empty ones left out. A line that lies within one
/// piece of the body is not copied.
///
/// A JSON object that is whole is a line of its own though no line end has come yet: a server may
/// write none. What is left when the body ends is a line too, so that it becomes an event or a
/// failure, and is never lost.
///
/// An object may span lines. One that does not end is a line by itself once the next event begins on a line of its
/// own, with its type. Until then it waits: when the watch falls silent, the next one brings again what was lost.
///
/// A line of more than `limit` bytes is an error, and the last item: it must not fill the memory.
pub(super) fn split(
    body: impl Stream<Item = Result<Bytes, SourceError>> + Send + 'static,
    limit: usize,
) -> impl Stream<Item = Result<Vec<Bytes>, SourceError>> + Send {
    let state = Some((Box::pin(body), Splitter::default()));
    stream::unfold(state, move |state| async move {
        let (mut body, mut splitter) = state?;
        loop {
            let lines = match body.next().await {
                Some(Ok(piece)) => splitter.lines(piece),
                Some(Err(error)) => return Some((Err(error), None)),
                None => {
                    let line = splitter.rest.split().freeze();
                    let line = line.slice_ref(line.trim_ascii());
                    return (!line.is_empty()).then(|| (Ok(vec![line]), None));
                }
            };
            let longest = lines.iter().map(Bytes::len).max().unwrap_or(0);
            if longest.max(splitter.rest.len()) > limit {
                let message =
                    format!("a line of the watch is longer than the limit of {limit} bytes");
                return Some((Err(SourceError::Protocol(message)), None));
            }
            if !lines.is_empty() {
                return Some((Ok(lines), Some((body, splitter))));
            }
        }
    })
}

/// Keeps the beginning of a line whose end has not come yet.
#[derive(Default)]
struct Splitter {
    /// Without the white space that it began with.
    rest: BytesMut,
    /// How deep the end of `rest` lies in an object.
    nesting: Nesting,
    /// Whether `rest` holds a line's end within an object.
    spans: bool,
    /// Where the last line in `rest` begins.
    line: usize,
}

/// How an event begins on a line of its own.
const EVENT: &[u8] = b"{\"type\":";

impl Splitter {
    fn lines(&mut self, mut piece: Bytes) -> Vec<Bytes> {
        let mut lines = Vec::new();
        while let Some(end) = memchr::memchr(b'\n', &piece) {
            let line = piece.split_to(end + 1);
            self.end_before_event(&line, &mut lines);
            if self.is_open_after(&line) {
                self.keep(&line);
                self.line = self.rest.len();
            } else {
                self.end_line(line, &mut lines);
            }
        }
        self.end_before_event(&piece, &mut lines);
        while let Some(end) = self.nesting.end_of_object(&piece) {
            let line = piece.split_to(end);
            self.end_line(line, &mut lines);
        }
        self.keep(&piece);
        lines
    }

    /// Ends what spans lines and does not end, if the last line begins as an event does, with `more`.
    fn end_before_event(&mut self, more: &[u8], lines: &mut Vec<Bytes>) {
        let begun = &self.rest[self.line..];
        let begun = &begun[..begun.len().min(EVENT.len())];
        let is_event = EVENT.strip_prefix(begun).is_some_and(|event| more.starts_with(event));
        if !self.spans || !is_event {
            return;
        }
        let event = self.rest.split_off(self.line);
        self.end_line(Bytes::new(), lines);
        let ends = self.nesting.end_of_object(&event);
        debug_assert_eq!(ends, None, "it would have been looked at when it came");
        self.rest = event;
    }

    /// Whether an object goes on after this line, as where servers write it for people to read. What begins and
    /// ends as an object does is taken for one without looking into it.
    ///
    /// Within an object this looks at no more than the line: there may be any number of them.
    fn is_open_after(&mut self, line: &[u8]) -> bool {
        if !self.spans {
            let text = line.trim_ascii();
            let begins = if self.rest.is_empty() { text } else { &self.rest };
            let ends = if text.is_empty() { self.rest.trim_ascii_end() } else { text };
            if !begins.starts_with(b"{") || ends.ends_with(b"}") {
                return false;
            }
        }
        self.spans = self.nesting.end_of_object(line).is_none() && self.nesting.depth > 0;
        self.spans
    }

    fn keep(&mut self, bytes: &[u8]) {
        let bytes = if self.rest.is_empty() { bytes.trim_ascii_start() } else { bytes };
        self.rest.extend_from_slice(bytes);
    }

    fn end_line(&mut self, mut line: Bytes, lines: &mut Vec<Bytes>) {
        if !self.rest.is_empty() {
            self.rest.extend_from_slice(&line);
            line = self.rest.split().freeze();
        }
        self.nesting = Nesting::default();
        self.spans = false;
        self.line = 0;
        let line = line.slice_ref(line.trim_ascii());
        if !line.is_empty() {
            lines.push(line);
        }
    }
}

/// Follows JSON from piece to piece.
#[derive(Default)]
struct Nesting {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    /// Where the outermost object ends, if it ends within `bytes`.
    fn end_of_object(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' if self.depth > 0 => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' => self.depth += 1,
                b'}' if self.depth > 0 => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    fn split_all(pieces: &[&[u8]], limit: usize) -> Vec<Result<Vec<Bytes>, SourceError>> {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let lines = split(stream::iter(pieces), limit).collect::<Vec<_>>();
        lines.now_or_never().expect("nothing to wait for")
    }

    fn lines(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let lines =
            split_all(pieces, usize::MAX).into_iter().flat_map(|lines| lines.expect("no failure"));
        lines.map(Vec::from).collect()
    }

    #[test]
    fn an_object_is_a_line_before_its_end_comes() {
        assert_eq!(
            lines(&[br#"{"a":"}{\""}{"b"#, br#"":{}} {"#]),
            [br#"{"a":"}{\""}"#.as_slice(), br#"{"b":{}}"#, b"{"]
        );
        assert_eq!(lines(&[b"{}", b"\n", b"{}\n"]), [b"{}", b"{}"]);
    }

    #[test]
    fn an_object_may_span_lines() {
        let pretty = b"{\n  \"a\": {\n    \"b\": \"}\"\n  }\n}\n";
        let whole = pretty.trim_ascii();
        let two = [&pretty[..], b"{\"c\":1}\n", &pretty[..]].concat();
        for cut in 0..two.len() {
            let lines = lines(&[&two[..cut], &two[cut..]]);
            assert_eq!(lines, [whole, b"{\"c\":1}", whole], "{cut}");
        }
        // Within a string, which is a fault of that object.
        assert_eq!(lines(&[b"{\"a\":\"x\ny\"}\n{}\n"]), [b"{\"a\":\"x\ny\"}".as_slice(), b"{}"]);
    }

    /// The lines of a body that comes whole, or is cut anywhere into up to three pieces, or into bytes.
    fn lines_of_all_cuts(body: &[u8]) -> Vec<Vec<u8>> {
        let whole = lines(&[body]);
        let bytes: Vec<_> = body.chunks(1).collect();
        assert_eq!(lines(&bytes), whole, "byte by byte");
        for second in 0..=body.len() {
            for first in 0..=second {
                let pieces = [&body[..first], &body[first..second], &body[second..]];
                assert_eq!(lines(&pieces), whole, "cut at {first} and {second}");
            }
        }
        whole
    }

    #[test]
    fn what_does_not_end_does_not_hide_the_events_after_it() {
        let event = br#"{"type":"ADDED","object":{}}"#;
        let torn = br#"{"type":"ADD"#;
        let body =
            [&torn[..], b"\n", event, b"\n", torn, b"\n", torn, b"\n", event, b"\n"].concat();
        let expected = [&torn[..], event, torn, torn, event];
        assert_eq!(lines_of_all_cuts(&body), expected);
    }

    #[test]
    fn an_event_after_what_does_not_end_needs_no_line_end() {
        let event = br#"{"type":"ADDED","object":{}}"#;
        let body = [b"{\"type\":\"ADD\n", &event[..]].concat();
        for cut in 0..body.len() {
            let mut splitter = Splitter::default();
            let mut lines = splitter.lines(Bytes::copy_from_slice(&body[..cut]));
            lines.extend(splitter.lines(Bytes::copy_from_slice(&body[cut..])));
            assert_eq!(lines, [b"{\"type\":\"ADD".as_slice(), event], "{cut}");
        }
    }

    #[test]
    fn where_an_object_begins_and_ends_does_not_depend_on_the_pieces() {
        let spans = lines_of_all_cuts(b" \n  {\n\"a\":1}\n{}\n");
        assert_eq!(spans, [b"{\n\"a\":1}".as_slice(), b"{}"]);
        // It looks like one that ends.
        let looks = lines_of_all_cuts(b"{\"a\":{}\n,\"b\":1}\n{}\n");
        assert_eq!(looks, [b"{\"a\":{}".as_slice(), b",\"b\":1}", b"{}"]);
    }

    /// It would take hours if each line looked at what came before it.
    #[test]
    fn a_line_within_an_object_costs_what_it_holds() {
        let mut body = vec![b' '; 16 << 20];
        body.extend_from_slice(b"{\n");
        body.resize(body.len() + 300_000, b'\n');
        body.extend_from_slice(b"}\n");
        let (spaces, object) = body.split_at(16 << 20);
        for pieces in [&[&body[..]][..], &[spaces, object]] {
            assert_eq!(lines(pieces).len(), 1);
        }
    }

    #[test]
    fn what_is_left_at_the_end_is_a_line() {
        assert_eq!(lines(&[b"a\nb", b"c"]), [b"a".as_slice(), b"bc"]);
        assert_eq!(lines(&[b"a\n", b" "]), [b"a"]);
    }

    #[test]
    fn a_line_has_a_limit_whole_or_not() {
        for pieces in [&[b"123456789\n".as_slice(), b"1\n"][..], &[b"12345", b"6789", b"\n"]] {
            let lines = split_all(pieces, 8);
            let Some(Err(error)) = lines.last() else { panic!("no error: {lines:?}") };
            assert!(error.to_string().contains("limit of 8 bytes"), "{error}");
        }
        assert!(split_all(&[b"12345678\n12345678\n"], 8).iter().all(Result::is_ok));
    }

    proptest! {
        /// However the body is cut into pieces, the lines hold the same. (Where one ends may
        /// differ: what stands behind an object is a line of its own if the object came first.)
        #[test]
        fn lines_do_not_depend_on_the_pieces(
            text in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'{'), Just(b'}'), Just(b'"'), any::<u8>()],
                0..200,
            ),
            cuts in proptest::collection::vec(0usize..200, 0..8),
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
            let held = lines(&pieces).concat();
            let dense = |text: &[u8]| -> Vec<u8> {
                text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
            };
            prop_assert_eq!(dense(&held), dense(&text));
        }
    }
}
