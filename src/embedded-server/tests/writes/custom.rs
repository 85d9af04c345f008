//! Custom resources: served as soon as their definition is there.

use serde_json::json;

use super::*;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [
                {
                    "name": "v1", "served": true, "storage": true,
                    "subresources": {
                        "status": {},
                        "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
                    },
                    "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
                    "schema": {"openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object", "required": ["size"],
                                "properties": {
                                    "size": {"type": "integer", "minimum": 0},
                                    "color": {"type": "string", "default": "red"},
                                    "parts": {
                                        "type": "array", "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["id"],
                                        "items": {"type": "object", "properties": {
                                            "id": {"type": "string"}, "weight": {"type": "integer"},
                                        }},
                                    },
                                },
                            },
                            "status": {"type": "object", "properties": {"size": {"type": "integer"}}},
                        },
                    }},
                },
                {
                    "name": "v1beta1", "served": true, "storage": false,
                    "schema": {"openAPIV3Schema": {
                        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                    }},
                },
            ],
        },
    })
}

#[tokio::test]
async fn a_definition_is_served_at_once() {
    let server = server().await;
    let widget = json!({"metadata": {"name": "a"}, "spec": {"size": 3, "odd": 1}});
    assert_status(&send(&server, "POST", WIDGETS, &widget).await, 404, "NotFound");
    let (code, created) = send(&server, "POST", DEFINITIONS, &definition()).await;
    assert_eq!(code, 201, "{created}");
    let established = created["status"]["conditions"].as_array().unwrap();
    assert!(established.iter().any(|one| one["type"] == "Established" && one["status"] == "True"));
    assert_eq!(created["spec"]["names"]["listKind"], "WidgetList");

    let (code, created) = send(&server, "POST", WIDGETS, &widget).await;
    assert_eq!(code, 201, "{created}");
    assert_eq!(created["spec"], json!({"size": 3, "color": "red"}));
    assert_eq!(
        (&created["kind"], &created["apiVersion"]),
        (&json!("Widget"), &json!("example.com/v1"))
    );
    let (_, other) = http::get(&server, &WIDGETS.replace("v1", "v1beta1")).await;
    assert_eq!(
        (&other["kind"], &other["apiVersion"]),
        (&json!("WidgetList"), &json!("example.com/v1beta1"))
    );
    assert_eq!(other["items"][0]["apiVersion"], "example.com/v1beta1");

    let (_, resources) = http::get(&server, "/apis/example.com/v1").await;
    let names: Vec<_> = resources["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["widgets", "widgets/status", "widgets/scale"]);
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let (_, table) = http::get_as(&server, WIDGETS, table).await;
    assert_eq!(table["columnDefinitions"][1]["name"], "Size");
    assert_eq!(table["rows"][0]["cells"], json!(["a", 3]));

    let wrong = json!({"metadata": {"name": "b"}, "spec": {"size": -1, "color": 5}});
    let answer = send(&server, "POST", WIDGETS, &wrong).await;
    assert_status(&answer, 422, "Invalid");
    // Of its size both its schema and its Scale say so.
    assert_eq!(fields(&answer.1), ["spec.color", "spec.size", "spec.size"]);
    server.stop().await;
}

#[tokio::test]
async fn subresources_and_patches_go_by_the_definition() {
    let server = server().await;
    send(&server, "POST", DEFINITIONS, &definition()).await;
    send(&server, "POST", WIDGETS, &json!({"metadata": {"name": "a"}, "spec": {"size": 3}})).await;
    let path = format!("{WIDGETS}/a");
    let both = json!({"spec": {"size": 4}, "status": {"size": 2}});
    let (_, changed) = send_as(&server, "PATCH", &path, MERGE, &both).await;
    assert_eq!((&changed["spec"]["size"], changed.get("status")), (&json!(4), None));
    assert_eq!(changed["metadata"]["generation"], 2);
    let (_, changed) = send_as(&server, "PATCH", &format!("{path}/status"), MERGE, &both).await;
    assert_eq!(
        (&changed["status"]["size"], &changed["metadata"]["generation"]),
        (&json!(2), &json!(2))
    );
    let (_, scale) = http::get(&server, &format!("{path}/scale")).await;
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["replicas"]), (&json!(4), &json!(2)));
    let strategic = send_as(&server, "PATCH", &path, STRATEGIC, &both).await;
    assert_status(&strategic, 415, "UnsupportedMediaType");

    let apply = |who: &str, parts: Value| {
        let config = json!({
            "apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"},
            "spec": {"parts": parts},
        });
        let path = format!("{path}?fieldManager={who}");
        let server = &server;
        async move { send_as(server, "PATCH", &path, APPLY, &config).await }
    };
    assert_eq!(apply("one", json!([{"id": "x", "weight": 1}])).await.0, 200);
    let (code, applied) = apply("two", json!([{"id": "y", "weight": 2}])).await;
    assert_eq!((code, applied["spec"]["parts"].as_array().unwrap().len()), (200, 2), "{applied}");
    let (_, applied) = apply("one", json!([])).await;
    assert_eq!(applied["spec"]["parts"], json!([{"id": "y", "weight": 2}]));
    server.stop().await;
}

#[tokio::test]
async fn a_definition_goes_with_its_objects() {
    let server = server().await;
    send(&server, "POST", DEFINITIONS, &definition()).await;
    send(&server, "POST", WIDGETS, &json!({"metadata": {"name": "a"}, "spec": {"size": 3}})).await;
    let path = format!("{DEFINITIONS}/widgets.example.com");
    assert_eq!(send(&server, "DELETE", &path, &Value::Null).await.0, 200);
    eventually(&server, &path, Value::is_null).await;
    assert_eq!(http::get(&server, WIDGETS).await.0, 404);
    // And comes back empty.
    send(&server, "POST", DEFINITIONS, &definition()).await;
    assert_eq!(http::get(&server, WIDGETS).await.1["items"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn definitions_are_validated() {
    let server = server().await;
    let mut wrong = definition();
    wrong["metadata"]["name"] = json!("gadgets.example.com");
    wrong["spec"]["scope"] = json!("Galaxy");
    wrong["spec"]["versions"][0]["storage"] = json!(false);
    wrong["spec"]["versions"][1].as_object_mut().unwrap().remove("schema");
    let answer = send(&server, "POST", DEFINITIONS, &wrong).await;
    assert_status(&answer, 422, "Invalid");
    assert_eq!(
        fields(&answer.1),
        ["metadata.name", "spec.scope", "spec.versions[1].schema.openAPIV3Schema", "spec.versions"]
    );
    server.stop().await;
}

#[tokio::test]
async fn a_replacement_says_what_it_replaces() {
    let server = server().await;
    let (_, definition) = send(&server, "POST", DEFINITIONS, &definition()).await;
    let mut widget = json!({"metadata": {"name": "a"}, "spec": {"size": 3}});
    let (_, created) = send(&server, "POST", WIDGETS, &widget).await;
    let path = format!("{WIDGETS}/a");
    for path in [path.clone(), format!("{path}/status")] {
        let answer = send(&server, "PUT", &path, &widget).await;
        assert_status(&answer, 422, "Invalid");
        assert_eq!(fields(&answer.1), ["metadata.resourceVersion"]);
    }
    widget["metadata"]["resourceVersion"] = created["metadata"]["resourceVersion"].clone();
    assert_eq!(send(&server, "PUT", &path, &widget).await.0, 200);

    let mut again = definition.clone();
    again["metadata"]["resourceVersion"] = Value::Null;
    let path = format!("{DEFINITIONS}/widgets.example.com");
    assert_status(&send(&server, "PUT", &path, &again).await, 422, "Invalid");
    server.stop().await;
}
