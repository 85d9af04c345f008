//! What is written in protobuf.

use watchcache_embedded_server::Scheduler;

use super::*;

/// Reads an object, as JSON.
async fn stored(server: &EmbeddedServer, path: &str) -> Value {
    let (code, object) = http::get(server, path).await;
    if code == 200 { object } else { Value::Null }
}

#[tokio::test]
async fn objects_are_created_replaced_and_deleted() {
    let server = server().await;
    let path = format!("{CONFIG_MAPS}/a");
    let mut object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"app": ""}},
        "data": {"key": "value", "empty": ""}, "binaryData": {"bytes": "AAEC"},
    });
    let (code, created) = send(&server, "POST", CONFIG_MAPS, &object).await;
    assert_eq!(
        (code, &created["data"], &created["kind"]),
        (201, &object["data"], &json!("ConfigMap"))
    );
    assert_eq!(created["binaryData"], object["binaryData"]);
    assert_eq!(created, from_slice::<Value>(&get(&server, &path).await.1).unwrap());
    assert!(created["metadata"]["managedFields"][0]["fieldsV1"]["f:data"].is_object());
    assert_status(&send(&server, "POST", CONFIG_MAPS, &object).await, 409, "AlreadyExists");

    object = created;
    object["data"]["key"] = "other".into();
    let (code, replaced) = send(&server, "PUT", &path, &object).await;
    assert_eq!((code, &replaced["data"]["key"]), (200, &json!("other")));
    assert_eq!(stored(&server, &path).await["data"], object["data"]);
    assert_status(&send(&server, "PUT", &path, &object).await, 409, "Conflict");

    let delete = |uid: &str| json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}});
    assert_status(&send(&server, "DELETE", &path, &delete("other")).await, 409, "Conflict");
    let uid = object["metadata"]["uid"].as_str().unwrap();
    let (code, status) = send(&server, "DELETE", &path, &delete(uid)).await;
    assert_eq!((code, &status["status"]), (200, &json!("Success")));
    assert_eq!(status["details"]["uid"], uid);
    assert_eq!(stored(&server, &path).await, Value::Null);
    server.stop().await;
}

#[tokio::test]
async fn patches_are_json_and_answered_in_protobuf() {
    let server = server().await;
    create_json(&server, CONFIG_MAPS, &json!({"metadata": {"name": "a"}})).await;
    let path = format!("{CONFIG_MAPS}/a");
    let patch = json!({"data": {"key": "value"}}).to_string();
    let merge = "application/merge-patch+json";
    let reply = Reply::with_body(&server, "PATCH", &path, MEDIA_TYPE, merge, &patch).await;
    assert_eq!((reply.code, reply.content_type()), (200, MEDIA_TYPE));
    assert_eq!(reply.body().await, to_vec(&stored(&server, &path).await).unwrap());
    let answer = ask(&server, "PATCH", &path, patch.as_bytes()).await;
    assert_status(&(answer.0, from_slice(&answer.1).unwrap()), 415, "UnsupportedMediaType");
    server.stop().await;
}

#[tokio::test]
async fn subresources() {
    let config = Config { pods: 5, rate: 0, scheduler: Scheduler::External, ..Config::default() };
    let server = EmbeddedServer::start(config).await.unwrap();
    let (code, created) = send(&server, "POST", DEPLOYMENTS, &deployment("web")).await;
    assert_eq!(code, 201, "{created}");
    let path = format!("{DEPLOYMENTS}/web");
    let (_, scale) = get(&server, &format!("{path}/scale")).await;
    let mut scale: Value = from_slice(&scale).unwrap();
    scale["spec"]["replicas"] = 0.into();
    // A controller may have written the status meanwhile.
    scale["metadata"]["resourceVersion"].take();
    let (code, scaled) = send(&server, "PUT", &format!("{path}/scale"), &scale).await;
    assert_eq!((code, &scaled["kind"]), (200, &json!("Scale")), "{scaled}");
    assert_eq!(stored(&server, &path).await["spec"]["replicas"], 0);

    let (_, nodes) = http::get(&server, "/api/v1/nodes?limit=1").await;
    let node = &nodes["items"][0]["metadata"]["name"];
    send(&server, "POST", PODS, &pod("a")).await;
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "a"},
        "target": {"kind": "Node", "name": node},
    });
    let binding_path = format!("{PODS}/a/binding");
    let (code, status) = send(&server, "POST", &binding_path, &binding).await;
    assert_eq!((code, &status["status"]), (201, &json!("Success")));
    assert_eq!(&stored(&server, &format!("{PODS}/a")).await["spec"]["nodeName"], node);

    let mut status = stored(&server, &format!("{PODS}/a")).await;
    status["metadata"]["resourceVersion"].take();
    status["status"]["message"] = "said in protobuf".into();
    let (code, changed) = send(&server, "PUT", &format!("{PODS}/a/status"), &status).await;
    assert_eq!((code, &changed["status"]["message"]), (200, &status["status"]["message"]));
    server.stop().await;
}

#[tokio::test]
async fn deletions_of_all_and_of_what_is_held_back() {
    let server = server().await;
    for name in ["a", "b"] {
        let object = json!({"metadata": {"name": name, "labels": {"test": "it"}}});
        create_json(&server, CONFIG_MAPS, &object).await;
    }
    let dry = json!({"apiVersion": "v1", "kind": "DeleteOptions", "dryRun": ["All"]});
    let selected = format!("{CONFIG_MAPS}?labelSelector=test%3Dit");
    for (options, left) in [(&dry, 2), (&Value::Null, 0)] {
        let body = if options.is_null() { Vec::new() } else { to_vec(options).unwrap() };
        let (code, list) = ask(&server, "DELETE", &selected, &body).await;
        let list = wire::List::read(&list);
        assert_eq!((code, list.kind.as_str(), list.items.len()), (200, "v1 ConfigMapList", 2));
        let (_, rest) = http::get(&server, &selected).await;
        assert_eq!(rest["items"].as_array().unwrap().len(), left);
    }
    let held = json!({"metadata": {"name": "c", "finalizers": ["example.com/held"]}});
    create_json(&server, CONFIG_MAPS, &held).await;
    let (code, pending) = send(&server, "DELETE", &format!("{CONFIG_MAPS}/c"), &Value::Null).await;
    assert_eq!((code, &pending["kind"]), (200, &json!("ConfigMap")));
    assert!(pending["metadata"]["deletionTimestamp"].is_string());
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_says_no_type_is_of_the_type_that_is_asked_for() {
    let server = server().await;
    let untyped = |object: &Value| {
        let message = wire::message(&to_vec(object).unwrap());
        let mut body = b"k8s\0\x0a\x04\x0a\0\x12\0\x12".to_vec();
        assert!(message.len() < 1 << 14);
        match message.len() {
            short @ 0..0x80 => body.push(short as u8),
            long => body.extend([(long & 0x7f) as u8 | 0x80, (long >> 7) as u8]),
        }
        [body, message, b"\x1a\0\x22\0".to_vec()].concat()
    };
    let create = |path: &'static str, object: Value| {
        let (server, body) = (&server, untyped(&object));
        async move {
            let (code, answer) = ask(server, "POST", path, &body).await;
            (code, from_slice::<Value>(&answer).unwrap())
        }
    };
    let (code, created) = create(PODS, pod("a")).await;
    assert_eq!((code, &created["kind"]), (201, &json!("Pod")), "{created}");
    let (code, created) = create(DEPLOYMENTS, deployment("web")).await;
    assert_eq!((code, &created["apiVersion"]), (201, &json!("apps/v1")), "{created}");
    let mut scale: Value =
        from_slice(&get(&server, &format!("{DEPLOYMENTS}/web/scale")).await.1).unwrap();
    scale["spec"]["replicas"] = 0.into();
    scale["metadata"]["resourceVersion"].take();
    let (code, _) =
        ask(&server, "PUT", &format!("{DEPLOYMENTS}/web/scale"), &untyped(&scale)).await;
    assert_eq!(code, 200);
    let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "dryRun": ["All"]});
    for path in [format!("{PODS}/a"), format!("{DEPLOYMENTS}/web")] {
        assert_eq!(ask(&server, "DELETE", &path, &untyped(&options)).await.0, 200, "{path}");
        assert_ne!(stored(&server, &path).await, Value::Null, "a dry run");
    }
    server.stop().await;
}

#[tokio::test]
async fn json_whose_type_is_empty_says_none() {
    let server = server().await;
    let mut empty = pod("a");
    (empty["apiVersion"], empty["kind"]) = ("".into(), Value::Null);
    assert_eq!(create_json(&server, PODS, &empty).await["kind"], "Pod");
    server.stop().await;
}

#[tokio::test]
async fn the_type_of_a_body_is_read_without_regard_to_case() {
    let server = server().await;
    for (kind, body) in [
        ("Application/JSON; charset=utf-8", pod("a").to_string().into_bytes()),
        ("application/VND.kubernetes.Protobuf", to_vec(&pod("b")).unwrap()),
    ] {
        let reply = Reply::with_body(&server, "POST", PODS, MEDIA_TYPE, kind, &body).await;
        assert_eq!(reply.code, 201, "{kind}");
    }
    server.stop().await;
}

#[tokio::test]
async fn bodies_that_are_no_such_object_are_refused() {
    let server = server().await;
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}});
    let gadget = b"k8s\0\x0a\x18\x0a\x0eexample.com/v1\x12\x06Gadget".to_vec();
    let cut = to_vec(&pod("a")).unwrap()[..40].to_vec();
    for (body, words) in [
        (b"{}".to_vec(), "begin with"),
        (to_vec(&node).unwrap(), "does not match the expected kind (Pod)"),
        (gadget, "no schema is known of example.com/v1 Gadget"),
        (cut, "it ends within a value"),
        (Vec::new(), "begin with"),
    ] {
        let (code, status) = ask(&server, "POST", PODS, &body).await;
        let status: Value = from_slice(&status).unwrap();
        assert_status(&(code, status.clone()), 400, "BadRequest");
        let message = status["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
    }
    let mut invalid = pod("a");
    invalid["spec"]["containers"][0]["name"] = "not a name".into();
    assert_status(&send(&server, "POST", PODS, &invalid).await, 422, "Invalid");
    server.stop().await;
}
