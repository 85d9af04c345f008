//! Checks selectors before anything is connected. What they mean is the server's business.

/// Checks a label selector in kubectl's syntax: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`,
/// `!a`, `a>1`, `a<1`, separated by commas.
pub(crate) fn check_labels(text: &str) -> Result<(), String> {
    for requirement in split_outside_parentheses(text)? {
        check_requirement(requirement.trim())?;
    }
    Ok(())
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

fn split_outside_parentheses(text: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut start, mut open) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            '(' if open => return Err("a '(' inside of parentheses".to_owned()),
            '(' => open = true,
            ')' if !open => return Err("a ')' without its '('".to_owned()),
            ')' => open = false,
            ',' if !open => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if open {
        return Err("a '(' without its ')'".to_owned());
    }
    parts.push(&text[start..]);
    Ok(parts)
}

fn check_requirement(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("a condition is missing: write, for example, app=web".to_owned());
    }
    if let Some(key) = text.strip_prefix('!') {
        return check_key(key.trim());
    }
    if let Some((head, values)) = text.split_once('(') {
        let mut words = head.split_whitespace();
        let (Some(key), Some("in" | "notin"), None) = (words.next(), words.next(), words.next())
        else {
            return Err(format!("{text:?}: before a list goes a label and \"in\" or \"notin\""));
        };
        let Some(values) = values.strip_suffix(')') else {
            return Err(format!("{text:?}: nothing may follow the ')'"));
        };
        check_key(key)?;
        return values.split(',').try_for_each(|value| check_value(value.trim()));
    }
    let Some(at) = text.find(['=', '!', '<', '>']) else {
        return check_key(text);
    };
    let (key, rest) = text.split_at(at);
    check_key(key.trim())?;
    if let Some(bound) = rest.strip_prefix(['<', '>']) {
        let bound = bound.trim();
        return match bound.parse::<i64>() {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("{bound:?} is no whole number, as '<' and '>' need one")),
        };
    }
    let value = ["==", "!=", "="].iter().find_map(|operator| rest.strip_prefix(operator));
    match value {
        Some(value) => check_value(value.trim()),
        None => Err(format!("{text:?}: between label and value goes =, ==, !=, <, >, in or notin")),
    }
}

fn check_key(key: &str) -> Result<(), String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let prefix_is_valid = prefix.is_none_or(|prefix| {
        prefix.len() <= 253
            && prefix.split('.').all(|part| {
                !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            })
    });
    match prefix_is_valid && !name.is_empty() && is_name(name) {
        true => Ok(()),
        false => Err(format!("{key:?} is no label: write name or prefix.example.com/name")),
    }
}

fn check_value(value: &str) -> Result<(), String> {
    match value.is_empty() || is_name(value) {
        true => Ok(()),
        false => Err(format!(
            "{value:?} is no label value: at most 63 letters, digits and inner '-', '_' or '.'"
        )),
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
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
            "",
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
