//! A test that hangs fails instead.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Far beyond what any test takes on a slow machine: a limit says that something never ends, not that
/// it was slow. A test whose steps must stay linear is sized so that quadratic ones pass this limit
/// many times over.
const LIMIT: Duration = Duration::from_secs(90);

/// What the limit is multiplied by, for sanitizers: `WATCHCACHE_PATIENCE=10`.
pub fn patience() -> u32 {
    std::env::var("WATCHCACHE_PATIENCE").map_or(1, |text| text.parse().expect("a whole number"))
}

/// A size, or a few under Miri, which takes some thousand times as long.
pub const fn sized(size: usize, under_miri: usize) -> usize {
    if cfg!(miri) { under_miri } else { size }
}

/// Runs a test on a thread of its own, and fails if it does not end. The thread is left behind then.
pub fn watched<R: Send + 'static>(test: impl FnOnce() -> R + Send + 'static) -> R {
    // Miri sees a deadlock itself, and its clock follows the steps it has made.
    if cfg!(miri) {
        return test();
    }
    let name = thread::current().name().unwrap_or("test").to_owned();
    let (done, finished) = channel();
    let runner = thread::Builder::new()
        .name(name)
        .spawn(move || {
            let result = test();
            // Nobody listens any more once the limit has passed.
            let _ = done.send(());
            result
        })
        .expect("a thread can be started");
    if finished.recv_timeout(LIMIT * patience()) == Err(RecvTimeoutError::Timeout) {
        panic!("the test does not end");
    }
    match runner.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Waits until something holds that other threads bring about; fails if it never does.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = LIMIT * patience() / 2;
    let began = Instant::now();
    while !holds() {
        assert!(cfg!(miri) || began.elapsed() < limit, "never came: {what}");
        thread::yield_now();
    }
}
