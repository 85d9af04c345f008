//! Defaults that the API fills in where a client leaves out a field.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Map, Value, json};

use crate::object::{section, text};
use crate::resource::{
    CUSTOM_RESOURCE_DEFINITIONS, DEPLOYMENTS, Definition, EVENTS, PODS, REPLICA_SETS, SERVICES,
};
use crate::time;

/// The addresses of Services, given out in turn. They lie beside those of simulated ones.
#[derive(Debug, Default)]
pub(super) struct Addresses(AtomicU32);

const SERVICE_NETWORK: Ipv4Addr = Ipv4Addr::new(10, 33, 0, 1);

impl Addresses {
    fn next(&self) -> String {
        // ORDERING: Relaxed: each number is given out once, and no other data depends on it.
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        Ipv4Addr::from(u32::from(SERVICE_NETWORK).wrapping_add(number)).to_string()
    }
}

/// Fills in what is missing in `object`.
pub(super) fn fill(definition: &Definition, object: &mut Value, addresses: &Addresses) {
    match definition.id {
        PODS => {
            pod_spec(section(object, "spec"));
            admit(section(object, "spec"));
        }
        DEPLOYMENTS => {
            let spec = section(object, "spec");
            or_insert(spec, "replicas", 1);
            or_insert(spec, "revisionHistoryLimit", 10);
            or_insert(spec, "progressDeadlineSeconds", 600);
            let strategy = spec.entry("strategy").or_insert_with(|| json!({}));
            if text(strategy, "/type").is_empty() {
                strategy["type"] = "RollingUpdate".into();
            }
            if strategy["type"] == "RollingUpdate" {
                let rolling = section(strategy, "rollingUpdate");
                or_insert(rolling, "maxUnavailable", "25%");
                or_insert(rolling, "maxSurge", "25%");
            }
            template(object);
        }
        REPLICA_SETS => {
            or_insert(section(object, "spec"), "replicas", 1);
            template(object);
        }
        SERVICES => service(section(object, "spec"), addresses),
        // Those of the other group must have their own type and time.
        EVENTS if definition.renamed.is_empty() => {
            let now = time::rfc3339(time::now());
            if let Value::Object(fields) = object {
                or_insert(fields, "type", "Normal");
                let has_time = ["eventTime", "firstTimestamp", "lastTimestamp"]
                    .iter()
                    .any(|field| fields.get(*field).is_some_and(|time| !time.is_null()));
                if !has_time {
                    or_insert(fields, "lastTimestamp", now);
                }
            }
        }
        CUSTOM_RESOURCE_DEFINITIONS => {
            let names = section(&mut object["spec"], "names");
            let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
            or_insert(names, "singular", kind.to_lowercase());
            or_insert(names, "listKind", format!("{kind}List"));
            or_insert(section(object, "spec"), "conversion", json!({"strategy": "None"}));
        }
        _ => {}
    }
}

fn or_insert(fields: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    let field = fields.entry(name).or_insert(Value::Null);
    if field.is_null() || *field == "" {
        *field = value.into();
    }
}

fn elements<'a>(
    fields: &'a mut Map<String, Value>,
    list: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let list = fields.get_mut(list).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn template(workload: &mut Value) {
    let template = section(section_of(workload, "spec"), "template");
    let spec = template.entry("spec").or_insert_with(|| json!({}));
    if let Value::Object(spec) = spec {
        pod_spec(spec);
    }
}

/// The section, as a value.
fn section_of<'a>(object: &'a mut Value, field: &str) -> &'a mut Value {
    section(object, field);
    &mut object[field]
}

/// Defaults of every Pod's spec, and of every template's.
fn pod_spec(spec: &mut Map<String, Value>) {
    or_insert(spec, "restartPolicy", "Always");
    or_insert(spec, "dnsPolicy", "ClusterFirst");
    or_insert(spec, "schedulerName", "default-scheduler");
    or_insert(spec, "terminationGracePeriodSeconds", 30);
    or_insert(spec, "securityContext", json!({}));
    for list in ["initContainers", "containers"] {
        for container in elements(spec, list) {
            let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
            let is_newest = image.ends_with(":latest")
                || !image.rsplit('/').next().unwrap_or(image).contains(':');
            or_insert(
                container,
                "imagePullPolicy",
                if is_newest { "Always" } else { "IfNotPresent" },
            );
            or_insert(container, "terminationMessagePath", "/dev/termination-log");
            or_insert(container, "terminationMessagePolicy", "File");
            or_insert(container, "resources", json!({}));
            for port in elements(container, "ports") {
                or_insert(port, "protocol", "TCP");
            }
        }
    }
}

/// Defaults that admission adds to a Pod.
fn admit(spec: &mut Map<String, Value>) {
    or_insert(spec, "serviceAccountName", "default");
    let account = spec["serviceAccountName"].clone();
    or_insert(spec, "serviceAccount", account);
    or_insert(spec, "enableServiceLinks", true);
    or_insert(spec, "priority", 0);
    or_insert(spec, "preemptionPolicy", "PreemptLowerPriority");
    if !spec.get("tolerations").is_some_and(Value::is_array) {
        let toleration = |key: &str| {
            json!({
                "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
            })
        };
        let tolerations = json!([
            toleration("node.kubernetes.io/not-ready"),
            toleration("node.kubernetes.io/unreachable"),
        ]);
        spec.insert("tolerations".to_owned(), tolerations);
    }
}

fn service(spec: &mut Map<String, Value>, addresses: &Addresses) {
    or_insert(spec, "type", "ClusterIP");
    or_insert(spec, "sessionAffinity", "None");
    if spec["type"] != "ExternalName" {
        or_insert(spec, "internalTrafficPolicy", "Cluster");
        or_insert(spec, "ipFamilies", json!(["IPv4"]));
        or_insert(spec, "ipFamilyPolicy", "SingleStack");
        if !spec.get("clusterIP").is_some_and(|address| *address != "" && !address.is_null()) {
            spec.insert("clusterIP".to_owned(), addresses.next().into());
        }
        let address = spec["clusterIP"].clone();
        or_insert(spec, "clusterIPs", json!([address]));
    }
    for port in elements(spec, "ports") {
        or_insert(port, "protocol", "TCP");
        let number = port.get("port").cloned().unwrap_or(Value::Null);
        or_insert(port, "targetPort", number);
    }
}
