//! How many Pods each namespace of your cluster has.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use watchcache::Store;
use watchcache::reflector::{KubeSource, Reflector, renewing_client};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = kube::Config::infer().await?;
    config.default_retry = false; // the reflector retries
    let source = KubeSource::<Pod>::all(renewing_client(config)?);
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(source).sink(store.clone()).build();
    tokio::spawn(reflector.run(std::future::pending()));

    store.wait_synced_async(None).await?;
    for (namespace, pods) in store.snapshot().namespaces() {
        println!("{}: {pods} Pods", namespace.unwrap_or_default());
    }
    Ok(())
}
