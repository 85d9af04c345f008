//! Combining writers: the thread with the right to write also does the waiting writes, and publishes
//! once.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::Store;
use super::write::Writing;
use crate::Object;
use crate::sync::{Arc, Mutex, PoisonError};

/// A waiting write. It does not panic: a panic is passed to its caller.
pub(super) type Waiting<T> = Box<dyn FnOnce(&mut Writing<'_, T>) + Send>;

/// How many writes one thread does for others before it is done with its own.
const AT_ONCE: usize = 64;

impl<T: Object> Store<T> {
    /// Runs a write, and those that wait, and publishes them together.
    pub(super) fn run<R>(
        &self,
        mut writing: Writing<'_, T>,
        op: impl FnOnce(&mut Writing<'_, T>) -> R,
    ) -> R {
        let result = op(&mut writing);
        self.finish(writing);
        result
    }

    /// Runs the waiting writes, and publishes them with what was written so far.
    pub(super) fn finish(&self, mut writing: Writing<'_, T>) {
        self.run_waiting(&mut writing);
        writing.publish();
    }

    /// Leaves a write to the next writer: this thread, unless another one comes first.
    pub(super) fn combine<R: Send + 'static>(
        &self,
        op: impl FnOnce(&mut Writing<'_, T>) -> R + Send + 'static,
    ) -> R {
        let reply = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&reply);
        self.waiting.push(Box::new(move |writing| {
            // What was written before a panic is whole, and is published.
            let result = catch_unwind(AssertUnwindSafe(|| op(writing)));
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }));
        let mut writing = self.writing();
        let result = loop {
            // The thread that ran the write had the lock, and published before releasing it.
            if let Some(result) = reply.lock().unwrap_or_else(PoisonError::into_inner).take() {
                break result;
            }
            self.run_waiting(&mut writing);
            writing.publish();
        };
        drop(writing);
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    pub(super) fn run_waiting(&self, writing: &mut Writing<'_, T>) {
        for _ in 0..AT_ONCE {
            // Asking an empty queue costs a fence.
            if self.waiting.is_empty() {
                break;
            }
            let Some(op) = self.waiting.pop() else { break };
            op(writing);
        }
    }

    pub(super) fn writing(&self) -> Writing<'_, T> {
        Writing::new(self.engine.write(), &self.feed, &self.assumed)
    }

    pub(super) fn try_writing(&self) -> Option<Writing<'_, T>> {
        let guard = self.engine.try_write()?;
        Some(Writing::new(guard, &self.feed, &self.assumed))
    }
}
