//! A queue in blocks: growing copies nothing, and shrinking returns the memory.

use std::collections::VecDeque;

/// Values of a chunk. The list of chunks is small enough to be copied.
const CHUNK: usize = 1024;

/// First in, first out, in chunks of their own: adding to a long queue costs what adding to a short one
/// does.
pub(super) struct Queue<T> {
    /// None but the last may be empty.
    chunks: VecDeque<VecDeque<T>>,
    /// An empty chunk, so that a queue that is added to as it is taken from allocates nothing.
    spare: VecDeque<T>,
    len: usize,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self { chunks: VecDeque::new(), spare: VecDeque::new(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(super) fn push_back(&mut self, value: T) {
        self.len += 1;
        match self.chunks.back_mut() {
            Some(last) if last.len() < CHUNK => last.push_back(value),
            _ => {
                let mut chunk = std::mem::take(&mut self.spare);
                chunk.push_back(value);
                self.chunks.push_back(chunk);
            }
        }
    }

    pub(super) fn front(&self) -> Option<&T> {
        self.chunks.front()?.front()
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut T> {
        self.chunks.front_mut()?.front_mut()
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<T> {
        let first = self.chunks.front_mut()?;
        let value = first.pop_front()?;
        self.len -= 1;
        // One stays, so that a queue of a few values allocates nothing.
        if first.is_empty() && self.chunks.len() > 1 {
            self.spare = self.chunks.pop_front().unwrap_or_default();
        }
        Some(value)
    }

    /// The value so many places behind the first, if it lies in the first chunk.
    pub(super) fn near_front(&self, places: usize) -> Option<&T> {
        self.chunks.front()?.get(places)
    }
}
