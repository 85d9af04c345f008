//! Requests that change something.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use watchcache::Status;
use watchcache::status::StatusDetails;

use super::admit::Admitting;
use super::body::{Change, Content};
use super::format::Accepted;
use super::params::{number, pairs};
use super::path::{Subresource, Target};
use super::shown::Shown;
use super::{Api, delete_options, get};
use crate::encoding::Encoding;
use crate::object::uid;
use crate::patch::Patch;
use crate::selector::Selector;
use crate::status::{Failure, status_response};
use crate::storage::Query;
use crate::write::{DeleteOptions, Deleted, Part, Propagation, Request, UnknownFields, Written};

/// The query of a write.
#[derive(Debug, Default)]
struct Params {
    dry_run: bool,
    field_manager: Option<String>,
    force: bool,
    unknown_fields: UnknownFields,
    options: DeleteOptions,
    label_selector: String,
    field_selector: String,
}

pub(super) async fn write(
    api: &Api,
    method: &Method,
    target: &Target,
    query: &str,
    headers: &HeaderMap,
    body: &Content,
    accepted: Accepted,
) -> Result<Response, Failure> {
    let params = Params::parse(query)?;
    let request = Request {
        definition: Arc::clone(&target.definition),
        namespace: target.namespace.clone(),
        dry_run: params.dry_run,
        manager: params.field_manager.clone().unwrap_or_else(|| user_agent(headers)),
        unknown_fields: params.unknown_fields,
        review: None,
    };
    let writer = &api.writer;
    let definition = &target.definition;
    let part = match target.subresource {
        Some(Subresource::Status) => Part::Status,
        Some(Subresource::Finalize) => Part::All,
        _ => Part::Main,
    };
    let mut admitting = Admitting::new(api.webhook.as_deref(), target.subresource);
    let mut response = match (method, target.name.as_deref(), target.subresource) {
        (&Method::POST, None, None) => {
            if definition.namespaced && target.namespace.is_none() {
                return Err(Failure::method_not_allowed());
            }
            let new = body.object(target)?;
            let create = |request: &Request| writer.create(request, new.clone());
            object(api, target, admitting.write(&request, create).await?, accepted)?
        }
        (&Method::POST, Some(name), Some(Subresource::Binding)) => {
            let binding = body.object(target)?;
            admitting.is_of(&binding);
            let bind = |request: &Request| writer.bind(request, name, &binding);
            admitting.write(&request, bind).await?;
            status_response(
                StatusCode::CREATED,
                &Status::success().with_code(201),
                accepted.encoding,
            )
        }
        (&Method::PUT, Some(name), Some(Subresource::Scale)) => {
            let wanted = body.object(target)?;
            let rescale = |request: &Request| writer.rescale(request, name, |_| Ok(wanted.clone()));
            let scaled = admitting.write(&request, rescale).await?;
            scale(&scaled, accepted.encoding)?
        }
        (&Method::PATCH, Some(name), Some(Subresource::Scale)) => {
            let patch = match body.change(true)? {
                Change::Patch(patch) => patch,
                // A Scale has one field, owned by the client that sets it.
                Change::Apply(applied) => Patch::Merge(applied),
            };
            let rescale = |request: &Request| {
                writer.rescale(request, name, |scale| patch.apply(definition, scale))
            };
            let scaled = admitting.write(&request, rescale).await?;
            scale(&scaled, accepted.encoding)?
        }
        (&Method::PUT, Some(name), None | Some(Subresource::Status | Subresource::Finalize)) => {
            let new = body.object(target)?;
            let replace = |request: &Request| writer.replace(request, name, part, new.clone());
            object(api, target, admitting.write(&request, replace).await?, accepted)?
        }
        (&Method::PATCH, Some(name), None | Some(Subresource::Status)) => {
            let change = body.change(definition.is_custom())?;
            if matches!(change, Change::Apply(_)) && params.field_manager.is_none() {
                return Err(Failure::bad_request("fieldManager is required for apply patch"));
            }
            let patch = |request: &Request| match &change {
                Change::Patch(patch) => writer.patch(request, name, part, patch),
                Change::Apply(applied) => writer.apply(request, name, part, applied, params.force),
            };
            object(api, target, admitting.write(&request, patch).await?, accepted)?
        }
        (&Method::DELETE, Some(name), None) => {
            let options = delete_options::read(params.options, body)?;
            let request = Request { dry_run: params.dry_run || options.1, ..request };
            let delete = |request: &Request| writer.delete(request, name, &options.0);
            deleted(api, target, admitting.delete(&request, delete).await?, accepted)?
        }
        (&Method::DELETE, None, None) => {
            // Namespaces, and requests across namespaces, delete objects one by one.
            let is_across = definition.namespaced && target.namespace.is_none();
            if is_across || !definition.has_delete_collection() {
                return Err(Failure::method_not_allowed());
            }
            let options = delete_options::read(params.options.clone(), body)?;
            let request = Request { dry_run: params.dry_run || options.1, ..request };
            let (metadata, items) =
                delete_collection(api, target, &request, &params, &options.0, &mut admitting)
                    .await?;
            list(target, &metadata, items, accepted)?
        }
        _ => return Err(Failure::method_not_allowed()),
    };
    add_warnings(&mut response, admitting.warnings());
    Ok(response)
}

/// The client's name, up to the first slash: it owns the fields that the client writes.
fn user_agent(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let name = agent.unwrap_or_default().split('/').next().unwrap_or_default();
    if name.is_empty() { "unknown".to_owned() } else { name.to_owned() }
}

fn object(
    api: &Api,
    target: &Target,
    written: Written,
    accepted: Accepted,
) -> Result<Response, Failure> {
    let code = if written.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let Written { stored, json, version, warnings, .. } = written;
    let body = match (&stored, accepted.encoding) {
        (Some(entry), Encoding::Protobuf) => {
            get::in_protobuf(api, &target.definition, entry, accepted.format)?
        }
        _ => get::accepted(&target.definition, json, version, accepted)?,
    };
    let mut response = accepted.encoding.response(code, body);
    add_warnings(&mut response, &warnings);
    Ok(response)
}

fn scale(scaled: &Written, encoding: Encoding) -> Result<Response, Failure> {
    Ok(encoding.response(StatusCode::OK, encoding.write(&scaled.value())?))
}

fn add_warnings(response: &mut Response, warnings: &[String]) {
    for warning in warnings {
        // A header must not have control characters; anything beyond ASCII is sent as UTF-8.
        let printable = warning.replace(char::is_control, " ");
        let quoted = printable.replace('\\', "\\\\").replace('"', "\\\"");
        let text = format!("299 - \"{quoted}\"");
        if let Ok(warning) = HeaderValue::from_bytes(text.as_bytes()) {
            response.headers_mut().append(header::WARNING, warning);
        }
    }
}

/// The object while something holds it back, and a success once it was deleted.
fn deleted(
    api: &Api,
    target: &Target,
    deleted: Deleted,
    accepted: Accepted,
) -> Result<Response, Failure> {
    Ok(match deleted {
        Deleted::Pending(written) => return object(api, target, written, accepted),
        Deleted::Gone(written) => {
            let object = written.value();
            let definition = &target.definition;
            let name = crate::object::name(&object);
            let details = StatusDetails::new(&*definition.group, &*definition.plural, name);
            let status = Status::success().with_details(details.with_uid(uid(&object)));
            status_response(StatusCode::OK, &status, accepted.encoding)
        }
    })
}

/// The metadata and the items of the list that is the answer.
async fn delete_collection(
    api: &Api,
    target: &Target,
    request: &Request,
    params: &Params,
    options: &DeleteOptions,
    admitting: &mut Admitting<'_>,
) -> Result<(Value, Vec<Value>), Failure> {
    let definition = &target.definition;
    let selector = Selector::parse(definition, &params.label_selector, &params.field_selector)?;
    let query = Query::all(definition.id, target.namespace.as_deref());
    let page = api
        .storage
        .list(&query, |entry| selector.matches(entry))
        .map_err(|_| Failure::list_expired())?;
    let mut items: Vec<Value> = Vec::new();
    for entry in &page.entries {
        let request =
            Request { namespace: entry.namespace().map(ToOwned::to_owned), ..request.clone() };
        let delete = |request: &Request| api.writer.delete(request, entry.name(), options);
        match admitting.delete(&request, delete).await {
            Ok(Deleted::Gone(written) | Deleted::Pending(written)) => items.push(written.value()),
            // Another client was faster.
            Err(failure) if failure.status().is_not_found() => {}
            Err(failure) => return Err(failure),
        }
    }
    let metadata = serde_json::json!({"resourceVersion": api.storage.version().to_string()});
    Ok((metadata, items))
}

fn list(
    target: &Target,
    metadata: &Value,
    items: Vec<Value>,
    accepted: Accepted,
) -> Result<Response, Failure> {
    let definition = &target.definition;
    let Accepted { format, encoding } = accepted;
    let body = match encoding {
        Encoding::Json => {
            let list = serde_json::json!({
                "kind": definition.list_kind, "apiVersion": definition.api_version(),
                "metadata": metadata, "items": items,
            });
            list.to_string().into_bytes()
        }
        Encoding::Protobuf => Shown::new(definition, format).list(metadata, items)?,
    };
    Ok(encoding.response(StatusCode::OK, body))
}

impl Params {
    fn parse(query: &str) -> Result<Params, Failure> {
        let mut params = Params::default();
        for (name, value) in pairs(query)?.into_iter().filter(|(_, value)| !value.is_empty()) {
            match name.as_str() {
                "dryRun" if value == "All" => params.dry_run = true,
                "dryRun" => {
                    return Err(Failure::bad_request(format!(
                        "Unsupported value: {value:?}: supported values: \"All\""
                    )));
                }
                "fieldManager" => params.field_manager = Some(value),
                "force" => params.force = value == "true",
                "fieldValidation" => {
                    params.unknown_fields = match value.as_str() {
                        "Strict" => UnknownFields::Refused,
                        "Warn" => UnknownFields::Warned,
                        "Ignore" => UnknownFields::Dropped,
                        other => {
                            return Err(Failure::bad_request(format!(
                                "Unsupported value: {other:?}: supported values: \"Ignore\", \"Strict\", \"Warn\""
                            )));
                        }
                    }
                }
                "gracePeriodSeconds" => {
                    params.options.grace_seconds = Some(number(&name, &value)?);
                }
                "propagationPolicy" => {
                    params.options.propagation = Some(delete_options::propagation(&value)?);
                }
                "orphanDependents" if value == "true" => {
                    params.options.propagation = Some(Propagation::Orphan);
                }
                "labelSelector" => params.label_selector = value,
                "fieldSelector" => params.field_selector = value,
                _ => {}
            }
        }
        Ok(params)
    }
}
