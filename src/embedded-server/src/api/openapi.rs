//! The OpenAPI documents, one for each version of a group: what `kubectl explain` reads, and where
//! clients find out that the server validates fields.
//!
//! The built-in types carry no descriptions here; custom resources carry their definitions'.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::encoding::json_response;
use crate::resource::{Definition, Learnt, Registry, Types, group_version};

pub(super) fn answer(path: &[&str], registry: &Registry) -> Option<Response> {
    let all = registry.all();
    let body = match path {
        ["openapi", "v3"] => index(&all),
        ["openapi", "v3", "api", "v1"] => document(&all, "", "v1")?,
        ["openapi", "v3", "apis", group, version] => document(&all, group, version)?,
        _ => return None,
    };
    Some(json_response(StatusCode::OK, body.to_string()))
}

/// Where the documents are. Each address changes with what is served, so that clients may keep them.
fn index(all: &[Arc<Definition>]) -> Value {
    let versions: BTreeSet<_> = all.iter().map(|one| (&*one.group, &*one.version)).collect();
    let mut paths = Map::new();
    for (group, version) in versions {
        let path = match group {
            "" => format!("api/{version}"),
            group => format!("apis/{group}/{version}"),
        };
        let mut hasher = DefaultHasher::new();
        for one in all.iter().filter(|one| one.group == group && one.version == version) {
            (&one.plural, one.schema().map(|schema| schema.as_value().to_string()))
                .hash(&mut hasher);
        }
        let url = format!("/openapi/v3/{path}?hash={:016X}", hasher.finish());
        paths.insert(path, json!({"serverRelativeURL": url}));
    }
    json!({"paths": paths})
}

fn document(all: &[Arc<Definition>], group: &str, version: &str) -> Option<Value> {
    let learnt = RefCell::new(Learnt::default());
    let (mut paths, mut customs, mut kinds) = (Map::new(), Map::new(), Vec::new());
    for definition in all.iter().filter(|one| one.group == group && one.version == version) {
        let kind = json!({"group": group, "version": version, "kind": definition.kind});
        let name = match &definition.types {
            Types::Builtin { learn, .. } => learn(&learnt),
            Types::Custom { schema, .. } => {
                let name = format!("{}.{}", definition.group, definition.kind);
                customs.insert(name.clone(), custom(schema.as_value()));
                name
            }
        };
        paths.extend(operations(definition, &kind));
        kinds.push((name, kind));
    }
    if kinds.is_empty() {
        return None;
    }
    let mut schemas = learnt.into_inner().schemas();
    schemas.extend(customs);
    for (name, kind) in kinds {
        if let Some(schema) = schemas.get_mut(&name) {
            schema["x-kubernetes-group-version-kind"] = json!([kind]);
        }
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.33.0"},
        "paths": paths,
        "components": {"schemas": schemas},
    }))
}

/// A custom resource's schema, with what every object has.
fn custom(schema: &Value) -> Value {
    let mut schema = schema.clone();
    for (field, what) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
        schema["properties"][field] = json!({"type": what});
    }
    schema
}

fn operations(definition: &Definition, kind: &Value) -> Vec<(String, Value)> {
    let root = match &*definition.group {
        "" => format!("/api/{}", definition.version),
        _ => format!("/apis/{}", group_version(&definition.group, &definition.version)),
    };
    let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    let operation = |action: &str, parameters: &[&str]| {
        json!({
            "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind,
            "parameters": parameters.iter().map(|name| parameter(name)).collect::<Vec<_>>(),
            "responses": {"200": {"description": "OK"}},
        })
    };
    let writes = ["dryRun", "fieldManager", "fieldValidation"];
    let collection = json!({
        "get": operation("list", &["labelSelector", "fieldSelector", "limit", "continue"]),
        "post": operation("post", &writes),
    });
    let object = json!({
        "get": operation("get", &[]), "put": operation("put", &writes),
        "patch": operation("patch", &["dryRun", "fieldManager", "fieldValidation", "force"]),
        "delete": operation("delete", &["dryRun", "propagationPolicy"]),
    });
    let scope = if definition.namespaced { "/namespaces/{namespace}" } else { "" };
    let plural = &definition.plural;
    let mut operations = vec![
        (format!("{root}{scope}/{plural}"), collection),
        (format!("{root}{scope}/{plural}/{{name}}"), object),
    ];
    if definition.namespaced {
        operations.push((format!("{root}/{plural}"), json!({"get": operation("list", &[])})));
    }
    operations
}
