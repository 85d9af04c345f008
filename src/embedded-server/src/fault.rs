//! Faults on request: what servers, proxies and networks do to the clients of a real cluster.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use watchcache::reflector::protobuf::MEDIA_TYPE;

use crate::encoding::Encoding;
use crate::proto::{END, write_event, write_frame, write_run, write_start};
use crate::status::Failure;

/// Which requests a [`Fault`] waits for; those for single objects are left alone.
///
/// ```
/// use watchcache_embedded_server::{Config, EmbeddedServer, Fault, Request};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// let server = EmbeddedServer::start(Config { pods: 10, rate: 0, ..Config::default() }).await?;
/// server.inject(Request::Watch, Fault::Reset);
///
/// let client = kube::Client::try_from(kube::Config::new(server.url().parse()?))?;
/// let pods = kube::Api::<k8s_openapi::api::core::v1::Pod>::all(client);
/// assert!(pods.list(&Default::default()).await.is_ok());
/// assert_eq!(server.faults_left(), 1, "it waits for a watch");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Request {
    /// Lists, whole or a page.
    List,
    /// Watches.
    Watch,
}

/// Something that goes wrong once, with the next request of its kind. What comes then is in the encoding
/// that the answer would have been in: a line of JSON, or a frame of protobuf. The [crate](crate#faults) has an
/// example.
///
/// ```
/// use watchcache_embedded_server::{Config, EmbeddedServer, Fault, Request};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// let server = EmbeddedServer::start(Config { pods: 10, rate: 0, ..Config::default() }).await?;
/// server.inject(Request::List, Fault::Answer { code: 500, retry_after: None });
///
/// let client = kube::Client::try_from(kube::Config::new(server.url().parse()?))?;
/// let pods = kube::Api::<k8s_openapi::api::core::v1::Pod>::all(client);
/// let Err(kube::Error::Api(status)) = pods.list(&Default::default()).await else {
///     panic!("it was to go wrong");
/// };
/// assert_eq!(status.code, 500);
/// // Once.
/// assert_eq!(pods.list(&Default::default()).await?.items.len(), 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// The body ends properly, in the middle of a line or frame.
    Cut,
    /// The connection is reset in the middle of a line or frame.
    Reset,
    /// Nothing more comes, and the connection stays open.
    Stall,
    /// A line that is not JSON, or a frame that is no event, comes before everything else.
    Garbage,
    /// An event with an object of another kind, of this namespace and name, comes first.
    WrongKind {
        /// The stray object's namespace.
        namespace: String,
        /// The stray object's name.
        name: String,
    },
    /// A line or frame of this many bytes comes first: an event of an unknown type.
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
    let encoding = encoding(&response);
    match fault {
        Fault::Answer { code, retry_after } => {
            let mut response = Failure::injected(status(*code)).response(encoding);
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
        Fault::Garbage => preceded(response, garbage(encoding)),
        Fault::WrongKind { namespace, name } => {
            preceded(response, stray(encoding, namespace, name))
        }
        Fault::Huge { bytes } => preceded(response, huge(encoding, *bytes)),
    }
}

fn encoding(response: &Response) -> Encoding {
    let media_type = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    match media_type.is_some_and(|media_type| media_type.starts_with(MEDIA_TYPE.as_bytes())) {
        true => Encoding::Protobuf,
        false => Encoding::Json,
    }
}

fn garbage(encoding: Encoding) -> Vec<u8> {
    let mut out = Vec::new();
    match encoding {
        Encoding::Json => out.extend_from_slice(b"}{ this is no JSON\n"),
        // A text that is longer than what it is in.
        Encoding::Protobuf => write_frame(b"\x0a\x63cut", &mut out),
    }
    out
}

fn stray(encoding: Encoding, namespace: &str, name: &str) -> Vec<u8> {
    if encoding == Encoding::Json {
        let line = format!(
            r#"{{"type":"ADDED","object":{{"kind":"Stray","apiVersion":"example.com/v1","metadata":{{"namespace":"{namespace}","name":"{name}"}}}}}}"#
        );
        return (line + "\n").into_bytes();
    }
    let (mut metadata, mut message) = (Vec::new(), Vec::new());
    write_run(1, name.as_bytes(), &mut metadata);
    write_run(3, namespace.as_bytes(), &mut metadata);
    write_run(1, &metadata, &mut message);
    let (mut object, mut out) = (Vec::new(), Vec::new());
    write_start("example.com/v1", "Stray", message.len(), &mut object);
    object.extend_from_slice(&message);
    object.extend_from_slice(END);
    write_event("ADDED", &object, &mut out);
    out
}

fn huge(encoding: Encoding, bytes: usize) -> Vec<u8> {
    let padding = "x".repeat(bytes);
    match encoding {
        Encoding::Json => {
            let line = format!(r#"{{"type":"HUGE","object":{{"padding":"{padding}"}}}}"#) + "\n";
            line.into_bytes()
        }
        Encoding::Protobuf => {
            let mut out = Vec::new();
            write_event("HUGE", padding.as_bytes(), &mut out);
            out
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

fn preceded(response: Response, first: Vec<u8>) -> Response {
    response.map(|body| {
        let first = stream::iter([Ok(Bytes::from(first))]);
        Body::from_stream(first.chain(body.into_data_stream()))
    })
}
