//! A controller: each Greeting, a resource of its own, has a ConfigMap with its words. Whatever happens
//! to either, the Greeting is looked at, and what is there is mended.
//!
//! ```sh
//! # or --kubeconfig FILE
//! cargo run --release --example controller --features kube,reconcile -- --duration 5s
//! ```

mod cluster;
mod support;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cluster::{Cluster, greetings, ignore_missing};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions};
use serde_json::json;
use support::{Arguments, Error, check};
use tokio::sync::oneshot;
use watchcache::fifo::Backoff;
use watchcache::reconcile::{
    Action, Controller, FinalizerError, FinalizerEvent, Request, finalizer,
};
use watchcache::reflector::{KubeSource, Reflector};
use watchcache::{Fifo, Object, Store};
use watchcache_embedded_server::Config;

const FINALIZER: &str = "example.com/farewell";

/// How long the first lists may take.
const PATIENCE: Duration = Duration::from_secs(60);

struct Greeter {
    maps: Arc<Store<ConfigMap>>,
    greetings_api: Api<DynamicObject>,
    maps_api: Api<ConfigMap>,
}

impl Greeter {
    async fn reconcile(
        &self,
        greeting: Request<DynamicObject>,
    ) -> Result<Action, FinalizerError<kube::Error>> {
        finalizer(&self.greetings_api, FINALIZER, greeting.object(), async |event| match event {
            FinalizerEvent::Apply(greeting) => self.greet(&greeting).await,
            FinalizerEvent::Cleanup(greeting) => self.take_leave(&greeting).await,
        })
        .await
    }

    /// Brings what is there to what is wanted, whatever has happened.
    async fn greet(&self, greeting: &DynamicObject) -> Result<Action, kube::Error> {
        let (name, words) = (greeting.key().name(), greetings::words_for(greeting));
        let is_right = |map: &Arc<ConfigMap>| greetings::is_right(map, greeting);
        if !self.maps.get(greeting.key()).as_ref().is_some_and(is_right) {
            let map = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "data": {"words": words},
                "metadata": {"name": name, "ownerReferences": [{
                    "apiVersion": "example.com/v1", "kind": "Greeting", "controller": true,
                    "name": name, "uid": greeting.metadata.uid,
                }]},
            });
            let apply = PatchParams::apply("greeter").force();
            self.maps_api.patch(name, &apply, &Patch::Apply(map)).await?;
        }
        if greeting.data.pointer("/status/words") != Some(&json!(words)) {
            let status = Patch::Merge(json!({"status": {"words": words}}));
            self.greetings_api.patch_status(name, &PatchParams::default(), &status).await?;
        }
        Ok(Action::await_change())
    }

    /// Deletes the ConfigMap, and none of that name that belongs to somebody else. The server is asked: the store may
    /// not have heard of one that was made just now.
    async fn take_leave(&self, greeting: &DynamicObject) -> Result<Action, kube::Error> {
        let name = greeting.key().name();
        if let Some(map) = self.maps_api.get_opt(name).await?
            && greetings::belongs_to(&map, greeting)
        {
            let (uid, resource_version) = (map.metadata.uid, None);
            let that =
                DeleteParams::default().preconditions(Preconditions { uid, resource_version });
            ignore_missing(self.maps_api.delete(name, &that).await)?;
        }
        Ok(Action::await_change())
    }
}

fn main() -> ExitCode {
    cluster::run(Config { pods: 50, rate: 0, ..Config::default() }, async |cluster, arguments| {
        greetings::define(cluster).await?;
        let result = control(cluster, arguments).await;
        let removed = greetings::remove(cluster).await;
        result.and(removed)
    })
}

async fn control(cluster: &Cluster, arguments: &Arguments) -> Result<(), Error> {
    let (client, namespace) = (&cluster.client, &*cluster.namespace);
    let resource = greetings::resource();
    let (greetings, maps) = (Arc::new(Store::<DynamicObject>::new()), Arc::new(Store::new()));
    let greetings_api = Api::namespaced_with(client.clone(), namespace, &resource);
    let maps_api = cluster.api();

    let backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(5));
    let queue = Fifo::builder().backoff(backoff).build()?;
    let greeter = Arc::new(Greeter {
        maps: Arc::clone(&maps),
        greetings_api: Api::clone(&greetings_api),
        maps_api: Api::clone(&maps_api),
    });
    let controller = Controller::with_queue(&greetings, &queue)
        // What is written to the status is no reason to look again.
        .changes_of_generation()
        .owns_with(maps.subscribe(), &resource)
        .concurrency(4)
        .synced_within(PATIENCE)
        .grace(PATIENCE)
        .reconcile(move |greeting| {
            let greeter = Arc::clone(&greeter);
            async move { greeter.reconcile(greeting).await }
        })
        .on_outcome(|outcome| {
            // Of a Greeting that has changed since it was read, say.
            if let Err(failure) = outcome.result {
                println!("{} comes back: {failure}", outcome.request.key());
            }
        });
    let (stop, stopped) = oneshot::channel::<()>();
    let controller = tokio::spawn(controller.run(async { drop(stopped.await) }));
    let source = KubeSource::namespaced_with(client.clone(), namespace, &resource);
    let reflector = Reflector::builder(source).sink(Arc::clone(&greetings)).build();
    tokio::spawn(reflector.run(std::future::pending()));
    let source = KubeSource::namespaced(client.clone(), namespace);
    let reflector = Reflector::builder(source).sink(maps).build();
    tokio::spawn(reflector.run(std::future::pending()));

    let until = arguments.begin();
    let stats = queue.clone();
    let line = move || {
        let (stats, there) = (stats.stats(), greetings.len());
        format!("{there} Greetings; {} looks, {} of them failed", stats.popped, stats.retries)
    };
    support::report(until.clone(), line.clone());
    let changes = greetings::disturb(&greetings_api, &maps_api, &resource, until).await?;
    println!("{}", line());
    let settled = greetings::settle(&greetings_api, &maps_api).await?;
    check(changes > 0, format!("after {changes} changes each of {settled} has its ConfigMap"))?;
    greetings_api.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    let left = greetings::settle(&greetings_api, &maps_api).await?;
    check(left == 0, "none is left when they are deleted")?;
    drop(stop);
    let stopped = controller.await??;
    check(stopped.cancelled.is_empty(), "the controller stops when it has ended what it began")
}
