//! Wakers of those who wait are their own code: what they do is nobody else's trouble.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, join3};
use watchcache::Reflector;
use watchcache::reflector::{Monitor, Stopped, WaitError, WatchEvent};

use crate::common::watchdog::watched;
use crate::recording::Recording;
use crate::script::{Script, open, page, pod};

/// Lists at version 10 and moves on to 11.
fn reflector() -> Reflector<Script> {
    let events = vec![WatchEvent::Added(pod("a/1", 11))];
    let script = Script::new([page(10, None, &[]), open(events)]);
    Reflector::builder(script).sink(Recording::default()).build()
}

/// In virtual time, under the watchdog.
fn test<F: Future<Output = ()>>(code: impl FnOnce() -> F + Send + 'static) {
    watched(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(code());
    });
}

async fn run_for_a_minute(reflector: Reflector<Script>) {
    reflector.run(tokio::time::sleep(Duration::from_secs(60))).await.unwrap();
}

/// All that a monitor can be asked.
fn ask(monitor: &Monitor) {
    let _ = (monitor.progress(), monitor.is_ready(Duration::ZERO));
    let _ = (monitor.quarantined(), monitor.quarantine_of("a/1"));
    let mut context = Context::from_waker(Waker::noop());
    let mut waits = (Box::pin(monitor.synced()), Box::pin(monitor.wait_for(&"99".into())));
    let _ = (waits.0.poll_unpin(&mut context), waits.1.poll_unpin(&mut context));
}

/// An executor without a queue: its task runs where it is woken, and ends where it is dropped.
struct Inline(Monitor, Arc<AtomicUsize>);

impl Inline {
    fn waker(monitor: &Monitor, came_back: &Arc<AtomicUsize>) -> Waker {
        Arc::new(Self(monitor.clone(), Arc::clone(came_back))).into()
    }
}

impl Wake for Inline {
    fn wake(self: Arc<Self>) {
        ask(&self.0);
    }
}

impl Drop for Inline {
    fn drop(&mut self) {
        ask(&self.0);
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

/// All waits that a monitor has: for what comes, for what comes later, for what never does.
struct Waits {
    synced: LocalBoxFuture<'static, Result<(), Stopped>>,
    versions: [LocalBoxFuture<'static, Result<(), WaitError>>; 2],
}

impl Waits {
    fn begin(monitor: &Monitor, waker: impl Fn() -> Waker) -> Self {
        let versions = ["11", "99"].map(|version| monitor.wait_for(&version.into()).boxed_local());
        let mut waits = Self { synced: Box::pin(monitor.synced()), versions };
        waits.poll(waker);
        waits
    }

    /// None is ready, and each has its own waker.
    fn poll(&mut self, waker: impl Fn() -> Waker) {
        fn pends(wait: &mut (impl Future + Unpin), waker: &Waker) -> bool {
            wait.poll_unpin(&mut Context::from_waker(waker)).is_pending()
        }
        assert!(pends(&mut self.synced, &waker()));
        assert!(self.versions.iter_mut().all(|version| pends(version, &waker())));
    }

    async fn end(self) {
        assert_eq!(self.synced.await, Ok(()));
        let [came, never_came] = self.versions;
        assert_eq!(came.await, Ok(()));
        assert_eq!(never_came.await, Err(WaitError::Stopped));
    }
}

#[test]
fn a_waker_may_ask_the_monitor() {
    test(async || {
        let reflector = reflector();
        let monitor = reflector.monitor();
        let came_back = Arc::default();
        let waits = Waits::begin(&monitor, || Inline::waker(&monitor, &came_back));
        run_for_a_minute(reflector).await;
        assert_eq!(came_back.load(Ordering::Relaxed), 3);
        waits.end().await;
    });
}

#[test]
fn a_waker_may_ask_the_monitor_when_the_reflector_is_dropped() {
    test(async || {
        let reflector = reflector();
        let monitor = reflector.monitor();
        let came_back = Arc::default();
        let _waits = Waits::begin(&monitor, || Inline::waker(&monitor, &came_back));
        drop(reflector);
        assert_eq!(came_back.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn a_waker_may_ask_the_monitor_when_it_is_replaced_or_its_wait_is_dropped() {
    test(async || {
        let reflector = reflector();
        let monitor = reflector.monitor();
        let came_back = Arc::default();
        let mut waits = Waits::begin(&monitor, || Inline::waker(&monitor, &came_back));
        waits.poll(|| Inline::waker(&monitor, &came_back));
        assert_eq!(came_back.load(Ordering::Relaxed), 3);
        drop(waits);
        assert_eq!(came_back.load(Ordering::Relaxed), 6);
    });
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker's");
    }
}

struct PanicsWhenDropped;

impl Wake for PanicsWhenDropped {
    fn wake(self: Arc<Self>) {}
}

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("a waker's destructor's");
    }
}

/// The reflector runs on, and whoever else waits is woken, before those with that waker or after.
fn harms_nobody(waker: fn() -> Waker) {
    test(async move || {
        let reflector = reflector();
        let monitor = reflector.monitor();
        let before = bystander(&monitor).await;
        let waits = Waits::begin(&monitor, waker);
        let after = bystander(&monitor).await;
        run_for_a_minute(reflector).await;
        let limit = Duration::from_secs(1);
        for other in [before, after] {
            tokio::time::timeout(limit, other).await.unwrap().unwrap();
        }
        waits.end().await;
    });
}

/// Waits beside the others.
async fn bystander(monitor: &Monitor) -> tokio::task::JoinHandle<()> {
    let (synced, came) = (monitor.synced(), monitor.wait_for(&"11".into()));
    let never_comes = monitor.wait_for(&"99".into());
    let task = tokio::spawn(async move {
        let all = join3(synced, came, never_comes).await;
        assert_eq!(all, (Ok(()), Ok(()), Err(WaitError::Stopped)));
    });
    tokio::task::yield_now().await;
    task
}

#[test]
fn a_waker_that_panics_harms_nobody() {
    harms_nobody(|| Waker::from(Arc::new(Panics)));
}

#[test]
fn a_waker_whose_destructor_panics_harms_nobody() {
    harms_nobody(|| Waker::from(Arc::new(PanicsWhenDropped)));
    test(async || {
        let reflector = reflector();
        let waker = || Waker::from(Arc::new(PanicsWhenDropped));
        let mut waits = Waits::begin(&reflector.monitor(), waker);
        waits.poll(waker);
        drop(waits);
        run_for_a_minute(reflector).await;
    });
}
