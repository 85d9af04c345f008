//! `BenchmarkSharedIndexInformer` of client-go's own tests: one namespace of Pods, readers that list it
//! without end, and a writer with at most ten events under way.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::stream::{self, BoxStream, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::{Semaphore, mpsc};
use watchcache::reflector::{
    Item, ListPage, ListRequest, Reflector, Source, SourceError, WatchEvent, WatchRequest,
};
use watchcache::{Batch, Listing, Sink, Store};

use crate::{Bench, Case, per_second};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (what, list, sizes, readers) in [
        ("informer", in_place as fn(&Store<Pod>), &SIZES[..], &READERS[..]),
        // What only reads pays for is the same without readers.
        ("informer, lists collected", collected, &[10_000, 160_000], &READERS[1..]),
    ] {
        for &pods in sizes {
            for &readers in readers {
                let name = format!("{what}, {pods} pods, {readers} readers");
                let label = name.clone();
                let case = move |bench: &Bench| informer(bench, &label, pods, readers, list);
                cases.push((name, Box::new(case)));
            }
        }
    }
    cases
}

const SIZES: [usize; 5] = [10_000, 20_000, 40_000, 80_000, 160_000];
const READERS: [usize; 6] = [0, 1, 10, 20, 40, 80];

/// A list as the snapshot offers it.
fn in_place(store: &Store<Pod>) {
    for pod in store.snapshot().objects() {
        black_box(pod);
    }
}

/// A list as client-go's lister makes it: the reader's own, of one namespace.
fn collected(store: &Store<Pod>) {
    for pod in &store.snapshot().namespace(NAMESPACE).list() {
        black_box(pod);
    }
}

const NAMESPACE: &str = "default";

type Event = Result<WatchEvent<Pod>, SourceError>;

/// Lists the Pods once, then watches a channel.
struct Fake {
    pods: Vec<Pod>,
    events: Mutex<Option<mpsc::Receiver<Event>>>,
}

impl Source for Fake {
    type Object = Pod;
    type Watch = BoxStream<'static, Event>;

    async fn list(&self, _: ListRequest) -> Result<ListPage<Pod>, SourceError> {
        let items = self.pods.iter().map(|pod| Item::Object(Arc::new(pod.clone()))).collect();
        Ok(ListPage::new(items, "1"))
    }

    async fn watch(&self, _: WatchRequest) -> Result<Self::Watch, SourceError> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner).take();
        let events = events.ok_or_else(|| SourceError::Protocol("watched twice".to_owned()))?;
        Ok(stream::unfold(events, async |mut events| Some((events.recv().await?, events))).boxed())
    }
}

#[derive(Default)]
struct Counts {
    reads: AtomicU64,
    writes: AtomicU64,
}

impl Counts {
    fn now(&self) -> (u64, u64) {
        (self.reads.load(Ordering::Relaxed), self.writes.load(Ordering::Relaxed))
    }
}

/// Counts the changes that arrived, in the place of an event handler.
struct Handler {
    counts: Arc<Counts>,
    under_way: Arc<Semaphore>,
}

impl Sink<Pod> for Handler {
    fn apply(&self, batch: &Batch<Pod>) {
        // ORDERING: Relaxed, here and below: counters and a flag that guard nothing else.
        self.counts.writes.fetch_add(batch.len() as u64, Ordering::Relaxed);
        self.under_way.add_permits(batch.len());
    }

    fn replace(&self, _: &Listing<Pod>) {}
}

fn pod(i: usize) -> Pod {
    let mut pod = Pod::default();
    let scattered = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    pod.metadata.name = Some(format!("web-{scattered:020}"));
    pod.metadata.namespace = Some(NAMESPACE.to_owned());
    pod.metadata.resource_version = Some("1".to_owned());
    pod
}

fn informer(bench: &Bench, name: &str, count: usize, readers: usize, list: fn(&Store<Pod>)) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let pods: Vec<Pod> = (0..count).map(pod).collect();
    let (sender, receiver) = mpsc::channel::<Event>(1);
    let (store, under_way) = (Arc::new(Store::new()), Arc::new(Semaphore::new(10)));
    let counts = Arc::new(Counts::default());
    let handler = Handler { counts: Arc::clone(&counts), under_way: Arc::clone(&under_way) };
    let source = Fake { pods: pods.clone(), events: Mutex::new(Some(receiver)) };
    let reflector = Reflector::builder(source).sink(Arc::clone(&store)).sink(handler).build();
    let monitor = reflector.monitor();
    let mirror = runtime.spawn(async move { reflector.run(std::future::pending::<()>()).await });
    runtime.block_on(monitor.synced()).expect("it runs");

    let running = AtomicBool::new(true);
    let mut version = 1_usize;
    let change = move || {
        version += 1;
        let mut pod = pods[version * 7_919 % count].clone();
        pod.metadata.resource_version = Some(version.to_string());
        pod
    };
    let writer = Writer { sender, under_way, change };
    let measured = thread::scope(|scope| {
        for _ in 0..readers {
            scope.spawn(|| {
                while running.load(Ordering::Relaxed) {
                    list(&store);
                    counts.reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // A task of its own: what `block_on` runs is woken by way of the operating system.
        let writer = runtime.spawn(measure(bench.duration, Arc::clone(&counts), writer));
        let measured = runtime.block_on(writer);
        running.store(false, Ordering::Relaxed);
        measured
    });
    mirror.abort();
    let (read, wrote, spent) = measured.expect("the writer ran");
    if readers > 0 {
        per_second(&format!("{name}: lists"), read, spent);
    }
    per_second(&format!("{name}: changes"), wrote, spent);
}

struct Writer<F> {
    sender: mpsc::Sender<Event>,
    under_way: Arc<Semaphore>,
    change: F,
}

impl<F: FnMut() -> Pod> Writer<F> {
    async fn modify(&mut self) {
        let pod = Arc::new((self.change)());
        self.under_way.acquire().await.expect("never closed").forget();
        let _ = self.sender.send(Ok(WatchEvent::Modified(pod))).await;
    }
}

/// Writes for a while, and counts what was read and written after the first fifth.
async fn measure(
    duration: Duration,
    counts: Arc<Counts>,
    mut writer: Writer<impl FnMut() -> Pod>,
) -> (u64, u64, Duration) {
    let warm_up = Instant::now();
    while warm_up.elapsed() < duration / 5 {
        writer.modify().await;
    }
    let before = counts.now();
    let started = Instant::now();
    while started.elapsed() < duration {
        writer.modify().await;
    }
    let after = counts.now();
    (after.0 - before.0, after.1 - before.1, started.elapsed())
}
