//! The limit of the kept history.

use std::str::FromStr;

/// How much history the server keeps: whichever of the two is reached first.
///
/// It is written as a number of changes, a size, or both: `50000`, `64MiB`, `50000,64MiB`. What is
/// not named keeps its default.
///
/// ```
/// use watchcache_embedded_server::HistoryLimit;
///
/// let limit: HistoryLimit = "5000,16MiB".parse()?;
/// assert_eq!((limit.changes, limit.bytes), (5_000, 16 << 20));
/// assert_eq!("5000".parse::<HistoryLimit>()?.bytes, HistoryLimit::default().bytes);
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryLimit {
    /// The most changes.
    pub changes: usize,
    /// The most bytes that are kept for these changes alone: the replaced states of objects, packed like
    /// all others.
    pub bytes: usize,
}

impl HistoryLimit {
    /// This many changes, whatever their size.
    pub fn changes(changes: usize) -> HistoryLimit {
        HistoryLimit { changes, bytes: usize::MAX }
    }
}

impl Default for HistoryLimit {
    /// 100,000 changes and 32 MiB: some 20,000 changes of Pods.
    fn default() -> HistoryLimit {
        HistoryLimit { changes: 100_000, bytes: 32 << 20 }
    }
}

const EXPECTED: &str = "write a number of changes, a size, or both, as in 50000,64MiB";

impl FromStr for HistoryLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<HistoryLimit, String> {
        let mut limit = HistoryLimit::default();
        for part in text.split(',').map(str::trim) {
            let (digits, unit) =
                part.split_at(part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len()));
            let number: usize = match digits.parse() {
                Ok(number) => number,
                Err(_) if digits.is_empty() => return Err(EXPECTED.to_owned()),
                Err(_) => return Err(format!("{digits} is too large")),
            };
            let scale: usize = match unit.trim().to_ascii_lowercase().as_str() {
                "" => {
                    limit.changes = number;
                    continue;
                }
                "b" => 1,
                "k" | "ki" | "kib" => 1 << 10,
                "m" | "mi" | "mib" => 1 << 20,
                "g" | "gi" | "gib" => 1 << 30,
                "kb" => 1_000,
                "mb" => 1_000_000,
                "gb" => 1_000_000_000,
                other => return Err(format!("{other:?} is no unit of size: {EXPECTED}")),
            };
            limit.bytes =
                number.checked_mul(scale).ok_or_else(|| format!("{part} is too large"))?;
        }
        Ok(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("", "write a number"),
            ("many", "write a number"),
            ("5,", "write a number"),
            ("5 parsecs", "no unit of size"),
            ("99999999999999999999", "too large"),
            ("9999999999999GiB", "too large"),
        ] {
            let error = text.parse::<HistoryLimit>().expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
