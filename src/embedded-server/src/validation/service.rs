//! Services and EndpointSlices.

use serde_json::Value;

use super::causes::Causes;
use super::pod;
use crate::object::{array, text};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

pub(super) fn new(service: &Value, causes: &mut Causes) {
    let kind = &service["spec"]["type"];
    causes.one_of("spec.type", kind, &TYPES);
    let ports = array(service, "/spec/ports");
    let is_headless = text(service, "/spec/clusterIP") == "None";
    if ports.is_empty() && kind != "ExternalName" && !is_headless {
        causes.required("spec.ports", "");
    }
    if kind == "ExternalName" && text(service, "/spec/externalName").is_empty() {
        causes.required("spec.externalName", "");
    }
    let mut seen = Vec::new();
    for (place, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{place}]");
        pod::port(&port["port"], &format!("{path}.port"), causes);
        causes.one_of(&format!("{path}.protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"]);
        let name = text(port, "/name");
        if ports.len() > 1 && name.is_empty() {
            causes.required(format!("{path}.name"), "");
        } else if ports.len() > 1 && seen.contains(&name) {
            causes.duplicate(format!("{path}.name"), &name.into());
        }
        seen.push(name);
    }
}

pub(super) fn update(new: &Value, old: &Value, causes: &mut Causes) {
    let needs_address = |service: &Value| service["spec"]["type"] != "ExternalName";
    if needs_address(new) && needs_address(old) {
        causes.immutable(new, old, "/spec/clusterIP", "spec.clusterIP");
    }
}

pub(super) fn slice(slice: &Value, causes: &mut Causes) {
    causes.one_of("addressType", &slice["addressType"], &["FQDN", "IPv4", "IPv6"]);
    for (place, endpoint) in array(slice, "/endpoints").iter().enumerate() {
        if array(endpoint, "/addresses").is_empty() {
            let path = format!("endpoints[{place}].addresses");
            causes.required(path, "must contain at least 1 address");
        }
    }
}
