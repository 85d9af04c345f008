//! In what form a server is asked to answer.

use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::protobuf::MEDIA_TYPE;
use crate::reflector::SourceError;

const JSON: &str = "application/json";

/// Whether protobuf is asked for, and whether the server has refused that.
#[derive(Debug, Default)]
pub(super) struct Accept {
    protobuf: bool,
    refused: AtomicBool,
}

impl Accept {
    /// JSON, and protobuf before it if that can be decoded.
    pub(super) fn new(protobuf: bool) -> Self {
        Self { protobuf, refused: AtomicBool::new(false) }
    }

    /// Lets a request, which asks for JSON, ask for protobuf first; says whether it does. What the
    /// server then answers in is its own choice.
    pub(super) fn ask(&self, headers: &mut HeaderMap) -> bool {
        // ORDERING: Relaxed, with `give_up`: it publishes nothing else, and who does not see it yet is
        // refused once more.
        if !self.protobuf || self.refused.load(Ordering::Relaxed) {
            return false;
        }
        let json = headers.get(ACCEPT).and_then(|json| json.to_str().ok()).unwrap_or(JSON);
        // What the objects are to be converted to, as metadata alone.
        let parameters = json.strip_prefix(JSON).unwrap_or_default();
        let Ok(both) = HeaderValue::try_from(format!("{MEDIA_TYPE}{parameters}, {json}")) else {
            return false;
        };
        headers.insert(ACCEPT, both);
        true
    }

    /// No request asks for protobuf from now on: one that asked for JSON alone was granted, where the
    /// same with both was refused; or what says that it is protobuf is JSON.
    pub(super) fn give_up(&self) {
        // ORDERING: Relaxed, with `ask`.
        if !self.refused.swap(true, Ordering::Relaxed) {
            tracing::info!("the server does not answer in protobuf, it is asked for JSON");
        }
    }
}

/// Whether a request may have failed because of the forms that it asked for.
pub(super) fn is_refusal(error: &SourceError) -> bool {
    matches!(
        error,
        SourceError::Status(status)
            if status.is_not_acceptable() || status.is_unsupported_media_type()
    )
}

/// Whether an answer is JSON, though it may say that it is something else.
pub(super) fn begins_as_json(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{")
}

/// Whether an answer says that it is in protobuf; `None` if it says nothing.
pub(super) fn is_protobuf(headers: &HeaderMap) -> Option<bool> {
    let content_type = headers.get(CONTENT_TYPE)?.to_str().unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default();
    Some(media_type.trim().eq_ignore_ascii_case(MEDIA_TYPE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;

    fn asked(accept: &Accept, json: &'static str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(json));
        accept.ask(&mut headers);
        headers[ACCEPT].to_str().expect("text").to_owned()
    }

    #[test]
    fn protobuf_comes_first_until_it_is_refused() {
        let accept = Accept::new(true);
        assert_eq!(asked(&accept, JSON), "application/vnd.kubernetes.protobuf, application/json");
        assert_eq!(
            asked(&accept, "application/json;as=PartialObjectMetadata;v=v1"),
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1, \
             application/json;as=PartialObjectMetadata;v=v1"
        );
        accept.give_up();
        assert_eq!(asked(&accept, JSON), JSON);
        assert_eq!(asked(&Accept::new(false), JSON), JSON);
    }

    #[test]
    fn a_refusal_is_of_the_form() {
        let code = |code| Status::from_http_code(code, "GET", Default::default(), "").into();
        assert!(is_refusal(&code(406)) && is_refusal(&code(415)));
        assert!(!is_refusal(&code(400)) && !is_refusal(&code(503)));
    }

    #[test]
    fn an_answer_says_what_it_is() {
        for (content_type, protobuf) in [
            (MEDIA_TYPE, true),
            ("application/vnd.kubernetes.protobuf;stream=watch", true),
            ("Application/vnd.kubernetes.protobuf ; as=Table", true),
            ("application/json", false),
            ("application/vnd.kubernetes.protobuf2", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            assert_eq!(is_protobuf(&headers), Some(protobuf), "{content_type}");
        }
        assert_eq!(is_protobuf(&HeaderMap::new()), None);
    }
}
