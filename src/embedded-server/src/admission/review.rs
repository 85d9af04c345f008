//! The request to a webhook, and the meaning of its response.

use serde_json::{Value, json};
use watchcache::Status;
use watchcache::status::StatusReason;

use crate::object::{array, text};
use crate::status::Failure;
use crate::write::Request;

/// The operation of a write on its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Update,
    Delete,
}

/// The subject of a request to a webhook.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) operation: Operation,
    pub(crate) subresource: Option<&'static str>,
    /// The kind of the written object, if a subresource has its own: version and kind.
    pub(crate) kind: Option<(&'static str, &'static str)>,
    pub(crate) name: String,
    pub(crate) object: Option<Value>,
    pub(crate) old: Option<Value>,
}

/// An `AdmissionReview` with a request.
pub(super) fn of(uid: &str, request: &Request, subject: &Subject) -> Value {
    let definition = &request.definition;
    let kind = match subject.kind {
        Some((api_version, kind)) => {
            let (group, version) = crate::object::split_api_version(api_version);
            json!({"group": group, "version": version, "kind": kind})
        }
        None => json!({
            "group": definition.group, "version": definition.version, "kind": definition.kind,
        }),
    };
    let resource = json!({
        "group": definition.group, "version": definition.version, "resource": definition.plural,
    });
    let (operation, options) = match subject.operation {
        Operation::Create => ("CREATE", "CreateOptions"),
        Operation::Update => ("UPDATE", "UpdateOptions"),
        Operation::Delete => ("DELETE", "DeleteOptions"),
    };
    let mut asked = json!({
        "uid": uid, "kind": kind, "requestKind": kind,
        "resource": resource, "requestResource": resource,
        "name": subject.name, "operation": operation,
        // The server authenticates no one.
        "userInfo": {"username": "system:unsecured", "groups": ["system:masters"]},
        "object": subject.object, "oldObject": subject.old, "dryRun": request.dry_run,
        "options": {"kind": options, "apiVersion": "meta.k8s.io/v1"},
    });
    if let Some(namespace) = &request.namespace {
        asked["namespace"] = namespace.as_str().into();
    }
    if let Some(subresource) = subject.subresource {
        asked["subResource"] = subresource.into();
        asked["requestSubResource"] = subresource.into();
    }
    if subject.operation != Operation::Delete {
        asked["options"]["fieldManager"] = request.manager.as_str().into();
    }
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": asked})
}

/// A webhook's response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) warnings: Vec<String>,
    /// Why the write is denied, if it is.
    pub(super) denial: Option<Failure>,
}

/// Reads a response to the request with this uid; the error is why it is invalid.
pub(super) fn read(webhook: &str, uid: &str, body: &[u8]) -> Result<Answer, String> {
    let review: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let (version, kind) = (text(&review, "/apiVersion"), text(&review, "/kind"));
    if (version, kind) != ("admission.k8s.io/v1", "AdmissionReview") {
        return Err(format!(
            "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got {version}, Kind={kind}"
        ));
    }
    let Some(response) = review.get("response").filter(|response| response.is_object()) else {
        return Err("webhook response was absent".to_owned());
    };
    let answered = text(response, "/uid");
    if answered != uid {
        return Err(format!("expected response.uid={uid:?}, got {answered:?}"));
    }
    let Some(allowed) = response["allowed"].as_bool() else {
        return Err("response.allowed must be true or false".to_owned());
    };
    let warnings = array(response, "/warnings").iter().filter_map(Value::as_str);
    Ok(Answer {
        warnings: warnings.map(str::to_owned).collect(),
        denial: (!allowed).then(|| denial(webhook, &response["status"])),
    })
}

/// A denial as the client sees it: the webhook's own Status, always as a failure.
fn denial(webhook: &str, status: &Value) -> Failure {
    let (message, reason) = (text(status, "/message"), text(status, "/reason"));
    let why = match (message, reason) {
        ("", "") => " without explanation".to_owned(),
        ("", reason) => format!(": {reason}"),
        (message, _) => format!(": {message}"),
    };
    let message = format!("admission webhook {webhook:?} denied the request{why}");
    let mut told = if status.is_object() { status.clone() } else { json!({}) };
    told["kind"] = "Status".into();
    told["apiVersion"] = "v1".into();
    told["status"] = "Failure".into();
    told["message"] = message.as_str().into();
    // Any other code is not a failure over HTTP.
    if told["code"].as_u64().is_none_or(|code| !(400..=599).contains(&code)) {
        told["code"] = 400.into();
    }
    // A response that is otherwise not a valid Status is still a denial.
    let status = serde_json::from_value::<Status>(told);
    status.unwrap_or_else(|_| Status::failure(StatusReason::Unknown, message).with_code(400)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(response: &Value) -> Result<Answer, String> {
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response,
        });
        read("w", "u", review.to_string().as_bytes())
    }

    #[test]
    fn a_denial_is_a_failure_whatever_it_says() {
        for (status, code, message) in [
            (json!(null), 400, "admission webhook \"w\" denied the request without explanation"),
            (
                json!({"reason": "Forbidden", "code": 403}),
                403,
                "admission webhook \"w\" denied the request: Forbidden",
            ),
            (
                json!({"status": "Success", "message": "full", "code": 200}),
                400,
                "admission webhook \"w\" denied the request: full",
            ),
            (
                json!({"message": "high", "code": 999}),
                400,
                "admission webhook \"w\" denied the request: high",
            ),
            (
                json!({"message": "odd", "code": "x"}),
                400,
                "admission webhook \"w\" denied the request: odd",
            ),
        ] {
            let answer =
                answer(&json!({"uid": "u", "allowed": false, "status": status})).expect("one");
            let denial = answer.denial.expect("a denial");
            assert_eq!((denial.status().code(), denial.status().message()), (code, message));
            assert!(denial.status().is_failure());
        }
    }

    #[test]
    fn what_is_no_answer() {
        for (response, why) in [
            (json!(null), "was absent"),
            (json!({"uid": "v", "allowed": true}), "got \"v\""),
            (json!({"uid": "u"}), "must be true or false"),
        ] {
            let error = answer(&response).expect_err(why);
            assert!(error.contains(why), "{error}");
        }
        assert!(read("w", "u", b"<html>").is_err());
        assert!(read("w", "u", b"{\"kind\":\"Status\"}").is_err_and(|e| e.contains("Kind=Status")));
    }
}
