//! One object.

use axum::http::StatusCode;
use axum::response::Response;

use crate::resource::Definition;
use crate::status::{Failure, json_response};

use super::format::{Format, write_metadata};
use super::params::{IncludeObject, Params, VersionMatch};
use super::{Api, Target, table};

pub(crate) fn get(
    api: &Api,
    target: &Target,
    name: &str,
    params: &Params,
    format: Format,
) -> Result<Response, Failure> {
    let current = api.storage.version();
    if let Some(asked) = params.version.filter(|asked| *asked > current) {
        return Err(Failure::version_too_large(asked, current));
    }
    if params.version_match == Some(VersionMatch::Exact) {
        return Err(Failure::bad_request("resourceVersionMatch is not supported for get"));
    }
    let entry = api
        .storage
        .get(target.definition.id, &target.key(name))
        .ok_or_else(|| Failure::object_not_found(&target.definition, name))?;
    let json = entry.json(&target.definition);
    let body = in_format(&target.definition, json, entry.version, format, params.include_object);
    Ok(json_response(StatusCode::OK, body))
}

/// One object in the form that the client asks for.
pub(super) fn in_format(
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
pub(crate) fn scale(api: &Api, target: &Target, name: &str) -> Result<Response, Failure> {
    let definition = &target.definition;
    let scale = definition.scale.as_ref().ok_or_else(Failure::path_not_found)?;
    let entry = api
        .storage
        .get(definition.id, &target.key(name))
        .ok_or_else(|| Failure::object_not_found(definition, name))?;
    let scale = crate::write::scale::of(scale, &entry.value(definition));
    Ok(json_response(StatusCode::OK, scale.to_string()))
}
