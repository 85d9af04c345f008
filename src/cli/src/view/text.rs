//! Figures and names as they read well.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::latency::Quantiles;

/// With a comma after each three digits.
pub(crate) fn quantity(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number a second, without the unit; a small one with two digits that count.
pub(crate) fn rate(rate: f64) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{:.2} M", rate / 1e6),
        rate if (0.995..9.95).contains(&rate) => format!("{rate:.1}"),
        rate if (0.0995..0.995).contains(&rate) => format!("{rate:.2}"),
        rate if (0.00995..0.0995).contains(&rate) => format!("{rate:.3}"),
        rate if rate > 0.0 && rate < 0.00995 => format!("{rate:.4}"),
        rate => quantity(rate.round() as u64),
    }
}

/// A duration with a unit in which it reads well.
pub(crate) fn nanos(nanos: f64) -> String {
    match nanos {
        n if n < 999.5 => format!("{n:.0} ns"),
        n if n < 9.95e3 => format!("{:.1} µs", n / 1e3),
        n if n < 999.5e3 => format!("{:.0} µs", n / 1e3),
        n if n < 9.95e6 => format!("{:.1} ms", n / 1e6),
        n if n < 999.5e6 => format!("{:.0} ms", n / 1e6),
        n => format!("{:.1} s", n / 1e9),
    }
}

/// The quantiles of a time that is told in units of so many nanoseconds: p50, p99, p99.9, and the longest.
pub(crate) fn quantiles(times: Option<Quantiles>, unit: f64) -> [String; 4] {
    match times {
        Some(q) => [q.p50, q.p99, q.p999, q.max].map(|time| nanos(time * unit)),
        None => [(); 4].map(|()| "-".to_owned()),
    }
}

/// How long ago, to a tenth of a second; longer times without it.
pub(crate) fn lag(lag: Option<Duration>) -> String {
    match lag {
        None => "-".to_owned(),
        Some(lag) if lag < Duration::from_secs(10) => format!("{:.1} s", lag.as_secs_f64()),
        Some(lag) => format!("{} s", quantity(lag.as_secs())),
    }
}

pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut amount, mut unit) = (bytes as f64 / 1024.0, 0);
    while amount >= 999.5 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    match amount < 9.95 {
        true => format!("{amount:.1} {}", UNITS[unit]),
        false => format!("{amount:.0} {}", UNITS[unit]),
    }
}

pub(crate) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `1 thread`, `2 threads`.
pub(crate) fn count(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{} {one}s", quantity(count)),
    }
}

/// How many columns a text takes.
pub(crate) fn width_of(text: &str) -> usize {
    text.width()
}

/// A text that cannot move the cursor, but for its ends of lines.
pub(crate) fn clean(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n', " ")
}

/// With spaces behind it, so wide at least.
pub(crate) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// A text as a line that is no wider than this: what is too much is cut off at the end, and what is no
/// letter cannot move the cursor.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let text = clean(text).replace('\n', " ");
    match text.width() <= width {
        true => text,
        false => begin(&text, width.saturating_sub(1)) + if width > 0 { "…" } else { "" },
    }
}

/// A name that is no wider than this: what is too much is left out in its middle.
pub(crate) fn shorten(name: &str, width: usize) -> String {
    let name = name.replace(|c: char| c.is_control(), " ");
    if name.width() <= width || width < 5 {
        return cut(&name, width);
    }
    let start = begin(&name, (width - 1) / 2);
    let reversed: String = name.chars().rev().collect();
    let end = begin(&reversed, width - 1 - start.width());
    format!("{start}…{}", end.chars().rev().collect::<String>())
}

/// As much of a text as is no wider than this.
fn begin(text: &str, width: usize) -> String {
    let mut room = width;
    let fits = |c: &char| {
        let taken = room.checked_sub(c.width().unwrap_or(0));
        room = taken.unwrap_or(room);
        taken.is_some()
    };
    text.chars().take_while(fits).collect()
}

/// Parts beside each other, as many of the first as fit.
pub(crate) fn fit(parts: impl IntoIterator<Item = String>, width: usize) -> String {
    let mut text = String::new();
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        let gap = if text.is_empty() { "" } else { "  " };
        if !text.is_empty() && text.width() + gap.len() + part.width() > width {
            break;
        }
        text.push_str(gap);
        text.push_str(&part);
    }
    cut(&text, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        for (time, text) in [
            (85.0, "85 ns"),
            (1_250.0, "1.2 µs"),
            (9_960.0, "10 µs"),
            (45_000.0, "45 µs"),
            (999_600.0, "1.0 ms"),
            (2e6, "2.0 ms"),
            (3e9, "3.0 s"),
        ] {
            assert_eq!(nanos(time), text);
        }
        assert_eq!(clock(Duration::from_secs(3_725)), "01:02:05");
        assert_eq!(lag(Some(Duration::from_millis(9_950))), "9.9 s");
        assert_eq!(lag(Some(Duration::from_secs(61))), "61 s");
    }

    #[test]
    fn figures_read_well() {
        for (count, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(quantity(count), text);
        }
        for (number, text) in [
            (0.0, "0"),
            (0.0417, "0.042"),
            (0.4, "0.40"),
            (1.25, "1.2"),
            (9.96, "10"),
            (1_998.4, "1,998"),
            (2.14e6, "2.14 M"),
        ] {
            assert_eq!(rate(number), text);
        }
        for (size, text) in
            [(512, "512 B"), (2_000, "2.0 KiB"), (1_048_570, "1.0 MiB"), (31 << 20, "31 MiB")]
        {
            assert_eq!(bytes(size), text);
        }
        assert_eq!(count(1, "thread"), "1 thread");
        assert_eq!(count(2_000, "thread"), "2,000 threads");
    }

    #[test]
    fn names_lose_their_middle_and_sentences_their_end() {
        assert_eq!(shorten("shop/web-7f9c-x2k9q", 12), "shop/…-x2k9q");
        assert_eq!(shorten("shop/web", 12), "shop/web");
        assert_eq!(shorten("名前名前名前", 7), "名…名前");
        assert_eq!(cut("no route to host", 9), "no route…");
        assert_eq!(cut("a\x1b[2Jb\r\n", 20), "a [2Jb  ");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(clean("a\x1b[2Jb\n\u{9b}c"), "a [2Jb\n c");
        assert_eq!(pad("名", 4), "名  ");
        for width in 0..30 {
            assert!(width_of(&shorten("a/名前-x2k9q", width)) <= width, "{width}");
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_left_out_from_the_first_on() {
        let parts = ["pods", "", "10,000 objects", "1,998 changes/s"].map(str::to_owned);
        assert_eq!(fit(parts.clone(), 37), "pods  10,000 objects  1,998 changes/s");
        assert_eq!(fit(parts.clone(), 36), "pods  10,000 objects");
        assert_eq!(fit(parts, 3), "po…");
    }
}
