//! Quantities: numbers with units, in text.

/// Whether it is a quantity for Go: `100m`, `1.5`, `64Mi`, `1e3`. Go reads no object that holds another text in
/// the place of one.
pub(super) fn is_quantity(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let is_number = (!whole.is_empty() || !part.is_empty()) && !part.contains('.');
    is_number && is_unit(unit)
}

fn is_unit(unit: &str) -> bool {
    let exponent =
        unit.strip_prefix(['e', 'E']).map(|rest| rest.strip_prefix(['+', '-']).unwrap_or(rest));
    // Go reads it as a number of 64 bits.
    let is_number = |digits: &str| {
        digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<i64>().is_ok()
    };
    exponent.is_some_and(is_number)
        || matches!(
            unit,
            "" | "n"
                | "u"
                | "m"
                | "k"
                | "M"
                | "G"
                | "T"
                | "P"
                | "E"
                | "Ki"
                | "Mi"
                | "Gi"
                | "Ti"
                | "Pi"
                | "Ei"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        for good in
            ["0", "1", "0.5", ".5", "5.", "+1", "100m", "64Mi", "1e3", "1E-3", "1e+3", "-2", "5E"]
        {
            assert!(is_quantity(good), "{good}");
        }
        for bad in [
            "",
            "m",
            ".",
            "1.2.3",
            "5 Mi",
            "1X",
            "e3",
            "1e",
            "1e++3",
            "+-1",
            "1mm",
            "banana",
            "1e99999999999999999999",
            "\u{661}",
        ] {
            assert!(!is_quantity(bad), "{bad}");
        }
    }
}
