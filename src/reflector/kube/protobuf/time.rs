//! Times as the texts that they are in JSON.

use super::error::{Fault, Result};

const DAY: i64 = 86_400;

/// The seconds of Go's zero time, 0001-01-01T00:00:00Z, which in Go is a time that was not set.
pub(super) const UNSET: i64 = -62_135_596_800;

/// The text of a time: `2026-11-26T23:13:21Z`, or with six digits after the second.
pub(super) struct TimeText {
    bytes: [u8; 27],
    len: usize,
}

impl TimeText {
    /// Of a time in seconds since 1970, and the microseconds if they are to be told.
    pub(super) fn new(seconds: i64, micros: Option<u32>) -> Result<Self> {
        let (year, month, day) = date(seconds.div_euclid(DAY)).ok_or(Fault::Time)?;
        let second = seconds.rem_euclid(DAY) as u32;
        let mut text = Self { bytes: *b"0000-00-00T00:00:00.000000Z", len: 27 };
        for (at, digits, number) in [
            (0, 4, year),
            (5, 2, month),
            (8, 2, day),
            (11, 2, second / 3_600),
            (14, 2, second / 60 % 60),
            (17, 2, second % 60),
        ] {
            text.digits(at, digits, number);
        }
        match micros {
            Some(micros) => text.digits(20, 6, micros),
            None => {
                text.bytes[19] = b'Z';
                text.len = 20;
            }
        }
        Ok(text)
    }

    fn digits(&mut self, at: usize, digits: usize, mut number: u32) {
        for place in self.bytes[at..at + digits].iter_mut().rev() {
            *place = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }

    pub(super) fn as_str(&self) -> &str {
        // Nothing but ASCII was written.
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

/// Year, month and day of a day counted from 1970, in the Gregorian calendar; `None` if the year does
/// not have four digits. After Howard Hinnant's `civil_from_days`: years begin in March, so that the
/// day that some have and some have not is the last.
fn date(days: i64) -> Option<(u32, u32, u32)> {
    const FIRST: i64 = -719_528;
    const LAST: i64 = 2_932_896;
    if !(FIRST..=LAST).contains(&days) {
        return None;
    }
    // From the first of March of the year 0, and 400 years more, so that nothing is negative.
    let days = u32::try_from(days + 719_468 + 146_097).ok()?;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = (year_of_era + era * 400 + u32::from(month <= 2)).checked_sub(400)?;
    Some((year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let text = |seconds| TimeText::new(seconds, None).map(|text| text.as_str().to_owned());
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_734_801, "2026-11-26T23:13:21Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-62_135_596_800, "0001-01-01T00:00:00Z"),
            (-62_167_219_200, "0000-01-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(text(seconds).as_deref(), Ok(expected));
        }
        for outside in [-62_167_219_201, 253_402_300_800, i64::MIN, i64::MAX] {
            assert_eq!(text(outside).expect_err("outside").fault(), &Fault::Time);
        }
        let micros = TimeText::new(0, Some(42)).expect("inside");
        assert_eq!(micros.as_str(), "1970-01-01T00:00:00.000042Z");
    }
}
