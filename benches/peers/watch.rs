//! Watch throughput: how fast a mirror takes in what a server's watch has to say. The changes were
//! made after the mirror's list and before its watch, so that nothing waits for them to be made.

use std::io::stdin;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::Semaphore;
use watchcache::reflector::{
    Interest, Lazy, ListPage, ListRequest, Reflector, Report, Source, SourceError, WatchRequest,
};
use watchcache::{Object, ResourceVersion, Store};

use crate::slim::SlimPod;
use crate::{Accept, nanoseconds, per_second, sync};

pub(crate) fn run(kubeconfig: &Path, keep: &str, accept: Accept) {
    let what = &format!("{keep}, {}", accept.label());
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let client = sync::client(kubeconfig).await;
        match keep {
            "typed" => mirror(sync::source::<Pod>(client, accept), what).await,
            "lazy" => mirror(sync::source::<Lazy<Pod>>(client, accept), what).await,
            "slim" => mirror(sync::source::<SlimPod>(client, accept), what).await,
            other => panic!("{other}: neither typed nor lazy nor slim"),
        }
    });
}

/// A source whose watch is not opened before it may be.
struct Gated<S> {
    source: S,
    gate: Arc<Semaphore>,
}

impl<S: Source> Source for Gated<S> {
    type Object = S::Object;
    type Watch = S::Watch;

    async fn list(&self, request: ListRequest) -> Result<ListPage<S::Object>, SourceError> {
        self.source.list(request).await
    }

    async fn watch(&self, request: WatchRequest) -> Result<S::Watch, SourceError> {
        let _open = self.gate.acquire().await;
        self.source.watch(request).await
    }

    fn attach(&mut self, report: Report, interest: Interest<S::Object>) {
        self.source.attach(report, interest);
    }
}

async fn mirror<S>(source: S, what: &str)
where
    S: Source,
    S::Object: Object,
{
    let gate = Arc::new(Semaphore::new(0));
    let source = Gated { source, gate: Arc::clone(&gate) };
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(source)
        // As long as it takes to make the changes.
        .answer_limit(Duration::from_secs(3600))
        .sink(store)
        .build();
    let monitor = reflector.monitor();
    let running = tokio::spawn(reflector.run(std::future::pending::<()>()));
    monitor.synced().await.expect("it runs");
    println!("listed");
    let mut last = String::new();
    stdin().read_line(&mut last).expect("a line");
    let last: ResourceVersion = last.trim().into();

    let (started, busy) = (Instant::now(), processor_time());
    gate.add_permits(1);
    monitor.wait_for(&last).await.expect("the versions of a server have an order");
    let (spent, busy) = (started.elapsed(), processor_time() - busy);
    let progress = monitor.progress();
    assert_eq!(progress.relists, 0, "all came by the watch");
    per_second(&format!("watch, {what}"), progress.events, spent);
    nanoseconds(&format!("watch, {what}, CPU per event"), busy, progress.events as usize);
    running.abort();
}

/// What all threads of this process have had: the first number that the kernel says of each, in nanoseconds.
fn processor_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux");
    let of = |thread: std::fs::DirEntry| -> Option<u64> {
        let said = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        said.split_whitespace().next()?.parse().ok()
    };
    Duration::from_nanos(threads.flatten().filter_map(of).sum())
}
