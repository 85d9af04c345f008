//! The columns of Services and EndpointSlices.

use serde_json::Value;

use super::{Column, age, array, equalities, name, or_none, text, text_or_none};

pub(super) const COLUMNS: &[Column] = &[
    ("Name", "name", 0),
    ("Type", "string", 0),
    ("Cluster-IP", "string", 0),
    ("External-IP", "string", 0),
    ("Port(s)", "string", 0),
    ("Age", "string", 0),
    ("Selector", "string", 1),
];

pub(super) fn cells(service: &Value) -> Vec<Value> {
    vec![
        name(service),
        text(service, "/spec/type").into(),
        text_or_none(service, "/spec/clusterIP").into(),
        or_none(external(service)),
        or_none(ports(array(service, "/spec/ports"))),
        age(service),
        or_none(selector(service)),
    ]
}

fn external(service: &Value) -> String {
    let kind = text(service, "/spec/type");
    if kind == "ExternalName" {
        return text(service, "/spec/externalName").to_owned();
    }
    let mut addresses: Vec<&str> = Vec::new();
    if kind == "LoadBalancer" {
        for ingress in array(service, "/status/loadBalancer/ingress") {
            let ip = text(ingress, "/ip");
            addresses.push(if ip.is_empty() { text(ingress, "/hostname") } else { ip });
        }
    }
    addresses.extend(array(service, "/spec/externalIPs").iter().filter_map(Value::as_str));
    if addresses.is_empty() && kind == "LoadBalancer" {
        return "<pending>".to_owned();
    }
    addresses.join(",")
}

fn ports(ports: &[Value]) -> String {
    let shown: Vec<String> = ports
        .iter()
        .map(|port| {
            let number = port["port"].as_i64().unwrap_or(0);
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            match port["nodePort"].as_i64().filter(|node_port| *node_port > 0) {
                Some(node_port) => format!("{number}:{node_port}/{protocol}"),
                None => format!("{number}/{protocol}"),
            }
        })
        .collect();
    shown.join(",")
}

fn selector(service: &Value) -> String {
    equalities(service, "/spec/selector")
}

pub(super) const SLICE_COLUMNS: &[Column] = &[
    ("Name", "name", 0),
    ("AddressType", "string", 0),
    ("Ports", "string", 0),
    ("Endpoints", "string", 0),
    ("Age", "string", 0),
];

pub(super) fn slice_cells(slice: &Value) -> Vec<Value> {
    let ports: Vec<String> = array(slice, "/ports")
        .iter()
        .map(|port| port["port"].as_i64().map_or_else(|| "*".to_owned(), |port| port.to_string()))
        .collect();
    let endpoints: Vec<&str> = array(slice, "/endpoints")
        .iter()
        .flat_map(|endpoint| array(endpoint, "/addresses"))
        .filter_map(Value::as_str)
        .collect();
    vec![
        name(slice),
        text(slice, "/addressType").into(),
        unset(first_few(&ports)),
        unset(first_few(&endpoints)),
        age(slice),
    ]
}

fn unset(text: String) -> Value {
    if text.is_empty() { "<unset>".into() } else { text.into() }
}

/// The first three, and how many more there are, as kubectl shows both columns.
fn first_few<T: AsRef<str>>(all: &[T]) -> String {
    let shown: Vec<&str> = all.iter().take(3).map(AsRef::as_ref).collect();
    let shown = shown.join(",");
    match all.len() {
        0..=3 => shown,
        count => format!("{shown} + {} more...", count - 3),
    }
}
