//! What the system says of this process.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Bytes of memory in use now.
pub(crate) fn resident() -> u64 {
    status("VmRSS:")
}

/// The most bytes in use since [`reset_peak`].
pub(crate) fn peak() -> u64 {
    status("VmHWM:")
}

pub(crate) fn reset_peak() {
    // Without the permission the peak is that of the whole life, which only makes it larger.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// CPU time of all threads.
pub(crate) fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Into::into)
}

fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}
