//! A body in pieces into lines.

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt};

use crate::reflector::SourceError;

/// The longest line, in bytes. An object in etcd has at most some megabytes; past this the other
/// side does not speak the protocol, and its line must not fill the memory.
const LONGEST: usize = 256 << 20;

/// The whole lines of each piece, without their ends, empty ones left out. A line that lies within
/// one piece of the body is not copied. What follows the last line end when the body ends is a line
/// that was cut, and left out too.
pub(super) fn split(
    body: impl Stream<Item = Result<Bytes, SourceError>> + Send + 'static,
) -> impl Stream<Item = Result<Vec<Bytes>, SourceError>> + Send {
    let state = (Box::pin(body), Splitter::default());
    stream::unfold(state, |(mut body, mut splitter)| async move {
        loop {
            match body.next().await? {
                Ok(piece) if splitter.rest.len() + piece.len() > LONGEST => {
                    let message = format!("a line of more than {LONGEST} bytes");
                    splitter = Splitter::default();
                    return Some((Err(SourceError::Protocol(message)), (body, splitter)));
                }
                Ok(piece) => {
                    let lines = splitter.lines(piece);
                    if !lines.is_empty() {
                        return Some((Ok(lines), (body, splitter)));
                    }
                }
                Err(error) => return Some((Err(error), (body, splitter))),
            }
        }
    })
}

/// Keeps the beginning of a line whose end has not come yet.
#[derive(Default)]
struct Splitter {
    rest: BytesMut,
}

impl Splitter {
    fn lines(&mut self, mut piece: Bytes) -> Vec<Bytes> {
        let mut lines = Vec::new();
        while let Some(end) = memchr::memchr(b'\n', &piece) {
            let mut line = piece.split_to(end + 1);
            if !self.rest.is_empty() {
                self.rest.extend_from_slice(&line);
                line = self.rest.split().freeze();
            }
            let line = line.slice_ref(line.trim_ascii());
            if !line.is_empty() {
                lines.push(line);
            }
        }
        self.rest.extend_from_slice(&piece);
        lines
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    fn lines(pieces: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let body = stream::iter(pieces.into_iter().map(|piece| Ok(Bytes::from(piece))));
        let lines = split(body).map(|lines| lines.expect("no failure")).concat();
        let lines = lines.now_or_never().expect("nothing to wait for");
        lines.into_iter().map(Vec::from).collect()
    }

    proptest! {
        /// However the body is cut into pieces, the lines are those of the whole.
        #[test]
        fn lines_do_not_depend_on_the_pieces(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
            cuts in proptest::collection::vec(0usize..200, 0..8),
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|cut| text[cut[0]..cut[1]].to_vec()).collect();
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &text[..end]);
            let expected: Vec<_> = whole
                .split(|byte| *byte == b'\n')
                .map(|line| line.trim_ascii().to_vec())
                .filter(|line| !line.is_empty())
                .collect();
            prop_assert_eq!(lines(pieces), expected);
        }
    }
}
