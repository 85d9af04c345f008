//! Times, from the texts that they are in JSON.

use super::expected;
use crate::reflector::kube::protobuf::error::Result;
use crate::reflector::kube::protobuf::time::UNSET;

/// A point in time: seconds since 1970, and nanoseconds on top of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) seconds: i64,
    pub(super) nanos: u32,
}

impl Moment {
    /// Go's zero time.
    pub(super) const UNSET: Self = Self { seconds: UNSET, nanos: 0 };

    /// Reads what RFC 3339 allows: any offset, and any part of a second.
    pub(super) fn read(text: &str) -> Result<Self> {
        parse(text).ok_or_else(|| expected("a time as RFC 3339 writes it"))
    }
}

fn parse(text: &str) -> Option<Moment> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, rest) = rest.strip_prefix(['T', 't'])?.split_at_checked(8)?;
    let (nanos, zone) = fraction(rest)?;
    let [year, month, day] = numbers(date, b'-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, b':', [2, 2, 2])?;
    let in_range = (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    in_range.then_some(Moment { seconds: seconds - offset(zone)?, nanos })
}

/// Numbers of so many digits each, with this between them.
fn numbers(text: &str, between: u8, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(char::from(between));
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits && is_digits(part))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The nanoseconds that a text may begin with, behind a point, and what follows.
fn fraction(text: &str) -> Option<(u32, &str)> {
    let Some(text) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return None;
    }
    let digits: String = digits.chars().chain("00000000".chars()).take(9).collect();
    Some((digits.parse().ok()?, rest))
}

/// The seconds that a zone is ahead.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str, most: i64| {
        let number = text.parse::<i64>().ok().filter(|number| *number <= most);
        number.filter(|_| text.len() == 2 && is_digits(text))
    };
    Some(sign * (number(hours, 23)? * 60 + number(minutes, 59)?) * 60)
}

/// The days since 1970 of a day in the Gregorian calendar, after Howard Hinnant's `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the day that some have and some have not is the last.
    let year = if month > 2 { year } else { year - 1 };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reflector::kube::protobuf::time::TimeText;
    use proptest::prelude::*;

    #[test]
    fn what_rfc_3339_allows_is_read() {
        for (text, seconds, nanos) in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("1969-12-31T23:59:59.999999999z", -1, 999_999_999),
            ("2000-02-29t00:00:00.5Z", 951_782_400, 500_000_000),
            ("2026-11-27T00:43:21.0000000009+01:30", 1_795_734_801, 0),
            ("2026-11-26T22:13:21-01:00", 1_795_734_801, 0),
            ("2100-03-01T00:00:00+00:00", 4_107_542_400, 0),
            ("0000-01-01T00:00:00Z", -62_167_219_200, 0),
            ("0001-01-01T00:00:00Z", UNSET, 0),
        ] {
            assert_eq!(parse(text), Some(Moment { seconds, nanos }), "{text}");
        }
        for text in [
            "",
            "now",
            "2026-11-26",
            "2026-11-26T23:13:21",
            "2026-11-26 23:13:21Z",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-11-26T24:00:00Z",
            "2026-11-26T23:60:00Z",
            "2026-11-26T23:13:60Z",
            "2026-11-26T23:13:21.Z",
            "2026-11-26T23:13:21+1:00",
            "2026-11-26T23:13:21+01:60",
            "+026-11-26T23:13:21Z",
            "2026-1-026T23:13:21Z",
            "2026-11-26T23:13:21Z ",
            "\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}T23:13:21Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in -62_167_219_200i64..=253_402_300_799, micros in 0u32..1_000_000) {
            let text = TimeText::new(seconds, None).expect("in range");
            prop_assert_eq!(parse(text.as_str()), Some(Moment { seconds, nanos: 0 }));
            let text = TimeText::new(seconds, Some(micros)).expect("in range");
            prop_assert_eq!(parse(text.as_str()), Some(Moment { seconds, nanos: micros * 1_000 }));
        }

        #[test]
        fn no_text_does_any_harm(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
