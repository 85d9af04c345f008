//! Lists: whole or in pages, at the newest version or an earlier one.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

use crate::continue_token::ContinueToken;
use crate::entry::Entry;
use crate::history::{Page, Query};
use crate::resource;
use crate::selector::Selector;
use crate::simulation::Resource;
use crate::status::{Failure, json_response};

use super::format::{Format, write_metadata};
use super::params::{IncludeObject, Params, VersionMatch};
use super::{Api, Target, compress, table};

/// How much of a list is composed at once: a list of hundreds of megabytes never exists whole.
const CHUNK: usize = 256 * 1024;

pub(crate) fn list(
    api: &Api,
    target: &Target,
    params: &Params,
    format: Format,
) -> Result<Response, Failure> {
    let selector =
        Selector::parse(target.resource, &params.label_selector, &params.field_selector)?;
    let token = params.continue_token.as_deref().map(ContinueToken::parse).transpose()?;
    let query = Query {
        resource: target.resource,
        namespace: target.namespace.as_deref(),
        version: match &token {
            Some(token) => token.version(),
            None => exact_version(params),
        },
        start: token.as_ref().map(ContinueToken::start),
        limit: params.limit,
    };
    let current = api.history.version();
    let asked = query.version.or(params.version).unwrap_or(0);
    if asked > current {
        return Err(Failure::version_too_large(asked, current));
    }
    let page =
        api.history.list(&query, |entry| selector.matches(entry)).map_err(|_| match &token {
            Some(token) => {
                Failure::continue_expired(&ContinueToken::new(None, token.start()).encode())
            }
            None => Failure::list_expired(),
        })?;
    let metadata = list_metadata(&page, &selector);
    let bytes = page.entries.iter().map(|entry| entry.json().len()).sum();
    let body = body(target.resource, format, params.include_object, &metadata, page.entries);
    let mut response = json_response(StatusCode::OK, body);
    compress::mark(&mut response, bytes);
    Ok(response)
}

/// The version to read at; `None` for the newest, which also meets "not older than".
fn exact_version(params: &Params) -> Option<u64> {
    match params.version_match {
        Some(VersionMatch::Exact) => params.version,
        Some(VersionMatch::NotOlderThan) => None,
        // Without a match, a page is read at exactly the version asked for.
        None => params.version.filter(|version| *version > 0 && params.limit.is_some()),
    }
}

fn list_metadata(page: &Page, selector: &Selector) -> Value {
    let mut metadata = json!({"resourceVersion": page.version.to_string()});
    if let Some(next) = &page.next {
        metadata["continue"] = ContinueToken::new(Some(page.version), next).encode().into();
        // The real server cannot count what a selector leaves without reading it.
        if selector.is_empty() {
            metadata["remainingItemCount"] = page.remaining.into();
        }
    }
    metadata
}

fn body(
    resource: Resource,
    format: Format,
    include: IncludeObject,
    metadata: &Value,
    entries: Vec<Arc<Entry>>,
) -> Body {
    let mut out = Vec::new();
    match format {
        Format::Table => table::write_start(resource, metadata, true, &mut out),
        Format::Metadata => {
            write_start("PartialObjectMetadata", "meta.k8s.io/v1", metadata, &mut out)
        }
        Format::Object => {
            let description = resource::describe(resource);
            write_start(description.kind, &description.api_version(), metadata, &mut out);
        }
    }
    let mut entries = entries.into_iter();
    let mut first = true;
    let mut ended = false;
    let chunks = stream::iter(std::iter::from_fn(move || {
        if ended {
            return None;
        }
        while out.len() < CHUNK {
            let Some(entry) = entries.next() else {
                out.extend_from_slice(b"]}\n");
                ended = true;
                break;
            };
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            match format {
                Format::Object => entry.write_item(&mut out),
                Format::Metadata => write_metadata(entry.json(), &mut out),
                Format::Table => table::write_row(resource, entry.json(), include, &mut out),
            }
        }
        let chunk = std::mem::replace(&mut out, Vec::with_capacity(CHUNK + CHUNK / 8));
        Some(Ok::<_, Infallible>(Bytes::from(chunk)))
    }));
    Body::from_stream(chunks)
}

fn write_start(kind: &str, api_version: &str, metadata: &Value, out: &mut Vec<u8>) {
    let start = format!(
        "{{\"kind\":\"{kind}List\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"items\":["
    );
    out.extend_from_slice(start.as_bytes());
}
