//! The `Status` part through its public face: reasons and codes, the API's JSON of today and of
//! 2014, and what callers ask of a status.

#![allow(clippy::unwrap_used)]

use std::error::Error;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use watchcache::status::{
    CauseType, Outcome, StatusCause, StatusDetails, StatusParseError, StatusReason,
};
use watchcache::{Status, StatusError};

fn parse(json: Value) -> Status {
    Status::from_json(json.to_string().as_bytes()).unwrap()
}

fn to_json(status: &Status) -> Value {
    serde_json::to_value(status).unwrap()
}

/// Reads the JSON, and expects to write the very same.
fn round_trip(json: Value) -> Status {
    let status = parse(json.clone());
    assert_eq!(to_json(&status), json);
    status
}

#[test]
fn reasons_have_the_codes_of_the_api() {
    let table = [
        ("", 500),
        ("Unauthorized", 401),
        ("Forbidden", 403),
        ("NotFound", 404),
        ("AlreadyExists", 409),
        ("Conflict", 409),
        ("Gone", 410),
        ("Expired", 410),
        ("Invalid", 422),
        ("ServerTimeout", 500),
        ("StorageReadError", 500),
        ("Timeout", 504),
        ("TooManyRequests", 429),
        ("BadRequest", 400),
        ("MethodNotAllowed", 405),
        ("NotAcceptable", 406),
        ("RequestEntityTooLarge", 413),
        ("UnsupportedMediaType", 415),
        ("InternalError", 500),
        ("ServiceUnavailable", 503),
        ("Working", 202),
    ];
    for (text, code) in table {
        let reason = StatusReason::from(text);
        assert_eq!(reason.as_str(), text);
        assert_eq!(reason.code(), code, "{text}");
        assert_eq!(reason.is_known(), !text.is_empty(), "{text}");
    }
    assert_eq!(StatusReason::known().len(), table.len() - 1);
}

#[test]
fn every_reason_survives_json_and_names_a_code_that_leads_back() {
    for reason in StatusReason::known() {
        let status = Status::failure(reason.clone(), "why");
        let back: Status = serde_json::from_value(to_json(&status)).unwrap();
        assert_eq!(back.reason(), reason);
        assert_eq!(back.code(), reason.code());

        let assumed = StatusReason::from_code(reason.code());
        assert_eq!(assumed.code(), reason.code());
        let ambiguous = [202, 409, 410, 500].contains(&reason.code());
        assert!(assumed == *reason || ambiguous, "{reason}");
    }
}

#[test]
fn reasons_of_2014_are_read() {
    for (old, new) in [
        ("", StatusReason::Unknown),
        ("not_found", StatusReason::NotFound),
        ("already_exists", StatusReason::AlreadyExists),
        ("conflict", StatusReason::Conflict),
        ("invalid", StatusReason::Invalid),
        ("working", StatusReason::Working),
    ] {
        assert_eq!(old.parse(), Ok(new));
    }
}

#[test]
fn an_unknown_reason_is_kept_word_for_word() {
    let status = round_trip(json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "m", "reason": "out_of Cheese", "code": 404,
    }));
    assert_eq!(*status.reason(), StatusReason::Other("out_of Cheese".into()));
    assert!(status.is_not_found(), "the code speaks where the reason is not known");
}

#[test]
fn a_known_reason_outweighs_the_code() {
    let status = Status::failure(StatusReason::Forbidden, "").with_code(404);
    assert!(status.is_forbidden());
    assert!(!status.is_not_found());

    let bare = Status::failure(StatusReason::Unknown, "").with_code(409);
    assert!(bare.is_conflict());
    assert!(!bare.is_already_exists(), "409 alone is a conflict");
}

#[test]
fn expired_by_reason_or_by_bare_code() {
    assert!(Status::expired("too old").is_expired());
    assert!(Status::gone("too old").is_expired());
    assert!(Status::failure("", "").with_code(410).is_expired());
    assert!(Status::failure("Odd", "").with_code(410).is_expired());
    assert!(!Status::bad_request("").with_code(410).is_expired());
    assert!(!Status::failure("", "").is_expired());
}

#[test]
fn each_question_is_answered_yes_by_its_own_reason_only() {
    type Question = fn(&Status) -> bool;
    let questions: [(&str, Question); 17] = [
        ("Unauthorized", Status::is_unauthorized),
        ("Forbidden", Status::is_forbidden),
        ("NotFound", Status::is_not_found),
        ("AlreadyExists", Status::is_already_exists),
        ("Conflict", Status::is_conflict),
        ("Expired", Status::is_expired),
        ("Invalid", Status::is_invalid),
        ("ServerTimeout", Status::is_server_timeout),
        ("Timeout", Status::is_timeout),
        ("TooManyRequests", Status::is_too_many_requests),
        ("BadRequest", Status::is_bad_request),
        ("MethodNotAllowed", Status::is_method_not_allowed),
        ("NotAcceptable", Status::is_not_acceptable),
        ("RequestEntityTooLarge", Status::is_request_entity_too_large),
        ("UnsupportedMediaType", Status::is_unsupported_media_type),
        ("InternalError", Status::is_internal_error),
        ("ServiceUnavailable", Status::is_service_unavailable),
    ];
    for (reason, _) in questions {
        let status = Status::failure(reason, "");
        for (asked, question) in questions {
            assert_eq!(question(&status), asked == reason, "{asked} of {reason}");
        }
    }
}

#[test]
fn not_found_as_the_api_server_sends_it() {
    let status = round_trip(json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "deployments.apps \"web\" not found", "reason": "NotFound",
        "details": { "name": "web", "group": "apps", "kind": "deployments" }, "code": 404,
    }));
    assert_eq!(status, Status::not_found("apps", "deployments", "web"));
    assert!(status.is_failure() && status.is_not_found());
}

#[test]
fn an_invalid_object_has_one_cause_per_field() {
    let status = round_trip(json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "leases.coordination.k8s.io \"test\" is invalid: metadata.resourceVersion: \
                    Invalid value: 0: must be specified for an update",
        "reason": "Invalid",
        "details": {
            "name": "test", "group": "coordination.k8s.io", "kind": "leases",
            "causes": [{
                "reason": "FieldValueInvalid",
                "message": "Invalid value: 0: must be specified for an update",
                "field": "metadata.resourceVersion",
            }],
        },
        "code": 422,
    }));
    let cause = StatusCause::new(
        CauseType::FieldValueInvalid,
        "Invalid value: 0: must be specified for an update",
    )
    .with_field("metadata.resourceVersion");
    let built = Status::invalid("coordination.k8s.io", "leases", "test", [cause]);
    assert_eq!(status, built);
    assert!(status.has_cause(&CauseType::FieldValueInvalid));
}

#[test]
fn an_expired_continue_token_comes_with_a_fresh_one() {
    let status = round_trip(json!({
        "kind": "Status", "apiVersion": "v1",
        "metadata": { "resourceVersion": "12", "continue": "eyJ2", "remainingItemCount": 7 },
        "status": "Failure", "message": "The provided continue parameter is too old",
        "reason": "Expired", "code": 410,
    }));
    assert!(status.is_expired());
    assert_eq!(status.continue_token(), Some("eyJ2"));
    assert_eq!(status.resource_version(), Some("12"));
    assert_eq!(status.remaining_item_count(), Some(7));
}

#[test]
fn a_delete_that_succeeded() {
    let status = round_trip(json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": { "name": "web", "group": "apps", "kind": "deployments", "uid": "1234" },
    }));
    assert!(status.is_success() && !status.is_failure());
    assert_eq!(status.code(), 200);
    assert_eq!(status.details().unwrap().uid(), "1234");
    assert!(status.into_result().is_ok());
}

#[test]
fn a_retry_delay() {
    let status = parse(json!({
        "kind": "Status", "status": "Failure", "reason": "TooManyRequests", "code": 429,
        "details": { "retryAfterSeconds": 3 },
    }));
    assert_eq!(status.retry_after(), Some(Duration::from_secs(3)));

    let rounded = Status::too_many_requests(Duration::from_millis(1200));
    assert_eq!(rounded.retry_after(), Some(Duration::from_secs(2)));
    let capped = Status::too_many_requests(Duration::MAX);
    assert_eq!(to_json(&capped)["details"]["retryAfterSeconds"], i32::MAX);
    assert_eq!(Status::expired("").retry_after(), None);
}

#[test]
fn a_status_of_2014() {
    let status = parse(json!({
        "kind": "Status", "creationTimestamp": null, "apiVersion": "v1beta1",
        "status": "failure", "message": "pod \"foo\" not found", "reason": "not_found",
        "details": { "id": "foo", "kind": "pod" }, "code": 404,
    }));
    assert_eq!(status, Status::not_found("", "pod", "foo"));
    assert_eq!(to_json(&status)["reason"], "NotFound");
    assert_eq!(to_json(&status)["details"]["name"], "foo");

    let working = parse(json!({
        "kind": "Status", "apiVersion": "v1beta1", "status": "working", "reason": "working",
        "details": { "id": "1", "kind": "operation" }, "code": 202,
    }));
    assert!(working.is_working() && !working.is_failure() && !working.is_success());
    assert_eq!(working.details(), Some(&StatusDetails::new("", "operation", "1")));

    let invalid = parse(json!({
        "kind": "Status", "apiVersion": "v1beta1", "status": "failure", "reason": "invalid",
        "details": { "causes": [
            { "reason": "fieldValueNotSupported", "message": "no", "field": "kind" },
        ] },
        "code": 422,
    }));
    assert!(invalid.has_cause(&CauseType::FieldValueNotSupported));
}

#[test]
fn missing_null_and_unknown_properties_are_tolerated() {
    let status = parse(json!({ "kind": "Status" }));
    assert_eq!(status.outcome(), Outcome::Failure);
    assert_eq!(*status.reason(), StatusReason::Unknown);
    assert_eq!(status.code(), 500);

    let status = parse(json!({
        "kind": "Status", "apiVersion": null, "metadata": null, "status": null, "message": null,
        "reason": null, "code": null, "weather": ["fine"],
        "details": {
            "name": null, "causes": [{ "reason": null, "colour": 1 }], "retryAfterSeconds": null,
        },
    }));
    assert_eq!(status.causes().len(), 1);
    assert_eq!(parse(json!({ "code": 404 })).code(), 404);
}

#[test]
fn numbers_out_of_range_are_dropped() {
    let status = parse(json!({
        "kind": "Status", "reason": "Expired", "code": -1,
        "details": { "retryAfterSeconds": -5 },
    }));
    assert_eq!(status.code(), 410);
    assert_eq!(status.retry_after(), None);
    assert_eq!(parse(json!({ "kind": "Status", "code": 70_000 })).code(), 500);
}

#[test]
fn without_a_status_word_the_rest_tells_the_outcome() {
    let outcome = |json| parse(json).outcome();
    assert_eq!(outcome(json!({ "kind": "Status", "code": 200 })), Outcome::Success);
    assert_eq!(outcome(json!({ "kind": "Status", "code": 202 })), Outcome::Working);
    assert_eq!(outcome(json!({ "reason": "working" })), Outcome::Working);
    assert_eq!(outcome(json!({ "status": "Odd", "code": 404 })), Outcome::Failure);
}

#[test]
fn an_object_of_another_kind_is_unexpected() {
    let pod = json!({ "kind": "Pod", "apiVersion": "v1", "status": { "phase": "Running" } });
    assert!(serde_json::from_value::<Status>(pod).is_err());

    for (json, expected) in [
        (r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}}"#, "Pod"),
        (r#"{"kind":"Pod","apiVersion":"v1","status":{"phase":"Running"}}"#, "Pod"),
        (r#"{"apiVersion":"v1"}"#, ""),
        ("{}", ""),
    ] {
        match Status::from_json(json.as_bytes()) {
            Err(StatusParseError::UnexpectedObject { kind, .. }) => assert_eq!(kind, expected),
            other => panic!("{json}: {other:?}"),
        }
    }
}

#[test]
fn garbage_is_an_error() {
    for garbage in ["", "null", "[1]", "7", "<html>", r#"{"kind":"Status","code":"#] {
        let error = Status::from_json(garbage.as_bytes()).unwrap_err();
        assert!(!error.to_string().is_empty());
    }
    assert!(matches!(
        Status::from_json(br#"{"kind":"Status","message":4}"#),
        Err(StatusParseError::Json(_))
    ));
    assert!(Status::from_json(b"\xff\xfe").is_err());
}

#[test]
fn messages_are_worded_as_the_api_server_does() {
    let delay = Duration::from_secs(1);
    for (status, message) in [
        (Status::not_found("", "pods", "web-0"), r#"pods "web-0" not found"#),
        (Status::already_exists("", "pods", "a"), r#"pods "a" already exists"#),
        (
            Status::conflict("", "pods", "a", "the object has been modified"),
            r#"Operation cannot be fulfilled on pods "a": the object has been modified"#,
        ),
        (Status::forbidden("", "pods", "a", "no"), r#"pods "a" is forbidden: no"#),
        (Status::forbidden("apps", "deployments", "", "no"), "deployments.apps is forbidden: no"),
        (Status::forbidden("", "", "", "no"), "forbidden: no"),
        (Status::invalid("", "Pod", "a", []), r#"Pod "a" is invalid"#),
        (
            Status::invalid(
                "",
                "Pod",
                "a",
                [
                    StatusCause::new(CauseType::FieldValueRequired, "x").with_field("f"),
                    StatusCause::new(CauseType::FieldValueInvalid, "y").with_field("g"),
                ],
            ),
            r#"Pod "a" is invalid: [f: x, g: y]"#,
        ),
        (
            Status::method_not_allowed("delete", "", "bindings"),
            r#"delete is not supported on resources of kind "bindings""#,
        ),
        (Status::timeout("slow"), "Timeout: slow"),
        (
            Status::server_timeout("list", "", "pods", delay),
            "The list operation against pods could not be completed at this time, please try again.",
        ),
        (
            Status::resource_version_too_large(9, 5, delay),
            "Timeout: Too large resource version: 9, current: 5",
        ),
        (Status::internal("boom"), "Internal error occurred: boom"),
    ] {
        assert_eq!(status.message(), message);
        assert_eq!(status.to_string(), message);
        assert!(status.is_failure());
        assert_eq!(status.code(), status.reason().code());
    }
}

#[test]
fn a_status_without_a_message_still_says_something() {
    let status = Status::failure(StatusReason::NotFound, "");
    assert_eq!(status.to_string(), "the request failed: NotFound (404)");
    let status = Status::failure("", "").with_code(418);
    assert_eq!(status.to_string(), "the request failed: Unknown (418)");
    assert_eq!(Status::success().to_string(), "the request succeeded (200)");
}

#[test]
fn a_bare_http_code_becomes_a_status() {
    let web = || StatusDetails::new("", "pods", "web-0");
    let reason = |code, method| {
        let status = Status::from_http_code(code, method, web(), "body");
        assert_eq!(status.code(), code);
        assert!(status.has_cause(&CauseType::UnexpectedServerResponse));
        status.reason().clone()
    };
    assert_eq!(reason(409, "POST"), StatusReason::AlreadyExists);
    assert_eq!(reason(409, "PUT"), StatusReason::Conflict);
    assert_eq!(reason(502, "GET"), StatusReason::InternalError);
    assert_eq!(reason(503, "GET"), StatusReason::ServiceUnavailable);
    assert_eq!(reason(504, "GET"), StatusReason::Timeout);
    assert_eq!(reason(410, "GET"), StatusReason::Expired);
    assert_eq!(reason(418, "GET"), StatusReason::Unknown);

    let status = Status::from_http_code(404, "GET", web(), "404 page not found");
    assert_eq!(
        status.message(),
        "the server could not find the requested resource (get pods web-0)"
    );
    let what = StatusDetails::default().with_retry_after(Duration::from_secs(4));
    let status = Status::from_http_code(429, "GET", what, "");
    assert_eq!(status.retry_after(), Some(Duration::from_secs(4)));
    assert!(!status.message().ends_with(')'));
    let status = Status::from_http_code(403, "GET", StatusDetails::default(), "not you");
    assert_eq!(status.message(), "not you");
}

#[test]
fn a_failure_is_an_error_for_the_question_mark() {
    fn call() -> Result<(), StatusError> {
        Status::success().into_result()?;
        Status::working("wait").into_result()?;
        Status::unauthorized("who are you?").into_result()?;
        Ok(())
    }
    let error = call().unwrap_err();
    assert!(error.status().is_unauthorized());
    assert_eq!(error.clone().into_status(), *error.status());

    let boxed: Box<dyn Error + Send + Sync> = error.into();
    assert_eq!(boxed.to_string(), "who are you?");
    assert!(boxed.downcast_ref::<StatusError>().is_some());
}

#[test]
fn reasons_match_in_place() {
    let status = Status::forbidden("", "pods", "a", "no");
    assert!(matches!(status.reason(), StatusReason::Forbidden | StatusReason::Unauthorized));
}

#[cfg(feature = "kube")]
#[test]
fn an_api_error_of_kube_carries_over_whole() {
    let json = json!({
        "kind": "Status", "apiVersion": "v1",
        "metadata": { "resourceVersion": "12", "continue": "eyJ2", "remainingItemCount": 7 },
        "status": "Failure", "message": "slow down", "reason": "TooManyRequests",
        "details": {
            "name": "a", "group": "apps", "kind": "deployments", "uid": "1",
            "causes": [{ "reason": "DisruptionBudget", "message": "m", "field": "f" }],
            "retryAfterSeconds": 3,
        },
        "code": 429,
    });
    let theirs: kube::core::Status = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(Status::from(&theirs), parse(json.clone()));

    assert_eq!(kube::core::Status::from(parse(json.clone())), theirs, "and back");

    let error = kube::Error::Api(theirs.boxed());
    assert_eq!(to_json(&Status::from(&error)), json);
    assert_eq!(to_json(&Status::from(error)), json);
}

#[cfg(feature = "kube")]
#[test]
fn what_is_absent_is_absent_in_kubes_form_too() {
    use kube::core::Status as Theirs;

    // A server may send more than either knows.
    let json =
        json!({ "status": "Failure", "reason": "Odd", "code": 418, "tea": true, "details": {} });
    let theirs: Theirs = serde_json::from_value(json.clone()).unwrap();
    let ours = Status::from(&theirs);
    assert_eq!(ours, parse(json));
    assert_eq!(Theirs::from(ours), theirs);

    let nothing = Theirs::from(Status::from(Theirs::default()));
    assert!(nothing.is_failure(), "as client-go takes what says nothing");
    assert_eq!((nothing.metadata.is_none(), nothing.details.is_none()), (true, true));
    assert_eq!((nothing.code, nothing.reason.as_str()), (0, ""));

    for (ours, code) in [
        (Status::success(), 0),
        (Status::working("soon"), 202),
        (Status::not_found("", "pods", "web-0"), 404),
        (Status::expired("too old").with_continue_token("eyJ2"), 410),
    ] {
        let theirs = Theirs::from(ours.clone());
        assert_eq!(theirs.code, code);
        assert_eq!(theirs.is_success(), ours.is_success());
        assert_eq!(theirs.is_failure(), ours.is_failure());
        assert_eq!(Status::from(theirs), ours);
    }

    for json in [
        json!({ "status": "Working" }),
        json!({ "status": "Working", "code": 200 }),
        json!({ "status": "Working", "reason": "Timeout", "code": 504 }),
    ] {
        let again = Status::from(Theirs::from(parse(json.clone())));
        assert!(again.is_working(), "{json}");
    }
}

#[cfg(feature = "kube")]
#[test]
fn other_errors_of_kube_become_failures_with_a_fitting_reason() {
    use std::io;

    let read = |kind| Status::from(&kube::Error::ReadEvents(io::Error::from(kind)));
    assert!(read(io::ErrorKind::TimedOut).is_timeout());
    assert!(read(io::ErrorKind::ConnectionReset).is_service_unavailable());

    let parse = serde_json::from_str::<Value>("<html>").unwrap_err();
    let status = Status::from(&kube::Error::SerdeError(parse));
    assert!(status.is_internal_error());
    assert!(status.has_cause(&CauseType::UnexpectedServerResponse));

    assert!(Status::from(&kube::Error::TlsRequired).is_internal_error());
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "\\PC{0,12}", any::<String>()]
}

fn reason() -> impl Strategy<Value = StatusReason> {
    prop_oneof![
        proptest::sample::select(StatusReason::known().to_vec()),
        text().prop_map(StatusReason::from),
    ]
}

fn cause() -> impl Strategy<Value = StatusCause> {
    (text(), text(), text())
        .prop_map(|(cause, message, field)| StatusCause::new(cause, message).with_field(field))
}

fn details() -> impl Strategy<Value = StatusDetails> {
    let causes = proptest::collection::vec(cause(), 0..4);
    (text(), text(), text(), text(), causes, any::<Duration>()).prop_map(
        |(group, kind, name, uid, causes, delay)| {
            StatusDetails::new(group, kind, name)
                .with_uid(uid)
                .with_causes(causes)
                .with_retry_after(delay)
        },
    )
}

fn status() -> impl Strategy<Value = Status> {
    let start = prop_oneof![
        Just(Status::success()),
        text().prop_map(Status::working),
        (reason(), text()).prop_map(|(reason, message)| Status::failure(reason, message)),
    ];
    let details = proptest::option::of(details());
    let count = proptest::option::of(any::<i64>());
    (start, details, any::<u16>(), text(), text(), count).prop_map(
        |(status, details, code, version, token, count)| {
            let mut status =
                status.with_code(code).with_resource_version(version).with_continue_token(token);
            if let Some(details) = details {
                status = status.with_details(details);
            }
            if let Some(count) = count {
                status = status.with_remaining_item_count(count);
            }
            status
        },
    )
}

proptest! {
    #[test]
    fn any_status_survives_json(status in status()) {
        let json = serde_json::to_vec(&status).unwrap();
        prop_assert_eq!(Status::from_json(&json).unwrap(), status.clone());
        prop_assert_eq!(serde_json::from_slice::<Status>(&json).unwrap(), status);
    }

    #[cfg(feature = "kube")]
    #[test]
    fn any_status_survives_kubes_form(status in status()) {
        let theirs = kube::core::Status::from(status.clone());
        let json = serde_json::to_value(&theirs).unwrap();
        prop_assert_eq!(serde_json::from_value::<kube::core::Status>(json).unwrap(), theirs.clone());
        prop_assert_eq!(Status::from(theirs), status);
    }

    #[test]
    fn any_reason_survives_text(text in text()) {
        let reason = StatusReason::from(text.as_str());
        prop_assert_eq!(StatusReason::from(reason.as_str()), reason.clone());
        if !reason.is_known() {
            prop_assert_eq!(reason.as_str(), text);
        }
    }

    #[test]
    fn any_bytes_give_a_status_or_an_error(bytes: Vec<u8>) {
        let _ = Status::from_json(&bytes);
    }

    #[test]
    fn every_code_gives_a_failure(code: u16, method in "GET|POST|", body in text()) {
        let status = Status::from_http_code(code, &method, StatusDetails::default(), &body);
        prop_assert!(status.is_failure());
    }
}
