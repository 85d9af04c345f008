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
use crate::resource::Definition;
use crate::selector::Selector;
use crate::status::{Failure, json_response};
use crate::storage::{Entry, Page, Query, Remaining};

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
        Selector::parse(&target.definition, &params.label_selector, &params.field_selector)?;
    let token = params.continue_token.as_deref().map(ContinueToken::parse).transpose()?;
    let query = Query {
        resource: target.definition.id,
        namespace: target.namespace.as_deref(),
        version: match &token {
            Some(token) => token.version(),
            None => exact_version(params),
        },
        start: token.as_ref().map(ContinueToken::start),
        limit: params.limit,
        remaining: remaining(params, &selector, token.as_ref()),
    };
    let current = api.storage.version();
    let asked = query.version.or(params.version).unwrap_or(0);
    if asked > current {
        return Err(Failure::version_too_large(asked, current));
    }
    let page =
        api.storage.list(&query, |entry| selector.matches(entry)).map_err(|_| match &token {
            Some(token) => Failure::continue_expired(&token.at_newest().encode()),
            None => Failure::list_expired(),
        })?;
    let metadata = list_metadata(&page, &selector);
    let bytes = page.entries.iter().map(|entry| entry.json_len()).sum();
    let definition = Arc::clone(&target.definition);
    let body = body(definition, format, params.include_object, &metadata, page.entries);
    let mut response = json_response(StatusCode::OK, body);
    compress::mark(&mut response, bytes);
    Ok(response)
}

/// The real server cannot count the objects that a selector leaves without reading them, and omits the
/// number. Only the first page has to count: the token carries the number on.
fn remaining(params: &Params, selector: &Selector, token: Option<&ContinueToken>) -> Remaining {
    match token {
        _ if params.limit.is_none() || !selector.is_empty() => Remaining::Unasked,
        None => Remaining::Counted,
        Some(token) => token.remaining().map_or(Remaining::Counted, Remaining::Known),
    }
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
        let remaining = selector.is_empty().then_some(page.remaining);
        let token = ContinueToken::new(Some(page.version), next, remaining);
        metadata["continue"] = token.encode().into();
        if let Some(remaining) = remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
    }
    metadata
}

fn body(
    definition: Arc<Definition>,
    format: Format,
    include: IncludeObject,
    metadata: &Value,
    entries: Vec<Arc<Entry>>,
) -> Body {
    let mut out = Vec::new();
    match format {
        Format::Table => table::write_start(&definition, metadata, true, &mut out),
        Format::Metadata => {
            write_start("PartialObjectMetadataList", "meta.k8s.io/v1", metadata, &mut out)
        }
        Format::Object => {
            write_start(&definition.list_kind, &definition.api_version(), metadata, &mut out);
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
                Format::Object => entry.write_item(&definition, &mut out),
                Format::Metadata => write_metadata(&entry.json(&definition), &mut out),
                Format::Table => {
                    table::write_row(&definition, &entry.json(&definition), include, &mut out);
                }
            }
        }
        let chunk = std::mem::replace(&mut out, Vec::with_capacity(CHUNK + CHUNK / 8));
        Some(Ok::<_, Infallible>(Bytes::from(chunk)))
    }));
    Body::from_stream(chunks)
}

fn write_start(kind: &str, api_version: &str, metadata: &Value, out: &mut Vec<u8>) {
    let start = format!(
        "{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"items\":["
    );
    out.extend_from_slice(start.as_bytes());
}
