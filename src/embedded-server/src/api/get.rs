//! One object.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use crate::encoding::Encoding;
use crate::resource::Definition;
use crate::status::Failure;
use crate::storage::Entry;

use super::format::{Accepted, Format, write_metadata};
use super::params::{IncludeObject, Params, VersionMatch};
use super::shown::Shown;
use super::{Api, Target, table};

pub(crate) fn get(
    api: &Api,
    target: &Target,
    name: &str,
    params: &Params,
    accepted: Accepted,
) -> Result<Response, Failure> {
    let current = api.storage.version();
    if let Some(asked) = params.version.filter(|asked| *asked > current) {
        return Err(Failure::version_too_large(asked, current));
    }
    if params.version_match == Some(VersionMatch::Exact) {
        return Err(Failure::bad_request("resourceVersionMatch is not supported for get"));
    }
    let definition = &target.definition;
    let entry = api
        .storage
        .get(definition.id, &target.key(name))
        .ok_or_else(|| Failure::object_not_found(definition, name))?;
    let Accepted { format, encoding } = accepted;
    let body = match encoding {
        Encoding::Json => {
            let json = entry.json(definition);
            in_format(definition, json, entry.version, format, params.include_object)
        }
        Encoding::Protobuf => in_protobuf(api, definition, &entry, format)?,
    };
    Ok(encoding.response(StatusCode::OK, body))
}

/// One object as it is stored, which is encoded once.
pub(super) fn in_protobuf(
    api: &Api,
    definition: &Definition,
    entry: &Arc<Entry>,
    format: Format,
) -> Result<Vec<u8>, Failure> {
    let message = api.storage.message(definition, entry)?;
    Ok(Shown::new(definition, format).object(&message, entry.version))
}

/// One object, that is not stored as it is, in the form that the client asks for.
pub(super) fn accepted(
    definition: &Definition,
    json: Vec<u8>,
    version: u64,
    accepted: Accepted,
) -> Result<Vec<u8>, Failure> {
    let Accepted { format, encoding } = accepted;
    match encoding {
        Encoding::Json => Ok(in_format(definition, json, version, format, IncludeObject::Metadata)),
        Encoding::Protobuf => Shown::new(definition, format).value(parsed(&json)),
    }
}

fn parsed(json: &[u8]) -> Value {
    serde_json::from_slice(json)
        .unwrap_or_else(|error| unreachable!("it was serialised here, and is not deep: {error}"))
}

fn in_format(
    definition: &Definition,
    json: Vec<u8>,
    version: u64,
    format: Format,
    include: IncludeObject,
) -> Vec<u8> {
    let mut out = Vec::new();
    match format {
        Format::Object => return json,
        Format::Metadata => write_metadata(&json, &mut out),
        Format::Table => {
            let metadata = serde_json::json!({"resourceVersion": version.to_string()});
            table::write_start(definition, &metadata, true, &mut out);
            table::write_row(definition, &json, include, &mut out);
            table::write_end(&mut out);
        }
    }
    out
}

/// The Scale of an object.
pub(crate) fn scale(
    api: &Api,
    target: &Target,
    name: &str,
    encoding: Encoding,
) -> Result<Response, Failure> {
    let definition = &target.definition;
    let scale = definition.scale.as_ref().ok_or_else(Failure::path_not_found)?;
    let entry = api
        .storage
        .get(definition.id, &target.key(name))
        .ok_or_else(|| Failure::object_not_found(definition, name))?;
    let scale = crate::write::scale::of(scale, &entry.value(definition));
    Ok(encoding.response(StatusCode::OK, encoding.write(&scale)?))
}
