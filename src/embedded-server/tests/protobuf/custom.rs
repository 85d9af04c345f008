//! Custom resources, which have no schema: their objects stay JSON, their metadata does not have to.

use super::wire::{List, event, message};
use super::*;

async fn with_widgets() -> EmbeddedServer {
    let server = server().await;
    create_json(&server, DEFINITIONS, &widget_definition()).await;
    for name in ["a", "b"] {
        let widget = json!({"metadata": {"name": name, "odd": 1}, "spec": {"size": 1, "odd": {}}});
        create_json(&server, WIDGETS, &widget).await;
    }
    server
}

#[tokio::test]
async fn objects_are_json_or_not_acceptable() {
    let server = with_widgets().await;
    for path in [WIDGETS, &format!("{WIDGETS}/a"), &format!("{WIDGETS}?watch=1")] {
        let reply = Reply::request(&server, "GET", path, MEDIA_TYPE).await;
        assert_eq!((reply.code, reply.content_type()), (406, "application/json"), "{path}");
        let status: Value = serde_json::from_slice(&reply.body().await).unwrap();
        assert_status(&(406, status), 406, "NotAcceptable");
        let both = format!("{MEDIA_TYPE}, application/json");
        let reply = Reply::request(&server, "GET", path, &both).await;
        assert_eq!((reply.code, reply.content_type()), (200, "application/json"), "{path}");
    }
    let body = b"k8s\0\x0a\x18\x0a\x0eexample.com/v1\x12\x06Widget";
    for (method, path) in [("POST", WIDGETS), ("PUT", &format!("{WIDGETS}/a"))] {
        let json = "application/json";
        let reply = Reply::with_body(&server, method, path, json, MEDIA_TYPE, body).await;
        let code = reply.code;
        let status: Value = serde_json::from_slice(&reply.body().await).unwrap();
        assert_status(&(code, status.clone()), 415, "UnsupportedMediaType");
        assert!(status["message"].as_str().unwrap().ends_with("application/json"), "{status}");
    }
    server.stop().await;
}

#[tokio::test]
async fn metadata_scales_and_options_have_schemas() {
    let server = with_widgets().await;
    let from = server.resource_version();
    let json = format!("application/json;{AS_METADATA}");
    let (_, expected) = http::get_as(&server, WIDGETS, &json).await;
    let accept = format!("{MEDIA_TYPE};{AS_METADATA}");
    let reply = Reply::request(&server, "GET", WIDGETS, &accept).await;
    assert_eq!((reply.code, reply.content_type()), (200, MEDIA_TYPE));
    let list = List::read(&reply.body().await);
    assert_eq!(list.kind, "meta.k8s.io/v1 PartialObjectMetadataList");
    assert_eq!(list.items.len(), 2);
    for (item, expected) in list.items.iter().zip(expected["items"].as_array().unwrap()) {
        assert_eq!(*item, message(&to_vec(expected).unwrap()));
    }

    let (_, scale) = get(&server, &format!("{WIDGETS}/a/scale")).await;
    let mut scale: Value = from_slice(&scale).unwrap();
    scale["spec"]["replicas"] = 4.into();
    let (code, scaled) = send(&server, "PUT", &format!("{WIDGETS}/a/scale"), &scale).await;
    assert_eq!((code, &scaled["spec"]["replicas"]), (200, &json!(4)), "{scaled}");

    let options = json!({"apiVersion": "example.com/v1", "kind": "DeleteOptions"});
    let path = format!("{WIDGETS}/b");
    let accept = format!("{MEDIA_TYPE}, application/json");
    let body = to_vec(&options).unwrap();
    let reply = Reply::with_body(&server, "DELETE", &path, &accept, MEDIA_TYPE, &body).await;
    assert_eq!((reply.code, reply.content_type()), (200, "application/json"));

    let path = format!("{WIDGETS}?watch=1&resourceVersion={from}&timeoutSeconds=1");
    let accept = format!("{MEDIA_TYPE};{AS_METADATA}");
    let mut frames = Reply::request(&server, "GET", &path, &accept).await;
    let mut seen = Vec::new();
    while let Some(frame) = frames.frame().await {
        let (kind, object) = event(&frame);
        let object: Value = from_slice(&object).unwrap();
        assert_eq!(object["kind"], "PartialObjectMetadata");
        seen.push((kind, object["metadata"]["name"].as_str().unwrap().to_owned()));
    }
    let expected = [("MODIFIED", "a"), ("DELETED", "b")];
    assert_eq!(seen, expected.map(|(kind, name)| (kind.to_owned(), name.to_owned())));
    server.stop().await;
}
