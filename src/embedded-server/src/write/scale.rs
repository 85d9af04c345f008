//! The `scale` subresource: the number of replicas, the same for every kind that has one.

use k8s_openapi::api::autoscaling::v1 as autoscaling;
use serde_json::{Value, json};
use watchcache::status::{CauseType, StatusCause};

use super::{Part, Request, Writer, Written};
use crate::object::{array, fields, text};
use crate::resource::Scale;
use crate::status::Failure;

/// An object's Scale.
pub(crate) fn of(scale: &Scale, object: &Value) -> Value {
    let number = |pointer: &str| {
        let number = object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
        // The definition may have come to have a Scale after the object was written.
        number.clamp(0, i32::MAX.into())
    };
    let mut status = json!({"replicas": number(&scale.status_replicas)});
    if let Some(selector) = scale.selector.as_ref().and_then(|pointer| object.pointer(pointer)) {
        status["selector"] = selector_text(selector).into();
    }
    let metadata = &object["metadata"];
    let mut own = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = metadata.get(field) {
            own[field] = value.clone();
        }
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": own,
        "spec": {"replicas": number(&scale.spec_replicas)}, "status": status,
    })
}

impl Writer {
    /// Changes an object by a change of its Scale; what comes back is the Scale.
    pub(crate) fn rescale(
        &self,
        request: &Request,
        of_name: &str,
        change: impl Fn(&Value) -> Result<Value, Failure>,
    ) -> Result<Written, Failure> {
        let definition = &request.definition;
        let Some(scale) = &definition.scale else { return Err(Failure::path_not_found()) };
        let written = self.change(request, of_name, Part::Main, |object| {
            let wanted = change(&of(scale, object))?;
            let wanted: autoscaling::Scale = serde_json::from_value(wanted).map_err(|error| {
                let why = format!("Scale in version \"v1\" cannot be handled as a Scale: {error}");
                Failure::bad_request(why)
            })?;
            let given = wanted.metadata.name.unwrap_or_default();
            if !given.is_empty() && given != of_name {
                return Err(Failure::bad_request("the name of the Scale is not the object's"));
            }
            let count = wanted.spec.and_then(|spec| spec.replicas).unwrap_or(0);
            if count < 0 {
                return Err(negative(of_name, count));
            }
            let mut object = object.clone();
            set(&mut object, &scale.spec_replicas, count.into());
            let version = wanted.metadata.resource_version.unwrap_or_default();
            if !version.is_empty() {
                crate::object::metadata(&mut object)
                    .insert("resourceVersion".to_owned(), version.into());
            }
            Ok(object)
        })?;
        let scaled = of(scale, &written.value());
        Ok(Written { json: scaled.to_string().into_bytes(), stored: None, ..written })
    }
}

fn negative(name: &str, number: i32) -> Failure {
    let message = format!("Invalid value: {number}: must be greater than or equal to 0");
    let cause = StatusCause::new(CauseType::FieldValueInvalid, message).with_field("spec.replicas");
    watchcache::Status::invalid("autoscaling", "Scale", name, [cause]).into()
}

/// Sets what a pointer names; objects on the way to it are made.
fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut place = object;
    for step in pointer.split('/').filter(|step| !step.is_empty()) {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[step];
    }
    *place = value;
}

/// A label selector as text.
pub(crate) fn selector_text(selector: &Value) -> String {
    if let Some(text) = selector.as_str() {
        return text.to_owned();
    }
    let mut parts: Vec<String> = fields(selector, "/matchLabels")
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    for requirement in array(selector, "/matchExpressions") {
        let key = text(requirement, "/key");
        let values: Vec<_> =
            array(requirement, "/values").iter().filter_map(Value::as_str).collect();
        parts.push(match text(requirement, "/operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.join(",")
}
