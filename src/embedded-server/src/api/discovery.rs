//! What clients ask before they ask for objects: versions, groups, resources, health.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::encoding::json_response;
use crate::resource::{Definition, NAMESPACES, PODS, Registry, group_version};

/// The answer to a path that names no objects.
pub(crate) fn answer(path: &[&str], registry: &Registry) -> Option<Response> {
    let all = registry.all();
    let body = match path {
        ["healthz" | "readyz" | "livez", ..] => {
            return Some(
                ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "ok").into_response(),
            );
        }
        [] => json!({"paths": paths(&all)}),
        ["version"] => json!({
            "major": "1", "minor": "33", "gitVersion": "v1.33.0+watchcache-embedded",
            "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": "", "compiler": "rustc",
            "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
        }),
        ["api"] => json!({
            "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [],
        }),
        ["apis"] => {
            let groups: Vec<_> =
                groups(&all).iter().map(|(name, versions)| group(name, versions)).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        ["apis", name] => {
            let mut group = group(name, groups(&all).get(name)?);
            group["kind"] = "APIGroup".into();
            group["apiVersion"] = "v1".into();
            group
        }
        ["api", "v1"] => resources(&all, "", "v1")?,
        ["apis", group, version] => resources(&all, group, version)?,
        _ => return None,
    };
    Some(json_response(StatusCode::OK, body.to_string()))
}

fn paths(all: &[Arc<Definition>]) -> Vec<String> {
    let mut paths: Vec<String> =
        ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]
            .map(ToOwned::to_owned)
            .into();
    for (group, versions) in groups(all) {
        paths.push(format!("/apis/{group}"));
        paths.extend(versions.iter().map(|version| format!("/apis/{group}/{version}")));
    }
    paths.sort();
    paths
}

/// The groups beside the core one, with the versions of each.
fn groups(all: &[Arc<Definition>]) -> BTreeMap<&str, Vec<&str>> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for definition in all.iter().filter(|one| !one.group.is_empty()) {
        let versions = groups.entry(&definition.group).or_default();
        if !versions.contains(&&*definition.version) {
            versions.push(&definition.version);
        }
    }
    groups
}

fn group(name: &str, versions: &[&str]) -> Value {
    let versions: Vec<_> = versions
        .iter()
        .map(|version| json!({"groupVersion": group_version(name, version), "version": version}))
        .collect();
    json!({"name": name, "versions": versions, "preferredVersion": versions.first()})
}

fn resources(all: &[Arc<Definition>], group: &str, version: &str) -> Option<Value> {
    let of_this = |one: &&Arc<Definition>| one.group == group && one.version == version;
    let resources: Vec<Value> = all.iter().filter(of_this).flat_map(|one| entries(one)).collect();
    (!resources.is_empty()).then(|| {
        json!({
            "kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": group_version(group, version), "resources": resources,
        })
    })
}

fn entries(definition: &Definition) -> Vec<Value> {
    let mut verbs = vec!["create", "delete", "deletecollection"];
    verbs.retain(|verb| *verb != "deletecollection" || definition.has_delete_collection());
    verbs.extend(["get", "list", "patch", "update", "watch"]);
    let mut entry = json!({
        "name": definition.plural, "singularName": definition.singular,
        "namespaced": definition.namespaced, "kind": definition.kind,
        "verbs": verbs,
    });
    if !definition.short_names.is_empty() {
        entry["shortNames"] = json!(definition.short_names);
    }
    if !definition.categories.is_empty() {
        entry["categories"] = json!(definition.categories);
    }
    let subresource = |name: &str, kind: &str, verbs: &[&str]| {
        json!({
            "name": format!("{}/{name}", definition.plural), "singularName": "",
            "namespaced": definition.namespaced, "kind": kind, "verbs": verbs,
        })
    };
    let change = ["get", "patch", "update"];
    let mut entries = vec![entry];
    if definition.has_status {
        entries.push(subresource("status", &definition.kind, &change));
    }
    if definition.scale.is_some() {
        let mut scale = subresource("scale", "Scale", &change);
        scale["group"] = "autoscaling".into();
        scale["version"] = "v1".into();
        entries.push(scale);
    }
    match definition.id {
        PODS => entries.push(subresource("binding", "Binding", &["create"])),
        NAMESPACES => entries.push(subresource("finalize", "Namespace", &["update"])),
        _ => {}
    }
    entries
}
