use std::sync::Arc;

use loom::sync::{Condvar, Mutex};

/// The contract of `std::thread::park` and `unpark`: an unpark is kept for the next park.
///
/// Not loom's own, whose unpark also wakes a thread that waits for a lock.
#[derive(Clone, Debug)]
pub(crate) struct Parker(Arc<(Mutex<bool>, Condvar)>);

impl Parker {
    pub(crate) fn current() -> Self {
        Self(Arc::new((Mutex::new(false), Condvar::new())))
    }

    pub(crate) fn park(&self) {
        let (unparked, changed) = &*self.0;
        let mut unparked = unparked.lock().expect("not poisoned");
        while !*unparked {
            unparked = changed.wait(unparked).expect("not poisoned");
        }
        *unparked = false;
    }

    /// The time is over as soon as one looks.
    pub(crate) fn park_timeout(&self, _: std::time::Duration) {
        loom::thread::yield_now();
    }

    pub(crate) fn unpark(&self) {
        let (unparked, changed) = &*self.0;
        *unparked.lock().expect("not poisoned") = true;
        changed.notify_one();
    }
}
