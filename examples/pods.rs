//! Mirrors the Pods of the cluster that your kubeconfig names, and prints how many there are, until Ctrl-C.
//!
//! ```sh
//! cargo run --example pods --features kube
//! ```

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use watchcache::Store;
use watchcache::reflector::{KubeSource, Reflector, renewing_client};

#[tokio::main]
async fn main() -> ExitCode {
    match mirror().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn mirror() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = kube::Config::infer().await?;
    // The reflector retries, and tells of it.
    config.default_retry = false;
    let client = renewing_client(config)?;
    let store = Arc::new(Store::<Pod>::new());
    let reflector = Reflector::builder(KubeSource::all(client)).sink(store.clone()).build();
    let monitor = reflector.monitor();
    let interrupted = async { drop(tokio::signal::ctrl_c().await) };
    let mut mirror = tokio::spawn(reflector.run(interrupted));

    // If it stops before, `mirror` tells why.
    monitor.synced().await.ok();
    loop {
        let snapshot = store.snapshot();
        let running = snapshot.objects().filter(|pod| {
            pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
        });
        let (revision, pods) = (snapshot.revision(), snapshot.len());
        println!("revision {revision}: {pods} pods, {} running", running.count());
        tokio::select! {
            ended = &mut mirror => return Ok(ended??),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}
