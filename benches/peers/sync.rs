//! A mirror's first list, from a server: how long it takes, and what it then holds.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use watchcache::reflector::{Decode, KubeSource, Lazy, Reflector, Source};
use watchcache::{Object, Store};

use crate::slim::SlimPod;
use crate::{Accept, bytes, nanoseconds};

/// What the mirror keeps: Pods, their bytes with the header decoded, or a few of their fields; and what it
/// asks for.
pub(crate) fn run(kubeconfig: &Path, keep: &str, accept: Accept) {
    let what = &format!("{keep}, {}", accept.label());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let client = client(kubeconfig).await;
        match keep {
            "typed" => mirror(source::<Pod>(client, accept), what).await,
            "lazy" => mirror(source::<Lazy<Pod>>(client, accept), what).await,
            "slim" => mirror(source::<SlimPod>(client, accept), what).await,
            other => panic!("{other}: neither typed nor lazy nor slim"),
        }
    });
}

/// All Pods, as what is asked for.
pub(crate) fn source<K: Decode<Resource = Pod>>(client: Client, accept: Accept) -> KubeSource<K> {
    let source = KubeSource::all_with(client, &());
    match accept {
        Accept::Json => source.json_only(),
        Accept::Default => source,
    }
}

pub(crate) async fn client(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    Client::try_from(config.expect("a server")).expect("a client")
}

async fn mirror<S>(source: S, what: &str)
where
    S: Source + 'static,
    S::Object: Object + 'static,
{
    let (store, before) = (Arc::new(Store::new()), resident());
    let reflector =
        Reflector::builder(source).streaming_list(true).sink(Arc::clone(&store)).build();
    let monitor = reflector.monitor();
    let started = Instant::now();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (_, ended) = tokio::join!(
        async {
            monitor.synced().await.expect("it runs");
            let spent = started.elapsed();
            nanoseconds(&format!("initial sync, {what}, per pod"), spent, store.len());
            // What the list alone needed is given back by now.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let held = resident().saturating_sub(before);
            bytes(&format!("resident, {what}, per pod"), held as f64 / store.len() as f64);
            let _ = stop.send(());
        },
        reflector.run(async {
            let _ = stopped.await;
        })
    );
    ended.expect("nothing is refused");
}

/// Memory of this process that is in use, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.expect("the kernel says") * 1024
}
