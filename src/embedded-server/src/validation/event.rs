//! Events: one with a time of its own names who did what, and why; and one that is written through
//! `events.k8s.io` has to be of that kind.
//!
//! Refusals name the fields as they are stored, whichever group was asked, as the real server's do.

use serde_json::Value;

use super::causes::Causes;
use super::names;
use crate::object::{namespace, text};
use crate::resource::Definition;

/// The most characters of a short field, such as a reason, and of a message.
const SHORT: usize = 128;
const LONG: usize = 1024;

/// Fields of a recorded Event that may not change: only the count of similar ones goes on.
const SETTLED: [&str; 12] = [
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "type",
    "eventTime",
    "action",
    "related",
    "reportingInstance",
];

pub(super) fn new(definition: &Definition, event: &Value, causes: &mut Causes) {
    let event = &*definition.renamed.stored(event);
    common(event, causes);
    if definition.renamed.is_empty() {
        return;
    }
    series(event, causes);
    if !has_time(event) {
        causes.required("eventTime", "");
    }
    if !matches!(text(event, "/type"), "Normal" | "Warning") {
        let why = format!("has invalid value: {}", text(event, "/type"));
        causes.invalid("type", &"".into(), why);
    }
    for field in ["firstTimestamp", "lastTimestamp", "count", "source"] {
        if !is_empty(&event[field]) {
            causes.invalid(field, &"".into(), "needs to be unset");
        }
    }
}

pub(super) fn update(definition: &Definition, new: &Value, old: &Value, causes: &mut Causes) {
    let (new, old) = (&*definition.renamed.stored(new), &*definition.renamed.stored(old));
    common(new, causes);
    if definition.renamed.is_empty() {
        return;
    }
    if new.get("series") != old.get("series") {
        series(new, causes);
    }
    for field in SETTLED {
        causes.immutable(new, old, &format!("/{field}"), field);
    }
    causes.immutable(new, old, "/reportingComponent", "reportingController");
}

fn common(event: &Value, causes: &mut Causes) {
    let about = text(event, "/involvedObject/namespace");
    let is_in = |expected: &[&str]| expected.contains(&namespace(event));
    // An object without a namespace has its Events in the default one.
    let is_in_place = match (has_time(event), about) {
        (false, "") => is_in(&["default"]),
        (true, "") => is_in(&["default", "kube-system"]),
        (false, about) => is_in(&[about]),
        (true, _) => true,
    };
    if !is_in_place {
        let why = "does not match event.namespace";
        causes.invalid("involvedObject.namespace", &event["involvedObject"]["namespace"], why);
    }
    if !has_time(event) {
        return;
    }
    let controller = text(event, "/reportingComponent");
    if controller.is_empty() {
        causes.required("reportingController", "");
    }
    if let Err(why) = names::qualified(controller) {
        causes.invalid("reportingController", &controller.into(), why);
    }
    for field in ["reportingInstance", "action", "reason"] {
        let value = text(event, &format!("/{field}"));
        if value.is_empty() {
            causes.required(field, "");
        }
        at_most(SHORT, field, value, causes);
    }
    at_most(LONG, "message", text(event, "/message"), causes);
}

fn has_time(event: &Value) -> bool {
    !text(event, "/eventTime").is_empty()
}

fn at_most(most: usize, field: &str, value: &str, causes: &mut Causes) {
    if value.len() > most {
        causes.invalid(field, &"".into(), format!("can have at most {most} characters"));
    }
}

fn series(event: &Value, causes: &mut Causes) {
    let count = &event["series"]["count"];
    if count.as_i64().is_some_and(|count| count < 2) {
        causes.invalid("series.count", &"".into(), "should be at least 2");
    }
}

/// Empty, as written by a client that writes even the fields it has not set.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Object(fields) => fields.values().all(|value| value.is_null() || *value == ""),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}
