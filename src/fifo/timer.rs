//! The thread that puts keys in line when their time has come.
//!
//! A queue starts it with its first delay and ends it when the queue is gone; a queue that never
//! delays a key has none. It sleeps until the earliest moment, or without end if there is none.

use std::thread::{self, Thread};

use super::clock::Moment;
use super::core::WeakCore;
use crate::Object;
use crate::sync::OnceLock;

pub(super) struct Timer {
    thread: OnceLock<Thread>,
}

impl Timer {
    pub(super) const fn new() -> Self {
        Self { thread: OnceLock::new() }
    }

    /// To be called when the earliest moment has come nearer. An unpark is kept for a thread that is
    /// just about to park, so none is lost.
    pub(super) fn wake<T: Object>(&self, core: impl FnOnce() -> WeakCore<T>) {
        self.thread.get_or_init(|| start(core())).unpark();
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// # Panics
/// If the system cannot start a thread, as `std::thread::spawn` does.
fn start<T: Object>(core: WeakCore<T>) -> Thread {
    let serve = move || {
        while let Some(core) = core.upgrade() {
            core.promote_due();
            let next = core.next_due();
            let wait = core.clock().until(next);
            // While we hold the queue it cannot be dropped, and its end would not be noticed.
            drop(core);
            match wait {
                Some(wait) if next != Moment::NEVER => thread::park_timeout(wait),
                _ => thread::park(),
            }
        }
    };
    let named = thread::Builder::new().name("watchcache-delays".into()).spawn(serve);
    named.expect("the system can start a thread").thread().clone()
}
