//! A webhook that has a say in what clients write.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use watchcache_embedded_server::{Admission, FailurePolicy};

use super::*;

type Answer = Box<dyn Fn(&Value) -> Response + Send>;

/// A webhook, and what it was asked.
#[derive(Clone)]
struct Webhook {
    asked: Arc<Mutex<Vec<Value>>>,
    answer: Arc<Mutex<Answer>>,
}

fn respond(request: &Value, response: Value) -> Response {
    let mut review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"});
    review["response"] = response;
    review["response"]["uid"] = request["uid"].clone();
    review.to_string().into_response()
}

fn allow(request: &Value) -> Response {
    respond(request, json!({"allowed": true}))
}

async fn asked(State(webhook): State<Webhook>, body: String) -> Response {
    let review: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(review["apiVersion"], "admission.k8s.io/v1");
    let request = review["request"].clone();
    webhook.asked.lock().unwrap().push(request.clone());
    let answer = webhook.answer.lock().unwrap();
    answer(&request)
}

impl Webhook {
    /// A webhook that answers so, and where it is.
    async fn start(answer: impl Fn(&Value) -> Response + Send + 'static) -> (Webhook, Admission) {
        let webhook =
            Webhook { asked: Arc::default(), answer: Arc::new(Mutex::new(Box::new(answer))) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/validate", listener.local_addr().unwrap());
        let router = Router::new().fallback(asked).with_state(webhook.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (webhook, url.parse().unwrap())
    }

    fn answers(&self, answer: impl Fn(&Value) -> Response + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    /// What it was asked since the last look.
    fn take(&self) -> Vec<Value> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// The one question since the last look.
    fn only(&self) -> Value {
        let mut asked = self.take();
        assert_eq!(asked.len(), 1, "{asked:#?}");
        asked.remove(0)
    }
}

async fn server(admission: Admission) -> EmbeddedServer {
    let config = Config { pods: 10, rate: 0, admission: Some(admission), ..Config::default() };
    EmbeddedServer::start(config).await.unwrap()
}

#[tokio::test]
async fn is_asked_about_what_each_write_comes_to() {
    let (webhook, admission) = Webhook::start(allow).await;
    let server = server(admission).await;
    config_map(&server, "a").await;
    let create = webhook.only();
    assert_eq!((&create["operation"], &create["oldObject"]), (&json!("CREATE"), &Value::Null));
    assert_eq!(create["resource"], json!({"group": "", "version": "v1", "resource": "configmaps"}));
    assert_eq!(create["kind"], json!({"group": "", "version": "v1", "kind": "ConfigMap"}));
    assert_eq!((&create["namespace"], &create["name"]), (&json!("default"), &json!("a")));
    assert_eq!(create["object"]["data"], json!({"a": "1", "b": "2"}));
    assert_eq!(create["options"]["fieldManager"], "tests");

    let path = format!("{CONFIG_MAPS}/a");
    let patch = json!({"data": {"a": "9"}});
    assert_eq!(send_as(&server, "PATCH", &path, MERGE, &patch).await.0, 200);
    let update = webhook.only();
    assert_eq!(update["operation"], "UPDATE");
    assert_eq!(
        (&update["object"]["data"]["a"], &update["oldObject"]["data"]["a"]),
        (&json!("9"), &json!("1"))
    );

    let dry = send(&server, "DELETE", &format!("{path}?dryRun=All"), &Value::Null).await;
    assert_eq!((dry.0, &webhook.only()["dryRun"]), (200, &json!(true)));
    assert_eq!(send(&server, "DELETE", &path, &Value::Null).await.0, 200);
    let delete = webhook.only();
    assert_eq!((&delete["operation"], &delete["object"]), (&json!("DELETE"), &Value::Null));
    assert_eq!(delete["oldObject"]["data"]["a"], "9");
    assert_eq!(http::get(&server, &path).await.0, 404);

    // Reads ask nobody.
    assert_eq!(http::get(&server, CONFIG_MAPS).await.0, 200);
    assert_eq!(webhook.take(), Vec::<Value>::new());

    // The name that was asked about is the name that comes of it.
    let generated = json!({"metadata": {"generateName": "g-"}});
    let (_, created) = send(&server, "POST", CONFIG_MAPS, &generated).await;
    let asked = webhook.only();
    assert_eq!(created["metadata"]["name"], asked["name"]);
    assert_eq!(created["metadata"]["uid"], asked["object"]["metadata"]["uid"]);
    assert_eq!(
        http::get(&server, &format!("{CONFIG_MAPS}/{}", asked["name"].as_str().unwrap())).await.1,
        created
    );

    assert_eq!(
        send(&server, "DELETE", &format!("{CONFIG_MAPS}?labelSelector=none"), &Value::Null).await.0,
        200
    );
    assert_eq!(webhook.take(), Vec::<Value>::new());
    let all = send(&server, "DELETE", CONFIG_MAPS, &Value::Null).await;
    let deleted = all.1["items"].as_array().unwrap().len();
    assert_eq!(webhook.take().len(), deleted);
    assert!(deleted > 0);
    server.stop().await;
}

#[tokio::test]
async fn is_asked_about_subresources_as_such() {
    let (webhook, admission) = Webhook::start(allow).await;
    let config = Config {
        pods: 10,
        rate: 0,
        admission: Some(admission),
        scheduler: watchcache_embedded_server::Scheduler::External,
        ..Config::default()
    };
    let server = EmbeddedServer::start(config).await.unwrap();
    send(&server, "POST", PODS, &pod("a")).await;
    webhook.only();
    let binding = json!({"target": {"kind": "Node", "name": "node-1"}});
    assert_eq!(send(&server, "POST", &format!("{PODS}/a/binding"), &binding).await.0, 201);
    let bind = webhook.only();
    assert_eq!((&bind["operation"], &bind["subResource"]), (&json!("CREATE"), &json!("binding")));
    assert_eq!((&bind["kind"]["kind"], &bind["object"]), (&json!("Binding"), &binding));
    assert_eq!(bind["resource"]["resource"], "pods");
    assert_eq!(http::get(&server, &format!("{PODS}/a")).await.1["spec"]["nodeName"], "node-1");

    send(&server, "POST", DEPLOYMENTS, &deployment("web", 1)).await;
    // What the server's own controllers make of it asks nobody.
    eventually(&server, REPLICA_SETS, |list| list["items"].as_array().unwrap().len() == 1).await;
    webhook.only();
    let path = format!("{DEPLOYMENTS}/web/scale");
    let (code, scaled) =
        send_as(&server, "PATCH", &path, MERGE, &json!({"spec": {"replicas": 2}})).await;
    assert_eq!((code, &scaled["spec"]["replicas"]), (200, &json!(2)));
    let scale = webhook.take().pop().unwrap();
    assert_eq!((&scale["kind"]["kind"], &scale["subResource"]), (&json!("Scale"), &json!("scale")));
    assert_eq!(
        (&scale["object"]["spec"]["replicas"], &scale["oldObject"]["spec"]["replicas"]),
        (&json!(2), &json!(1))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_denial_reaches_the_client_and_changes_nothing() {
    let (webhook, admission) = Webhook::start(|request| {
        let status = json!({"message": "no room", "reason": "Forbidden", "code": 403,
            "details": {"causes": [{"field": "metadata.name", "message": "too many"}]}});
        respond(request, json!({"allowed": false, "status": status, "warnings": ["not heard"]}))
    })
    .await;
    let server = server(admission).await;
    let version = server.resource_version();
    let object = json!({"metadata": {"name": "a"}});
    let denied = send(&server, "POST", CONFIG_MAPS, &object).await;
    assert_status(&denied, 403, "Forbidden");
    let message = denied.1["message"].as_str().unwrap();
    assert!(message.ends_with("denied the request: no room"), "{message}");
    assert_eq!(fields(&denied.1), ["metadata.name"]);
    assert_eq!(server.resource_version(), version);

    // A write that is wrong, or comes too late, is nobody's business.
    webhook.take();
    let wrong = send(&server, "POST", CONFIG_MAPS, &json!({"metadata": {"name": "A"}})).await;
    assert_status(&wrong, 422, "Invalid");
    assert_eq!(webhook.take(), Vec::<Value>::new());

    webhook.answers(|request| respond(request, json!({"allowed": true, "warnings": ["beware"]})));
    let reply = Reply::with_body(
        &server,
        "POST",
        CONFIG_MAPS,
        "*/*",
        "application/json",
        &object.to_string(),
    )
    .await;
    assert_eq!(reply.code, 201);
    assert!(
        reply.headers.iter().any(|line| line.starts_with("warning: 299 - \"beware\"")),
        "{:?}",
        reply.headers
    );
    server.stop().await;
}

#[tokio::test]
async fn a_denial_is_an_answer_whatever_its_code() {
    let (webhook, admission) = Webhook::start(allow).await;
    let server = server(admission).await;
    let object = json!({"metadata": {"name": "a"}});
    for (code, told) in [(999, 400), (600, 400), (200, 400), (-1, 400), (599, 599), (409, 409)] {
        webhook.answers(move |request| {
            let status = json!({"message": "no", "code": code});
            respond(request, json!({"allowed": false, "status": status}))
        });
        let (got, status) = send(&server, "POST", CONFIG_MAPS, &object).await;
        assert_eq!((got, &status["code"]), (told, &json!(told)), "{code}: {status}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_warning_is_heard_whatever_is_in_it() {
    let (_webhook, admission) = Webhook::start(|request| {
        respond(request, json!({"allowed": true, "warnings": ["two\nlines", "caf\u{e9} \\ \"q\""]}))
    })
    .await;
    let server = server(admission).await;
    let object = json!({"metadata": {"name": "a"}}).to_string();
    let json = "application/json";
    let reply = Reply::with_body(&server, "POST", CONFIG_MAPS, "*/*", json, &object).await;
    assert_eq!(reply.code, 201);
    for heard in ["warning: 299 - \"two lines\"", "warning: 299 - \"caf\u{e9} \\\\ \\\"q\\\"\""] {
        assert!(reply.headers.iter().any(|line| line == heard), "{heard} in {:?}", reply.headers);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_goes_by_the_policy() {
    let (webhook, admission) = Webhook::start(|_| "<html>".into_response()).await;
    let admission = admission.timeout(Duration::from_millis(300));
    let failing = server(admission.clone()).await;
    let object = json!({"metadata": {"name": "a"}});
    for (answer, why) in [
        (Box::new(|_: &Value| "<html>".into_response()) as Answer, "expected value"),
        (Box::new(|_: &Value| axum::http::StatusCode::BAD_GATEWAY.into_response()), "502"),
        (
            Box::new(|request: &Value| {
                let other = json!({"uid": "other"});
                respond(if request.is_null() { request } else { &other }, json!({"allowed": true}))
            }),
            "response.uid",
        ),
        (
            Box::new(|request: &Value| {
                std::thread::sleep(Duration::from_millis(600));
                allow(request)
            }),
            "no answer within 300ms",
        ),
    ] {
        *webhook.answer.lock().unwrap() = answer;
        let failed = send(&failing, "POST", CONFIG_MAPS, &object).await;
        assert_status(&failed, 500, "InternalError");
        let message = failed.1["message"].as_str().unwrap();
        assert!(message.contains("failed calling webhook") && message.contains(why), "{message}");
        assert_eq!(http::get(&failing, &format!("{CONFIG_MAPS}/a")).await.0, 404);
    }
    webhook.answers(|_| "<html>".into_response());
    let ignoring = server(admission.failure_policy(FailurePolicy::Ignore)).await;
    assert_eq!(send(&ignoring, "POST", CONFIG_MAPS, &object).await.0, 201);
    // Nobody listens there.
    let nobody: Admission = "http://127.0.0.1:1/".parse().unwrap();
    let alone = server(nobody).await;
    assert_status(&send(&alone, "POST", CONFIG_MAPS, &object).await, 500, "InternalError");
    for server in [failing, ignoring, alone] {
        server.stop().await;
    }
}

#[tokio::test]
async fn what_has_changed_meanwhile_is_asked_about_again() {
    let (webhook, admission) = Webhook::start(allow).await;
    let server = Arc::new(server(admission).await);
    let (_, nodes) = http::get(&server, "/api/v1/nodes").await;
    let path = format!("/api/v1/nodes/{}", nodes["items"][0]["metadata"]["name"].as_str().unwrap());
    // While it thinks about the first question the Node sends a heartbeat, so what it admits is of
    // the past.
    let (cluster, first) = (Arc::clone(&server), Mutex::new(true));
    webhook.answers(move |request| {
        if std::mem::take(&mut *first.lock().unwrap()) {
            cluster.advance(1_000);
        }
        allow(request)
    });
    let patch = json!({"metadata": {"labels": {"mine": "yes"}}});
    let (code, patched) = send_as(&server, "PATCH", &path, MERGE, &patch).await;
    assert_eq!(code, 200, "{patched}");
    let asked = webhook.take();
    assert_eq!(asked.len(), 2, "{asked:#?}");
    let versions = asked.iter().map(|one| &one["oldObject"]["metadata"]["resourceVersion"]);
    let versions: Vec<_> = versions.collect();
    assert_ne!(versions[0], versions[1]);
    assert_eq!(patched["status"], asked[1]["object"]["status"]);
    assert_eq!(http::get(&server, &path).await.1, patched);
}
