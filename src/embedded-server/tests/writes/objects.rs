//! Creating and replacing.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, ObjectMeta, PostParams};
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_new_object_gets_what_the_server_gives() {
    let server = server().await;
    let before = server.resource_version();
    let created = config_map(&server, "a").await;
    let metadata = &created["metadata"];
    assert_eq!((&created["kind"], &created["apiVersion"]), (&json!("ConfigMap"), &json!("v1")));
    assert_eq!((&metadata["name"], &metadata["namespace"]), (&json!("a"), &json!("default")));
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
    assert!(metadata["creationTimestamp"].is_string());
    assert_eq!(metadata["resourceVersion"], (before + 1).to_string());
    assert_eq!(metadata["managedFields"][0]["manager"], "tests");
    assert_eq!(http::get(&server, &format!("{CONFIG_MAPS}/a")).await, (200, created.clone()));

    let again = send(&server, "POST", CONFIG_MAPS, &json!({"metadata": {"name": "a"}})).await;
    assert_status(&again, 409, "AlreadyExists");
    assert_eq!(again.1["message"], "configmaps \"a\" already exists");
    assert_eq!(server.resource_version(), before + 1, "a refusal changes nothing");
    server.stop().await;
}

#[tokio::test]
async fn names_are_generated() {
    let server = server().await;
    let object = json!({"metadata": {"generateName": "some-"}});
    let mut names = Vec::new();
    for _ in 0..20 {
        let (code, created) = send(&server, "POST", CONFIG_MAPS, &object).await;
        let name = created["metadata"]["name"].as_str().unwrap().to_owned();
        assert_eq!((code, name.len()), (201, 10), "{name}");
        assert!(name.starts_with("some-") && !names.contains(&name));
        names.push(name);
    }
    let (_, long) =
        send(&server, "POST", CONFIG_MAPS, &json!({"metadata": {"generateName": "x".repeat(80)}}))
            .await;
    assert_eq!(long["metadata"]["name"].as_str().unwrap().len(), 63);
    server.stop().await;
}

#[tokio::test]
async fn a_replacement_insists_on_its_version() {
    let server = server().await;
    let created = config_map(&server, "a").await;
    let path = format!("{CONFIG_MAPS}/a");
    let mut changed = created.clone();
    changed["data"] = json!({"a": "3"});
    changed["metadata"]["uid"] = created["metadata"]["uid"].clone();
    let (code, second) = send(&server, "PUT", &path, &changed).await;
    assert_eq!((code, &second["data"]), (200, &json!({"a": "3"})));
    for kept in ["uid", "creationTimestamp"] {
        assert_eq!(second["metadata"][kept], created["metadata"][kept]);
    }
    let late = send(&server, "PUT", &path, &changed).await;
    assert_status(&late, 409, "Conflict");
    assert!(late.1["message"].as_str().unwrap().contains("the object has been modified"));

    // Without a version it does not insist; the same again changes nothing.
    let at = server.resource_version();
    let (code, same) = send(&server, "PUT", &path, &json!({"data": {"a": "3"}})).await;
    assert_eq!(
        (code, &same["metadata"]["resourceVersion"]),
        (200, &second["metadata"]["resourceVersion"])
    );
    assert_eq!(server.resource_version(), at);

    let other = json!({"metadata": {"uid": "another"}, "data": {}});
    assert_status(&send(&server, "PUT", &path, &other).await, 409, "Conflict");
    let none = send(&server, "PUT", &format!("{CONFIG_MAPS}/none"), &json!({})).await;
    assert_status(&none, 404, "NotFound");
    server.stop().await;
}

#[tokio::test]
async fn dry_runs_do_everything_but_commit() {
    let server = server().await;
    config_map(&server, "a").await;
    let at = server.resource_version();
    let new = json!({"metadata": {"name": "b"}});
    let (code, created) = send(&server, "POST", &format!("{CONFIG_MAPS}?dryRun=All"), &new).await;
    assert_eq!((code, &created["metadata"]["name"]), (201, &json!("b")));
    assert!(created["metadata"]["uid"].is_string());
    let path = format!("{CONFIG_MAPS}/a?dryRun=All");
    let (_, patched) = send_as(&server, "PATCH", &path, MERGE, &json!({"data": {"a": "9"}})).await;
    assert_eq!(patched["data"]["a"], "9");
    assert_eq!(send(&server, "DELETE", &path, &Value::Null).await.0, 200);
    let bad = send(
        &server,
        "POST",
        &format!("{CONFIG_MAPS}?dryRun=All"),
        &json!({"metadata": {"name": "A"}}),
    )
    .await;
    assert_status(&bad, 422, "Invalid");
    assert_eq!(server.resource_version(), at);
    assert_eq!(http::get(&server, &format!("{CONFIG_MAPS}/a")).await.1["data"]["a"], "1");
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_named_field_by_field() {
    let server = server().await;
    for (path, object, wrong) in [
        (CONFIG_MAPS, json!({"metadata": {"name": "A_b"}}), vec!["metadata.name"]),
        (CONFIG_MAPS, json!({"metadata": {}}), vec!["metadata.name"]),
        (
            CONFIG_MAPS,
            json!({"metadata": {"name": "a", "labels": {"x y": "1", "b": "-"}}, "data": {"a/b": ""}}),
            vec!["metadata.labels", "metadata.labels", "data[a/b]"],
        ),
        (
            PODS,
            json!({"metadata": {"name": "a"}, "spec": {"containers": []}}),
            vec!["spec.containers"],
        ),
        (
            PODS,
            json!({"metadata": {"name": "a"}, "spec": {"restartPolicy": "Sometimes", "containers": [
                {"name": "A", "image": ""}, {"name": "b", "image": "b", "ports": [{"containerPort": 70000}]},
                {"name": "b", "image": "b", "volumeMounts": [{"name": "none", "mountPath": "/x"}]},
            ]}}),
            vec![
                "spec.containers[0].name",
                "spec.containers[0].image",
                "spec.containers[1].ports[0].containerPort",
                "spec.containers[2].volumeMounts[0].name",
                "spec.containers[2].name",
                "spec.restartPolicy",
            ],
        ),
        (
            DEPLOYMENTS,
            json!({"metadata": {"name": "a"}, "spec": {
                "replicas": -1, "selector": {"matchLabels": {"a": "b"}},
                "template": {"metadata": {"labels": {"a": "c"}}, "spec": {"containers": [{"name": "a", "image": "i"}]}},
            }}),
            vec!["spec.replicas", "spec.template.metadata.labels"],
        ),
        (
            "/api/v1/namespaces/default/services",
            json!({"metadata": {"name": "1a"}, "spec": {"ports": []}}),
            vec!["metadata.name", "spec.ports"],
        ),
        (
            "/apis/coordination.k8s.io/v1/namespaces/default/leases",
            json!({"metadata": {"name": "a"}, "spec": {"leaseDurationSeconds": 0}}),
            vec!["spec.leaseDurationSeconds"],
        ),
        (
            "/api/v1/namespaces/default/events",
            json!({"metadata": {"name": "a"}, "involvedObject": {"namespace": "other"}}),
            vec!["involvedObject.namespace"],
        ),
        ("/api/v1/namespaces", json!({"metadata": {"name": "a.b"}}), vec!["metadata.name"]),
    ] {
        let answer = send(&server, "POST", path, &object).await;
        assert_status(&answer, 422, "Invalid");
        assert_eq!(fields(&answer.1), wrong, "{}", answer.1);
    }
    server.stop().await;
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let server = server().await;
    config_map(&server, "a").await;
    let path = format!("{CONFIG_MAPS}/a");
    for (method, path, object, code, reason) in [
        ("POST", CONFIG_MAPS, json!({"kind": "Pod", "metadata": {"name": "b"}}), 400, "BadRequest"),
        (
            "POST",
            CONFIG_MAPS,
            json!({"apiVersion": "v2", "metadata": {"name": "b"}}),
            400,
            "BadRequest",
        ),
        (
            "POST",
            CONFIG_MAPS,
            json!({"metadata": {"name": "b", "namespace": "x"}}),
            400,
            "BadRequest",
        ),
        (
            "POST",
            CONFIG_MAPS,
            json!({"metadata": {"name": "b", "resourceVersion": "1"}}),
            400,
            "BadRequest",
        ),
        (
            "POST",
            CONFIG_MAPS,
            json!({"metadata": {"name": "b"}, "data": {"a": 1}}),
            400,
            "BadRequest",
        ),
        ("POST", CONFIG_MAPS, json!([1]), 400, "BadRequest"),
        (
            "POST",
            "/api/v1/namespaces/none/configmaps",
            json!({"metadata": {"name": "b"}}),
            404,
            "NotFound",
        ),
        ("POST", "/api/v1/configmaps", json!({"metadata": {"name": "b"}}), 405, "MethodNotAllowed"),
        ("PUT", &path, json!({"metadata": {"name": "b"}}), 400, "BadRequest"),
        ("PUT", CONFIG_MAPS, json!({}), 405, "MethodNotAllowed"),
        ("PUT", "/version", json!({}), 405, "MethodNotAllowed"),
        ("POST", "/api/v1/nonsense", json!({}), 404, "NotFound"),
    ] {
        let answer = send(&server, method, path, &object).await;
        assert_status(&answer, code, reason);
    }
    for (content_type, code, reason) in [
        ("application/yaml", 415, "UnsupportedMediaType"),
        ("application/vnd.kubernetes.protobuf", 400, "BadRequest"),
    ] {
        let answer = send_as(&server, "POST", CONFIG_MAPS, content_type, &json!({})).await;
        assert_status(&answer, code, reason);
    }
    let cut =
        Reply::with_body(&server, "POST", CONFIG_MAPS, "*/*", "application/json", "{\"a").await;
    assert_eq!(cut.code, 400);
    let large = json!({"metadata": {"name": "b"}, "data": {"a": "x".repeat(3 << 20)}});
    assert_status(&send(&server, "POST", CONFIG_MAPS, &large).await, 413, "RequestEntityTooLarge");
    server.stop().await;
}

#[tokio::test]
async fn unknown_fields_are_dropped_or_refused_as_asked() {
    let server = server().await;
    let object = |name: &str| json!({"metadata": {"name": name, "odd": 1}, "date": {}});
    let (code, created) = send(&server, "POST", CONFIG_MAPS, &object("a")).await;
    assert_eq!(code, 201);
    assert!(created.get("date").is_none() && created["metadata"].get("odd").is_none());
    let path = format!("{CONFIG_MAPS}?fieldValidation=Strict");
    let strict = send(&server, "POST", &path, &object("b")).await;
    assert_status(&strict, 400, "BadRequest");
    let message = strict.1["message"].as_str().unwrap();
    assert!(
        message.contains("unknown field \"date\"") && message.contains("\"metadata.odd\""),
        "{message}"
    );
    server.stop().await;
}

#[tokio::test]
async fn what_must_not_change_does_not() {
    let server = server().await;
    let (_, created) = send(&server, "POST", DEPLOYMENTS, &deployment("web", 0)).await;
    let mut changed = created.clone();
    changed["spec"]["selector"]["matchLabels"] = json!({"app": "web", "x": "y"});
    changed["spec"]["template"]["metadata"]["labels"] = json!({"app": "web", "x": "y"});
    changed["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    let answer = send(&server, "PUT", &format!("{DEPLOYMENTS}/web"), &changed).await;
    assert_status(&answer, 422, "Invalid");
    assert_eq!(fields(&answer.1), ["spec.selector"]);
    assert_eq!(created["spec"]["strategy"]["type"], "RollingUpdate");
    assert_eq!(created["metadata"]["generation"], 1);

    let (_, created) = send(&server, "POST", PODS, &pod("a")).await;
    assert_eq!(created["spec"]["restartPolicy"], "Always");
    assert_eq!(created["spec"]["containers"][0]["imagePullPolicy"], "Always");
    let path = format!("{PODS}/a");
    let image = json!([{"op": "replace", "path": "/spec/containers/0/image", "value": "nginx:2"}]);
    assert_eq!(send_as(&server, "PATCH", &path, JSON_PATCH, &image).await.0, 200);
    let policy = json!({"spec": {"restartPolicy": "Never"}});
    let answer = send_as(&server, "PATCH", &path, MERGE, &policy).await;
    assert_status(&answer, 422, "Invalid");
    assert_eq!(fields(&answer.1), ["spec"]);
    server.stop().await;
}

#[tokio::test]
async fn kubes_client_writes() {
    let server = server().await;
    let namespaces: Api<Namespace> = Api::all(client(&server));
    let named = |name: &str| ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let team = Namespace { metadata: named("team"), ..Namespace::default() };
    let team = namespaces.create(&PostParams::default(), &team).await.unwrap();
    assert_eq!(team.status.unwrap().phase.as_deref(), Some("Active"));
    assert_eq!(team.metadata.labels.unwrap()["kubernetes.io/metadata.name"], "team");

    let config_maps: Api<ConfigMap> = Api::namespaced(client(&server), "team");
    let config_map = ConfigMap { metadata: named("a"), ..ConfigMap::default() };
    let mut first = config_maps.create(&PostParams::default(), &config_map).await.unwrap();
    let stale = first.clone();
    first.data = Some([("a".to_owned(), "1".to_owned())].into());
    config_maps.replace("a", &PostParams::default(), &first).await.unwrap();
    let conflict = config_maps.replace("a", &PostParams::default(), &stale).await.unwrap_err();
    assert!(matches!(conflict, kube::Error::Api(status) if status.is_conflict()));

    let mut entry = config_maps.entry("b").await.unwrap().or_insert(ConfigMap::default);
    entry.get_mut().data = Some([("x".to_owned(), "y".to_owned())].into());
    entry.commit(&PostParams::default()).await.unwrap();
    assert_eq!(config_maps.get("b").await.unwrap().data.unwrap()["x"], "y");

    // A Lease may be created by replacing it.
    let leases: Api<Lease> = Api::namespaced(client(&server), "team");
    let lease = Lease { metadata: named("leader"), ..Lease::default() };
    leases.replace("leader", &PostParams::default(), &lease).await.unwrap();
    assert!(leases.get("leader").await.unwrap().metadata.uid.is_some());
    server.stop().await;
}

/// Of some kinds a replacement must say what it replaces.
#[tokio::test]
async fn replacing_without_a_version() {
    let server = server().await;
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    let (_, created) =
        send(&server, "POST", leases, &json!({"metadata": {"name": "leader"}})).await;
    let path = format!("{leases}/leader");
    let mut lease = json!({"metadata": {"name": "leader"}, "spec": {"holderIdentity": "me"}});
    for unsaid in [Value::Null, json!(""), json!("0")] {
        lease["metadata"]["resourceVersion"] = unsaid;
        let answer = send(&server, "PUT", &path, &lease).await;
        assert_status(&answer, 422, "Invalid");
        assert_eq!(fields(&answer.1), ["metadata.resourceVersion"]);
    }
    lease["metadata"]["resourceVersion"] = created["metadata"]["resourceVersion"].clone();
    assert_eq!(send(&server, "PUT", &path, &lease).await.0, 200);
    let patch = json!({"spec": {"holderIdentity": "you"}});
    assert_eq!(send_as(&server, "PATCH", &path, MERGE, &patch).await.0, 200);

    config_map(&server, "a").await;
    for unsaid in [Value::Null, json!("0")] {
        let object = json!({"metadata": {"name": "a", "resourceVersion": unsaid}});
        assert_eq!(send(&server, "PUT", &format!("{CONFIG_MAPS}/a"), &object).await.0, 200);
    }
    server.stop().await;
}
