//! Checks selectors before connecting. Their meaning is up to the server.

use watchcache::LabelSelector;

/// Checks a label selector, with the library's parser.
pub(crate) fn check_labels(text: &str) -> Result<(), String> {
    text.parse::<LabelSelector>().map(drop).map_err(|error| error.to_string())
}

/// Checks a field selector: `a.b=c`, `a.b==c` or `a.b!=c`, separated by commas.
pub(crate) fn check_fields(text: &str) -> Result<(), String> {
    let mut escaped = false;
    let terms = text.split(|c| {
        let separates = c == ',' && !escaped;
        escaped = c == '\\' && !escaped;
        separates
    });
    for term in terms {
        let Some((field, _)) = term.split_once('=') else {
            return Err(format!("{term:?} is no condition: write field=value or field!=value"));
        };
        let field = field.strip_suffix('!').unwrap_or(field);
        if field.is_empty()
            || !field.chars().all(|c| c.is_ascii_alphanumeric() || "._-[]/".contains(c))
        {
            return Err(format!("{field:?} is no field: write a path such as status.phase"));
        }
    }
    Ok(())
}

/// Checks a namespace's name.
pub(crate) fn check_namespace(name: &str) -> Result<(), String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let valid = !name.is_empty()
        && name.len() <= 63
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    valid.then_some(()).ok_or_else(|| {
        "a namespace's name has at most 63 lower-case letters, digits and inner '-'".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_kubectl_takes() {
        for text in [
            "app=web",
            "app==web,tier!=db",
            "a in (b, c),!d",
            "a notin (b,)",
            "app",
            "app=",
            "example.com/app = web",
            "cores>4",
            "a in (x,,)",
            "a in ()",
            "",
        ] {
            assert_eq!(check_labels(text), Ok(()), "{text}");
        }
        for text in ["metadata.name=a", "status.phase!=Running,spec.nodeName==n", r"a=b\,c", "a="] {
            assert_eq!(check_fields(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "=web",
            "app=web,",
            "a in b",
            "a in (b",
            "a b",
            "app=we b",
            "a in (b) c",
            "app~web",
            "a/b/c=d",
            "-a=b",
            "cores>many",
            "a=)",
        ] {
            assert!(check_labels(text).is_err(), "{text}");
        }
        for text in ["", "name", "=x", "a b=c", "a=b,"] {
            assert!(check_fields(text).is_err(), "{text}");
        }
        for text in ["", "A", "a b", "-a", "a_b"] {
            assert!(check_namespace(text).is_err(), "{text}");
        }
    }
}
