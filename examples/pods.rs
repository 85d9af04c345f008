//! Mirrors the Pods of the cluster that your kubeconfig names, and prints how many there are.
//!
//! ```sh
//! cargo run --example pods --features kube
//! ```

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use watchcache::reflector::{KubeSource, Reflector};
use watchcache::{Store, reflector::Phase};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = kube::Config::infer().await?;
    // The reflector retries, and tells of it.
    config.default_retry = false;
    let client = kube::Client::try_from(config)?;
    let store = Arc::new(Store::<Pod>::new());
    let reflector = Reflector::builder(KubeSource::all(client)).sink(store.clone()).build();
    let monitor = reflector.monitor();
    let mirror = tokio::spawn(reflector.run(std::future::pending()));

    // If it stops before, `mirror` tells why.
    monitor.synced().await.ok();
    while monitor.progress().phase != Phase::Stopped {
        let snapshot = store.snapshot();
        let running = snapshot
            .iter()
            .filter(|(_, pod)| {
                pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
            })
            .count();
        println!("revision {}: {} pods, {running} running", snapshot.revision(), snapshot.len());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    mirror.await??;
    Ok(())
}
