//! Faults on request: what servers, proxies and networks do to the clients of a real cluster.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};

use crate::status::Failure;

/// Which requests a [`Fault`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Request {
    /// Lists, whole or a page.
    List,
    /// Watches.
    Watch,
}

/// Something that goes wrong once, with the next request of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The response is this HTTP code with a Status, and a `Retry-After` header in seconds.
    Answer {
        /// The code: a failure's.
        code: u16,
        /// The header's value.
        retry_after: Option<u32>,
    },
    /// The response is an error page of a proxy: this code, and no Status.
    Page {
        /// The code: a failure's.
        code: u16,
    },
    /// The body ends properly, in the middle of a line.
    Cut,
    /// The connection is reset in the middle of a line.
    Reset,
    /// Nothing more comes, and the connection stays open.
    Stall,
    /// A line that is not JSON comes before everything else.
    Garbage,
    /// An event with an object of another kind, of this namespace and name, comes first.
    WrongKind {
        /// The stray object's namespace.
        namespace: String,
        /// The stray object's name.
        name: String,
    },
    /// A line of this many bytes comes first: an event of an unknown type.
    Huge {
        /// The length, about.
        bytes: usize,
    },
}

/// The pending faults.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<VecDeque<(Request, Fault)>>>);

impl Faults {
    pub(crate) fn add(&self, request: Request, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back((request, fault));
    }

    pub(crate) fn left(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn take(&self, request: Request) -> Option<Fault> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = faults.iter().position(|(waiting, _)| *waiting == request)?;
        faults.remove(first).map(|(_, fault)| fault)
    }
}

/// Applies a fault to a response.
pub(crate) fn spoil(response: Response, fault: &Fault) -> Response {
    match fault {
        Fault::Answer { code, retry_after } => {
            let mut response = Failure::injected(status(*code)).into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(*seconds));
            }
            response
        }
        Fault::Page { code } => (status(*code), "<html>no healthy upstream</html>").into_response(),
        Fault::Cut => broken_off(response, Some(stream::empty().boxed())),
        Fault::Reset => {
            let reset = io::Error::new(io::ErrorKind::ConnectionReset, "reset on request");
            broken_off(response, Some(stream::iter([Err(reset)]).boxed()))
        }
        Fault::Stall => broken_off(response, None),
        Fault::Garbage => preceded(response, "}{ this is no JSON\n".to_owned()),
        Fault::WrongKind { namespace, name } => preceded(
            response,
            format!(
                r#"{{"type":"ADDED","object":{{"kind":"Stray","apiVersion":"example.com/v1","metadata":{{"namespace":"{namespace}","name":"{name}"}}}}}}"#
            ) + "\n",
        ),
        Fault::Huge { bytes } => {
            let padding = "x".repeat(*bytes);
            preceded(
                response,
                format!(r#"{{"type":"HUGE","object":{{"padding":"{padding}"}}}}"#) + "\n",
            )
        }
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

type Rest = stream::BoxStream<'static, io::Result<Bytes>>;

/// Half of the body's first chunk, then `rest`, or nothing ever.
fn broken_off(response: Response, rest: Option<Rest>) -> Response {
    response.map(|body| {
        let half = body.into_data_stream().take(1).map(|piece| {
            let piece = piece.map_err(io::Error::other)?;
            Ok(piece.slice(..piece.len() / 2))
        });
        let rest = rest.unwrap_or_else(|| stream::pending().boxed());
        Body::from_stream(half.chain(rest))
    })
}

fn preceded(response: Response, line: String) -> Response {
    response.map(|body| {
        let line = stream::iter([Ok(Bytes::from(line))]);
        Body::from_stream(line.chain(body.into_data_stream()))
    })
}
