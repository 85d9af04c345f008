//! What the controllers make of clients' objects.

use serde_json::json;

use super::*;

async fn items(server: &EmbeddedServer, path: &str) -> Vec<Value> {
    http::get(server, path).await.1["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_pod_is_scheduled_and_runs() {
    let server = server().await;
    send(&server, "POST", PODS, &pod("a")).await;
    let running =
        eventually(&server, &format!("{PODS}/a"), |pod| pod["status"]["phase"] == "Running").await;
    assert!(running["spec"]["nodeName"].is_string() && running["status"]["podIP"].is_string());
    assert_eq!(running["status"]["containerStatuses"][0]["ready"], true);
    let events = "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name=a";
    let reasons = items(&server, events).await;
    assert!(reasons.iter().any(|event| event["reason"] == "Scheduled"), "{reasons:?}");

    let mut picky = pod("b");
    picky["spec"]["nodeSelector"] = json!({"disk": "ssd"});
    send(&server, "POST", PODS, &picky).await;
    let path = format!("{PODS}/b");
    eventually(&server, &path, |pod| pod["status"]["conditions"][0]["reason"] == "Unschedulable")
        .await;
    let mut foreign = pod("c");
    foreign["spec"]["schedulerName"] = json!("mine");
    send(&server, "POST", PODS, &foreign).await;
    send(&server, "POST", PODS, &pod("d")).await;
    eventually(&server, &format!("{PODS}/d"), |pod| pod["status"]["phase"] == "Running").await;
    let (_, foreign) = http::get(&server, &format!("{PODS}/c")).await;
    assert!(foreign["spec"].get("nodeName").is_none(), "it is for another scheduler");
    server.stop().await;
}

#[tokio::test]
async fn a_deployment_rolls_out_scales_and_goes() {
    let server = server().await;
    send(&server, "POST", DEPLOYMENTS, &deployment("web", 3)).await;
    let path = format!("{DEPLOYMENTS}/web");
    let is_complete = |replicas: u64| {
        move |one: &Value| {
            let status = &one["status"];
            status["observedGeneration"] == one["metadata"]["generation"]
                && ["replicas", "updatedReplicas", "availableReplicas"]
                    .iter()
                    .all(|field| status[field] == replicas)
        }
    };
    eventually(&server, &path, is_complete(3)).await;
    let selected = format!("{PODS}?labelSelector=app%3Dweb");
    assert_eq!(items(&server, &selected).await.len(), 3);

    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "nginx:2"}]}}}});
    send_as(&server, "PATCH", &path, STRATEGIC, &patch).await;
    eventually(&server, &path, is_complete(3)).await;
    eventually(&server, &selected, |list| {
        let pods = list["items"].as_array().unwrap();
        pods.len() == 3 && pods.iter().all(|pod| pod["spec"]["containers"][0]["image"] == "nginx:2")
    })
    .await;
    assert_eq!(items(&server, &format!("{REPLICA_SETS}?labelSelector=app%3Dweb")).await.len(), 2);

    send_as(&server, "PATCH", &format!("{path}/scale"), MERGE, &json!({"spec": {"replicas": 1}}))
        .await;
    eventually(&server, &path, is_complete(1)).await;
    // A Pod that is deleted comes back under another name.
    let first = items(&server, &selected).await;
    let running = first.iter().find(|pod| pod["metadata"]["deletionTimestamp"].is_null()).unwrap();
    let name = running["metadata"]["name"].as_str().unwrap().to_owned();
    send(&server, "DELETE", &format!("{PODS}/{name}"), &Value::Null).await;
    eventually(&server, &selected, |list| {
        let pods = list["items"].as_array().unwrap();
        pods.len() == 1
            && pods[0]["metadata"]["name"] != *name
            && pods[0]["status"]["phase"] == "Running"
    })
    .await;

    let options = json!({"propagationPolicy": "Foreground"});
    send(&server, "DELETE", &path, &options).await;
    eventually(&server, &path, Value::is_null).await;
    eventually(&server, &selected, |list| list["items"] == json!([])).await;
    server.stop().await;
}

/// Whoever deletes an object alone can take it up again.
#[tokio::test]
async fn what_is_orphaned_is_adopted() {
    let server = server().await;
    send(&server, "POST", DEPLOYMENTS, &deployment("web", 2)).await;
    let path = format!("{DEPLOYMENTS}/web");
    let is_complete = |one: &Value| {
        one["status"]["updatedReplicas"] == 2
            && one["status"]["availableReplicas"] == 2
            && one["status"]["replicas"] == 2
    };
    eventually(&server, &path, is_complete).await;
    let uids = |objects: &[Value]| -> Vec<String> {
        objects.iter().map(|one| one["metadata"]["uid"].as_str().unwrap().to_owned()).collect()
    };
    let sets = format!("{REPLICA_SETS}?labelSelector=app%3Dweb");
    let pods = format!("{PODS}?labelSelector=app%3Dweb");
    let (old_sets, old_pods) = (items(&server, &sets).await, items(&server, &pods).await);

    let orphan = json!({"propagationPolicy": "Orphan"});
    send(&server, "DELETE", &path, &orphan).await;
    eventually(&server, &path, Value::is_null).await;
    let set = format!("{REPLICA_SETS}/{}", old_sets[0]["metadata"]["name"].as_str().unwrap());
    send(&server, "DELETE", &set, &orphan).await;
    eventually(&server, &set, Value::is_null).await;
    // The ReplicaSet again, which takes its Pods, and the Deployment, which takes the ReplicaSet.
    let mut again = old_sets[0].clone();
    again["metadata"]["ownerReferences"] = Value::Null;
    again["metadata"]["resourceVersion"] = Value::Null;
    again["metadata"]["uid"] = Value::Null;
    let (code, again) = send(&server, "POST", REPLICA_SETS, &again).await;
    assert_eq!(code, 201, "{again}");
    eventually(&server, &set, |set| set["status"]["readyReplicas"] == 2).await;
    let (_, created) = send(&server, "POST", DEPLOYMENTS, &deployment("web", 2)).await;
    eventually(&server, &path, is_complete).await;
    assert_eq!(uids(&items(&server, &pods).await), uids(&old_pods), "the same Pods");
    let held = items(&server, &sets).await;
    assert_eq!(uids(&held), uids(&[again]), "the same ReplicaSet");
    assert_eq!(held[0]["metadata"]["ownerReferences"][0]["uid"], created["metadata"]["uid"]);

    // A Pod of a client's own that is one too many goes, or another does.
    let mut own = pod("own");
    own["metadata"]["labels"] = held[0]["spec"]["selector"]["matchLabels"].clone();
    send(&server, "POST", PODS, &own).await;
    eventually(&server, &pods, |list| {
        let pods = list["items"].as_array().unwrap();
        pods.len() == 2 && pods.iter().all(|pod| pod["metadata"]["ownerReferences"].is_array())
    })
    .await;
    server.stop().await;
}
