//! What clients ask before they ask for objects: versions, groups, resources, health.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::resource::{self, Description};
use crate::status::json_response;

const GROUP: &str = "discovery.k8s.io";

/// The answer to a path that names no objects.
pub(crate) fn answer(path: &[&str]) -> Option<Response> {
    let body = match path {
        ["healthz" | "readyz" | "livez", ..] => {
            return Some(
                ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "ok").into_response(),
            );
        }
        [] => {
            json!({"paths": ["/api", "/api/v1", "/apis", "/apis/discovery.k8s.io/v1", "/healthz", "/livez", "/readyz", "/version"]})
        }
        ["version"] => json!({
            "major": "1", "minor": "33", "gitVersion": "v1.33.0+watchcache-embedded",
            "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": "", "compiler": "rustc",
            "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
        }),
        ["api"] => json!({
            "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [],
        }),
        ["apis"] => json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group()]}),
        ["apis", GROUP] => {
            let mut group = group();
            group["kind"] = "APIGroup".into();
            group["apiVersion"] = "v1".into();
            group
        }
        ["api", "v1"] => resources("", "v1"),
        ["apis", GROUP, "v1"] => resources(GROUP, "discovery.k8s.io/v1"),
        _ => return None,
    };
    Some(json_response(StatusCode::OK, body.to_string()))
}

fn group() -> Value {
    let version = json!({"groupVersion": "discovery.k8s.io/v1", "version": "v1"});
    json!({"name": GROUP, "versions": [version], "preferredVersion": version})
}

fn resources(group: &str, group_version: &str) -> Value {
    let resources: Vec<Value> = resource::ALL
        .into_iter()
        .map(resource::describe)
        .filter(|description| description.group == group)
        .map(entry)
        .collect();
    json!({
        "kind": "APIResourceList", "apiVersion": "v1",
        "groupVersion": group_version, "resources": resources,
    })
}

fn entry(description: &Description) -> Value {
    let mut entry = json!({
        "name": description.plural, "singularName": description.singular,
        "namespaced": description.namespaced, "kind": description.kind,
        "verbs": ["get", "list", "watch"],
    });
    if !description.short_names.is_empty() {
        entry["shortNames"] = json!(description.short_names);
    }
    if !description.categories.is_empty() {
        entry["categories"] = json!(description.categories);
    }
    entry
}
