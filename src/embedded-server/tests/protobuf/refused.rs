//! What one encoding cannot say is not stored: what is stored reads the same in both.

use super::*;

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
const JSON: &str = "application/json";

async fn written(
    server: &EmbeddedServer,
    method: &str,
    path: &str,
    object: &Value,
) -> (u16, Value) {
    let kind = match method {
        "PATCH" if object.is_array() => "application/json-patch+json",
        "PATCH" => "application/merge-patch+json",
        _ => JSON,
    };
    let reply = Reply::with_body(server, method, path, JSON, kind, object.to_string()).await;
    let code = reply.code;
    (code, serde_json::from_slice(&reply.body().await).unwrap())
}

/// Reads a resource in both encodings, and says how many objects there are.
async fn listed(server: &EmbeddedServer, path: &str) -> usize {
    let (code, list) = http::get(server, path).await;
    assert_eq!(code, 200, "{path} in JSON: {list}");
    let (code, protobuf) = get(server, path).await;
    assert_eq!(code, 200, "{path} in protobuf");
    let items = list["items"].as_array().unwrap();
    assert_eq!(wire::List::read(&protobuf).items.len(), items.len());
    items.len()
}

#[tokio::test]
async fn times_that_go_does_not_read() {
    let server = server().await;
    let lease =
        |name: &str, time: &str| json!({"metadata": {"name": name}, "spec": {"renewTime": time}});
    let before = listed(&server, LEASES).await;
    for time in ["-000001-01-01T00:00:00.000000Z", "0000-01-01T00:00:00.000000+01:00"] {
        let answer = written(&server, "POST", LEASES, &lease("a", time)).await;
        assert_status(&answer, 400, "BadRequest");
        assert!(answer.1["message"].as_str().unwrap().contains("spec.renewTime"), "{}", answer.1);
    }
    assert_eq!(listed(&server, LEASES).await, before);
    create_json(&server, LEASES, &lease("a", "0001-01-01T00:00:00.000000Z")).await;
    let spec = json!({"renewTime": "-000001-01-01T00:00:00.000000Z"});
    let answer = written(&server, "PATCH", &format!("{LEASES}/a"), &json!({"spec": spec})).await;
    assert_status(&answer, 400, "BadRequest");
    // It is in the metadata of what has no schema of its own, too.
    create_json(&server, DEFINITIONS, &widget_definition()).await;
    let managed =
        json!([{"manager": "m", "operation": "Update", "time": "-000001-01-01T00:00:00Z"}]);
    let widget = json!({"metadata": {"name": "w", "managedFields": managed}});
    assert_status(&written(&server, "POST", WIDGETS, &widget).await, 400, "BadRequest");
    assert_eq!(listed(&server, LEASES).await, before + 1);
    server.stop().await;
}

#[tokio::test]
async fn quantities_that_go_does_not_read() {
    let server = server().await;
    let sized = |name: &str, size: &str| {
        let mut pod = pod(name);
        pod["spec"]["volumes"] = json!([{"name": "v", "emptyDir": {"sizeLimit": size}}]);
        pod
    };
    for (place, size) in ["banana", "", "1X", "1e++3"].into_iter().enumerate() {
        let answer = written(&server, "POST", PODS, &sized(&format!("bad-{place}"), size)).await;
        assert_status(&answer, 400, "BadRequest");
        let message = answer.1["message"].as_str().unwrap();
        assert!(message.contains("spec.volumes.emptyDir.sizeLimit"), "{message}");
    }
    for (place, size) in ["1", "0.5", "64Mi", "1e3", "-5", "5E"].into_iter().enumerate() {
        create_json(&server, PODS, &sized(&format!("good-{place}"), size)).await;
    }
    server.stop().await;
}

/// So many lists, each in the next.
fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

/// So many objects, each in the next.
fn objects(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!({"a": inner}))
}

#[tokio::test]
async fn objects_that_are_nested_too_deep() {
    let server = server().await;
    create_json(&server, DEFINITIONS, &widget_definition()).await;
    let widget = |name: &str, spec: Value| json!({"metadata": {"name": name}, "spec": spec});
    // What is listed, and watched, is read with more around it.
    for levels in [100, 119] {
        let name = format!("deep-{levels}");
        create_json(&server, WIDGETS, &widget(&name, nested(levels))).await;
    }
    // Managed fields go deeper than what they are of.
    for (levels, spec) in [(123, objects(123)), (117, objects(117)), (120, nested(120))] {
        let answer = written(&server, "POST", WIDGETS, &widget("a", spec)).await;
        assert_eq!(answer.0, 400, "{levels}: {}", answer.1["reason"]);
    }
    let patch = json!([{"op": "add", "path": "/spec/0/0/0/0", "value": nested(125)}]);
    let answer = written(&server, "PATCH", &format!("{WIDGETS}/deep-100"), &patch).await;
    assert_status(&answer, 400, "BadRequest");

    let mut definition = widget_definition();
    let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["properties"] = json!({"spec": {
        "type": "array", "x-kubernetes-preserve-unknown-fields": true, "default": nested(125),
    }});
    definition["metadata"]["name"] = "gadgets.example.com".into();
    definition["spec"]["names"] = json!({"plural": "gadgets", "kind": "Gadget"});
    assert_status(&send(&server, "POST", DEFINITIONS, &definition).await, 400, "BadRequest");

    let (code, list) = http::get(&server, WIDGETS).await;
    let items = list["items"].as_array().unwrap();
    assert_eq!((code, items.len()), (200, 2));
    assert!(items.iter().all(|item| item["spec"].is_array()));
    listed(&server, DEFINITIONS).await;
    server.stop().await;
}

#[tokio::test]
async fn patches_that_nest_and_copy_without_end() {
    let server = server().await;
    create_json(&server, CONFIG_MAPS, &json!({"metadata": {"name": "a"}})).await;
    let path = format!("{CONFIG_MAPS}/a");
    let mut wrapping = vec![json!({"op": "add", "path": "/y", "value": {}})];
    for _ in 0..5_000 {
        wrapping.push(json!({"op": "add", "path": "/x", "value": {}}));
        wrapping.push(json!({"op": "move", "from": "/y", "path": "/x/y"}));
        wrapping.push(json!({"op": "move", "from": "/x", "path": "/y"}));
    }
    let fewer = wrapping[..9_001].to_vec();
    let doubling: Vec<_> = (0..26)
        .map(|round| json!({"op": "copy", "from": "", "path": format!("/x{round}")}))
        .collect();
    for (patch, code) in [(wrapping, 413), (fewer, 400), (doubling, 422)] {
        let (answered, status) = written(&server, "PATCH", &path, &patch.into()).await;
        assert_eq!(answered, code, "{status}");
    }
    let harmless: Vec<_> =
        (0..100).map(|_| json!({"op": "add", "path": "/data", "value": {"a": "b"}})).collect();
    assert_eq!(written(&server, "PATCH", &path, &harmless.into()).await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn defaults_of_metadata() {
    let server = server().await;
    let mut definition = widget_definition();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = json!({
        "type": "object",
        "properties": {"metadata": {"type": "object", "properties": {
            "odd": {"type": "string", "default": "x"},
            "labels": {"type": "object", "default": {"app": "web"}},
        }}},
    });
    create_json(&server, DEFINITIONS, &definition).await;
    let widget = json!({"metadata": {"name": "a"}});
    let path = format!("{WIDGETS}?fieldValidation=Strict");
    let (code, created) = written(&server, "POST", &path, &widget).await;
    assert_eq!((code, &created["metadata"]["labels"]["app"]), (201, &json!("web")), "{created}");
    assert_eq!(created["metadata"].get("odd"), None);
    let accept = format!("{MEDIA_TYPE};{AS_METADATA}");
    let reply = Reply::request(&server, "GET", WIDGETS, &accept).await;
    assert_eq!(reply.code, 200);
    server.stop().await;
}

#[tokio::test]
async fn scales_beyond_what_a_scale_says() {
    let server = server().await;
    create_json(&server, DEFINITIONS, &widget_definition()).await;
    let widget = |size: i64| json!({"metadata": {"name": "a"}, "spec": {"size": size}});
    for size in [1_i64 << 31, 1 << 32, -1] {
        let answer = written(&server, "POST", WIDGETS, &widget(size)).await;
        assert_status(&answer, 422, "Invalid");
        assert_eq!(answer.1["details"]["causes"][0]["field"], "spec.size");
    }
    create_json(&server, WIDGETS, &widget(i32::MAX.into())).await;
    let status = json!({"status": {"size": 1_i64 << 31}});
    let answer = written(&server, "PATCH", &format!("{WIDGETS}/a"), &status).await;
    assert_status(&answer, 422, "Invalid");
    let path = format!("{WIDGETS}/a/scale");
    let (_, json) = http::get(&server, &path).await;
    assert_eq!(json["spec"]["replicas"], i32::MAX);
    assert_eq!(from_slice::<Value>(&get(&server, &path).await.1).unwrap()["spec"], json["spec"]);
    server.stop().await;
}

#[tokio::test]
async fn many_faults_are_not_all_told() {
    let server = server().await;
    let mut pod = pod("a");
    pod["spec"]["containers"] = vec![json!({"name": ""}); 100_000].into();
    let answer = send(&server, "POST", PODS, &pod).await;
    assert_status(&answer, 422, "Invalid");
    assert_eq!(answer.1["details"]["causes"].as_array().unwrap().len(), 1_000);
    server.stop().await;
}
