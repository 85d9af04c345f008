//! Requests, and what an answer that is a failure means.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt};
use http::header::{HeaderMap, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;

use crate::Status;
use crate::reflector::SourceError;
use crate::status::StatusDetails;

/// The whole answer as text.
pub(super) async fn text(
    client: &Client,
    request: Request<Vec<u8>>,
) -> Result<String, SourceError> {
    let response = send(client, request).await?;
    let bytes = response.into_body().collect_bytes().await.map_err(from_kube)?;
    // Validating once and decoding text is cheaper than decoding bytes, which validates string by
    // string.
    String::from_utf8(bytes.into())
        .map_err(|error| SourceError::Protocol(format!("the list is not UTF-8: {error}")))
}

/// The answer piece by piece.
pub(super) async fn stream(
    client: &Client,
    request: Request<Vec<u8>>,
) -> Result<impl Stream<Item = Result<Bytes, SourceError>> + use<>, SourceError> {
    let response = send(client, request).await?;
    Ok(response.into_body().into_data_stream().map(|piece| {
        piece.map_err(|error| SourceError::Transport {
            message: format!("the watch broke: {}", with_causes(&error)),
            source: Some(Box::new(error)),
        })
    }))
}

async fn send(client: &Client, request: Request<Vec<u8>>) -> Result<Response<Body>, SourceError> {
    let response = client.send(request.map(Body::from)).await.map_err(from_kube)?;
    if response.status().is_success() {
        return Ok(response);
    }
    let (head, body) = response.into_parts();
    // A failure whose body breaks off is still that failure.
    let body = body.collect_bytes().await.unwrap_or_default();
    Err(failure(head.status, &head.headers, &body).into())
}

/// The Status in a failed answer, or the one that its code stands for; the delay of a
/// `Retry-After` header counts where the Status names none.
fn failure(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Status {
    let status = match Status::from_json(body) {
        Ok(status) if status.is_failure() => status,
        _ => {
            let text = String::from_utf8_lossy(body);
            Status::from_http_code(code.as_u16(), "GET", StatusDetails::default(), text.trim())
        }
    };
    match (status.retry_after(), retry_after(headers)) {
        (None, Some(delay)) => status.with_retry_after(delay),
        (Some(named), Some(delay)) if delay > named => status.with_retry_after(delay),
        _ => status,
    }
}

/// The header in its form of seconds, the only one that API servers write.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn from_kube(error: kube::Error) -> SourceError {
    match error {
        kube::Error::Api(status) => Status::from(*status).into(),
        error => {
            SourceError::Transport { message: with_causes(&error), source: Some(Box::new(error)) }
        }
    }
}

/// An error with what caused it, in one line; causes often repeat each other's text.
fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: u16, header: Option<&str>, body: &str) -> Status {
        let mut headers = HeaderMap::new();
        if let Some(value) = header.and_then(|value| value.parse().ok()) {
            headers.insert(RETRY_AFTER, value);
        }
        failure(StatusCode::from_u16(code).expect("a code"), &headers, body.as_bytes())
    }

    #[test]
    fn the_longer_delay_of_header_and_status_counts() {
        let body = r#"{"kind":"Status","status":"Failure","code":429,"reason":"TooManyRequests",
                       "details":{"retryAfterSeconds":5}}"#;
        let seconds = |status: Status| status.retry_after().map(|delay| delay.as_secs());
        assert_eq!(seconds(failed(429, None, body)), Some(5));
        assert_eq!(seconds(failed(429, Some("9"), body)), Some(9));
        assert_eq!(seconds(failed(429, Some("2"), body)), Some(5));
        assert_eq!(seconds(failed(503, Some("7"), "busy")), Some(7));
        assert_eq!(seconds(failed(503, Some("soon"), "busy")), None);
    }

    #[test]
    fn an_answer_without_a_status_means_what_its_code_means() {
        assert!(failed(410, None, "<html>gone</html>").is_expired());
        assert!(failed(404, None, "").is_not_found());
        assert!(failed(429, None, r#"{"kind":"Pod"}"#).is_too_many_requests());
    }
}
