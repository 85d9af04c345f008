//! The list and watch protocol, looked at byte by byte.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "shared with other tests, and each uses a part")]
mod http;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http::{Reply, get, get_as, watch};
use serde_json::Value;
use watchcache_embedded_server::{Config, EmbeddedServer, HistoryLimit, StartError};

/// The label that names the application of a simulated Pod.
const LABEL: &str = "app.kubernetes.io/name";

async fn server(config: Config) -> EmbeddedServer {
    EmbeddedServer::start(config).await.unwrap()
}

fn busy() -> Config {
    Config { pods: 300, rate: 1_000, ..Config::default() }
}

fn still() -> Config {
    Config { rate: 0, ..busy() }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}"))
}

fn version(object: &Value) -> u64 {
    text(&object["metadata"]["resourceVersion"]).parse().unwrap()
}

fn key(object: &Value) -> String {
    let metadata = &object["metadata"];
    format!("{}/{}", text(&metadata["namespace"]), text(&metadata["name"]))
}

/// The objects of a list by key, with the version of each.
fn contents(list: &Value) -> BTreeMap<String, u64> {
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| (key(item), version(item))).collect()
}

fn apply(mirror: &mut BTreeMap<String, u64>, event: &Value) {
    let object = &event["object"];
    match text(&event["type"]) {
        "ADDED" => {
            assert!(mirror.insert(key(object), version(object)).is_none(), "{}", key(object))
        }
        "MODIFIED" => assert!(mirror.insert(key(object), version(object)).is_some()),
        "DELETED" => assert!(mirror.remove(&key(object)).is_some()),
        other => panic!("unexpected {other}: {event}"),
    }
}

/// Changes until at least `count` more were made, then a pause.
async fn churn(server: &EmbeddedServer, count: u64) -> u64 {
    let target = server.commits() + count;
    server.resume();
    while server.commits() < target {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    server.pause().await
}

fn reason(code: u16, status: &Value, expected: (u16, &str)) {
    assert_eq!(status["kind"], "Status", "{status}");
    assert_eq!((code, text(&status["reason"])), expected, "{status}");
    assert_eq!(status["code"], code, "{status}");
}

#[tokio::test]
async fn pages_are_of_one_version() {
    let server = server(busy()).await;
    churn(&server, 50).await;
    let (_, whole) = get(&server, "/api/v1/pods").await;
    let total = whole["items"].as_array().unwrap().len();
    let (mut seen, mut token, mut pages) = (BTreeMap::new(), String::new(), 0);
    loop {
        let (code, page) = get(&server, &format!("/api/v1/pods?limit=40&continue={token}")).await;
        assert_eq!(code, 200, "{page}");
        assert_eq!(version(&page), version(&whole));
        seen.extend(contents(&page));
        pages += 1;
        let Some(next) = page["metadata"]["continue"].as_str() else {
            assert!(page["metadata"].get("remainingItemCount").is_none());
            break;
        };
        assert_eq!(page["metadata"]["remainingItemCount"], total - seen.len());
        token = next.to_owned();
        churn(&server, 100).await;
    }
    assert!(pages >= total / 40);
    assert_eq!(seen, contents(&whole));
    let exact = format!("/api/v1/pods?resourceVersion={}", version(&whole));
    let (_, again) = get(&server, &format!("{exact}&resourceVersionMatch=Exact")).await;
    assert_eq!(again, whole);
    let (_, newer) = get(&server, &exact).await;
    assert!(version(&newer) > version(&whole));
    server.stop().await;
}

#[tokio::test]
async fn compaction_expires_pages_and_watches() {
    let server = server(busy()).await;
    let (_, page) = get(&server, "/api/v1/pods?limit=10").await;
    let token = text(&page["metadata"]["continue"]).to_owned();
    let first = version(&page);
    let last = churn(&server, 100).await;
    server.compact(last);

    let (code, status) = get(&server, &format!("/api/v1/pods?limit=10&continue={token}")).await;
    reason(code, &status, (410, "Expired"));
    let inconsistent = text(&status["metadata"]["continue"]);
    let (code, rest) =
        get(&server, &format!("/api/v1/pods?limit=10&continue={inconsistent}")).await;
    assert_eq!((code, version(&rest)), (200, last));
    assert!(contents(&rest).keys().next() > contents(&page).keys().last());

    let exact = format!("/api/v1/pods?resourceVersion={first}&resourceVersionMatch=Exact");
    let (code, status) = get(&server, &exact).await;
    reason(code, &status, (410, "Expired"));

    let mut expired =
        watch(&server, &format!("/api/v1/pods?watch=1&resourceVersion={first}")).await;
    let event = expired.next().await.unwrap();
    assert_eq!(event["type"], "ERROR");
    reason(410, &event["object"], (410, "Expired"));
    assert!(expired.next().await.is_none());

    // The compacted version itself can still be watched from.
    let path = format!("/api/v1/pods?watch=1&resourceVersion={last}&timeoutSeconds=1");
    assert!(watch(&server, &path).await.next().await.is_none());
    server.stop().await;
}

#[tokio::test]
async fn history_is_bounded_by_itself() {
    let server = server(Config { history: HistoryLimit::changes(100), ..busy() }).await;
    let begin = server.resource_version();
    let last = churn(&server, 500).await;
    let mut expired =
        watch(&server, &format!("/api/v1/pods?watch=1&resourceVersion={begin}")).await;
    assert_eq!(expired.next().await.unwrap()["type"], "ERROR");
    assert!(server.committed_at(begin).is_none());
    let committed = server.committed_at(last).unwrap();
    assert!(committed <= Instant::now() && server.committed_at(last - 50).unwrap() <= committed);
    assert!(server.committed_at(last + 1).is_none());
    server.stop().await;
}

#[tokio::test]
async fn a_cut_watch_resumes_without_gap_or_repeat() {
    let server = server(busy()).await;
    server.pause().await;
    let (_, list) = get(&server, "/api/v1/pods").await;
    let (mut mirror, mut at) = (contents(&list), version(&list));
    server.resume();
    for round in 0..4 {
        let mut stream =
            watch(&server, &format!("/api/v1/pods?watch=true&resourceVersion={at}")).await;
        for count in 0.. {
            let Some(event) = stream.next().await else { break };
            assert!(version(&event["object"]) > at);
            at = version(&event["object"]);
            apply(&mut mirror, &event);
            if count == 100 {
                server.disconnect_watches();
            }
        }
        assert!(round < 4);
    }
    let last = server.pause().await;
    let path = format!(
        "/api/v1/pods?watch=true&resourceVersion={at}&timeoutSeconds=1&allowWatchBookmarks=true"
    );
    let mut stream = watch(&server, &path).await;
    while let Some(event) = stream.next().await {
        if event["type"] == "BOOKMARK" {
            at = version(&event["object"]);
            assert_eq!(event["object"]["kind"], "Pod");
        } else {
            apply(&mut mirror, &event);
        }
    }
    assert_eq!(at, last, "the bookmark before the timeout names the newest version");
    let (_, list) = get(&server, "/api/v1/pods").await;
    assert_eq!(mirror, contents(&list));
    server.stop().await;
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark() {
    let server = server(still()).await;
    let (_, list) = get(&server, "/api/v1/pods").await;
    for from in ["", "0", &server.resource_version().to_string()] {
        let path = format!(
            "/api/v1/pods?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
             &allowWatchBookmarks=true&timeoutSeconds=20&resourceVersion={from}"
        );
        let mut stream = watch(&server, &path).await;
        let mut mirror = BTreeMap::new();
        let end = loop {
            let event = stream.next().await.unwrap();
            if event["type"] == "BOOKMARK" {
                break event;
            }
            assert_eq!(event["type"], "ADDED");
            apply(&mut mirror, &event);
        };
        assert_eq!(end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
        assert_eq!(version(&end["object"]), version(&list));
        assert_eq!(mirror, contents(&list));
    }
    // Without the parameter: the same events, and no bookmark to end them.
    let mut stream = watch(&server, "/api/v1/pods?watch=true&timeoutSeconds=1").await;
    let mut mirror = BTreeMap::new();
    while let Some(event) = stream.next().await {
        apply(&mut mirror, &event);
    }
    assert_eq!(mirror, contents(&list));
    server.stop().await;
}

/// The phases of the Pods, which churn changes: objects enter and leave the selection.
#[tokio::test]
async fn a_selection_is_left_and_entered() {
    let server = server(busy()).await;
    server.pause().await;
    let selected = "fieldSelector=status.phase=Running";
    let (_, list) = get(&server, &format!("/api/v1/pods?{selected}")).await;
    let (mut mirror, begin) = (contents(&list), version(&list));
    churn(&server, 3_000).await;
    let (_, list) = get(&server, &format!("/api/v1/pods?{selected}")).await;
    let path = format!("/api/v1/pods?watch=1&{selected}&resourceVersion={begin}&timeoutSeconds=60");
    let mut stream = watch(&server, &path).await;
    let mut left = 0;
    while mirror != contents(&list) {
        let event = stream.next().await.expect("the watch ended before it had told everything");
        left += u32::from(event["type"] == "DELETED");
        assert_eq!(
            event["object"]["status"]["phase"], "Running",
            "the last state that was selected"
        );
        apply(&mut mirror, &event);
    }
    assert!(left > 0, "nothing left the selection");
    server.stop().await;
}

#[tokio::test]
async fn selectors_select() {
    let server = server(still()).await;
    let (_, all) = get(&server, "/api/v1/pods").await;
    let all = all["items"].as_array().unwrap();
    let app = text(
        &all.iter().find(|pod| pod["metadata"]["labels"][LABEL].is_string()).unwrap()["metadata"]["labels"]
            [LABEL],
    );
    let namespace = text(&all[0]["metadata"]["namespace"]);
    let name = text(&all[0]["metadata"]["name"]);
    let count = |test: &dyn Fn(&Value) -> bool| all.iter().filter(|pod| test(pod)).count();
    let is_app = |pod: &Value| pod["metadata"]["labels"][LABEL] == app;
    let in_namespace = |pod: &Value| pod["metadata"]["namespace"] == namespace;
    for (path, expected) in [
        (format!("pods?labelSelector={LABEL}%3D{app}"), count(&is_app)),
        (format!("pods?labelSelector={LABEL}!%3D{app}"), count(&|pod| !is_app(pod))),
        (format!("pods?labelSelector={LABEL} in ({app},other)"), count(&is_app)),
        (
            format!("pods?labelSelector=!{LABEL}"),
            count(&|pod| pod["metadata"]["labels"][LABEL].is_null()),
        ),
        (format!("namespaces/{namespace}/pods"), count(&in_namespace)),
        (format!("pods?fieldSelector=metadata.namespace%3D{namespace}"), count(&in_namespace)),
        (format!("namespaces/{namespace}/pods?fieldSelector=metadata.name={name}"), 1),
    ] {
        let (code, list) = get(&server, &format!("/api/v1/{path}")).await;
        assert_eq!(code, 200, "{list}");
        assert_eq!(list["items"].as_array().unwrap().len(), expected, "{path}");
    }
    let (_, page) = get(&server, &format!("/api/v1/pods?labelSelector={LABEL}&limit=1")).await;
    assert!(page["metadata"]["continue"].is_string());
    assert!(page["metadata"].get("remainingItemCount").is_none());
    server.stop().await;
}

#[tokio::test]
async fn errors_are_status_objects() {
    let server = server(still()).await;
    let future = server.resource_version() + 1000;
    for (path, expected) in [
        ("/api/v1/namespaces/x/pods/none".to_owned(), (404, "NotFound")),
        ("/api/v1/secrets".to_owned(), (404, "NotFound")),
        ("/api/v1/namespaces/x/nodes".to_owned(), (404, "NotFound")),
        ("/openapi/v2".to_owned(), (404, "NotFound")),
        ("/api/v1/pods?labelSelector=a in".to_owned(), (400, "BadRequest")),
        ("/api/v1/pods?fieldSelector=spec.x%3D1".to_owned(), (400, "BadRequest")),
        ("/api/v1/pods?resourceVersion=new".to_owned(), (400, "BadRequest")),
        ("/api/v1/pods?limit=many".to_owned(), (400, "BadRequest")),
        ("/api/v1/pods?continue=nonsense".to_owned(), (400, "BadRequest")),
        ("/api/v1/pods?resourceVersionMatch=Exact".to_owned(), (422, "Invalid")),
        ("/api/v1/pods?watch=1&sendInitialEvents=true".to_owned(), (422, "Invalid")),
        (format!("/api/v1/pods?resourceVersion={future}"), (504, "Timeout")),
        (format!("/api/v1/pods?resourceVersion={future}&watch=1"), (504, "Timeout")),
    ] {
        let (code, status) = get(&server, &path).await;
        reason(code, &status, expected);
    }
    let (_, status) = get(&server, "/api/v1/namespaces/x/pods/none").await;
    assert_eq!(status["message"], "pods \"none\" not found");
    assert_eq!(status["details"], serde_json::json!({"name": "none", "kind": "pods"}));
    let (_, status) =
        get(&server, "/apis/discovery.k8s.io/v1/namespaces/x/endpointslices/none").await;
    assert_eq!(status["message"], "endpointslices.discovery.k8s.io \"none\" not found");
    let (_, status) = get(&server, "/api/v1/pods?fieldSelector=spec.x%3D1").await;
    assert_eq!(status["message"], "field label not supported: spec.x");
    let (_, status) = get(&server, &format!("/api/v1/pods?resourceVersion={future}")).await;
    assert_eq!(status["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    assert_eq!(status["details"]["retryAfterSeconds"], 1);
    let (code, status) = get_as(&server, "/api/v1/pods", "application/yaml").await;
    reason(code, &status, (406, "NotAcceptable"));
    let reply = Reply::request(&server, "POST", "/api/v1/namespaces/x/pods/none", "*/*").await;
    let code = reply.code;
    let status: Value = serde_json::from_slice(&reply.body().await).unwrap();
    reason(code, &status, (405, "MethodNotAllowed"));
    server.stop().await;
}

#[tokio::test]
async fn tables_and_metadata() {
    let server = server(still()).await;
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    for path in ["v1/pods", "v1/nodes", "v1/services", "v1/configmaps", "v1/namespaces"] {
        let (_, list) = get_as(&server, &format!("/api/{path}?limit=3"), table).await;
        assert_eq!(list["kind"], "Table");
        let columns = list["columnDefinitions"].as_array().unwrap().len();
        for row in list["rows"].as_array().unwrap() {
            assert_eq!(row["cells"].as_array().unwrap().len(), columns);
            assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
            assert_eq!(row["object"]["metadata"]["name"], row["cells"][0]);
        }
    }
    let metadata = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let (_, list) = get_as(&server, "/api/v1/pods?limit=2", metadata).await;
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert!(list["items"][0]["metadata"]["name"].is_string());
    assert!(list["items"][0].get("spec").is_none());
    server.stop().await;
}

#[tokio::test]
async fn the_seed_alone_makes_the_history() {
    let mut histories = Vec::new();
    for (seed, rate) in [(7, 500), (7, 3_000), (8, 3_000)] {
        let server = server(Config { pods: 200, seed, rate, ..Config::default() }).await;
        server.pause().await;
        churn(&server, 300).await;
        let mut all = Vec::new();
        let at = 300 + server.resource_version() - server.commits();
        for path in ["/api/v1/pods", "/api/v1/nodes", "/apis/discovery.k8s.io/v1/endpointslices"] {
            let path = format!("{path}?resourceVersion={at}&resourceVersionMatch=Exact");
            let (code, list) = get(&server, &path).await;
            assert_eq!(code, 200, "{list}");
            all.push(list);
        }
        histories.push(all);
        server.stop().await;
    }
    assert!(histories[0] == histories[1], "the same seed gave another history");
    assert!(histories[1] != histories[2], "another seed gave the same history");
}

#[tokio::test]
async fn stopping_closes_connections_and_frees_the_port() {
    let first = server(still()).await;
    let port = first.address().port();
    let taken = EmbeddedServer::start(Config { port, ..still() }).await;
    assert!(matches!(taken, Err(StartError::PortInUse { .. })));
    let path = format!("/api/v1/pods?watch=1&resourceVersion={}", first.resource_version());
    let mut stream = watch(&first, &path).await;
    first.stop().await;
    assert!(stream.next().await.is_none());
    let second = server(Config { port, ..still() }).await;
    assert_eq!(second.url(), format!("http://127.0.0.1:{port}"));
    second.stop().await;
}
