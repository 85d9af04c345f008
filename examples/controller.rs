//! A controller: each Greeting, a resource of its own, has a ConfigMap with its words. Whatever happens
//! to either, a queue hands the Greeting's key to a worker, who looks at what is there and mends it.
//!
//! ```sh
//! cargo run --release --example controller --features kube -- --duration 5s  # or --kubeconfig FILE
//! ```

mod cluster;
mod support;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cluster::{Cluster, greetings, ignore_missing};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::json;
use support::{Arguments, Error, check};
use watchcache::fifo::Backoff;
use watchcache::reflector::{KubeSource, Reflector};
use watchcache::{Fifo, Key, Object, Store};
use watchcache_embedded_server::Config;

const FINALIZER: &str = "example.com/farewell";

/// How long the first lists may take.
const PATIENCE: Duration = Duration::from_secs(60);

struct Controller {
    greetings: Arc<Store<DynamicObject>>,
    maps: Arc<Store<ConfigMap>>,
    greetings_api: Api<DynamicObject>,
    maps_api: Api<ConfigMap>,
}

impl Controller {
    /// Brings what is there to what is wanted, whatever has happened.
    async fn reconcile(&self, key: &Key) -> Result<(), kube::Error> {
        let Some(greeting) = self.greetings.get(key) else { return Ok(()) };
        let (name, meta) = (key.name(), &greeting.metadata);
        let finalizers = meta.finalizers.iter().flatten().map(String::as_str);
        let mut others: Vec<_> = finalizers.clone().filter(|one| *one != FINALIZER).collect();
        let has_finalizer = others.len() < finalizers.count();
        let with_finalizers = |finalizers: &[&str]| {
            // Refused if it has changed: then the next look comes after that change.
            let version = &meta.resource_version;
            Patch::Merge(
                json!({"metadata": {"finalizers": finalizers, "resourceVersion": version}}),
            )
        };
        let params = PatchParams::default();
        if meta.deletion_timestamp.is_some() {
            if has_finalizer {
                ignore_missing(self.maps_api.delete(name, &DeleteParams::default()).await)?;
                let patch = with_finalizers(&others);
                ignore_missing(self.greetings_api.patch(name, &params, &patch).await)?;
            }
            return Ok(());
        }
        if !has_finalizer {
            others.push(FINALIZER);
            self.greetings_api.patch(name, &params, &with_finalizers(&others)).await?;
        }
        let words = greetings::words_for(&greeting);
        let owned = |map: &Arc<ConfigMap>| greetings::is_right(map, &greeting);
        if !self.maps.get(key).as_ref().is_some_and(owned) {
            let map = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "data": {"words": words},
                "metadata": {"name": name, "ownerReferences": [{
                    "apiVersion": "example.com/v1", "kind": "Greeting", "controller": true,
                    "name": name, "uid": meta.uid,
                }]},
            });
            let apply = PatchParams::apply("greeter").force();
            self.maps_api.patch(name, &apply, &Patch::Apply(map)).await?;
        }
        if greeting.data.pointer("/status/words") != Some(&json!(words)) {
            let status = Patch::Merge(json!({"status": {"words": words}}));
            self.greetings_api.patch_status(name, &params, &status).await?;
        }
        Ok(())
    }
}

/// The Greeting that a ConfigMap belongs to.
fn owner(map: &ConfigMap) -> Option<Key> {
    let owners = map.metadata.owner_references.as_deref().unwrap_or_default();
    let owner = owners.iter().find(|owner| owner.kind == "Greeting")?;
    Key::new(map.metadata.namespace.as_deref(), &owner.name).ok()
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
    let resource = greetings::resource();
    let backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(5));
    let queue = Fifo::<Key>::builder().backoff(backoff).build()?;
    let controller = Arc::new(Controller {
        greetings: Arc::default(),
        maps: Arc::default(),
        greetings_api: Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource),
        maps_api: cluster.api(),
    });
    // A change is told once the store has it, so whoever is handed a key finds what it stands for. A
    // deletion is told, too, with the last state, so nothing has to be looked at now and then.
    let work = controller.greetings.subscribe();
    let work = work.enqueue_mapped(&queue, |greeting| greeting.key().to_key().ok())?;
    tokio::spawn(work.run_async());
    let work = controller.maps.subscribe().enqueue_mapped(&queue, owner)?;
    tokio::spawn(work.run_async());
    let (client, namespace) = (&cluster.client, &*cluster.namespace);
    let greetings = KubeSource::namespaced_with(client.clone(), namespace, &resource);
    let greetings = Reflector::builder(greetings).sink(Arc::clone(&controller.greetings)).build();
    tokio::spawn(greetings.run(std::future::pending()));
    let maps = KubeSource::namespaced(client.clone(), namespace);
    let maps = Reflector::builder(maps).sink(Arc::clone(&controller.maps)).build();
    tokio::spawn(maps.run(std::future::pending()));
    // Who looks sooner takes what has not been listed yet for missing.
    controller.greetings.wait_synced_async(Some(PATIENCE)).await?;
    controller.maps.wait_synced_async(Some(PATIENCE)).await?;
    for _ in 0..4 {
        let (queue, controller) = (queue.clone(), Arc::clone(&controller));
        tokio::spawn(async move {
            while let Ok(lease) = queue.lease_async().await {
                match controller.reconcile(lease.key()).await {
                    Ok(()) => lease.done(),
                    Err(_) => lease.retry(),
                }
            }
        });
    }

    let until = arguments.begin();
    let (stats, store) = (queue.clone(), Arc::clone(&controller.greetings));
    let line = move || {
        let stats = stats.stats();
        format!(
            "{} Greetings; {} looks, {} of them failed",
            store.len(),
            stats.popped,
            stats.retries
        )
    };
    support::report(until.clone(), line.clone());
    let (greetings, maps) = (&controller.greetings_api, &controller.maps_api);
    let changes = greetings::disturb(greetings, maps, &resource, until).await?;
    println!("{}", line());
    let settled = greetings::settle(greetings, maps).await?;
    check(changes > 0, format!("after {changes} changes each of {settled} has its ConfigMap"))?;
    greetings.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    check(greetings::settle(greetings, maps).await? == 0, "none is left when they are deleted")
}
