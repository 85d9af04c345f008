//! Lists, single objects, failures.

use std::time::Duration;

use super::wire::{List, message};
use super::*;

/// Where the objects of each built-in kind are.
const PLACES: [&str; 12] = [
    "/api/v1/pods",
    "/api/v1/nodes",
    "/api/v1/services",
    "/api/v1/configmaps",
    "/api/v1/namespaces",
    "/api/v1/events",
    "/apis/events.k8s.io/v1/events",
    "/apis/discovery.k8s.io/v1/endpointslices",
    "/apis/coordination.k8s.io/v1/leases",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/replicasets",
    DEFINITIONS,
];

/// A server with objects of every kind.
async fn filled() -> EmbeddedServer {
    let server = server().await;
    server.advance(300);
    create_json(&server, DEPLOYMENTS, &deployment("web")).await;
    create_json(&server, DEFINITIONS, &widget_definition()).await;
    let lease = json!({
        "metadata": {"name": "leader"},
        "spec": {"holderIdentity": "a", "renewTime": "2026-11-26T23:13:21.123456Z"},
    });
    create_json(&server, "/apis/coordination.k8s.io/v1/namespaces/default/leases", &lease).await;
    let event = json!({
        "metadata": {"name": "happened"}, "reason": "Tested", "message": "it was", "type": "Normal",
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "a"}, "count": 2,
        "source": {"component": "test"}, "lastTimestamp": "2026-11-26T23:13:21Z",
    });
    create_json(&server, "/api/v1/namespaces/default/events", &event).await;
    server
}

/// The JSON of an item with the type that the list has named.
fn typed(list: &Value, item: &Value) -> Value {
    let mut item = item.clone();
    item["apiVersion"] = list["apiVersion"].clone();
    item["kind"] = list["kind"].as_str().unwrap().trim_end_matches("List").into();
    item
}

/// A list in JSON, and in protobuf.
async fn both_lists(server: &EmbeddedServer, path: &str, parameters: &str) -> (Value, List) {
    let json = format!("application/json;{parameters}");
    let (code, json) = http::get_as(server, path, &json).await;
    assert_eq!(code, 200, "{path}");
    let accept = format!("{MEDIA_TYPE};{parameters}");
    let reply = Reply::request(server, "GET", path, &accept).await;
    assert_eq!((reply.code, reply.content_type()), (200, MEDIA_TYPE), "{path}");
    (json, List::read(&reply.body().await))
}

/// Compares a list in protobuf with the one in JSON, byte by byte; returns the latter.
async fn assert_same_list(server: &EmbeddedServer, path: &str, parameters: &str) -> Value {
    let (mut json, mut list) = both_lists(server, path, parameters).await;
    // Controllers may have something to do yet, and get between the two.
    for _ in 0..100 {
        if list.metadata["resourceVersion"] == json["metadata"]["resourceVersion"] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        (json, list) = both_lists(server, path, parameters).await;
    }
    let kind = format!("{} {}", json["apiVersion"], json["kind"]).replace('"', "");
    assert_eq!((&list.kind, &list.metadata), (&kind, &json["metadata"]), "{path}");
    let items = json["items"].as_array().unwrap();
    assert_eq!(list.items.len(), items.len(), "{path}");
    for (found, item) in list.items.iter().zip(items) {
        let expected =
            to_vec(&typed(&json, item)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(*found == message(&expected), "{path}: {item:#}");
    }
    json
}

#[tokio::test]
async fn a_list_of_each_kind_is_the_same_in_both_encodings() {
    let server = filled().await;
    for path in PLACES {
        // Encoded, and then as it was kept.
        for _ in 0..2 {
            let list = assert_same_list(&server, path, "").await;
            assert!(!list["items"].as_array().unwrap().is_empty(), "{path} shows nothing");
        }
        assert_same_list(&server, path, AS_METADATA).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn pages_selections_and_earlier_versions() {
    let server = filled().await;
    let first = assert_same_list(&server, "/api/v1/pods?limit=7", "").await;
    assert!(first["metadata"]["remainingItemCount"].as_u64().unwrap() > 7);
    let token = first["metadata"]["continue"].as_str().unwrap();
    server.advance(50);
    assert_same_list(&server, &format!("/api/v1/pods?limit=7&continue={token}"), "").await;
    let version = first["metadata"]["resourceVersion"].as_str().unwrap();
    let exact = format!("/api/v1/pods?resourceVersion={version}&resourceVersionMatch=Exact");
    assert_same_list(&server, &exact, "").await;
    let none = assert_same_list(&server, "/api/v1/pods?labelSelector=is%3Dnowhere", "").await;
    assert_eq!(none["items"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn a_long_list_is_compressed_for_who_takes_gzip() {
    let config = Config { pods: 600, rate: 0, ..Config::default() };
    let server = EmbeddedServer::start(config).await.unwrap();
    let accept = format!("{MEDIA_TYPE}\r\nAccept-Encoding: gzip");
    let reply = Reply::request(&server, "GET", "/api/v1/pods", &accept).await;
    assert!(reply.headers.iter().any(|header| header == "content-encoding: gzip"));
    assert_same_list(&server, "/api/v1/pods", "").await;
    server.stop().await;
}

#[tokio::test]
async fn single_objects_and_scales() {
    let server = filled().await;
    let (_, pods) = http::get(&server, "/api/v1/pods?limit=3").await;
    let mut paths: Vec<String> = pods["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pod| {
            let part = |name: &str| pod["metadata"][name].as_str().unwrap();
            format!("/api/v1/namespaces/{}/pods/{}", part("namespace"), part("name"))
        })
        .collect();
    paths.push(format!("{DEPLOYMENTS}/web"));
    paths.push(format!("{DEPLOYMENTS}/web/status"));
    paths.push(format!("{DEPLOYMENTS}/web/scale"));
    paths.push("/apis/events.k8s.io/v1/namespaces/default/events/happened".to_owned());
    for path in paths {
        let (code, json) = http::get(&server, &path).await;
        assert_eq!(code, 200, "{path}");
        assert_eq!(get(&server, &path).await, (200, to_vec(&json).unwrap()), "{path}");
        if !path.ends_with("/scale") {
            let accept = |media_type: &str| {
                format!("{media_type};as=PartialObjectMetadata;v=v1;g=meta.k8s.io")
            };
            let (_, json) = http::get_as(&server, &path, &accept("application/json")).await;
            let reply = Reply::request(&server, "GET", &path, &accept(MEDIA_TYPE)).await;
            assert_eq!(reply.body().await, to_vec(&json).unwrap(), "{path}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn failures_are_in_protobuf_too() {
    let server = server().await;
    for (path, code, reason) in [
        ("/api/v1/namespaces/x/pods/none", 404, "NotFound"),
        ("/api/v1/pods?limit=many", 400, "BadRequest"),
        ("/api/v1/pods?resourceVersion=99999999", 504, "Timeout"),
        ("/api/v1/pods?watch=1&resourceVersion=99999999", 504, "Timeout"),
        ("/api/v1/pods?resourceVersionMatch=Exact", 422, "Invalid"),
    ] {
        let (got, body) = get(&server, path).await;
        let (_, json) = http::get(&server, path).await;
        assert_status(&(got, from_slice(&body).unwrap()), code, reason);
        assert_eq!(body, to_vec(&json).unwrap(), "{path}");
    }
    // What is no resource, and what was not understood, is told in JSON.
    for (path, accept, code) in [
        ("/api/v1/nonsense", MEDIA_TYPE, 404),
        ("/api/v1/pods", "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", 406),
        ("/api/v1/pods", "application/vnd.kubernetes.protobuf;q=0", 406),
    ] {
        let reply = Reply::request(&server, "GET", path, accept).await;
        assert_eq!((reply.code, reply.content_type()), (code, "application/json"), "{path}");
        let status: Value = serde_json::from_slice(&reply.body().await).unwrap();
        assert_eq!(status["kind"], "Status");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_wanted_most_is_what_comes() {
    let server = server().await;
    for (accept, expected) in [
        ("application/vnd.kubernetes.protobuf, application/json", MEDIA_TYPE),
        ("application/json, application/vnd.kubernetes.protobuf", "application/json"),
        ("application/vnd.kubernetes.protobuf;q=0.5, application/json;q=0.9", "application/json"),
        (
            "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io, */*",
            "application/json",
        ),
        ("*/*", "application/json"),
    ] {
        for path in ["/api/v1/nodes", "/api/v1/namespaces/default", "/api/v1/namespaces/no"] {
            let reply = Reply::request(&server, "GET", path, accept).await;
            assert_eq!(reply.content_type(), expected, "{path} as {accept}");
        }
    }
    server.stop().await;
}
