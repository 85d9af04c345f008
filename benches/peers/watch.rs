//! Watch throughput: how fast a mirror takes in what a server's watch has to say. The changes were
//! made after the mirror's list and before its watch, so that nothing waits for them to be made.

use std::hint::black_box;
use std::io::stdin;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::{Semaphore, oneshot};
use watchcache::reflector::{
    Interest, Lazy, ListPage, ListRequest, Reflector, Report, Source, SourceError, WatchRequest,
};
use watchcache::store::feed::Handler;
use watchcache::{ArcRef, Object, ResourceVersion, Revision, Store};

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

/// As client-go's handler, it counts, looks at each object's version, and says when it has the last.
struct Counting {
    changes: u64,
    last: Arc<OnceLock<ResourceVersion>>,
    done: Option<oneshot::Sender<u64>>,
}

impl Counting {
    fn count(&mut self, object: &impl Object) {
        self.changes += u64::from(black_box(object.resource_version()).is_some());
    }
}

impl<T: Object> Handler<T> for Counting {
    fn on_add(&mut self, object: ArcRef<'_, T>, is_initial: bool) {
        if !is_initial {
            self.count(object.object());
        }
    }

    fn on_update(&mut self, _: ArcRef<'_, T>, new: ArcRef<'_, T>) {
        self.count(new.object());
    }

    fn on_delete(&mut self, last: ArcRef<'_, T>) {
        self.count(last.object());
    }

    fn on_progress(&mut self, _: Revision, version: Option<&ResourceVersion>) {
        let number = |version: &ResourceVersion| version.number();
        let last = self.last.get().and_then(number);
        if last.is_some()
            && version.and_then(number) >= last
            && let Some(done) = self.done.take()
        {
            let _ = done.send(self.changes);
        }
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
        .sink(Arc::clone(&store))
        .build();
    let monitor = reflector.monitor();
    let running = tokio::spawn(reflector.run(std::future::pending::<()>()));
    let (last, (done, has_last)) = (Arc::new(OnceLock::new()), oneshot::channel());
    let counting = Counting { changes: 0, last: Arc::clone(&last), done: Some(done) };
    let handling = store.subscribe().handle(counting).expect("it begins with the content");
    std::thread::spawn(move || handling.run());
    monitor.synced().await.expect("it runs");
    println!("listed");
    let mut line = String::new();
    stdin().read_line(&mut line).expect("a line");
    last.set(line.trim().into()).expect("set once");

    let (started, busy) = (Instant::now(), processor_time());
    gate.add_permits(1);
    let changes = has_last.await.expect("the handler is there until its store ends");
    let (spent, busy) = (started.elapsed(), processor_time() - busy);
    let progress = monitor.progress();
    assert_eq!(progress.relists, 0, "all came by the watch");
    // Of a key that changed more than once in a batch it is told the last state.
    assert!((1..=progress.events).contains(&changes), "the handler was told");
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
