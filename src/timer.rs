//! The thread that does what is due: it queues keys, and forgets what a store assumes.
//!
//! Its owner starts it with the first moment that is to come, and it ends when the owner is gone; where
//! nothing is ever due there is none. It sleeps until the earliest moment, or without end if there is none.

use std::io;
use std::sync::Weak;
use std::thread::{self, Thread};
use std::time::Duration;

use crate::panic::contain;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, PoisonError};

/// For how long it leaves alone what it could not do, as user code panicked.
const PAUSE: Duration = Duration::from_secs(1);

/// Whoever has something to do when time has passed.
pub(crate) trait Tick: Send + Sync {
    /// Does what is due; for how long there is nothing more to do, if that is known. If it panics, what is due
    /// is tried again, a little later.
    fn tick(&self) -> Option<Duration>;
}

pub(crate) struct Timer {
    owner: Weak<dyn Tick>,
    thread: Mutex<Option<Thread>>,
    /// Whether the system had no thread to give when it was last asked. Written under the lock.
    refused: AtomicBool,
}

impl Timer {
    pub(crate) fn new(owner: Weak<dyn Tick>) -> Self {
        Self { owner, thread: Mutex::new(None), refused: AtomicBool::new(false) }
    }

    /// Call when the earliest moment has moved forward. An unpark is kept for a thread that is just about
    /// to park, so none is lost.
    ///
    /// Returns whether there is a thread. Where the system has none to give, the next call tries again; until then
    /// it is for the owner to do what is due.
    pub(crate) fn wake(&self) -> bool {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            *thread = start(Weak::clone(&self.owner)).ok();
            // ORDERING: Relaxed: whoever has to see it is told so afterwards, or sees what it would be told for
            // (the fences of the list of waiters).
            self.refused.store(thread.is_none(), Ordering::Relaxed);
        }
        thread.as_ref().inspect(|thread| thread.unpark()).is_some()
    }

    /// Returns whether nobody does what is due, as far as is known.
    pub(crate) fn is_refused(&self) -> bool {
        // ORDERING: Relaxed, as in `wake`.
        self.refused.load(Ordering::Relaxed)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = &*thread {
            thread.unpark();
        }
    }
}

fn start(owner: Weak<dyn Tick>) -> io::Result<Thread> {
    let serve = move || {
        while let Some(owner) = owner.upgrade() {
            let wait = contain(|| owner.tick()).unwrap_or(Some(PAUSE));
            // While we hold the owner it cannot be dropped, and its end would not be noticed.
            drop(owner);
            match wait {
                Some(wait) => thread::park_timeout(wait),
                None => thread::park(),
            }
        }
    };
    let handle = thread::Builder::new().name("watchcache-delays".into()).spawn(serve)?;
    Ok(handle.thread().clone())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Panics the first time.
    struct Fails(Mutex<Option<()>>, Sender<()>);

    impl Tick for Fails {
        fn tick(&self) -> Option<Duration> {
            let first = self.0.lock().expect("nobody panics with it").take();
            assert!(first.is_none(), "user code");
            self.1.send(()).ok();
            None
        }
    }

    #[test]
    fn what_is_due_is_done_though_user_code_panicked_at_first() {
        let (told, tells) = channel();
        let owner = Arc::new(Fails(Mutex::new(Some(())), told));
        let weak: Weak<dyn Tick> = Arc::downgrade(&owner) as _;
        Timer::new(weak).wake();
        assert_eq!(tells.recv_timeout(Duration::from_secs(60)), Ok(()));
    }
}
