//! What the system says of this process.

use std::time::Duration;

/// Ticks per second of `/proc/self/stat`: 100 on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

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
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in parentheses, may hold spaces; the times are fields 14 and 15 of all.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Duration::from_secs_f64(ticks / TICKS)
}

fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}
