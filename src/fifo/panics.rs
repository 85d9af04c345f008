//! User code that panics.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::sync::Arc;

/// Runs a waker, an observer or a limiter: code of somebody who is not our caller. A panic has been
/// reported by the panic hook and goes no further; `None` stands for it.
pub(super) fn contain<R>(code: impl FnOnce() -> R) -> Option<R> {
    // What the code was about may be left half-changed, but that is its own affair; nothing of ours is
    // borrowed by it. The payload is leaked, since its destructor might panic, too.
    catch_unwind(AssertUnwindSafe(code)).map_err(std::mem::forget).ok()
}

/// Drops all values, also if a destructor panics. The first panic goes on to our caller.
#[cold]
pub(super) fn drop_all<T>(values: Vec<Arc<T>>) {
    let mut first = None;
    for value in values {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
            match first {
                None => first = Some(payload),
                Some(_) => std::mem::forget(payload),
            }
        }
    }
    match first {
        // A second panic while the thread unwinds would end the process.
        Some(payload) if std::thread::panicking() => std::mem::forget(payload),
        Some(payload) => resume_unwind(payload),
        None => {}
    }
}
