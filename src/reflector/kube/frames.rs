//! A body in pieces into frames, each behind its length.

use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt};

use super::accept::begins_as_json;
use super::protobuf::MAGIC;
use super::unexpected::{self, FAILURE_LIMIT};
use crate::reflector::SourceError;

/// A frame's length comes first, in as many bytes, the most significant one first.
const LENGTH: usize = 4;

/// The frames of each piece, without their lengths. Only a frame that comes in several pieces is copied.
///
/// A frame of more than `limit` bytes is an error, and the last item, before any of it is kept: it must
/// not fill the memory. So is one that is cut by the end of the body. Where no length comes, but what
/// some other answer begins with, that answer is the error.
///
/// Of JSON it says so by `json`: the next watch can be asked for in that.
pub(super) fn split(
    body: impl Stream<Item = Result<Bytes, SourceError>> + Send + 'static,
    limit: usize,
    json: impl FnOnce() + Send + 'static,
) -> impl Stream<Item = Result<Vec<Bytes>, SourceError>> + Send {
    let splitter = Splitter { rest: BytesMut::new(), limit };
    let state = Some((Box::pin(body.fuse()), splitter, json));
    stream::unfold(state, |state| async move {
        let (mut body, mut splitter, json) = state?;
        // What came before a failure was delivered before it.
        while !splitter.is_too_long() {
            let mut frames = Vec::new();
            match body.next().await {
                Some(Ok(piece)) => splitter.frames(piece, &mut frames),
                Some(Err(error)) => return Some((Err(error), None)),
                None if splitter.rest.is_empty() => return None,
                None => break,
            }
            if !frames.is_empty() {
                return Some((Ok(frames), Some((body, splitter, json))));
            }
        }
        if begins_as_json(&splitter.rest) {
            json();
        }
        Some((Err(splitter.failure(body).await), None))
    })
}

/// Keeps the beginning of a frame whose end has not come yet.
struct Splitter {
    rest: BytesMut,
    limit: usize,
}

impl Splitter {
    fn frames(&mut self, mut piece: Bytes, frames: &mut Vec<Bytes>) {
        if !self.rest.is_empty() {
            // Of a frame that came in several pieces, and of none that lies within this one, the bytes are
            // copied; and where it is too long, all of them, for who tells what it is.
            while let missing @ 1.. = self.missing(&piece) {
                self.rest.extend_from_slice(&piece.split_to(missing));
            }
            let Some(length) = self.whole(&self.rest) else { return };
            self.rest.advance(LENGTH);
            frames.push(self.rest.split_to(length).freeze());
        }
        while let Some(length) = self.whole(&piece) {
            piece.advance(LENGTH);
            frames.push(piece.split_to(length));
        }
        self.rest.extend_from_slice(&piece);
    }

    /// How many of these bytes belong to the frame that is not whole yet: first to its length.
    fn missing(&self, piece: &[u8]) -> usize {
        let wanted = match self.rest.first_chunk::<LENGTH>() {
            None => LENGTH,
            Some(_) if self.is_too_long() => usize::MAX,
            Some(length) => LENGTH.saturating_add(u32::from_be_bytes(*length) as usize),
        };
        piece.len().min(wanted - self.rest.len())
    }

    /// The length of the frame that these bytes begin with, if all of it is there.
    fn whole(&self, bytes: &[u8]) -> Option<usize> {
        let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
        let length = u32::from_be_bytes(*length) as usize;
        (length <= self.limit && rest.len() >= length).then_some(length)
    }

    /// Whether what is left begins with a length above the limit: nothing after it is a frame.
    fn is_too_long(&self) -> bool {
        let length = self.rest.first_chunk::<LENGTH>();
        length.is_some_and(|length| u32::from_be_bytes(*length) as usize > self.limit)
    }

    /// What is wrong with what is left and with the rest of the body, of which no more is read than
    /// tells what it is.
    async fn failure(
        mut self,
        mut body: impl Stream<Item = Result<Bytes, SourceError>> + Unpin,
    ) -> SourceError {
        if self.is_no_length() {
            let read = async {
                while self.rest.len() < FAILURE_LIMIT
                    && let Some(Ok(piece)) = body.next().await
                {
                    self.rest.extend_from_slice(&piece);
                }
            };
            let _ = tokio::time::timeout(unexpected::TEXT_LIMIT, read).await;
            self.rest.truncate(FAILURE_LIMIT);
            return unexpected::failure_of(&self.rest, "an event");
        }
        let limit = self.limit;
        SourceError::Protocol(match self.is_too_long() {
            true => format!("a frame of the watch is longer than the limit of {limit} bytes"),
            false => "the watch ends within a frame".to_owned(),
        })
    }

    /// Whether text is where a length should be, or what an object by itself begins with: as a length it
    /// would be one of more than a hundred megabytes.
    fn is_no_length(&self) -> bool {
        let first = self.rest.get(..LENGTH).unwrap_or(&self.rest);
        let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
        first == MAGIC || first.starts_with(BYTE_ORDER_MARK) || first.iter().all(is_text)
    }
}

/// What some texts in UTF-8 begin with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    fn split_all(pieces: &[&[u8]], limit: usize) -> (Vec<Vec<u8>>, Option<String>) {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let all = split(stream::iter(pieces), limit, || ()).collect::<Vec<_>>();
        let (mut frames, mut error) = (Vec::new(), None);
        for found in all.now_or_never().expect("nothing to wait for") {
            assert!(error.is_none(), "something follows a failure");
            match found {
                Ok(found) => frames.extend(found.into_iter().map(Vec::from)),
                Err(failure) => error = Some(failure.to_string()),
            }
        }
        (frames, error)
    }

    fn framed(frames: &[Vec<u8>]) -> Vec<u8> {
        let frame = |frame: &Vec<u8>| [&(frame.len() as u32).to_be_bytes()[..], frame].concat();
        frames.iter().flat_map(frame).collect()
    }

    #[test]
    fn a_frame_has_a_limit_and_what_came_before_it_is_delivered() {
        let body = framed(&[vec![1; 8], vec![2; 9]]);
        for cut in 0..body.len() {
            let (frames, error) = split_all(&[&body[..cut], &body[cut..]], 8);
            assert_eq!(frames, [vec![1; 8]]);
            assert!(error.is_some_and(|error| error.contains("limit of 8 bytes")));
        }
        assert_eq!(split_all(&[&body], 9).1, None);
        // Of what is announced nothing is reserved.
        let (_, error) = split_all(&[&u32::MAX.to_be_bytes()], u32::MAX as usize - 1);
        assert!(error.is_some_and(|error| error.contains("limit")));
    }

    /// A server may keep the connection of an answer that is none.
    #[tokio::test(start_paused = true)]
    async fn what_an_answer_is_does_not_wait_for_its_end() {
        let page = Bytes::from_static(b"<html><title>Sign in</title>");
        let body = stream::iter([Ok(page)]).chain(stream::pending());
        let all = split(body, 1 << 20, || ()).collect::<Vec<_>>();
        let all = tokio::time::timeout(std::time::Duration::from_secs(3), all).await;
        let [Err(error)] = &all.expect("it does not wait")[..] else { panic!("no failure") };
        assert!(error.to_string().contains("Sign in"), "{error}");
    }

    #[test]
    fn a_frame_within_one_piece_is_not_copied() {
        let body = Bytes::from(framed(&[vec![1; 9], vec![2; 9], vec![3; 9]]));
        let is_part = |frame: &Bytes| body.as_ptr_range().contains(&frame.as_ptr());
        for cut in 1..body.len() {
            let pieces = [Ok(body.slice(..cut)), Ok(body.slice(cut..))];
            let found = split(stream::iter(pieces), 9, || ()).collect::<Vec<_>>().now_or_never();
            let frames = found.expect("nothing to wait for").into_iter().flatten().flatten();
            let copied: Vec<_> = frames.map(|frame| !is_part(&frame)).collect();
            let expected: Vec<_> =
                (0..3).map(|n| (13 * n + 1..13 * (n + 1)).contains(&cut)).collect();
            assert_eq!(copied, expected, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_cut_is_a_failure() {
        let body = framed(&[vec![1; 3], vec![2; 3]]);
        for cut in 1..body.len() {
            let (frames, error) = split_all(&[&body[..cut]], 8);
            assert_eq!(frames.len(), cut / 7);
            assert_eq!(error.is_some(), cut % 7 != 0, "{cut}: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn frames_do_not_depend_on_the_pieces(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..8),
            cuts in prop::collection::vec(0usize..200, 0..8),
        ) {
            let body = framed(&frames);
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]).collect();
            prop_assert_eq!(split_all(&pieces, 20), (frames, None));
        }
    }
}
