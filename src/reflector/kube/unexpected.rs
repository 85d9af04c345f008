//! Answers that are not what was asked for, and what came instead.

use super::header::Header;
use super::protobuf::{self, Envelope};
use crate::Status;
use crate::reflector::SourceError;

/// How much of a text that says nothing else about itself is quoted, in characters.
const QUOTED: usize = 80;

/// The failure that an answer amounts to: its own, if it is a `Status` of one, else that it is not
/// what was wanted.
pub(super) fn failure(text: &str, wanted: &str) -> SourceError {
    match status(text.as_bytes()) {
        Some(status) if status.is_failure() => status.into(),
        _ => SourceError::Protocol(format!("expected {wanted}, found {}", what(text))),
    }
}

/// As [`failure`], of bytes that should be protobuf.
pub(super) fn failure_of(bytes: &[u8], wanted: &str) -> SourceError {
    let found = match (status(bytes), Envelope::open(bytes)) {
        (Some(status), _) if status.is_failure() => return status.into(),
        (_, Ok(envelope)) => format!("a {} of {}", envelope.of.kind, envelope.of.api_version),
        (_, Err(error)) if *error.fault() == protobuf::Fault::Magic => {
            return failure(&String::from_utf8_lossy(bytes), wanted);
        }
        (_, Err(error)) => format!("protobuf that does not read: {error}"),
    };
    SourceError::Protocol(format!("expected {wanted}, found {found}"))
}

/// A Status, in JSON or in protobuf.
pub(super) fn status(bytes: &[u8]) -> Option<Status> {
    match protobuf::from_slice::<serde_json::Value>(bytes) {
        Ok(json) => Status::from_json(json.to_string().as_bytes()).ok(),
        Err(_) => Status::from_json(bytes).ok(),
    }
}

/// What a text is, in a few words.
fn what(text: &str) -> String {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return "nothing".to_owned();
    }
    if text.starts_with('<') {
        return match title(text) {
            Some(title) => format!("an HTML page with the title \"{title}\""),
            None => "an HTML or XML page".to_owned(),
        };
    }
    match serde_json::from_str::<Header<'_>>(text) {
        Ok(header) => {
            let part = |part: Option<&str>| part.filter(|part| !part.is_empty()).map(str::to_owned);
            let kind = part(header.kind.as_deref());
            match (kind, part(header.api_version.as_deref())) {
                (Some(kind), Some(version)) => format!("a {kind} of {version}"),
                (Some(kind), None) => format!("a {kind} without an API version"),
                (None, _) => "an object without a kind".to_owned(),
            }
        }
        Err(error) if text.starts_with('{') => format!("JSON that does not read: {error}"),
        Err(_) => format!("{:?}", text.chars().take(QUOTED).collect::<String>()),
    }
}

/// The title of an HTML page, in one line.
fn title(page: &str) -> Option<String> {
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower[start..].find('>')? + 1;
    let end = start + lower[start..].find('<')?;
    let words: Vec<&str> = page[start..end].split_whitespace().collect();
    let title: String = words.join(" ").chars().take(QUOTED).collect();
    (!title.is_empty()).then_some(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_named() {
        for (text, words) in [
            ("", "found nothing"),
            ("\u{feff}<!doctype html><TITLE lang=en>Sign\n in</TITLE>", "title \"Sign in\""),
            ("<?xml?><error/>", "an HTML or XML page"),
            (r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1"}"#, "a Table of meta.k8s.io/v1"),
            (r#"{"kind":"Pod"}"#, "a Pod without an API version"),
            (r#"{"metadata":{}}"#, "an object without a kind"),
            (r#"{"kind":"#, "JSON that does not read"),
            ("upstream connect error", "\"upstream connect error\""),
            ("[1]", "\"[1]\""),
        ] {
            let error = failure(text, "a PodList").to_string();
            assert!(
                error.contains("expected a PodList, found ") && error.contains(words),
                "{error}"
            );
        }
    }

    #[test]
    fn a_status_keeps_its_words() {
        let status =
            r#"{"kind":"Status","status":"Failure","message":"webhook failed","code":500}"#;
        assert!(matches!(
            failure(status, "a PodList"),
            SourceError::Status(status) if status.message() == "webhook failed"
        ));
        let gone = r#"{"kind":"Status","status":"Failure","reason":"Expired","code":410}"#;
        assert!(failure(gone, "a PodList").is_expired());
        let success = r#"{"kind":"Status","apiVersion":"v1","status":"Success"}"#;
        let error = failure(success, "a PodList").to_string();
        assert!(error.contains("a Status of v1"), "{error}");
    }
}
