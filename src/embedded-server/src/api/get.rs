//! One object.

use axum::http::StatusCode;
use axum::response::Response;

use crate::resource;
use crate::status::{Failure, json_response};

use super::format::{Format, write_metadata};
use super::params::{Params, VersionMatch};
use super::{Api, Target, table};

pub(crate) fn get(
    api: &Api,
    target: &Target,
    name: &str,
    params: &Params,
    format: Format,
) -> Result<Response, Failure> {
    let current = api.history.version();
    if let Some(asked) = params.version.filter(|asked| *asked > current) {
        return Err(Failure::version_too_large(asked, current));
    }
    if params.version_match == Some(VersionMatch::Exact) {
        return Err(Failure::bad_request("resourceVersionMatch is not supported for get"));
    }
    let entry = api
        .history
        .get(target.resource, target.namespace.as_deref(), name)
        .ok_or_else(|| Failure::object_not_found(resource::describe(target.resource), name))?;
    let body = match format {
        Format::Object => return Ok(json_response(StatusCode::OK, entry.json().clone())),
        Format::Metadata => {
            let mut out = Vec::new();
            write_metadata(entry.json(), &mut out);
            out
        }
        Format::Table => {
            let metadata = serde_json::json!({"resourceVersion": entry.version.to_string()});
            let mut out = Vec::new();
            table::write_start(target.resource, &metadata, true, &mut out);
            table::write_row(target.resource, entry.json(), params.include_object, &mut out);
            table::write_end(&mut out);
            out
        }
    };
    Ok(json_response(StatusCode::OK, body))
}
