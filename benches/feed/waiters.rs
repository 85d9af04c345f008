//! Ten thousand that wait for one version of the source's.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use watchcache::store::FeedLimits;
use watchcache::{Batch, ResourceVersion};
use watchcache_benches::Item;

use crate::readings::{Readings, median};
use crate::workload::filled;

const BAR_MICROSECONDS: f64 = 1_000.0;

pub fn measure(readings: &mut Readings) {
    let (waiters, rounds) = if readings.test { (100, 1) } else { (10_000, 51) };
    readings.table(&format!(
        "{waiters} waiters on one version, from before the write, medians of {rounds} rounds"
    ));
    let all: Vec<_> = (1..=rounds).map(|version| woken(waiters, version)).collect();
    let of = |figure: fn(&Woken) -> f64| median(all.iter().map(figure));
    readings.add("the writer goes on", "us", of(|woken| woken.written), None);
    readings.add("each waker was called", "us", of(|woken| woken.woken), BAR_MICROSECONDS);
    let tasks: Vec<_> = (1..=rounds).map(|version| resumed(waiters, version)).collect();
    readings.add("each of so many tokio tasks has ended", "us", median(tasks), BAR_MICROSECONDS);
}

fn write(version: u64) -> (Batch<Item>, ResourceVersion) {
    let version = ResourceVersion::from(version.to_string().as_str());
    let mut batch = Batch::new();
    batch.add(Item::new(0, 0)).expect("keys are valid");
    batch.set_resource_version(version.clone());
    (batch, version)
}

/// In microseconds.
struct Woken {
    written: f64,
    woken: f64,
}

/// Counts, and does nothing else.
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        // ORDERING: Release pairs with the Acquire in `woken`.
        self.0.fetch_add(1, Ordering::Release);
    }
}

fn woken(waiters: usize, version: u64) -> Woken {
    let store = filled(1_000, FeedLimits::default());
    let (batch, version) = write(version);
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let mut context = Context::from_waker(&waker);
    let mut waits: Vec<_> =
        (0..waiters).map(|_| Box::pin(store.wait_for_version_async(&version, None))).collect();
    for wait in &mut waits {
        assert!(wait.as_mut().poll(&mut context).is_pending(), "nothing was written");
    }
    let start = Instant::now();
    store.apply(&batch);
    let written = start.elapsed();
    // ORDERING: Acquire pairs with the Release in `wake`.
    while count.0.load(Ordering::Acquire) < waiters {
        std::hint::spin_loop();
    }
    let woken = start.elapsed();
    for wait in &mut waits {
        let end = wait.as_mut().poll(&mut context);
        assert!(matches!(end, Poll::Ready(Ok(()))), "none is lost");
    }
    let micros = |time: std::time::Duration| time.as_nanos() as f64 / 1e3;
    Woken { written: micros(written), woken: micros(woken) }
}

/// In microseconds.
fn resumed(waiters: usize, version: u64) -> f64 {
    let store = filled(1_000, FeedLimits::default());
    let (batch, version) = write(version);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime can be made");
    let ended = Arc::new(AtomicUsize::new(0));
    let (last, at) = mpsc::channel();
    let tasks: Vec<_> = (0..waiters)
        .map(|_| {
            let (wait, ended) = (store.wait_for_version_async(&version, None), Arc::clone(&ended));
            let last = last.clone();
            runtime.spawn(async move {
                wait.await.expect("the version comes");
                // ORDERING: Relaxed: only which of them is the last.
                if ended.fetch_add(1, Ordering::Relaxed) + 1 == waiters {
                    last.send(Instant::now()).expect("it is waited for");
                }
            })
        })
        .collect();
    while store.stats().feed.waiting < waiters {
        std::thread::yield_now();
    }
    // Asleep, not only about to be.
    std::thread::sleep(std::time::Duration::from_millis(5));
    let start = Instant::now();
    store.apply(&batch);
    let elapsed = at.recv().expect("none is lost").duration_since(start);
    runtime.block_on(async {
        for task in tasks {
            task.await.expect("no task panics");
        }
    });
    elapsed.as_nanos() as f64 / 1e3
}
