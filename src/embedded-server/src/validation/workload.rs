//! Deployments and ReplicaSets.

use serde_json::Value;

use super::causes::Causes;
use super::pod;
use crate::object::{array, fields};

pub(super) fn new(workload: &Value, causes: &mut Causes) {
    causes.not_negative(workload, "/spec/replicas", "spec.replicas");
    causes.not_negative(workload, "/spec/minReadySeconds", "spec.minReadySeconds");
    let selector = &workload["spec"]["selector"];
    let is_empty = fields(selector, "/matchLabels").next().is_none()
        && array(selector, "/matchExpressions").is_empty();
    if selector.is_null() {
        causes.required("spec.selector", "");
    } else if is_empty {
        causes.invalid("spec.selector", selector, "empty selector is invalid for deployment");
    }
    let labels = workload.pointer("/spec/template/metadata/labels").unwrap_or(&Value::Null);
    let selects =
        fields(selector, "/matchLabels").all(|(name, value)| labels.get(name) == Some(value));
    if !is_empty && !selects {
        let why = "`selector` does not match template `labels`";
        causes.invalid("spec.template.metadata.labels", labels, why);
    }
    let template = &workload["spec"]["template"]["spec"];
    pod::spec(template, "spec.template.spec", causes);
    if let Some(policy) = template.get("restartPolicy").filter(|policy| **policy != "Always") {
        causes.one_of("spec.template.spec.restartPolicy", policy, &["Always"]);
    }
    if let Some(kind) = workload.pointer("/spec/strategy/type") {
        causes.one_of("spec.strategy.type", kind, &["Recreate", "RollingUpdate"]);
        if kind == "Recreate" && workload.pointer("/spec/strategy/rollingUpdate").is_some() {
            let why = "may not be specified when strategy `type` is 'Recreate'";
            causes.forbidden("spec.strategy.rollingUpdate", why);
        }
    }
}

pub(super) fn update(new: &Value, old: &Value, causes: &mut Causes) {
    causes.immutable(new, old, "/spec/selector", "spec.selector");
}
