//! Lists: whole or in pages, at the newest version or an earlier one.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use watchcache::Status;

use crate::continue_token::ContinueToken;
use crate::encoding::Encoding;
use crate::proto::END;
use crate::resource::Definition;
use crate::selector::Selector;
use crate::status::Failure;
use crate::storage::{Entry, Message, Page, Query, Remaining, Storage};

use super::format::{Accepted, Format, write_metadata};
use super::params::{IncludeObject, Params, VersionMatch};
use super::shown::Shown;
use super::{Api, Target, compress, table};

/// How much of a list is composed at once: a list of hundreds of megabytes never exists whole.
const CHUNK: usize = 256 * 1024;

pub(crate) async fn list(
    api: &Api,
    target: &Target,
    params: &Params,
    accepted: Accepted,
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
    let definition = Arc::clone(&target.definition);
    let Accepted { format, encoding } = accepted;
    let (bytes, body) = match encoding {
        Encoding::Json => {
            let bytes = page.entries.iter().map(|entry| entry.json_len()).sum();
            (bytes, json(definition, format, params.include_object, &metadata, page.entries))
        }
        Encoding::Protobuf => {
            let storage = Arc::clone(&api.storage);
            protobuf(storage, definition, format, metadata, page.entries).await?
        }
    };
    let mut response = encoding.response(StatusCode::OK, body);
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

fn json(
    definition: Arc<Definition>,
    format: Format,
    include: IncludeObject,
    metadata: &Value,
    entries: Vec<Arc<Entry>>,
) -> Body {
    let mut start = Vec::new();
    match format {
        Format::Table => table::write_start(&definition, metadata, true, &mut start),
        Format::Metadata => {
            write_start("PartialObjectMetadataList", "meta.k8s.io/v1", metadata, &mut start);
        }
        Format::Object => {
            write_start(&definition.list_kind, &definition.api_version(), metadata, &mut start);
        }
    }
    let mut first = true;
    in_chunks(start, entries, b"]}\n", move |entry, out| {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        match format {
            Format::Object => entry.write_item(&definition, out),
            Format::Metadata => write_metadata(&entry.json(&definition), out),
            Format::Table => {
                table::write_row(&definition, &entry.json(&definition), include, out);
            }
        }
    })
}

/// The length of the list, which stands at its beginning, and the list.
async fn protobuf(
    storage: Arc<Storage>,
    definition: Arc<Definition>,
    format: Format,
    metadata: Value,
    entries: Vec<Arc<Entry>>,
) -> Result<(usize, Body), Failure> {
    let shown = Shown::new(&definition, format);
    // Whoever asks first for protobuf has all objects encoded: that is for no thread that serves others.
    let encode = move || {
        let message = |entry: Arc<Entry>| {
            Ok::<_, Failure>((entry.version, storage.message(&definition, &entry)?))
        };
        entries.into_iter().map(message).collect::<Result<Vec<_>, Failure>>()
    };
    let encoded = tokio::task::spawn_blocking(encode).await;
    let messages = encoded.unwrap_or_else(|error| Err(Status::internal(error).into()))?;
    let len = |(version, message): &(u64, Arc<Message>)| shown.item_len(message, *version);
    let bytes = messages.iter().map(len).sum();
    let mut start = Vec::new();
    shown.write_list_start(&metadata, messages.iter().map(len), &mut start);
    let body = in_chunks(start, messages, END, move |(version, message), out| {
        shown.write_item(&message, version, out);
    });
    Ok((bytes, body))
}

/// A body that is composed as it is sent: its start, its items, its end.
fn in_chunks<T: Send + 'static>(
    start: Vec<u8>,
    items: Vec<T>,
    end: &'static [u8],
    mut write: impl FnMut(T, &mut Vec<u8>) + Send + 'static,
) -> Body {
    let (mut out, mut items) = (start, items.into_iter());
    let mut ended = false;
    let chunks = stream::iter(std::iter::from_fn(move || {
        if ended {
            return None;
        }
        while out.len() < CHUNK {
            let Some(item) = items.next() else {
                out.extend_from_slice(end);
                ended = true;
                break;
            };
            write(item, &mut out);
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
