//! Times as Kubernetes writes them.

use std::time::{SystemTime, UNIX_EPOCH};

use k8s_openapi::jiff::Timestamp;

/// Writes Unix seconds as RFC 3339 in UTC, as in `2026-01-01T00:00:00Z`.
pub(crate) fn rfc3339(seconds: i64) -> String {
    // Only a clock tens of thousands of years off is out of range.
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_string()
}

/// The Unix seconds of a time; fractions are dropped.
pub(crate) fn unix_seconds(timestamp: &str) -> Option<i64> {
    timestamp.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

/// The present in Unix seconds: most timestamps are written no finer.
pub(crate) fn now() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 counts as 1970.
    since_epoch.map_or(0, |elapsed| i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_both_ways() {
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(unix_seconds("2000-02-29T00:00:00Z"), Some(951_782_400));
        assert_eq!(unix_seconds("soon"), None);
    }
}
