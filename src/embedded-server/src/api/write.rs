//! Requests that change something.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use watchcache::Status;
use watchcache::status::StatusDetails;

use super::admit::Admitting;
use super::body::{Change, Content};
use super::format::Format;
use super::params::{IncludeObject, number, pairs};
use super::path::{Subresource, Target};
use super::{Api, delete_options, get};
use crate::object::uid;
use crate::patch::Patch;
use crate::selector::Selector;
use crate::status::{Failure, json_response, status_response};
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
    format: Format,
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
            let new = body.object()?;
            let create = |request: &Request| writer.create(request, new.clone());
            object(target, admitting.write(&request, create).await?, format)
        }
        (&Method::POST, Some(name), Some(Subresource::Binding)) => {
            let binding = body.object()?;
            admitting.is_of(&binding);
            let bind = |request: &Request| writer.bind(request, name, &binding);
            admitting.write(&request, bind).await?;
            status_response(StatusCode::CREATED, &Status::success().with_code(201))
        }
        (&Method::PUT, Some(name), Some(Subresource::Scale)) => {
            let scale = body.object()?;
            let rescale = |request: &Request| writer.rescale(request, name, |_| Ok(scale.clone()));
            let scaled = admitting.write(&request, rescale).await?;
            json_response(StatusCode::OK, scaled.json)
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
            json_response(StatusCode::OK, scaled.json)
        }
        (&Method::PUT, Some(name), None | Some(Subresource::Status | Subresource::Finalize)) => {
            let new = body.object()?;
            let replace = |request: &Request| writer.replace(request, name, part, new.clone());
            object(target, admitting.write(&request, replace).await?, format)
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
            object(target, admitting.write(&request, patch).await?, format)
        }
        (&Method::DELETE, Some(name), None) => {
            let options = delete_options::read(params.options, body)?;
            let request = Request { dry_run: params.dry_run || options.1, ..request };
            let delete = |request: &Request| writer.delete(request, name, &options.0);
            deleted(target, admitting.delete(&request, delete).await?)
        }
        (&Method::DELETE, None, None) => {
            // Namespaces, and requests across namespaces, delete objects one by one.
            let is_across = definition.namespaced && target.namespace.is_none();
            if is_across || !definition.has_delete_collection() {
                return Err(Failure::method_not_allowed());
            }
            let options = delete_options::read(params.options.clone(), body)?;
            let request = Request { dry_run: params.dry_run || options.1, ..request };
            delete_collection(api, target, &request, &params, &options.0, &mut admitting).await?
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

fn object(target: &Target, written: Written, format: Format) -> Response {
    let code = if written.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let Written { json, version, warnings, .. } = written;
    let include = IncludeObject::Metadata;
    let body = get::in_format(&target.definition, json, version, format, include);
    let mut response = json_response(code, body);
    add_warnings(&mut response, &warnings);
    response
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
fn deleted(target: &Target, deleted: Deleted) -> Response {
    match deleted {
        Deleted::Pending(written) => json_response(StatusCode::OK, written.json),
        Deleted::Gone(written) => {
            let object = written.value();
            let definition = &target.definition;
            let name = crate::object::name(&object);
            let details = StatusDetails::new(&*definition.group, &*definition.plural, name);
            let status = Status::success().with_details(details.with_uid(uid(&object)));
            status_response(StatusCode::OK, &status)
        }
    }
}

async fn delete_collection(
    api: &Api,
    target: &Target,
    request: &Request,
    params: &Params,
    options: &DeleteOptions,
    admitting: &mut Admitting<'_>,
) -> Result<Response, Failure> {
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
    let list = serde_json::json!({
        "kind": definition.list_kind, "apiVersion": definition.api_version(),
        "metadata": {"resourceVersion": api.storage.version().to_string()}, "items": items,
    });
    Ok(json_response(StatusCode::OK, list.to_string()))
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
