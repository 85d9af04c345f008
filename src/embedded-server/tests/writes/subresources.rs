//! Status, scale and binding.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;
use watchcache_embedded_server::Scheduler;

use super::*;

#[tokio::test]
async fn a_status_is_a_part_of_its_own() {
    let server = server().await;
    let (_, created) = send(&server, "POST", "/api/v1/namespaces/default/services", &json!({
        "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}, "status": {"conditions": [1]},
    })).await;
    assert_eq!(created["reason"], "BadRequest", "the type is checked first");
    let service = json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}});
    let (_, created) = send(&server, "POST", "/api/v1/namespaces/default/services", &service).await;
    assert!(created["spec"]["clusterIP"].is_string());
    assert_eq!(created["spec"]["ports"][0]["targetPort"], 80);
    let path = "/api/v1/namespaces/default/services/a";
    let ingress = json!({
        "spec": {"type": "NodePort"}, "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}},
    });
    let (_, changed) = send_as(&server, "PATCH", &format!("{path}/status"), MERGE, &ingress).await;
    assert_eq!(changed["status"]["loadBalancer"]["ingress"][0]["ip"], "10.0.0.1");
    assert_eq!(changed["spec"]["type"], "ClusterIP");
    let (_, changed) = send_as(
        &server,
        "PATCH",
        path,
        MERGE,
        &json!({
            "spec": {"sessionAffinity": "ClientIP"}, "status": {"loadBalancer": null},
        }),
    )
    .await;
    assert_eq!(changed["spec"]["sessionAffinity"], "ClientIP");
    assert_eq!(changed["status"]["loadBalancer"]["ingress"][0]["ip"], "10.0.0.1");
    // Replaced without its address it keeps it.
    let (code, replaced) = send(&server, "PUT", path, &service).await;
    assert_eq!((code, &replaced["spec"]["clusterIP"]), (200, &created["spec"]["clusterIP"]));
    server.stop().await;
}

#[tokio::test]
async fn scale() {
    let server = server().await;
    send(&server, "POST", DEPLOYMENTS, &deployment("web", 2)).await;
    let deployments: Api<Deployment> = Api::namespaced(client(&server), "default");
    let scale = deployments.get_scale("web").await.unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(2));
    assert_eq!(scale.status.unwrap().selector.as_deref(), Some("app=web"));
    let patch = Patch::Merge(json!({"spec": {"replicas": 3}}));
    deployments.patch_scale("web", &PatchParams::default(), &patch).await.unwrap();
    let path = format!("{DEPLOYMENTS}/web");
    eventually(&server, &path, |one| one["status"]["readyReplicas"] == 3).await;

    let (_, scale) = http::get(&server, &format!("{path}/scale")).await;
    let mut wrong = scale.clone();
    wrong["spec"]["replicas"] = json!(-1);
    let answer = send(&server, "PUT", &format!("{path}/scale"), &wrong).await;
    assert_status(&answer, 422, "Invalid");
    wrong["spec"]["replicas"] = json!(1);
    wrong["metadata"]["resourceVersion"] = json!("1");
    assert_status(&send(&server, "PUT", &format!("{path}/scale"), &wrong).await, 409, "Conflict");
    let no_scale = http::get(&server, &format!("{CONFIG_MAPS}/a/scale")).await;
    assert_status(&no_scale, 404, "NotFound");
    server.stop().await;
}

/// A scheduler of the user's: the simulated Pods wait for it, and go on once they are bound.
#[tokio::test]
async fn bindings_take_the_schedulers_part() {
    let config =
        Config { pods: 300, rate: 500, scheduler: Scheduler::External, ..Config::default() };
    let server = EmbeddedServer::start(config).await.unwrap();
    send(&server, "POST", PODS, &pod("mine")).await;
    let pods: Api<Pod> = Api::all(client(&server));
    let nodes: Vec<Node> =
        Api::all(client(&server)).list(&ListParams::default()).await.unwrap().items;
    let unbound = ListParams::default().fields("spec.nodeName=");
    let mut bound = Vec::new();
    for round in 0..600 {
        for pod in pods.list(&unbound).await.unwrap() {
            let (namespace, name) = (pod.metadata.namespace.unwrap(), pod.metadata.name.unwrap());
            let node = nodes[round % nodes.len()].metadata.name.clone().unwrap();
            let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/binding");
            let binding =
                json!({"metadata": {"name": name}, "target": {"kind": "Node", "name": node}});
            let (code, status) = send(&server, "POST", &path, &binding).await;
            // It may have been deleted in between.
            assert!(matches!(code, 201 | 404 | 409), "{status}");
            if code == 201 {
                let again = send(&server, "POST", &path, &binding).await;
                assert!(matches!(again.0, 404 | 409), "{}", again.1);
                bound.push((format!("/api/v1/namespaces/{namespace}/pods/{name}"), node));
            }
        }
        if bound.len() > 60 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(bound.len() > 60, "only {} were to be bound", bound.len());
    assert!(bound.iter().any(|(path, _)| path.ends_with("/mine")));
    let mut running = 0;
    for (path, node) in &bound {
        let (code, pod) = http::get(&server, path).await;
        if code == 200 {
            assert_eq!(pod["spec"]["nodeName"], node.as_str(), "{path}");
            running += u32::from(pod["status"]["phase"] == "Running");
        }
    }
    assert!(running > 0, "none of them went on");
    eventually(&server, &format!("{PODS}/mine"), |pod| pod["status"]["phase"] == "Running").await;
    server.stop().await;
}

#[tokio::test]
async fn without_a_scheduler_nothing_is_bound() {
    let config = Config { pods: 10, rate: 0, scheduler: Scheduler::External, ..Config::default() };
    let server = EmbeddedServer::start(config).await.unwrap();
    send(&server, "POST", PODS, &pod("a")).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (_, pod) = http::get(&server, &format!("{PODS}/a")).await;
    assert!(pod["spec"].get("nodeName").is_none());
    assert_eq!(pod["status"]["phase"], "Pending");
    let wrong = json!({"target": {"kind": "Node"}});
    assert_status(
        &send(&server, "POST", &format!("{PODS}/a/binding"), &wrong).await,
        400,
        "BadRequest",
    );
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_scale() {
    let server = server().await;
    send(&server, "POST", DEPLOYMENTS, &deployment("web", 2)).await;
    let path = format!("{DEPLOYMENTS}/web/scale");
    for wrong in [
        json!({"spec": 5}),
        json!({"spec": {"replicas": "3"}}),
        json!({"spec": {"replicas": 1.5}}),
        json!({"spec": {"replicas": 3_000_000_000_u32}}),
        json!({"kind": "Deployment"}),
        json!({"apiVersion": "apps/v1"}),
    ] {
        let mut scale = json!({"metadata": {"name": "web"}, "spec": {"replicas": 1}});
        for (field, value) in wrong.as_object().unwrap() {
            scale[field] = value.clone();
        }
        assert_status(&send(&server, "PUT", &path, &scale).await, 400, "BadRequest");
        let patched = send_as(&server, "PATCH", &path, MERGE, &wrong).await;
        assert_status(&patched, 400, "BadRequest");
    }
    let (_, scale) = http::get(&server, &path).await;
    assert_eq!(scale["spec"]["replicas"], 2);
    // It is the API's default.
    let empty = json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "spec": {}});
    let (code, scale) = send(&server, "PUT", &path, &empty).await;
    assert_eq!((code, &scale["spec"]["replicas"]), (200, &json!(0)));
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_binding() {
    let config = Config { pods: 10, rate: 0, scheduler: Scheduler::External, ..Config::default() };
    let server = EmbeddedServer::start(config).await.unwrap();
    send(&server, "POST", PODS, &pod("a")).await;
    let path = format!("{PODS}/a/binding");
    let (_, nodes) = http::get(&server, "/api/v1/nodes").await;
    let node = &nodes["items"][0]["metadata"]["name"];
    let right = json!({"metadata": {"name": "a"}, "target": {"kind": "Node", "name": node}});
    for (pointer, value) in [
        ("/kind", json!("Pod")),
        ("/apiVersion", json!("v2")),
        ("/metadata/name", json!("b")),
        ("/metadata/namespace", json!("elsewhere")),
        ("/target/kind", json!("Pod")),
        ("/target/kind", json!(5)),
        ("/target/name", json!("")),
        ("/target", json!("node-1")),
    ] {
        let mut wrong = json!({"kind": "Binding", "apiVersion": "v1"});
        wrong["metadata"] = json!({"name": "a", "namespace": "default"});
        wrong["target"] = right["target"].clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        assert_status(&send(&server, "POST", &path, &wrong).await, 400, "BadRequest");
    }
    let (_, pod) = http::get(&server, &format!("{PODS}/a")).await;
    assert!(pod["spec"].get("nodeName").is_none());
    assert_eq!(send(&server, "POST", &path, &right).await.0, 201);
    server.stop().await;
}
