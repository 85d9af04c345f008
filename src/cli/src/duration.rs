//! Durations as people write them: `5s`, `2m`, `1h30m`, `500ms`.

use std::time::Duration;

const EXPECTED: &str = "write numbers with units, as in 500ms, 5s, 2m or 1h30m";

pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(EXPECTED.to_owned());
    }
    while !rest.is_empty() {
        let (digits, tail) = split(rest, |c| c.is_ascii_digit());
        let (unit, tail) = split(tail, |c| c.is_alphabetic());
        rest = tail;
        let number: u64 = match digits.parse() {
            Ok(number) => number,
            Err(_) if digits.is_empty() => return Err(EXPECTED.to_owned()),
            Err(_) => return Err(format!("{digits} is too large")),
        };
        let millis: u64 = match unit {
            "ms" => 1,
            "s" | "sec" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" => return Err(format!("{digits} has no unit: {EXPECTED}")),
            _ => return Err(format!("{unit:?} is no unit of time: {EXPECTED}")),
        };
        total = number
            .checked_mul(millis)
            .and_then(|millis| total.checked_add(Duration::from_millis(millis)))
            .ok_or_else(|| format!("{number}{unit} is too long"))?;
    }
    match total {
        Duration::ZERO => Err("it must be longer than nothing".to_owned()),
        // A deadline must fit the clock; a year is long enough.
        total if total > Duration::from_secs(366 * 86_400) => {
            Err("it is longer than a year".to_owned())
        }
        total => Ok(total),
    }
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in
            [("5s", 5_000), ("500ms", 500), ("2m", 120_000), ("1h30m", 5_400_000), ("1m5s", 65_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("", "write numbers"),
            ("5", "no unit"),
            ("s", "write numbers"),
            ("-5s", "write numbers"),
            ("1.5h", "no unit"),
            ("5 parsecs", "no unit"),
            ("5x", "no unit of time"),
            ("0s", "longer than nothing"),
            ("99999999999999999999s", "too large"),
            ("999999999999999999d", "too long"),
            ("999999d", "a year"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
