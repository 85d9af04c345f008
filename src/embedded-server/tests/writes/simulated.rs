//! What clients change of the simulated objects stays, while the simulation goes on.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;

async fn busy() -> EmbeddedServer {
    EmbeddedServer::start(Config { pods: 60, rate: 1_000, ..Config::default() }).await.unwrap()
}

fn path(pod: &Value) -> String {
    let text = |field: &str| pod["metadata"][field].as_str().unwrap().to_owned();
    format!("/api/v1/namespaces/{}/pods/{}", text("namespace"), text("name"))
}

#[tokio::test]
async fn labels_outlast_what_the_simulation_writes() {
    let server = busy().await;
    let (_, nodes) = http::get(&server, "/api/v1/nodes").await;
    let node = format!("/api/v1/nodes/{}", nodes["items"][0]["metadata"]["name"].as_str().unwrap());
    let patch = json!({"metadata": {"labels": {"mine": "1"}}, "spec": {"unschedulable": true}});
    let (code, patched) = send_as(&server, "PATCH", &node, STRATEGIC, &patch).await;
    assert_eq!(code, 200, "{patched}");
    let beat = patched["status"]["conditions"][0]["lastHeartbeatTime"].clone();
    let later = eventually(&server, &node, |node| {
        node["status"]["conditions"][0]["lastHeartbeatTime"] != beat
    })
    .await;
    assert_eq!(
        (&later["metadata"]["labels"]["mine"], &later["spec"]["unschedulable"]),
        (&json!("1"), &json!(true))
    );
    server.stop().await;
}

#[tokio::test]
async fn deleted_pods_are_gone_and_replaced() {
    let server = busy().await;
    for _ in 0..5 {
        server.pause().await;
        let (_, list) =
            http::get(&server, "/api/v1/pods?fieldSelector=status.phase%3DRunning").await;
        let pods = list["items"].as_array().unwrap();
        let victim =
            pods.iter().find(|pod| pod["metadata"]["deletionTimestamp"].is_null()).unwrap();
        let path = path(victim);
        let uid = victim["metadata"]["uid"].clone();
        let (code, answer) = send(&server, "DELETE", &path, &Value::Null).await;
        assert_eq!(code, 200, "{answer}");
        server.resume();
        eventually(&server, &path, |pod| pod.is_null() || pod["metadata"]["uid"] != uid).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (_, list) = http::get(&server, "/api/v1/pods").await;
    let count = list["items"].as_array().unwrap().len();
    assert!((50..=75).contains(&count), "{count} Pods");
    let slices = http::get(&server, "/apis/discovery.k8s.io/v1/endpointslices").await.1;
    let uids: BTreeSet<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pod| pod["metadata"]["uid"].to_string())
        .collect();
    assert!(!uids.is_empty() && slices["items"].as_array().is_some());
    server.stop().await;
}

#[tokio::test]
async fn a_simulated_namespace_can_be_deleted() {
    let server = busy().await;
    let (_, list) = http::get(&server, "/api/v1/pods").await;
    let namespace = list["items"][0]["metadata"]["namespace"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/namespaces/{namespace}");
    send(&server, "DELETE", &path, &Value::Null).await;
    eventually(&server, &path, Value::is_null).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for resource in ["pods", "configmaps", "services"] {
        let (_, list) = http::get(&server, &format!("{path}/{resource}")).await;
        assert_eq!(list["items"], json!([]), "the simulation has none there any more");
    }
    server.stop().await;
}
