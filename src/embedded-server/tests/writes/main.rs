//! Writing to the server: over HTTP as such, and by kube's client.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../http/mod.rs"]
#[allow(dead_code, reason = "shared with other tests, and each uses a part")]
mod http;

mod admission;
mod controllers;
mod custom;
mod deletions;
mod events;
mod objects;
mod patches;
mod simulated;
mod subresources;

use std::time::Duration;

use http::Reply;
use kube::Client;
use serde_json::{Value, json};
use watchcache_embedded_server::{Config, EmbeddedServer};

/// A small cluster in which nothing happens by itself.
async fn server() -> EmbeddedServer {
    EmbeddedServer::start(Config { pods: 10, rate: 0, ..Config::default() }).await.unwrap()
}

fn client(server: &EmbeddedServer) -> Client {
    Client::try_from(kube::Config::new(server.url().parse().unwrap())).unwrap()
}

async fn send(server: &EmbeddedServer, method: &str, path: &str, body: &Value) -> (u16, Value) {
    send_as(server, method, path, "application/json", body).await
}

async fn send_as(
    server: &EmbeddedServer,
    method: &str,
    path: &str,
    content_type: &str,
    body: &Value,
) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let reply = Reply::with_body(server, method, path, "*/*", content_type, &body).await;
    let code = reply.code;
    (code, serde_json::from_slice(&reply.body().await).unwrap())
}

const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const REPLICA_SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";

async fn config_map(server: &EmbeddedServer, name: &str) -> Value {
    let object = json!({"metadata": {"name": name}, "data": {"a": "1", "b": "2"}});
    let (code, created) = send(server, "POST", CONFIG_MAPS, &object).await;
    assert_eq!(code, 201, "{created}");
    created
}

fn pod(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    })
}

fn deployment(name: &str, replicas: u32) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "web", "image": "nginx:1"}]},
            },
        },
    })
}

fn assert_status(answer: &(u16, Value), code: u16, reason: &str) {
    let (got, status) = answer;
    assert_eq!((*got, status["reason"].as_str()), (code, Some(reason)), "{status}");
    assert_eq!((&status["kind"], &status["code"]), (&json!("Status"), &json!(code)), "{status}");
}

/// The fields that a refusal names.
fn fields(status: &Value) -> Vec<&str> {
    let causes = status["details"]["causes"].as_array().unwrap();
    causes.iter().map(|cause| cause["field"].as_str().unwrap()).collect()
}

/// Gets until the object is as wanted; `Null` stands for one that is not there.
async fn eventually(
    server: &EmbeddedServer,
    path: &str,
    is_wanted: impl Fn(&Value) -> bool,
) -> Value {
    let mut last = Value::Null;
    for _ in 0..600 {
        let (code, object) = http::get(server, path).await;
        last = if code == 404 { Value::Null } else { object };
        if is_wanted(&last) {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never as wanted: {path} is {last:#}");
}
