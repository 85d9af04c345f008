//! A body in pieces into frames, each behind its length.

use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt};

use crate::reflector::SourceError;

/// A frame's length comes first, in as many bytes, the most significant one first.
const LENGTH: usize = 4;

/// The frames of each piece, without their lengths. A frame that lies within one piece of the body is
/// not copied.
///
/// A frame of more than `limit` bytes is an error, and the last item, before any of it is kept: it must
/// not fill the memory. So is one that is cut by the end of the body.
pub(super) fn split(
    body: impl Stream<Item = Result<Bytes, SourceError>> + Send + 'static,
    limit: usize,
) -> impl Stream<Item = Result<Vec<Bytes>, SourceError>> + Send {
    let state = Ok((Box::pin(body), Splitter { rest: BytesMut::new(), limit }));
    stream::unfold(Some(state), move |state| async move {
        let (mut body, mut splitter) = match state? {
            Ok(state) => state,
            Err(error) => return Some((Err(error), None)),
        };
        loop {
            let mut frames = Vec::new();
            let next = match body.next().await {
                Some(Ok(piece)) => splitter.frames(piece, &mut frames),
                Some(Err(error)) => Err(error),
                None if splitter.rest.is_empty() => return None,
                None => Err(SourceError::Protocol("the watch ends within a frame".to_owned())),
            };
            // What came before a failure is delivered before it.
            match next {
                Ok(()) if frames.is_empty() => {}
                Ok(()) => return Some((Ok(frames), Some(Ok((body, splitter))))),
                Err(error) if frames.is_empty() => return Some((Err(error), None)),
                Err(error) => return Some((Ok(frames), Some(Err(error)))),
            }
        }
    })
}

/// Keeps the beginning of a frame whose end has not come yet.
struct Splitter {
    rest: BytesMut,
    limit: usize,
}

impl Splitter {
    fn frames(&mut self, piece: Bytes, frames: &mut Vec<Bytes>) -> Result<(), SourceError> {
        let mut bytes = piece;
        if !self.rest.is_empty() {
            self.rest.extend_from_slice(&bytes);
            // What is not whole yet stays where it is, however many pieces it comes in.
            if self.whole(&self.rest)?.is_none() {
                return Ok(());
            }
            bytes = self.rest.split().freeze();
        }
        while let Some(length) = self.whole(&bytes)? {
            bytes.advance(LENGTH);
            frames.push(bytes.split_to(length));
        }
        self.rest.extend_from_slice(&bytes);
        Ok(())
    }

    /// The length of the frame that these bytes begin with, if all of it is there.
    fn whole(&self, bytes: &[u8]) -> Result<Option<usize>, SourceError> {
        let Some((length, rest)) = bytes.split_first_chunk::<LENGTH>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > self.limit {
            let limit = self.limit;
            let message = format!("a frame of the watch is longer than the limit of {limit} bytes");
            return Err(SourceError::Protocol(message));
        }
        Ok((rest.len() >= length).then_some(length))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    fn split_all(pieces: &[&[u8]], limit: usize) -> (Vec<Vec<u8>>, Option<String>) {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let all = split(stream::iter(pieces), limit).collect::<Vec<_>>();
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
