//! An admission webhook that holds a quota of Pods per namespace, counted by an index of a snapshot.
//!
//! ```sh
//! cargo run --release --example admission --features kube -- --duration 5s  # or --kubeconfig FILE
//! ```
//!
//! The embedded server asks it about each write. A real API server asks over HTTPS alone, which is
//! beside the point here: there the example asks its webhook itself before it creates a Pod.

mod cluster;
mod support;

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::{Router, extract::State, routing::post};
use cluster::{Cluster, mirrored, pods::has_ended};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde::Deserialize;
use serde_json::{Value, json};
use support::{Arguments, Error, Most, Until, check};
use watchcache::reflector::{KubeSource, Reflector};
use watchcache::{Key, Object, Status, StatusError, Store, store::Index};
use watchcache_embedded_server::Config;

const QUOTA: &str = "example.com/pod-quota";

/// How long a Pod that was admitted may take to appear before its place is given up.
const PATIENCE: Duration = Duration::from_secs(10);

struct Quota {
    namespaces: Arc<Store<Namespace>>,
    pods: Arc<Store<Pod>>,
    running_in: Index<Pod, str>,
    /// Admitted Pods that the store does not have yet, by uid where that is known. One decision at a
    /// time holds it: two that see one snapshot would both take the last place.
    coming: Mutex<HashMap<Key, (Option<String>, Instant)>>,
}

impl Quota {
    /// What it says to a request: nothing, or why it denies it.
    fn review(&self, request: &Value) -> Result<(), StatusError> {
        let is_new_pod = request["operation"] == "CREATE"
            && request["resource"]["resource"] == "pods"
            && request["subResource"].is_null();
        if !is_new_pod {
            return Ok(());
        }
        let pod = Pod::deserialize(&request["object"]);
        let pod = pod.map_err(|error| Status::bad_request(error.to_string()))?;
        let key = pod.key().to_key().map_err(|error| Status::bad_request(error.to_string()))?;
        let namespace = key.namespace().unwrap_or_default();
        let Some(quota) = self.namespaces.get(namespace).and_then(|it| quota_of(&it)) else {
            return Ok(());
        };
        let mut coming = self.coming.lock().expect("no holder panics");
        let snapshot = self.pods.snapshot();
        coming.retain(|key, (uid, since)| {
            let held = snapshot.get(key);
            let has_come = held.is_some_and(|held| uid.is_none() || held.uid() == uid.as_deref());
            !has_come && since.elapsed() < PATIENCE
        });
        let there = snapshot.by(&self.running_in, namespace).len();
        let used = there + coming.keys().filter(|key| key.namespace() == Some(namespace)).count();
        if used >= quota {
            let why = format!("the namespace has {used} Pods, and its quota is {quota}");
            return Err(Status::forbidden("", "pods", key.name(), why).into());
        }
        if request["dryRun"] != true {
            coming.insert(key, (pod.metadata.uid, Instant::now()));
        }
        Ok(())
    }
}

fn quota_of(namespace: &Namespace) -> Option<usize> {
    namespace.metadata.annotations.as_ref()?.get(QUOTA)?.parse().ok()
}

/// The namespace in which a Pod counts, until it has ended.
fn running_in(pod: &Pod) -> Option<Arc<str>> {
    pod.metadata.namespace.as_deref().filter(|_| !has_ended(pod)).map(Arc::from)
}

async fn answer(State(quota): State<Arc<Quota>>, body: String) -> Response {
    let Ok(mut review) = serde_json::from_str::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let request = review["request"].take();
    let answer = quota.review(&request);
    review["response"] = json!({"uid": request["uid"], "allowed": answer.is_ok()});
    if let Err(denial) = answer {
        review["response"]["status"] = serde_json::to_value(denial.status()).unwrap_or_default();
    }
    ([(CONTENT_TYPE, "application/json")], review.to_string()).into_response()
}

fn main() -> ExitCode {
    support::run(cluster::OPTIONS, admission)
}

async fn admission(arguments: Arguments) -> Result<(), Error> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/validate", listener.local_addr()?);
    let config = Config { pods: 50, rate: 0, admission: Some(url.parse()?), ..Config::default() };
    let index = Index::new("running in", running_in);
    let quota = Arc::new(Quota {
        namespaces: Arc::default(),
        pods: Arc::new(Store::builder().index(&index).build()),
        running_in: index,
        coming: Mutex::default(),
    });
    let router = Router::new().route("/validate", post(answer)).with_state(Arc::clone(&quota));
    tokio::spawn(async move { axum::serve(listener, router).await });
    cluster::run_on(&arguments, config, async |it| hold(it, &arguments, quota).await).await
}

async fn hold(cluster: &Cluster, arguments: &Arguments, quota: Arc<Quota>) -> Result<(), Error> {
    let four = (cluster.another_namespace(QUOTA, "4").await?, 4);
    let nine = (cluster.another_namespace(QUOTA, "9").await?, 9);
    let quotas = [four, nine];
    let client = cluster.client.clone();
    let namespaces = Reflector::builder(KubeSource::all(client.clone()));
    mirrored(namespaces.sink(Arc::clone(&quota.namespaces))).await?;
    let most = Arc::new(Most::by(running_in));
    let pods = Reflector::builder(KubeSource::all(client.clone())).sink(Arc::clone(&quota.pods));
    let monitor = mirrored(pods.sink(Arc::clone(&most))).await?;
    let (until, tally) = (arguments.begin(), Arc::new(Mutex::new((0, 0))));
    let reported = Arc::clone(&tally);
    support::report(until.clone(), move || {
        let (admitted, denied) = *reported.lock().expect("no holder panics");
        format!("{admitted} Pods admitted, {denied} denied")
    });
    let asks = (!cluster.is_embedded()).then(|| Arc::clone(&quota));
    let clients = (0..6).map(|number| {
        let pods = Api::<Pod>::namespaced(client.clone(), &quotas[number % 2].0);
        tokio::spawn(create(number, pods, asks.clone(), Arc::clone(&tally), until.clone()))
    });
    let (mut admitted, mut reached) = (Vec::new(), false);
    for client in clients.collect::<Vec<_>>() {
        admitted.extend(client.await??);
    }
    for (namespace, quota) in &quotas {
        let pods = Api::<Pod>::namespaced(client.clone(), namespace);
        let list = pods.list(&ListParams::default()).await?;
        let version = list.metadata.resource_version.unwrap_or_default();
        monitor.wait_for(&version.into()).await?;
        let most = most.of(namespace);
        reached |= most == *quota;
        check(most <= *quota, format!("{namespace} kept to its quota of {quota}: {most} at most"))?;
        let there = |key: &Key| list.items.iter().any(|pod| pod.key() == key.as_ref());
        let mut of_it = admitted.iter().filter(|key| key.namespace() == Some(namespace));
        check(of_it.all(there), "each Pod that was admitted and not deleted is there")?;
    }
    let (admitted, denied) = *tally.lock().expect("no holder panics");
    let what = format!("{admitted} were admitted, {denied} denied, and a quota was used up");
    check(reached && admitted > 0 && denied > 0, what)
}

/// Creates Pods; when one is denied, deletes the oldest. What is left of those that were admitted.
async fn create(
    number: usize,
    pods: Api<Pod>,
    asks: Option<Arc<Quota>>,
    tally: Arc<Mutex<(u64, u64)>>,
    mut until: Until,
) -> Result<Vec<Key>, Error> {
    let namespace = pods.namespace().unwrap_or_default().to_owned();
    let (mut mine, mut count) = (Vec::new(), 0);
    let at_once = DeleteParams::default().grace_period(0);
    while until.pause(Duration::from_millis(10)).await {
        count += 1;
        let pod: Pod = cluster::pods::pause(&namespace, &format!("client-{number}-{count}"))?;
        let asked = json!({"operation": "CREATE", "resource": {"resource": "pods"}, "object": pod});
        let created = match asks.as_ref().map_or(Ok(()), |quota| quota.review(&asked)) {
            Ok(()) => pods.create(&PostParams::default(), &pod).await.map_err(Status::from),
            Err(denial) => Err(denial.into_status()),
        };
        match created {
            Ok(pod) => {
                tally.lock().expect("no holder panics").0 += 1;
                mine.push(pod.key().to_key()?);
            }
            Err(status) if status.is_forbidden() && status.message().contains("its quota is") => {
                tally.lock().expect("no holder panics").1 += 1;
                if !mine.is_empty() {
                    pods.delete(mine.remove(0).name(), &at_once).await?;
                }
            }
            Err(status) => return Err(status.to_string().into()),
        }
    }
    Ok(mine)
}
