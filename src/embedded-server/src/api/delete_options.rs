//! On which terms a DELETE is asked for: by its query, by its body. What cannot be read is refused,
//! since an object that is gone does not come back.

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use watchcache::Status;
use watchcache::status::{CauseType, StatusCause};

use super::body::Content;
use crate::status::Failure;
use crate::write::{DeleteOptions, Propagation};

/// The options of the query with those of the body before them, and whether the body asks for a dry
/// run.
pub(super) fn read(query: DeleteOptions, body: &Content) -> Result<(DeleteOptions, bool), Failure> {
    if body.is_empty() {
        return Ok((query, false));
    }
    let body: meta::DeleteOptions =
        serde_json::from_value(body.of_type(true, ("v1", "DeleteOptions"))?).map_err(|error| {
            Failure::bad_request(format!("the body cannot be handled as a DeleteOptions: {error}"))
        })?;
    // Every group has it under its own version.
    if let Some(kind) = body.kind.filter(|kind| !matches!(kind.as_str(), "" | "DeleteOptions")) {
        let why =
            format!("the body is a {kind}: decoded object cannot be converted to DeleteOptions");
        return Err(Failure::bad_request(why));
    }
    let dry_run = body.dry_run.unwrap_or_default();
    if let Some(other) = dry_run.iter().find(|one| *one != "All") {
        let message = format!("Unsupported value: {other:?}: supported values: \"All\"");
        return Err(invalid(CauseType::FieldValueNotSupported, "dryRun", message));
    }
    let policy = body.propagation_policy.filter(|policy| !policy.is_empty());
    let propagation = match (policy, body.orphan_dependents) {
        (Some(policy), Some(_)) => {
            let message = format!(
                "Invalid value: {policy:?}: orphanDependents and deletionPropagation cannot be both set"
            );
            return Err(invalid(CauseType::FieldValueInvalid, "propagationPolicy", message));
        }
        (Some(policy), None) => Some(propagation(&policy)?),
        (None, Some(true)) => Some(Propagation::Orphan),
        (None, _) => query.propagation,
    };
    let preconditions = body.preconditions.unwrap_or_default();
    let options = DeleteOptions {
        grace_seconds: body.grace_period_seconds.or(query.grace_seconds),
        propagation,
        uid: preconditions.uid,
        resource_version: preconditions.resource_version,
    };
    Ok((options, !dry_run.is_empty()))
}

pub(super) fn propagation(text: &str) -> Result<Propagation, Failure> {
    match text {
        "Background" => Ok(Propagation::Background),
        "Foreground" => Ok(Propagation::Foreground),
        "Orphan" => Ok(Propagation::Orphan),
        other => Err(Failure::bad_request(format!(
            "invalid propagationPolicy {other:?}: supported values: \"Background\", \"Foreground\", \"Orphan\""
        ))),
    }
}

fn invalid(cause: CauseType, field: &str, message: String) -> Failure {
    let cause = StatusCause::new(cause, message).with_field(field);
    Status::invalid("meta.k8s.io", "DeleteOptions", "", [cause]).into()
}
