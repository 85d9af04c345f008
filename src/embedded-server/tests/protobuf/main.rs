//! The server speaks protobuf: what it shows is byte for byte what `to_vec` makes of the JSON that it shows,
//! which the library's own tests hold against Kubernetes' encoder.
#![allow(clippy::unwrap_used)]

#[path = "../http/mod.rs"]
#[allow(dead_code, reason = "shared with other tests, and each uses a part")]
mod http;

mod bodies;
mod custom;
mod reads;
mod refused;
mod watches;
mod wire;

use http::Reply;
use serde_json::{Value, json};
use watchcache::reflector::protobuf::{MEDIA_TYPE, from_slice, to_vec};
use watchcache_embedded_server::{Config, EmbeddedServer};

const PODS: &str = "/api/v1/namespaces/default/pods";
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

const AS_METADATA: &str = "as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

/// A cluster that changes only when it is told to.
async fn server() -> EmbeddedServer {
    let config = Config { pods: 60, rate: 0, seed: 5, ..Config::default() };
    EmbeddedServer::start(config).await.unwrap()
}

/// The answer to a request that asks for protobuf: its code, and its body.
async fn ask(server: &EmbeddedServer, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let reply = Reply::with_body(server, method, path, MEDIA_TYPE, MEDIA_TYPE, body).await;
    assert_eq!(reply.content_type(), MEDIA_TYPE, "{method} {path}");
    let code = reply.code;
    (code, reply.body().await)
}

async fn get(server: &EmbeddedServer, path: &str) -> (u16, Vec<u8>) {
    ask(server, "GET", path, b"").await
}

/// Writes an object in protobuf; what comes back decoded.
async fn send(server: &EmbeddedServer, method: &str, path: &str, object: &Value) -> (u16, Value) {
    let body = if object.is_null() { Vec::new() } else { to_vec(object).unwrap() };
    let (code, answer) = ask(server, method, path, &body).await;
    (code, from_slice(&answer).unwrap())
}

async fn create_json(server: &EmbeddedServer, path: &str, object: &Value) -> Value {
    let json = "application/json";
    let reply = Reply::with_body(server, "POST", path, json, json, object.to_string()).await;
    assert_eq!(reply.code, 201, "{path}");
    serde_json::from_slice(&reply.body().await).unwrap()
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "web", "image": "nginx:1"}]},
    })
}

fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod(name)["spec"].clone()},
        },
    })
}

fn widget_definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"scale": {
                    "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size",
                }},
                "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    })
}

fn assert_status(answer: &(u16, Value), code: u16, reason: &str) {
    let (got, status) = answer;
    assert_eq!((*got, status["reason"].as_str()), (code, Some(reason)), "{status}");
    assert_eq!((&status["kind"], &status["code"]), (&json!("Status"), &json!(code)), "{status}");
}
