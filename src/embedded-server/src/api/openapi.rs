//! The OpenAPI documents, as far as `kubectl` asks for them.

use axum::http::HeaderMap;
use axum::response::Response;

use crate::resource::Registry;

pub(super) fn answer(path: &[&str], _headers: &HeaderMap, _registry: &Registry) -> Option<Response> {
    let _ = path;
    None
}
