//! Answers that are not what was asked for, and what came instead.

use std::time::Duration;

use super::header::{Header, non_empty};
use super::protobuf::{self, Envelope};
use crate::Status;
use crate::reflector::SourceError;
use crate::reflector::shared::beginning;

/// The most that is read of an answer that is a failure; no Status is larger.
pub(super) const FAILURE_LIMIT: usize = 1 << 20;

/// How long the text of a failure may take: what it says is of less use than to know that it is one.
pub(super) const TEXT_LIMIT: Duration = Duration::from_secs(2);

const STATUS: &str = "Status";

/// How much of a text that says nothing else about itself is quoted, in characters.
const QUOTED: usize = 80;

/// How much of a page is searched for its title, in bytes.
const HEAD: usize = 64 << 10;

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
        (_, Ok(envelope)) => object_of(envelope.of.said()),
        (_, Err(error)) if *error.fault() == protobuf::Fault::Magic => {
            let text = match std::str::from_utf8(bytes) {
                Ok(text) => text.into(),
                // No more than its beginning is told.
                Err(_) => String::from_utf8_lossy(bytes.get(..FAILURE_LIMIT).unwrap_or(bytes)),
            };
            return failure(&text, wanted);
        }
        (_, Err(error)) => format!("protobuf that does not read: {error}"),
    };
    SourceError::Protocol(format!("expected {wanted}, found {found}"))
}

/// A Status, in JSON or in protobuf. Of anything else nothing is decoded.
pub(super) fn status(bytes: &[u8]) -> Option<Status> {
    if bytes.len() > FAILURE_LIMIT {
        return None;
    }
    match Envelope::open(bytes) {
        Ok(envelope) if envelope.of.kind == STATUS => {
            let json: serde_json::Value = protobuf::from_slice(bytes).ok()?;
            Status::from_json(json.to_string().as_bytes()).ok()
        }
        Ok(_) => None,
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
            object_of([&header.api_version, &header.kind].map(|part| non_empty(part.as_ref())))
        }
        Err(error) if text.starts_with('{') => format!("JSON that does not read: {error}"),
        Err(_) => format!("{:?}", text.chars().take(QUOTED).collect::<String>()),
    }
}

/// What an object is, by its API version and kind.
fn object_of(said: [Option<&str>; 2]) -> String {
    match said {
        [Some(version), Some(kind)] => format!("a {} of {}", quoted(kind), quoted(version)),
        [None, Some(kind)] => format!("a {} without an API version", quoted(kind)),
        [_, None] => "an object without a kind".to_owned(),
    }
}

/// As much of what a server says as is told.
pub(super) fn quoted(text: &str) -> &str {
    text.char_indices().nth(QUOTED).map_or(text, |(end, _)| &text[..end])
}

/// The title of an HTML page, in one line. It is near the beginning.
fn title(page: &str) -> Option<String> {
    let page = beginning(page, HEAD);
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
    use crate::reflector::kube::protobuf::tests::{field, object};

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
    fn of_what_came_no_more_is_told_than_names_it() {
        let long = "x".repeat(1 << 20);
        let json = format!(r#"{{"kind":"{long}","apiVersion":"{long}"}}"#);
        let page = format!("<html>{}<title>{long}</title>", " ".repeat(1 << 10));
        for text in [&json, &page, &long] {
            let error = failure(text, "a PodList").to_string();
            assert!(error.len() < 300, "{} bytes", error.len());
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

    #[test]
    fn what_says_no_kind_is_told_so_in_protobuf_too() {
        for (object, words) in [
            (object("v1", "Pod", b""), "found a Pod of v1"),
            (object("", "Pod", b""), "found a Pod without an API version"),
            (object("v1", "", b""), "found an object without a kind"),
        ] {
            let error = failure_of(&object, "an event").to_string();
            assert!(error.ends_with(words), "{error}");
        }
    }

    #[test]
    fn what_is_larger_than_any_status_is_not_read_as_one() {
        let message = |len: usize| [field(2, b"Failure"), field(3, &vec![b'x'; len])].concat();
        for (len, expected) in [(9, true), (FAILURE_LIMIT, false)] {
            let protobuf = object("v1", "Status", &message(len));
            assert_eq!(status(&protobuf).is_some(), expected);
            let text = "x".repeat(len);
            let json = format!(r#"{{"kind":"Status","status":"Failure","message":"{text}"}}"#);
            assert_eq!(status(json.as_bytes()).is_some(), expected);
        }
    }
}
