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
    rest: BytesMut,
    /// How deep the end of `rest` lies in an object.
    nesting: Nesting,
}

impl Splitter {
    fn lines(&mut self, mut piece: Bytes) -> Vec<Bytes> {
        let mut lines = Vec::new();
        while let Some(end) = memchr::memchr(b'\n', &piece) {
            let line = piece.split_to(end + 1);
            self.end_line(line, &mut lines);
        }
        while let Some(end) = self.nesting.end_of_object(&piece) {
            let line = piece.split_to(end);
            self.end_line(line, &mut lines);
        }
        self.rest.extend_from_slice(&piece);
        lines
    }

    fn end_line(&mut self, mut line: Bytes, lines: &mut Vec<Bytes>) {
        if !self.rest.is_empty() {
            self.rest.extend_from_slice(&line);
            line = self.rest.split().freeze();
        }
        self.nesting = Nesting::default();
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
