//! The thread that queues keys when they are due.
//!
//! A queue starts it with its first delay and ends it when the queue is dropped; a queue that never
//! delays a key has none. It sleeps until the earliest moment, or indefinitely if there is none.

use std::io;
use std::sync::Weak;
use std::thread::{self, Thread};

use super::clock::Tick;
use crate::sync::{Mutex, PoisonError};

pub(crate) struct Timer {
    queue: Weak<dyn Tick>,
    thread: Mutex<Option<Thread>>,
}

impl Timer {
    pub(crate) fn new(queue: Weak<dyn Tick>) -> Self {
        Self { queue, thread: Mutex::new(None) }
    }

    /// Call when the earliest moment has moved forward. An unpark is kept for a thread that is just about
    /// to park, so none is lost.
    ///
    /// If the system refuses the thread, the next call tries again, and so does the next key that is due
    /// before all others. Until then a key is queued by the first consumer that asks for one once it is
    /// due.
    pub(crate) fn wake(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            *thread = start(Weak::clone(&self.queue)).ok();
        }
        if let Some(thread) = &*thread {
            thread.unpark();
        }
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

fn start(queue: Weak<dyn Tick>) -> io::Result<Thread> {
    let serve = move || {
        while let Some(queue) = queue.upgrade() {
            let wait = queue.tick();
            // While this holds the queue it cannot be dropped, and its end would go unnoticed.
            drop(queue);
            match wait {
                Some(wait) => thread::park_timeout(wait),
                None => thread::park(),
            }
        }
    };
    let handle = thread::Builder::new().name("watchcache-delays".into()).spawn(serve)?;
    Ok(handle.thread().clone())
}
