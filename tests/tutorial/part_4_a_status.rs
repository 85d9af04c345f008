//! A status says how a request ended, for people and for programs. It is for deciding what to do next:
//! to give up, to look again, or to wait.

use std::time::Duration;

use watchcache::status::{CauseType, StatusCause, StatusReason};
use watchcache::{Status, StatusError};

#[test]
fn step_01_a_sentence_a_reason_and_a_code() {
    let status = Status::not_found("", "pods", "web-0");
    // One for people, ...
    assert_eq!(status.to_string(), "pods \"web-0\" not found");
    // ... one for programs, ...
    assert_eq!(*status.reason(), StatusReason::NotFound);
    // ... and one for HTTP.
    assert_eq!(status.code(), 404);
}

#[test]
fn step_02_two_failures_of_one_code_are_two_things() {
    // Both are 409. That it exists already may be all that was wanted; that it has been changed means to
    // look again. The reason tells the two apart, and the code does not.
    let exists = Status::already_exists("", "pods", "web-0");
    let changed = Status::conflict("", "pods", "web-0", "it has been modified");
    assert_eq!((exists.code(), changed.code()), (409, 409));
    assert!(exists.is_already_exists() && !exists.is_conflict());
    assert!(changed.is_conflict() && !changed.is_already_exists());
}

#[test]
fn step_03_which_field_is_wrong() {
    // A person reads the sentence, a form marks the fields.
    let missing = StatusCause::new(CauseType::FieldValueRequired, "Required value")
        .with_field("spec.containers");
    let status = Status::invalid("", "Pod", "web-0", [missing]);
    assert_eq!(status.to_string(), "Pod \"web-0\" is invalid: spec.containers: Required value");
    let fields: Vec<_> = status.causes().iter().map(StatusCause::field).collect();
    assert_eq!(fields, ["spec.containers"]);
}

#[test]
fn step_04_how_long_to_wait() {
    // A server that is asked too much says when to come back, and a reflector obeys.
    let busy = Status::too_many_requests(Duration::from_secs(3));
    assert!(busy.is_too_many_requests());
    assert_eq!(busy.retry_after(), Some(Duration::from_secs(3)));
}

#[test]
fn step_05_it_travels_as_json() -> Result<(), Box<dyn std::error::Error>> {
    // In the form of the Kubernetes API: what this crate writes kubectl reads, and the other way round.
    let status = Status::expired("too old resource version: 1 (7)");
    let json = serde_json::to_string(&status)?;
    assert!(json.contains(r#""reason":"Expired""#) && json.contains(r#""code":410"#));
    assert_eq!(Status::from_json(json.as_bytes())?, status);
    // Anything else is an error.
    assert!(Status::from_json(br#"{"kind":"Pod","apiVersion":"v1"}"#).is_err());
    Ok(())
}

#[test]
fn step_06_a_failure_is_an_error_like_any_other() {
    fn scale(replicas: i32) -> Result<i32, StatusError> {
        if replicas < 0 {
            Err(Status::bad_request("there are no fewer than none"))?;
        }
        Ok(replicas)
    }
    assert_eq!(scale(3).unwrap(), 3);
    let error = scale(-1).unwrap_err();
    assert!(error.status().is_bad_request());
}
