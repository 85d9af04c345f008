//! The formats of names: RFC 1123, RFC 1035, and the API's qualified names.

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn within(text: &str, most: usize) -> Result<(), String> {
    if text.len() > most { Err(format!("must be no more than {most} characters")) } else { Ok(()) }
}

fn is_framed(text: &str, end: impl Fn(u8) -> bool, middle: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    end(*first) && end(*last) && bytes.iter().all(|byte| end(*byte) || middle(*byte))
}

fn is_lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// A label of a DNS name.
pub(super) fn label(text: &str) -> Result<(), String> {
    within(text, 63)?;
    if is_framed(text, is_lower, |byte| byte == b'-') { Ok(()) } else { Err(LABEL.to_owned()) }
}

/// A label that does not begin with a digit.
pub(super) fn label_1035(text: &str) -> Result<(), String> {
    within(text, 63)?;
    let starts_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if starts_well && label(text).is_ok() { Ok(()) } else { Err(LABEL_1035.to_owned()) }
}

/// A DNS name.
pub(super) fn subdomain(text: &str) -> Result<(), String> {
    within(text, 253)?;
    let is_part = |part: &str| is_framed(part, is_lower, |byte| byte == b'-');
    if text.split('.').all(is_part) { Ok(()) } else { Err(SUBDOMAIN.to_owned()) }
}

fn is_name(text: &str) -> bool {
    is_framed(text, |byte| byte.is_ascii_alphanumeric(), |byte| b"-_.".contains(&byte))
}

/// A name with an optional DNS name before it, as labels and annotations have.
pub(super) fn qualified(text: &str) -> Result<(), String> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if let Some(prefix) = prefix {
        subdomain(prefix).map_err(|why| format!("prefix part {why}"))?;
    }
    match name {
        "" => Err("name part must be non-empty".to_owned()),
        name if name.len() > 63 => Err("name part must be no more than 63 characters".to_owned()),
        name if is_name(name) => Ok(()),
        _ => Err(QUALIFIED.to_owned()),
    }
}

pub(super) fn label_value(text: &str) -> Result<(), String> {
    within(text, 63)?;
    if text.is_empty() || is_name(text) { Ok(()) } else { Err(VALUE.to_owned()) }
}

/// A key of a ConfigMap: it becomes a file's name.
pub(super) fn config_key(text: &str) -> Result<(), String> {
    within(text, 253)?;
    let is_valid = !text.is_empty()
        && text != "."
        && !text.starts_with("..")
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if is_valid {
        Ok(())
    } else {
        Err("a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        for (format, good, bad) in [
            (label as fn(&str) -> Result<(), String>, "web-0", "Web"),
            (label, "0", "-a"),
            (label_1035, "a-1", "1-a"),
            (subdomain, "a.b-c.d", "a..b"),
            (subdomain, "kube-root-ca.crt", "a."),
            (qualified, "example.com/Some_name.x", "example.com/"),
            (qualified, "name", "Ex_ample.com/x"),
            (label_value, "", "-"),
            (label_value, "v1.2", "a b"),
            (config_key, ".env", "a/b"),
        ] {
            assert_eq!(format(good), Ok(()), "{good}");
            assert!(format(bad).is_err(), "{bad}");
        }
        assert!(label(&"a".repeat(64)).is_err());
    }
}
