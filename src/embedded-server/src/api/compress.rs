//! Compression, where the real server compresses.

use axum::response::Response;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;

/// A list of at least this many bytes is compressed for a client that takes gzip
/// (kubernetes `staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/writers.go`).
const LONG: usize = 128 << 10;

/// Marks an answer that may be compressed: a watch never is.
#[derive(Clone, Copy)]
struct Long;

pub(super) fn mark(response: &mut Response, bytes: usize) {
    if bytes >= LONG {
        response.extensions_mut().insert(Long);
    }
}

pub(super) fn layer() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new().gzip(true).compress_when(
        |_, _, _: &axum::http::HeaderMap, extensions: &axum::http::Extensions| {
            extensions.get::<Long>().is_some()
        },
    )
}
