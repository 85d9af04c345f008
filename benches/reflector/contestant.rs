//! One contestant: mirrors, and says after each stage what it took.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use serde_json::{Value, json};
use watchcache::Store;
use watchcache::reflector::{Decode, KubeSource, Lazy, Monitor, Reflector};

use crate::slim::SlimPod;
use crate::{Failure, process};

/// No change for this long: all of them were applied.
const QUIET: Duration = Duration::from_secs(3);

/// What the stages ask of a mirror.
trait Mirror {
    fn objects(&self) -> u64;
    fn events(&self) -> u64;
    fn lists(&self) -> u64;
}

pub(crate) fn run(name: &str, url: &str) -> Result<(), Failure> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let client = Client::try_from(kube::Config::new(url.parse()?))?;
        let begun = Begun { at: Instant::now(), resident: process::resident() };
        match name {
            "watchcache-typed" => stages(begun, ours::<Pod>(client, KubeSource::json_only)).await,
            "watchcache-lazy" => {
                stages(begun, ours::<Lazy<Pod>>(client, KubeSource::json_only)).await
            }
            "watchcache-typed-protobuf" => stages(begun, ours::<Pod>(client, |it| it)).await,
            "watchcache-lazy-protobuf" => stages(begun, ours::<Lazy<Pod>>(client, |it| it)).await,
            "watchcache-slim" => {
                stages(begun, ours::<SlimPod>(client, KubeSource::json_only)).await
            }
            "watchcache-slim-protobuf" => stages(begun, ours::<SlimPod>(client, |it| it)).await,
            _ => stages(begun, theirs(client)).await,
        }
    })
}

struct Begun {
    at: Instant,
    resident: u64,
}

async fn stages(begun: Begun, mirror: impl Mirror) -> Result<(), Failure> {
    while mirror.lists() == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let seconds = begun.at.elapsed().as_secs_f64();
    let cpu = process::cpu();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let resident = process::resident() - begun.resident;
    say(&json!({
        "seconds": seconds,
        "cpu_seconds": cpu.as_secs_f64(),
        "objects": mirror.objects(),
        "resident_bytes": resident,
    }))?;

    let before = mirror.events();
    let (mut first, mut last, mut count) = (None, Instant::now(), before);
    // Up to the last event: waiting costs, too.
    let (idle, mut busy) = (process::cpu(), Duration::ZERO);
    while first.is_none() || last.elapsed() < QUIET {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let now = mirror.events();
        if now != count {
            (count, last, busy) = (now, Instant::now(), process::cpu());
            first.get_or_insert(last);
        }
    }
    let events = (count - before) as f64;
    let seconds = first.map_or(0.0, |first| (last - first).as_secs_f64());
    let cpu = (busy - idle).as_secs_f64();
    say(&json!({
        "events_per_second": (events / seconds).round(),
        "cpu_seconds_per_million_events": cpu / events * 1e6,
    }))?;

    let mut asked = String::new();
    std::io::stdin().read_line(&mut asked)?;
    let resident = process::resident();
    process::reset_peak();
    while mirror.lists() < 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    say(&json!({"times_resident": process::peak() as f64 / resident as f64}))
}

fn say(answer: &Value) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}")?;
    Ok(out.flush()?)
}

struct Ours<K: watchcache::Object> {
    store: Arc<Store<K>>,
    monitor: Monitor,
}

fn ours<K: Decode<Resource = Pod>>(
    client: Client,
    configure: impl FnOnce(KubeSource<K>) -> KubeSource<K>,
) -> Ours<K> {
    let store = Arc::new(Store::new());
    let source = configure(KubeSource::all_with(client, &()));
    let reflector = Reflector::builder(source).sink(Arc::clone(&store)).build();
    let monitor = reflector.monitor();
    tokio::spawn(reflector.run(std::future::pending()));
    Ours { store, monitor }
}

/// Follows all Pods in protobuf.
pub(crate) async fn in_protobuf(url: &str) -> Result<Monitor, Failure> {
    let client = Client::try_from(kube::Config::new(url.parse()?))?;
    let monitor = ours::<Lazy<Pod>>(client, |it| it).monitor;
    monitor.synced().await?;
    Ok(monitor)
}

impl<K: watchcache::Object> Mirror for Ours<K> {
    fn objects(&self) -> u64 {
        self.store.len() as u64
    }

    fn events(&self) -> u64 {
        self.monitor.progress().events
    }

    fn lists(&self) -> u64 {
        // The store, and not the phase: the list counts when it can be read.
        let listed = u64::from(self.store.resource_version().is_some());
        let progress = self.monitor.progress();
        let relisting = progress.phase == watchcache::reflector::Phase::Listing;
        listed + progress.relists - u64::from(relisting && progress.relists > 0)
    }
}

#[derive(Default)]
struct Counts {
    events: AtomicU64,
    lists: AtomicU64,
}

struct Theirs {
    store: kube::runtime::reflector::Store<Pod>,
    counts: Arc<Counts>,
}

fn theirs(client: Client) -> Theirs {
    let (store, writer) = kube::runtime::reflector::store();
    let events = watcher(Api::<Pod>::all(client), watcher::Config::default());
    let mut events = Box::pin(events.default_backoff().reflect(writer));
    let counts = Arc::<Counts>::default();
    let counted = Arc::clone(&counts);
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            // ORDERING: Relaxed, with the reads below: counters that publish nothing else.
            match event {
                Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_)) => {
                    counted.events.fetch_add(1, Ordering::Relaxed);
                }
                Ok(watcher::Event::InitDone) => {
                    counted.lists.fetch_add(1, Ordering::Relaxed);
                }
                _ => {}
            }
        }
    });
    Theirs { store, counts }
}

impl Mirror for Theirs {
    fn objects(&self) -> u64 {
        self.store.len() as u64
    }

    fn events(&self) -> u64 {
        // ORDERING: Relaxed, with the task that counts.
        self.counts.events.load(Ordering::Relaxed)
    }

    fn lists(&self) -> u64 {
        // ORDERING: Relaxed, with the task that counts.
        self.counts.lists.load(Ordering::Relaxed)
    }
}
