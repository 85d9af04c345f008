//! Watches: each event as the watch in JSON has it, in a frame.

use futures_util::future::join_all;

use super::wire::event;
use super::*;

const OF_WATCHES: &str = "application/vnd.kubernetes.protobuf;stream=watch";

async fn watch(server: &EmbeddedServer, path: &str, parameters: &str) -> Reply {
    let reply = Reply::request(server, "GET", path, &format!("{MEDIA_TYPE};{parameters}")).await;
    assert_eq!((reply.code, reply.content_type()), (200, OF_WATCHES), "{path}");
    reply
}

/// Compares two watches, byte by byte, until both end; returns the events' types.
async fn assert_same(server: &EmbeddedServer, path: &str, parameters: &str) -> Vec<String> {
    let mut frames = watch(server, path, parameters).await;
    let json = format!("application/json;{parameters}");
    let mut lines = Reply::request(server, "GET", path, &json).await;
    let mut types = Vec::new();
    while let Some(line) = lines.next().await {
        let frame = frames.frame().await.unwrap_or_else(|| panic!("{path} ends before {line}"));
        let (kind, object) = event(&frame);
        assert_eq!(line["type"], kind, "{path}");
        let expected = to_vec(&line["object"]).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(object == expected, "{path}: {line:#}");
        types.push(kind);
    }
    assert_eq!(frames.frame().await, None, "{path} goes on");
    types
}

#[tokio::test]
async fn events_are_the_same_in_both_encodings() {
    let server = server().await;
    let from = server.resource_version();
    server.advance(400);
    create_json(&server, CONFIG_MAPS, &json!({"metadata": {"name": "a"}})).await;
    let cases = [
        ("/api/v1/pods", "", ""),
        // Pods leave the selection and enter it.
        ("/api/v1/pods", "&fieldSelector=status.phase%3DRunning", ""),
        ("/api/v1/pods", "", AS_METADATA),
        ("/api/v1/configmaps", "", ""),
        ("/apis/discovery.k8s.io/v1/endpointslices", "", ""),
    ];
    // Each lasts until its time is up, so all do at once.
    let compared = cases.map(async |(path, selector, parameters)| {
        let path = format!(
            "{path}?watch=1&resourceVersion={from}&timeoutSeconds=4&allowWatchBookmarks=true{selector}"
        );
        let types = assert_same(&server, &path, parameters).await;
        assert_eq!(types.last().map(String::as_str), Some("BOOKMARK"), "{path}");
        if path.contains("pods") {
            for kind in ["ADDED", "MODIFIED", "DELETED"] {
                assert!(types.iter().any(|one| one == kind), "{path}: no {kind}");
            }
        }
    });
    join_all(compared).await;
    server.stop().await;
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark() {
    let server = server().await;
    let path = "/api/v1/pods?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
                &allowWatchBookmarks=true&timeoutSeconds=2";
    let types = assert_same(&server, path, "").await;
    let added = types.iter().filter(|kind| *kind == "ADDED").count();
    assert!(added > 40, "{added} objects");
    let mut frames = watch(&server, path, "").await;
    for _ in 0..added {
        frames.frame().await.unwrap();
    }
    let (kind, bookmark) = event(&frames.frame().await.unwrap());
    let bookmark: Value = from_slice(&bookmark).unwrap();
    assert_eq!((kind.as_str(), &bookmark["kind"]), ("BOOKMARK", &json!("Pod")));
    assert_eq!(bookmark["metadata"]["annotations"], json!({"k8s.io/initial-events-end": "true"}));
    server.stop().await;
}

#[tokio::test]
async fn a_change_arrives_at_once() {
    let server = server().await;
    let version = server.resource_version();
    let mut frames =
        watch(&server, &format!("/api/v1/pods?watch=1&resourceVersion={version}"), "").await;
    let created = create_json(&server, PODS, &pod("a")).await;
    let (kind, object) = event(&frames.frame().await.unwrap());
    assert_eq!((kind.as_str(), object), ("ADDED", to_vec(&created).unwrap()));
    server.disconnect_watches();
    // The Pod may have been bound meanwhile.
    while frames.frame().await.is_some() {}
    server.stop().await;
}

#[tokio::test]
async fn a_version_that_is_gone_is_an_error_event() {
    let server = server().await;
    server.advance(100);
    server.compact(server.resource_version());
    let path = "/api/v1/pods?watch=1&resourceVersion=1";
    assert_eq!(assert_same(&server, path, "").await, ["ERROR"]);
    let (_, status) = event(&watch(&server, path, "").await.frame().await.unwrap());
    let status: Value = from_slice(&status).unwrap();
    assert_eq!((&status["code"], &status["reason"]), (&json!(410), &json!("Expired")));
    server.stop().await;
}
