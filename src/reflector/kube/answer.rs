//! Requests, and what a failed answer means.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt};
use http::header::{CONTENT_LENGTH, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;

use super::accept::{self, Accept, is_protobuf};
use super::meter::Meter;
use super::protobuf::MAGIC;
use super::unexpected::{self, FAILURE_LIMIT};
use crate::Status;
use crate::reflector::SourceError;
use crate::reflector::source::with_causes;
use crate::status::StatusDetails;

/// Room for an answer before it comes, on the server's word.
const RESERVED: usize = 64 << 20;

/// The whole answer, if it has at most `limit` bytes, and whether it is in protobuf; each piece is
/// counted when it comes.
pub(super) async fn bytes(
    client: &Client,
    request: Request<Vec<u8>>,
    accept: &Accept,
    limit: usize,
    meter: &Meter,
) -> Result<(bool, Vec<u8>), SourceError> {
    let response = send(client, request, accept).await?;
    let protobuf = is_protobuf(response.headers());
    let announced = response.headers().get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let mut bytes = Vec::with_capacity(announced.unwrap_or(0).min(limit).min(RESERVED));
    let mut body = response.into_body().into_data_stream();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(from_kube)?;
        meter.add(piece.len());
        if piece.len() > limit - bytes.len() {
            let message = format!("a page of the list is larger than the limit of {limit} bytes");
            return Err(SourceError::Protocol(message));
        }
        bytes.extend_from_slice(&piece);
    }
    // No JSON begins so, and no protobuf as JSON does, whatever the answer says of itself.
    let protobuf = match protobuf {
        Some(true) if accept::begins_as_json(&bytes) => {
            accept.give_up();
            false
        }
        said => said.unwrap_or_else(|| bytes.starts_with(MAGIC)),
    };
    Ok((protobuf, bytes))
}

/// The answer piece by piece, and whether it is in protobuf.
pub(super) async fn stream(
    client: &Client,
    request: Request<Vec<u8>>,
    accept: &Accept,
) -> Result<(bool, impl Stream<Item = Result<Bytes, SourceError>> + use<>), SourceError> {
    let response = send(client, request, accept).await?;
    // Of a watch that says nothing the first event may be long in coming.
    let protobuf = is_protobuf(response.headers()).unwrap_or(false);
    let pieces = response.into_body().into_data_stream().map(|piece| {
        piece.map_err(|error| SourceError::Transport {
            message: format!("the watch broke: {}", with_causes(&error)),
            error: Some(Box::new(error)),
        })
    });
    Ok((protobuf, pieces))
}

/// Asks for protobuf, too, and for JSON alone if that is refused.
async fn send(
    client: &Client,
    mut request: Request<Vec<u8>>,
    accept: &Accept,
) -> Result<Response<Body>, SourceError> {
    let json = request.clone();
    if !accept.ask(request.headers_mut()) {
        return send_once(client, json).await;
    }
    match send_once(client, request).await {
        Err(error) if accept::is_refusal(&error) => {}
        answer => return answer,
    }
    let granted = send_once(client, json).await?;
    accept.give_up();
    Ok(granted)
}

async fn send_once(
    client: &Client,
    request: Request<Vec<u8>>,
) -> Result<Response<Body>, SourceError> {
    let response = client.send(request.map(Body::from)).await.map_err(from_kube)?;
    if response.status().is_success() {
        return Ok(response);
    }
    let (head, body) = response.into_parts();
    let text = text_of(body.into_data_stream()).await;
    Err(failure(head.status, &head.headers, &text).into())
}

/// What a failure says. One whose body breaks off, or does not end, is still that failure.
async fn text_of<E>(mut body: impl Stream<Item = Result<Bytes, E>> + Unpin) -> Vec<u8> {
    let mut text = Vec::new();
    let read = async {
        while let Some(Ok(piece)) = body.next().await
            && text.len() + piece.len() <= FAILURE_LIMIT
        {
            text.extend_from_slice(&piece);
        }
    };
    let _ = tokio::time::timeout(unexpected::TEXT_LIMIT, read).await;
    text
}

/// The Status in a failed answer, or the one that its code stands for; the delay of a
/// `Retry-After` header counts where the Status names none.
fn failure(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Status {
    let status = match unexpected::status(body) {
        // Some leave the code to HTTP.
        Some(status) if status.is_failure() => status.or_code(code.as_u16()),
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

/// The header in both its forms: as seconds, which API servers write, and as a date, which proxies
/// may. A date counts from the time that the answer names as its own, since clocks differ.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let delay = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = delay.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(delay).ok()?;
    let now = text(DATE).and_then(|date| httpdate::parse_http_date(date.trim()).ok());
    Some(at.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default())
}

fn from_kube(error: kube::Error) -> SourceError {
    match error {
        kube::Error::Api(status) => Status::from(*status).into(),
        error => SourceError::transport(error),
    }
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

    /// A server may keep the connection.
    #[tokio::test(start_paused = true)]
    async fn a_failure_does_not_wait_for_the_end_of_its_text() {
        use futures_util::stream;
        let busy = stream::iter([Ok::<_, ()>(Bytes::from_static(b"busy"))]);
        let text = text_of(busy.chain(stream::pending()));
        let text = tokio::time::timeout(Duration::from_secs(3), text).await;
        assert_eq!(text.as_deref(), Ok(&b"busy"[..]));
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
    fn a_date_to_come_back_at_counts_from_the_answers_own_time() {
        let delay = |date: Option<&'static str>, at: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(at));
            headers.extend(date.map(|date| (DATE, HeaderValue::from_static(date))));
            retry_after(&headers).map(|delay| delay.as_secs())
        };
        let now = Some("Thu, 26 Nov 2026 13:00:00 GMT");
        assert_eq!(delay(now, "Thu, 26 Nov 2026 13:00:06 GMT"), Some(6));
        assert_eq!(delay(now, "Thursday, 26-Nov-26 13:01:00 GMT"), Some(60));
        assert_eq!(delay(now, "Thu, 26 Nov 2026 12:00:00 GMT"), Some(0), "long since");
        assert_eq!(delay(None, "Sun, 06 Nov 1994 08:49:37 GMT"), Some(0), "by this clock");
        assert!(delay(None, "Fri, 01 Jan 2500 00:00:00 GMT").is_some_and(|delay| delay > 86_400));
        assert_eq!(delay(now, "tomorrow"), None);
    }

    #[test]
    fn a_status_without_a_code_has_that_of_its_answer() {
        for body in [
            r#"{"kind":"Status","status":"Failure","message":"too old"}"#,
            r#"{"kind":"Status","status":"Failure","message":"too old","code":0}"#,
            r#"{"kind":"Status","status":"Failure","message":"too old","reason":"Compacted"}"#,
        ] {
            let status = failed(410, None, body);
            assert!(status.is_expired(), "{body}");
            assert_eq!((status.code(), status.message()), (410, "too old"));
            assert!(failed(401, None, body).is_unauthorized(), "{body}");
        }
        let bare = failed(403, None, r#"{"kind":"Status","status":"Failure","message":"no"}"#);
        assert!(SourceError::from(bare).is_permanent(), "as with the reason that goes with it");
        let other = r#"{"kind":"Status","status":"Failure","reason":"Forbidden","code":403}"#;
        assert_eq!(failed(500, None, other).code(), 403, "its own counts");
    }

    #[test]
    fn an_answer_without_a_status_means_what_its_code_means() {
        assert!(failed(410, None, "<html>gone</html>").is_expired());
        assert!(failed(404, None, "").is_not_found());
        assert!(failed(429, None, r#"{"kind":"Pod"}"#).is_too_many_requests());
    }
}
