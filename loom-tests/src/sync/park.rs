use std::sync::Arc;

use loom::sync::{Condvar, Mutex};
use loom::thread::JoinHandle;

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

loom::lazy_static! {
    static ref SPAWNED: std::sync::Mutex<Vec<JoinHandle<()>>> = std::sync::Mutex::default();
}

pub(crate) fn spawn(_: &str, run: impl FnOnce(Parker) + Send + 'static) -> Option<Parker> {
    let parker = Parker::current();
    let own = parker.clone();
    let thread = loom::thread::spawn(move || run(own));
    SPAWNED.lock().expect("not poisoned").push(thread);
    Some(parker)
}

/// Waits for the threads that were started so far: a model has no `static` any more once it is over.
pub(crate) fn join_spawned() {
    let spawned = std::mem::take(&mut *SPAWNED.lock().expect("not poisoned"));
    for thread in spawned {
        thread.join().expect("it does not panic");
    }
}
