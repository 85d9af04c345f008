//! The columns of Events.

use serde_json::Value;

use super::{Column, age::since, name, text};

pub(super) const COLUMNS: &[Column] = &[
    ("Last Seen", "string", 0),
    ("Type", "string", 0),
    ("Reason", "string", 0),
    ("Object", "string", 0),
    ("Subobject", "string", 1),
    ("Source", "string", 1),
    ("Message", "string", 0),
    ("First Seen", "string", 1),
    ("Count", "string", 1),
    ("Name", "name", 1),
];

pub(super) fn cells(event: &Value) -> Vec<Value> {
    let first_of = |pointers: &[&str]| {
        let found =
            pointers.iter().map(|pointer| text(event, pointer)).find(|text| !text.is_empty());
        found.unwrap_or_default().to_owned()
    };
    let seen = |pointers| match first_of(pointers).as_str() {
        "" => "<unknown>".to_owned(),
        time => since(time),
    };
    let object = format!(
        "{}/{}",
        text(event, "/involvedObject/kind").to_lowercase(),
        text(event, "/involvedObject/name")
    );
    let count = event.pointer("/series/count").or(event.get("count")).and_then(Value::as_i64);
    vec![
        seen(&["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/firstTimestamp"])
            .into(),
        text(event, "/type").into(),
        text(event, "/reason").into(),
        object.into(),
        text(event, "/involvedObject/fieldPath").into(),
        first_of(&["/source/component", "/reportingComponent"]).into(),
        text(event, "/message").trim().into(),
        seen(&["/firstTimestamp", "/eventTime"]).into(),
        count.unwrap_or(1).to_string().into(),
        name(event),
    ]
}
