//! The virtual clock: simulated time, and how Kubernetes writes it.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// 2026-01-01T00:00:00Z in Unix seconds, when every simulation starts.
const START: i64 = 1_767_225_600;

/// Simulated time. It moves only when told to, so a history never depends on the wall clock.
#[derive(Debug)]
pub(super) struct Clock {
    millis: i64,
}

impl Clock {
    /// A clock standing at the start of every simulation.
    pub(super) fn new() -> Self {
        Clock { millis: START * 1_000 }
    }

    /// Moves on by the small random amount that passes between two changes.
    pub(super) fn advance(&mut self, rng: &mut ChaCha8Rng) {
        self.millis += rng.random_range(5..200);
    }

    /// The present, in Unix seconds: Kubernetes writes most timestamps no finer.
    pub(super) fn now(&self) -> i64 {
        self.millis / 1_000
    }
}

/// Writes Unix seconds as RFC 3339 in UTC, as in `2026-01-01T00:00:00Z`.
pub(super) fn rfc3339(seconds: i64) -> String {
    let (year, month, day) = civil_date(seconds.div_euclid(86_400));
    let time = seconds.rem_euclid(86_400);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        time / 3_600,
        time / 60 % 60,
        time % 60
    )
}

/// The Gregorian date of a day counted from 1970-01-01.
///
/// Years are taken to begin in March, which puts the leap day last and makes the lengths of
/// the months before it a linear function.
fn civil_date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(START), "2026-01-01T00:00:00Z");
        assert_eq!(rfc3339(START - 1), "2025-12-31T23:59:59Z");
        assert_eq!(rfc3339(4_107_542_400), "2100-03-01T00:00:00Z");
    }
}
