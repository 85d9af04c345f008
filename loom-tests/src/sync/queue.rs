use std::collections::VecDeque;

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering};

/// The contract of `crossbeam_queue::SegQueue` and no more: what is popped was pushed, and the push
/// is ordered before the pop. Who finds the queue empty is ordered behind the pops that emptied it,
/// but before nobody's push.
#[derive(Debug)]
pub(crate) struct SegQueue<T> {
    values: Mutex<VecDeque<T>>,
    len: AtomicUsize,
}

impl<T> SegQueue<T> {
    pub(crate) fn new() -> Self {
        Self { values: Mutex::new(VecDeque::new()), len: AtomicUsize::new(0) }
    }

    pub(crate) fn push(&self, value: T) {
        let mut values = self.values.lock().expect("not poisoned");
        values.push_back(value);
        self.len.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn pop(&self) -> Option<T> {
        if self.len() == 0 {
            return None;
        }
        let mut values = self.values.lock().expect("not poisoned");
        let value = values.pop_front()?;
        self.len.fetch_sub(1, Ordering::AcqRel);
        Some(value)
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
