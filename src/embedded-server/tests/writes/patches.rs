//! Patches of every kind, and server-side apply.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::*;

#[tokio::test]
async fn each_kind_of_patch() {
    let server = server().await;
    config_map(&server, "a").await;
    let path = format!("{CONFIG_MAPS}/a");
    let merge = json!({"metadata": {"labels": {"x": "1"}}, "data": {"a": null, "c": "3"}});
    let (code, patched) = send_as(&server, "PATCH", &path, MERGE, &merge).await;
    assert_eq!((code, &patched["data"]), (200, &json!({"b": "2", "c": "3"})));

    let operations = json!([
        {"op": "test", "path": "/data/b", "value": "2"},
        {"op": "move", "from": "/data/b", "path": "/data/d"},
    ]);
    let (_, patched) = send_as(&server, "PATCH", &path, JSON_PATCH, &operations).await;
    assert_eq!(patched["data"], json!({"c": "3", "d": "2"}));
    let refused = send_as(&server, "PATCH", &path, JSON_PATCH, &operations).await;
    assert_status(&refused, 422, "Invalid");

    let labels = json!({"metadata": {"labels": {"x": null, "y": "2"}}});
    let (_, patched) = send_as(&server, "PATCH", &path, STRATEGIC, &labels).await;
    assert_eq!(patched["metadata"]["labels"], json!({"y": "2"}));

    for (content_type, patch, code, reason) in [
        (MERGE, json!({"metadata": {"resourceVersion": "1"}}), 409, "Conflict"),
        (MERGE, json!({"metadata": {"name": "other"}}), 400, "BadRequest"),
        (MERGE, json!([1]), 400, "BadRequest"),
        (JSON_PATCH, json!({"op": "guess"}), 400, "BadRequest"),
        (STRATEGIC, json!({"data": {"$patch": "guess"}}), 400, "BadRequest"),
        (MERGE, json!({"metadata": {"labels": {"-": "1"}}}), 422, "Invalid"),
        ("application/json", json!({}), 415, "UnsupportedMediaType"),
    ] {
        let answer = send_as(&server, "PATCH", &path, content_type, &patch).await;
        assert_status(&answer, code, reason);
    }
    server.stop().await;
}

#[tokio::test]
async fn strategic_patches_know_the_lists() {
    let server = server().await;
    send(&server, "POST", DEPLOYMENTS, &deployment("web", 0)).await;
    let patch = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "sidecar", "image": "envoy:1"}, {"name": "web", "env": [{"name": "A", "value": "1"}]},
    ]}}}});
    let path = format!("{DEPLOYMENTS}/web");
    let (code, patched) = send_as(&server, "PATCH", &path, STRATEGIC, &patch).await;
    assert_eq!(code, 200, "{patched}");
    let containers = &patched["spec"]["template"]["spec"]["containers"];
    assert_eq!(
        (&containers[0]["name"], &containers[0]["image"]),
        (&json!("web"), &json!("nginx:1"))
    );
    assert_eq!(containers[0]["env"][0]["value"], "1");
    assert_eq!(containers[1]["name"], "sidecar");
    assert_eq!(patched["metadata"]["generation"], 2);
    server.stop().await;
}

#[tokio::test]
async fn apply_creates_owns_and_gives_up() {
    let server = server().await;
    let config_maps: Api<ConfigMap> = Api::namespaced(client(&server), "default");
    let config = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
    let apply = |who: &'static str, data: Value, force: bool| {
        let params = PatchParams::apply(who);
        let params = if force { params.force() } else { params };
        let (config_maps, config) = (config_maps.clone(), config(data));
        async move { config_maps.patch("a", &params, &Patch::Apply(&config)).await }
    };
    let created = apply("one", json!({"a": "1", "b": "2"}), false).await.unwrap();
    assert_eq!(created.data.unwrap().len(), 2);
    let smaller = apply("one", json!({"b": "2"}), false).await.unwrap();
    assert_eq!(smaller.data.unwrap().keys().collect::<Vec<_>>(), ["b"]);

    let at = server.resource_version();
    apply("one", json!({"b": "2"}), false).await.unwrap();
    assert_eq!(server.resource_version(), at, "the same again changes nothing");

    let kube::Error::Api(refused) = apply("two", json!({"b": "3"}), false).await.unwrap_err()
    else {
        panic!("not refused by the server")
    };
    assert!(refused.is_conflict());
    assert_eq!(refused.details.unwrap().causes[0].field, ".data.b");
    let forced = apply("two", json!({"b": "3"}), true).await.unwrap();
    assert_eq!(forced.data.unwrap()["b"], "3");

    // An update takes what it changes.
    let path = format!("{CONFIG_MAPS}/a");
    send_as(&server, "PATCH", &path, MERGE, &json!({"data": {"b": "4"}})).await;
    let kube::Error::Api(refused) = apply("two", json!({"b": "3"}), false).await.unwrap_err()
    else {
        panic!("not refused by the server")
    };
    assert!(refused.message.contains("conflict with \"tests\""), "{}", refused.message);

    let nameless = send_as(&server, "PATCH", &path, APPLY, &config(json!({}))).await;
    assert_status(&nameless, 400, "BadRequest");
    server.stop().await;
}

/// Many at once, each with its own field: none is lost, since a patch is applied to the newest state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patches_at_once_all_hold() {
    let server = std::sync::Arc::new(server().await);
    config_map(&server, "a").await;
    let path = format!("{CONFIG_MAPS}/a");
    let patches = (0..40).map(|number| {
        let (server, path) = (std::sync::Arc::clone(&server), path.clone());
        tokio::spawn(async move {
            let patch = json!({"data": {format!("n{number}"): "1"}});
            let answer = send_as(&server, "PATCH", &path, MERGE, &patch).await;
            assert_eq!(answer.0, 200, "{}", answer.1);
        })
    });
    for patch in patches.collect::<Vec<_>>() {
        patch.await.unwrap();
    }
    let (_, object) = http::get(&server, &path).await;
    assert_eq!(object["data"].as_object().unwrap().len(), 42);
}
