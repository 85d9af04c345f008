//! The versions of all polls of the process.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The last one.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A version newer than any before it, of whichever [`Poll`](super::Poll): one may go on with the store of another,
/// and a merge compares those of several. It is the time in milliseconds, or past that, so that those of a program
/// that was started again go on after the ones that it had told a store elsewhere.
pub(super) fn next() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or_default();
    let next = |last: u64| now.max(last.saturating_add(1));
    // ORDERING: Relaxed: it guards nothing, and all changes of one variable have one order.
    match LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last))) {
        Ok(last) | Err(last) => next(last),
    }
}
