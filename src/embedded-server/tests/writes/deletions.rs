//! Deletions, and what holds them back.

use serde_json::json;

use super::*;

#[tokio::test]
async fn at_once_unless_a_finalizer_holds() {
    let server = server().await;
    let created = config_map(&server, "a").await;
    let path = format!("{CONFIG_MAPS}/a");
    let (code, status) = send(&server, "DELETE", &path, &Value::Null).await;
    assert_eq!((code, &status["status"]), (200, &json!("Success")));
    assert_eq!(status["details"]["uid"], created["metadata"]["uid"]);
    assert_status(&send(&server, "DELETE", &path, &Value::Null).await, 404, "NotFound");

    let object = json!({"metadata": {"name": "a", "finalizers": ["example.com/hold"]}});
    send(&server, "POST", CONFIG_MAPS, &object).await;
    let (code, pending) = send(&server, "DELETE", &path, &Value::Null).await;
    assert_eq!((code, &pending["kind"]), (200, &json!("ConfigMap")));
    assert!(pending["metadata"]["deletionTimestamp"].is_string());
    let (_, again) = send(&server, "DELETE", &path, &Value::Null).await;
    assert_eq!(again["metadata"]["resourceVersion"], pending["metadata"]["resourceVersion"]);
    let added = json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}});
    let answer = send_as(&server, "PATCH", &path, MERGE, &added).await;
    assert_status(&answer, 422, "Invalid");
    let released = json!({"metadata": {"finalizers": null}});
    assert_eq!(send_as(&server, "PATCH", &path, MERGE, &released).await.0, 200);
    assert_eq!(http::get(&server, &path).await.0, 404);
    server.stop().await;
}

#[tokio::test]
async fn preconditions() {
    let server = server().await;
    let created = config_map(&server, "a").await;
    let path = format!("{CONFIG_MAPS}/a");
    for precondition in [json!({"uid": "another"}), json!({"resourceVersion": "1"})] {
        let options =
            json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": precondition});
        assert_status(&send(&server, "DELETE", &path, &options).await, 409, "Conflict");
    }
    let metadata = &created["metadata"];
    let met = json!({"preconditions": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}});
    assert_eq!(send(&server, "DELETE", &path, &met).await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_pod_takes_its_time_to_end() {
    let server = server().await;
    send(&server, "POST", PODS, &pod("a")).await;
    let path = format!("{PODS}/a");
    eventually(&server, &path, |pod| pod["status"]["phase"] == "Running").await;
    let (_, pending) = send(&server, "DELETE", &path, &Value::Null).await;
    assert_eq!(pending["metadata"]["deletionGracePeriodSeconds"], 30);
    assert_eq!(pending["metadata"]["generation"], 2);
    eventually(&server, &path, Value::is_null).await;

    send(&server, "POST", PODS, &pod("b")).await;
    let path = format!("{PODS}/b");
    eventually(&server, &path, |pod| pod["status"]["phase"] == "Running").await;
    let now = json!({"gracePeriodSeconds": 0});
    assert_eq!(send(&server, "DELETE", &path, &now).await.1["status"], "Success");
    assert_eq!(http::get(&server, &path).await.0, 404);
    server.stop().await;
}

#[tokio::test]
async fn collections() {
    let server = server().await;
    for (name, label) in [("a", "x"), ("b", "x"), ("c", "y")] {
        let object = json!({"metadata": {"name": name, "labels": {"l": label}}});
        send(&server, "POST", CONFIG_MAPS, &object).await;
    }
    let (code, list) =
        send(&server, "DELETE", &format!("{CONFIG_MAPS}?labelSelector=l%3Dx"), &Value::Null).await;
    assert_eq!((code, list["items"].as_array().unwrap().len()), (200, 2));
    assert_eq!(http::get(&server, &format!("{CONFIG_MAPS}/a")).await.0, 404);
    assert_eq!(http::get(&server, &format!("{CONFIG_MAPS}/c")).await.0, 200);
    server.stop().await;
}

fn owned(name: &str, owner: &Value) -> Value {
    json!({"metadata": {"name": name, "ownerReferences": [{
        "apiVersion": "v1", "kind": "ConfigMap", "blockOwnerDeletion": true,
        "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
    }]}})
}

#[tokio::test]
async fn what_is_owned_goes_as_the_propagation_says() {
    let server = server().await;
    for policy in ["Background", "Foreground", "Orphan"] {
        let owner = config_map(&server, "owner").await;
        let (path, child) = (format!("{CONFIG_MAPS}/owner"), format!("{CONFIG_MAPS}/child"));
        let mut object = owned("child", &owner);
        // Held back, so that the order can be seen.
        if policy == "Foreground" {
            object["metadata"]["finalizers"] = json!(["example.com/hold"]);
        }
        send(&server, "POST", CONFIG_MAPS, &object).await;
        let options = json!({"propagationPolicy": policy});
        assert_eq!(send(&server, "DELETE", &path, &options).await.0, 200);
        match policy {
            "Background" => {
                assert_eq!(http::get(&server, &path).await.0, 404);
                eventually(&server, &child, Value::is_null).await;
            }
            "Foreground" => {
                eventually(&server, &child, |child| {
                    !child["metadata"]["deletionTimestamp"].is_null()
                })
                .await;
                let (code, owner) = http::get(&server, &path).await;
                assert_eq!(
                    (code, &owner["metadata"]["finalizers"]),
                    (200, &json!(["foregroundDeletion"]))
                );
                send_as(
                    &server,
                    "PATCH",
                    &child,
                    MERGE,
                    &json!({"metadata": {"finalizers": null}}),
                )
                .await;
                eventually(&server, &path, Value::is_null).await;
                assert_eq!(http::get(&server, &child).await.0, 404);
            }
            _ => {
                eventually(&server, &path, Value::is_null).await;
                let (code, child) = http::get(&server, &child).await;
                assert_eq!(code, 200);
                assert!(
                    child["metadata"]
                        .get("ownerReferences")
                        .is_none_or(|owners| owners == &json!([]))
                );
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_namespace_goes_with_its_content() {
    let server = server().await;
    send(&server, "POST", "/api/v1/namespaces", &json!({"metadata": {"name": "team"}})).await;
    let pods = "/api/v1/namespaces/team/pods";
    let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/hold"]}});
    send(&server, "POST", "/api/v1/namespaces/team/configmaps", &held).await;
    send(&server, "POST", pods, &pod("a")).await;
    let (_, namespace) = send(&server, "DELETE", "/api/v1/namespaces/team", &Value::Null).await;
    assert_eq!(namespace["status"]["phase"], "Terminating");
    let late = send(&server, "POST", pods, &pod("b")).await;
    assert_status(&late, 403, "Forbidden");
    eventually(&server, &format!("{pods}/a"), Value::is_null).await;
    assert_eq!(
        http::get(&server, "/api/v1/namespaces/team").await.0,
        200,
        "something is held back"
    );
    let path = "/api/v1/namespaces/team/configmaps/held";
    send_as(&server, "PATCH", path, MERGE, &json!({"metadata": {"finalizers": null}})).await;
    eventually(&server, "/api/v1/namespaces/team", Value::is_null).await;
    server.stop().await;
}

/// What cannot be read deletes nothing.
#[tokio::test]
async fn options_that_are_none() {
    let server = server().await;
    config_map(&server, "a").await;
    let path = format!("{CONFIG_MAPS}/a");
    for (options, code, reason) in [
        (json!({"preconditions": {"uid": 5}}), 400, "BadRequest"),
        (json!({"preconditions": "uid"}), 400, "BadRequest"),
        (json!({"gracePeriodSeconds": "soon"}), 400, "BadRequest"),
        (json!({"propagationPolicy": 1}), 400, "BadRequest"),
        (json!({"propagationPolicy": "Sideways"}), 400, "BadRequest"),
        (json!({"dryRun": "All"}), 400, "BadRequest"),
        (json!(["DeleteOptions"]), 400, "BadRequest"),
        (json!(5), 400, "BadRequest"),
        (json!({"kind": "ConfigMap", "apiVersion": "v1"}), 400, "BadRequest"),
        (json!({"dryRun": ["Some"]}), 422, "Invalid"),
        (json!({"dryRun": ["All", "Some"]}), 422, "Invalid"),
        (json!({"propagationPolicy": "Orphan", "orphanDependents": true}), 422, "Invalid"),
    ] {
        for path in [path.as_str(), CONFIG_MAPS] {
            assert_status(&send(&server, "DELETE", path, &options).await, code, reason);
        }
    }
    let query = format!("{path}?gracePeriodSeconds=x");
    assert_status(&send(&server, "DELETE", &query, &Value::Null).await, 400, "BadRequest");
    assert_eq!(http::get(&server, &path).await.0, 200, "nothing was deleted");

    let dry = json!({"kind": "DeleteOptions", "apiVersion": "apps/v1", "dryRun": ["All"]});
    assert_eq!(send(&server, "DELETE", &path, &dry).await.0, 200);
    assert_eq!(http::get(&server, &path).await.0, 200, "a dry run");
    let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "orphanDependents": false});
    assert_eq!(send(&server, "DELETE", &path, &options).await.0, 200);
    assert_eq!(http::get(&server, &path).await.0, 404);
    server.stop().await;
}

#[tokio::test]
async fn what_a_cluster_does_not_do_without() {
    let server = server().await;
    for name in ["default", "kube-system", "kube-public"] {
        let path = format!("/api/v1/namespaces/{name}");
        assert_status(&send(&server, "DELETE", &path, &Value::Null).await, 403, "Forbidden");
    }
    let (_, default) = http::get(&server, "/api/v1/namespaces/default").await;
    assert_eq!(default["status"]["phase"], "Active");
    // All Namespaces, and all objects of all of them.
    for path in ["/api/v1/namespaces", "/api/v1/configmaps"] {
        let answer = send(&server, "DELETE", path, &Value::Null).await;
        assert_status(&answer, 405, "MethodNotAllowed");
    }
    let (_, resources) = http::get(&server, "/api/v1").await;
    for one in resources["resources"].as_array().unwrap() {
        let deletes_all = one["verbs"].as_array().unwrap().contains(&json!("deletecollection"));
        let name = one["name"].as_str().unwrap();
        assert_eq!(deletes_all, !name.contains('/') && name != "namespaces", "{name}");
    }
    server.stop().await;
}
