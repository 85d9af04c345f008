//! What those learn who wait, when a reflector ends.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use watchcache::reflector::{
    Item, ListPage, ListRequest, Merge, Part, Phase, Source, SourceError, Stopped, WaitError,
    WatchEvent, WatchRequest,
};
use watchcache::store::feed::SyncError;
use watchcache::{KeyRef, Object, Reflector, Sink, Status, Store};

use crate::common::Pod;
use crate::common::canary::panicked;
use crate::common::watchdog::watched;
use crate::recording::{Recording, Told};
use crate::script::{Answer, End, Script, failed, mirror_with, open, page, pod, unavailable};

type Mirror = Reflector<Script>;

fn reflector(answers: impl IntoIterator<Item = Answer>, sink: Recording) -> Mirror {
    Reflector::builder(Script::new(answers)).sink(sink).build()
}

fn ends(recording: &Recording) -> Vec<Told> {
    let mut told = recording.take();
    told.retain(|told| matches!(told, Told::Ended(_)));
    told
}

/// Whoever waits gets an answer, and the sinks learn of the end once.
async fn ended_by(end: impl FnOnce(Mirror)) {
    let recording = Recording::default();
    let reflector = reflector([], recording.clone());
    let monitor = reflector.monitor();
    let (synced, reached) = (monitor.synced(), monitor.wait_for(&"7".into()));
    end(reflector);
    let limit = Duration::from_secs(1);
    assert_eq!(tokio::time::timeout(limit, synced).await.unwrap(), Err(Stopped));
    assert_eq!(tokio::time::timeout(limit, reached).await.unwrap(), Err(WaitError::Stopped));
    assert_eq!(monitor.progress().phase, Phase::Stopped);
    assert_eq!(ends(&recording), [Told::Ended(None)]);
}

#[tokio::test(start_paused = true)]
async fn a_reflector_that_is_dropped_has_ended_even_if_it_never_ran() {
    ended_by(drop).await;
    ended_by(|reflector| drop(reflector.run(std::future::pending()))).await;
    ended_by(|reflector| {
        let mut run = Box::pin(reflector.run(std::future::pending()));
        assert!(futures_util::FutureExt::now_or_never(&mut run).is_none());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_before_the_end_is_woken_by_it() {
    let reflector = reflector([], Recording::default());
    let waiter = tokio::spawn(reflector.monitor().synced());
    tokio::task::yield_now().await;
    drop(reflector);
    let limit = Duration::from_secs(1);
    assert_eq!(tokio::time::timeout(limit, waiter).await.unwrap().unwrap(), Err(Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_sink_learns_why() {
    let recording = Recording::default();
    let refused = failed(Status::forbidden("", "pods", "", "no lists for you"));
    let reflector = reflector([Answer::List(Err(refused))], recording.clone());
    reflector.run(std::future::pending()).await.unwrap_err();
    let [Told::Ended(Some(why))] = &ends(&recording)[..] else { panic!("told nothing") };
    assert!(why.contains("no lists for you"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn what_was_synced_stays_so_after_a_stop() {
    let recording = Recording::default();
    let reflector = reflector([page(10, None, &[])], recording.clone());
    let monitor = reflector.monitor();
    reflector.run(async { monitor.synced().await.unwrap() }).await.unwrap();
    assert_eq!(monitor.synced().await, Ok(()));
    assert_eq!(monitor.wait_for(&"10".into()).await, Ok(()));
    assert_eq!(ends(&recording), [Told::Ended(None)]);
}

struct Explosive;

impl watchcache::Sink<Pod> for Explosive {
    fn apply(&self, _: &watchcache::Batch<Pod>) {}

    fn replace(&self, _: &watchcache::Listing<Pod>) {}

    fn ended(&self, _: Option<&(dyn std::error::Error + 'static)>) {
        panic!("it will not have it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_panics_at_the_end_keeps_it_from_nobody() {
    let recording = Recording::default();
    let builder = Reflector::builder(Script::new([])).sink(Explosive).sink(recording.clone());
    drop(builder.build());
    assert_eq!(ends(&recording), [Told::Ended(None)]);
}

/// Panics the n-th time that it is fed, from 0.
struct FailsAt(usize, std::sync::atomic::AtomicUsize);

impl FailsAt {
    fn new(n: usize) -> Self {
        Self(n, std::sync::atomic::AtomicUsize::new(0))
    }

    fn feed(&self) {
        let n = self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        assert!(n < self.0, "no room for more");
    }
}

impl watchcache::Sink<Pod> for FailsAt {
    fn apply(&self, _: &watchcache::Batch<Pod>) {
        self.feed();
    }

    fn replace(&self, _: &watchcache::Listing<Pod>) {
        self.feed();
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_panics_ends_the_reflector_and_everybody_learns_why() {
    // By the list, by a batch, by a resync.
    for n in 0..3 {
        let recording = Recording::default();
        let events = vec![WatchEvent::Added(pod("a/1", 11))];
        let script = Script::new([page(10, None, &[]), open(events)]);
        let reflector = Reflector::builder(script)
            .sink(recording.clone())
            .sink(FailsAt::new(n))
            .resync(Duration::from_secs(60), || [pod("a/1", 11)])
            .build();
        let monitor = reflector.monitor();
        let waiter = tokio::spawn(monitor.wait_for(&"99".into()));
        let limit = Duration::from_secs(100);
        let ended = tokio::time::timeout(limit, reflector.run(std::future::pending())).await;
        let Err(SourceError::Panicked(why)) = ended.unwrap() else { panic!("no error") };
        assert!(why.contains("no room for more"), "{why}");
        assert_eq!(waiter.await.unwrap(), Err(WaitError::Stopped));
        let progress = monitor.progress();
        assert_eq!((progress.phase, progress.synced), (Phase::Stopped, n > 0));
        assert!(progress.last_error.unwrap().contains("no room for more"));
        let [Told::Ended(Some(why))] = &ends(&recording)[..] else { panic!("told nothing") };
        assert!(why.contains("no room for more"), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_ends_the_reflector_and_everybody_learns_why() {
    // In a list, while a watch is opened, while it runs.
    for n in 0..3 {
        let recording = Recording::default();
        let script = Script::of(move |_, asked| match asked {
            _ if asked == n => panic!("out of order"),
            0 => Some(page(10, None, &[])),
            1 => Some(Answer::Watch(Err(unavailable()), End::Closes)),
            _ => None,
        });
        let reflector = Reflector::builder(script).sink(recording.clone()).build();
        let monitor = reflector.monitor();
        let error = reflector.run(std::future::pending()).await.unwrap_err();
        assert!(matches!(&error, SourceError::Panicked(why) if why == "out of order"), "{error}");
        assert!(monitor.progress().last_error.unwrap().contains("out of order"));
        let told = ends(&recording);
        assert!(matches!(&told[..], [Told::Ended(Some(why))] if why.contains("out of order")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_whoever_hears_of_failures_changes_nothing() {
    let answers = [Answer::List(Err(unavailable())), page(10, None, &[("a/1", 1)])];
    let mirror = mirror_with(answers, |builder| {
        builder
            .on_failure(|_| panic!("it will not have it"))
            .resync(Duration::from_secs(60), || -> Vec<Arc<Pod>> { panic!("nothing to give") })
    })
    .await;
    mirror.result.as_ref().unwrap();
    assert_eq!(mirror.content(), [("a/1".to_owned(), 1)]);
}

/// A sink of a merge that panics may have missed a change that only one part knows.
#[tokio::test(start_paused = true)]
async fn a_panic_of_a_merged_sink_ends_all_parts() {
    let recording = Recording::default();
    let [a, b] = Merge::new([FailsAt::new(1)]).sink(recording.clone()).parts();
    let until_synced = |script, part| async move {
        let reflector = Reflector::builder(script).sink(part).build();
        let monitor = reflector.monitor();
        (monitor, tokio::spawn(reflector.run(std::future::pending())))
    };
    let events = || vec![WatchEvent::Added(pod("a/1", 11))];
    let list = |events| Script::new([page(10, None, &[]), events]);
    let (a_monitor, a) = until_synced(list(Answer::Watch(Ok(vec![]), End::StaysOpen)), a).await;
    a_monitor.synced().await.unwrap();
    let (_, b) = until_synced(list(open(events())), b).await;
    let error = b.await.unwrap().unwrap_err();
    assert!(matches!(error, SourceError::Panicked(_)), "{error}");
    // At once, whatever the other part does.
    let told = recording.take();
    let [Told::Listing(..), Told::Ended(Some(why))] = &told[..] else { panic!("{told:?}") };
    assert!(why.contains("no room for more"), "{why}");
    assert!(!a.is_finished(), "it has had no change");
    a.abort();
    assert!(a.await.unwrap_err().is_cancelled());
    assert_eq!(recording.take(), [], "nothing is told after the end");
}

#[test]
fn a_part_beside_one_whose_sink_panicked_refuses_what_comes() {
    let recording = Recording::default();
    let [a, b] = Merge::new([FailsAt::new(1)]).sink(recording.clone()).parts();
    let list = || watchcache::Listing::new([Pod::new("a/1", 1)], Some("1".into())).unwrap();
    a.replace(&list());
    b.replace(&list());
    for part in [&a, &b, &a] {
        let batch = watchcache::Batch::new();
        let applied = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| part.apply(&batch)));
        let panic = *applied.unwrap_err().downcast::<String>().unwrap();
        assert!(panic.contains("no room for more"), "{panic}");
    }
    drop((a, b));
    assert_eq!(ends(&recording).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn merged_sinks_learn_when_the_last_part_has_ended() {
    let recording = Recording::default();
    let [a, b] = Merge::new([recording.clone()]).parts();
    let refused = failed(Status::forbidden("", "pods", "", "no lists for you"));
    let a = Reflector::builder(Script::new([Answer::List(Err(refused))])).sink(a).build();
    let b = Reflector::builder(Script::new([page(10, None, &[("b/1", 1)])])).sink(b).build();
    a.run(std::future::pending()).await.unwrap_err();
    assert!(ends(&recording).is_empty());
    let monitor = b.monitor();
    b.run(async { monitor.synced().await.unwrap() }).await.unwrap();
    let told = recording.take();
    // The part that could not list no longer keeps the other's content from coming.
    let listing = Told::Listing(vec![("b/1".into(), "1".into())], Some("10".into()));
    let [first, Told::Ended(Some(why))] = &told[..] else { panic!("{told:?}") };
    assert_eq!(first, &listing);
    assert!(why.contains("no lists for you"), "{why}");
}

fn list_of(key: &str) -> watchcache::Listing<Pod> {
    watchcache::Listing::new([Pod::new(key, 1)], Some("10".into())).unwrap()
}

fn put(key: &str) -> watchcache::Batch<Pod> {
    let mut batch = watchcache::Batch::new();
    batch.add(Pod::new(key, 11)).unwrap();
    batch
}

#[test]
fn merged_sinks_are_told_nothing_after_the_end() {
    let recording = Recording::default();
    let [a, b] = Merge::new([recording.clone()]).parts();
    a.replace(&list_of("a/1"));
    b.replace(&list_of("b/1"));
    recording.take();
    Sink::<Pod>::ended(&a, None);
    assert_eq!(recording.take(), [], "one goes on");
    Sink::<Pod>::ended(&b, None);
    assert_eq!(recording.take(), [Told::Ended(None)]);
    // Whatever comes then.
    b.apply(&put("b/2"));
    a.replace(&list_of("a/2"));
    b.resync(&put("b/1"));
    drop(a);
    Sink::<Pod>::failed(&b, &unavailable());
    drop(b);
    assert_eq!(recording.take(), []);
    // A part that is dropped before it has ended lets go of its keys, and then ends.
    let [a, b] = Merge::new([recording.clone()]).parts();
    a.replace(&list_of("a/1"));
    b.replace(&list_of("b/1"));
    recording.take();
    Sink::<Pod>::ended(&b, None);
    drop(a);
    let gone = Told::Batch(vec![("a/1".into(), None)], Some("10".into()));
    assert_eq!(recording.take(), [gone, Told::Ended(None)]);
    drop(b);
    assert_eq!(recording.take(), []);
}

/// Drops what it was given when it is told something.
#[derive(Default)]
struct Drops(Mutex<Vec<Box<dyn Any + Send>>>);

impl Drops {
    fn drop_all(&self) {
        let parts = std::mem::take(&mut *self.0.lock().unwrap());
        drop(parts);
    }
}

impl Sink<Pod> for Drops {
    fn apply(&self, _: &watchcache::Batch<Pod>) {
        self.drop_all();
    }

    fn replace(&self, _: &watchcache::Listing<Pod>) {
        self.drop_all();
    }

    fn resync(&self, _: &watchcache::Batch<Pod>) {
        self.drop_all();
    }

    fn failed(&self, _: &(dyn std::error::Error + 'static)) {
        self.drop_all();
    }

    fn ended(&self, _: Option<&(dyn std::error::Error + 'static)>) {
        self.drop_all();
    }
}

#[test]
fn a_sink_of_a_merge_may_drop_its_parts() {
    type Tell = fn(&Part<Pod>);
    let tells: [Tell; 4] = [
        |part| part.apply(&put("a/2")),
        |part| part.replace(&list_of("a/2")),
        |part| part.resync(&put("a/1")),
        |part| Sink::<Pod>::failed(part, &unavailable()),
    ];
    for tell in tells {
        watched(move || {
            let (drops, recording) = (Arc::new(Drops::default()), Recording::default());
            let merge = Merge::new([drops.clone()]).sink(recording.clone());
            let [a, b, c] = merge.parts();
            a.replace(&list_of("a/1"));
            b.replace(&list_of("b/1"));
            c.replace(&list_of("c/1"));
            recording.take();
            let dropped: [Box<dyn Any + Send>; 2] = [
                Box::new(Arc::new(b)),
                // It ends, and its part is dropped with it.
                Box::new(Reflector::builder(Script::new([])).sink(c).build()),
            ];
            drops.0.lock().unwrap().extend(dropped);
            tell(&a);
            let told = recording.take();
            for key in ["b/1", "c/1"] {
                let gone = |told: &Told| match told {
                    Told::Batch(changes, _) => changes.contains(&(key.to_owned(), None)),
                    _ => false,
                };
                assert_eq!(told.iter().filter(|told| gone(told)).count(), 1, "{told:?}");
            }
            drop(a);
            assert_eq!(recording.take(), [Told::Ended(None)], "the others had ended");
        });
    }
    // Even all of them, at the end.
    watched(|| {
        let drops = Arc::new(Drops::default());
        let [a, b] = Merge::new([drops.clone()]).parts();
        let [a, b] = [a, b].map(Arc::new);
        drops.0.lock().unwrap().push(Box::new(Arc::clone(&b)));
        Sink::<Pod>::ended(&*a, None);
        let part = Arc::downgrade(&b);
        drops.0.lock().unwrap().push(Box::new(a));
        Sink::<Pod>::ended(&*b, None);
        drop(b);
        assert!(part.upgrade().is_none());
    });
}

/// Panics when it hears of a failure.
struct Touchy;

impl Sink<Pod> for Touchy {
    fn apply(&self, _: &watchcache::Batch<Pod>) {}

    fn replace(&self, _: &watchcache::Listing<Pod>) {}

    fn failed(&self, _: &(dyn std::error::Error + 'static)) {
        panic!("it will not hear of it");
    }
}

/// Panics once when it is asked for its uid, if that is wanted.
struct Once(Arc<AtomicBool>);

impl Object for Once {
    fn key(&self) -> KeyRef<'_> {
        "a/1".into()
    }

    fn uid(&self) -> Option<&str> {
        assert!(!self.0.swap(false, Ordering::Relaxed), "not now");
        Some("u")
    }

    fn resource_version(&self) -> Option<&str> {
        Some("1")
    }
}

#[test]
fn a_part_knows_what_it_holds_after_any_panic() {
    let [part] = Merge::new([Touchy]).parts();
    part.replace(&list_of("a/1"));
    Sink::<Pod>::failed(&part, &unavailable());
    assert_eq!(part.is_current("a/1".into(), "1"), Some(true));

    let wanted = Arc::<AtomicBool>::default();
    let [part] = Merge::<Once>::new([Arc::new(Store::new())]).parts();
    let list = watchcache::Listing::new([Once(Arc::clone(&wanted))], Some("1".into())).unwrap();
    part.replace(&list);
    wanted.store(true, Ordering::Relaxed);
    let held = std::panic::AssertUnwindSafe(|| part.held("a/1".into(), Some("u"), "1"));
    assert!(std::panic::catch_unwind(held).is_err());
    assert_eq!(part.is_current("a/1".into(), "1"), Some(true));
}

#[tokio::test(start_paused = true)]
async fn a_store_keeps_what_it_holds() {
    let store = Arc::new(Store::new());
    let source = Script::new([page(10, None, &[("a/1", 1)])]);
    let reflector = Reflector::builder(source).sink(store.clone()).build();
    let monitor = reflector.monitor();
    reflector.run(async { monitor.synced().await.unwrap() }).await.unwrap();
    assert!(store.contains("a/1"));
}

/// An object whose destructor may panic.
struct Fragile {
    pod: Pod,
    breaks: bool,
}

impl watchcache::Object for Fragile {
    fn key(&self) -> watchcache::KeyRef<'_> {
        (&self.pod.key).into()
    }

    fn resource_version(&self) -> Option<&str> {
        Some(&self.pod.resource_version)
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        assert!(!self.breaks, "a destructor");
    }
}

/// A source whose objects break when they are gone.
struct Breaking;

impl Source for Breaking {
    type Object = Fragile;
    type Watch = BoxStream<'static, Result<WatchEvent<Fragile>, SourceError>>;

    async fn list(&self, _: ListRequest) -> Result<ListPage<Fragile>, SourceError> {
        let whole = |(key, at)| Fragile { pod: Pod::new(key, at), breaks: false };
        let items = [("a/1", 1), ("a/2", 2)].map(|listed| Item::Object(Arc::new(whole(listed))));
        Ok(ListPage::new(items.into(), "10"))
    }

    async fn watch(&self, _: WatchRequest) -> Result<Self::Watch, SourceError> {
        let last = |(key, at)| Arc::new(Fragile { pod: Pod::new(key, at), breaks: true });
        let gone = [("a/1", 11), ("a/2", 12)].map(|gone| Ok(WatchEvent::Deleted(last(gone))));
        Ok(stream::iter(gone).chain(stream::pending()).boxed())
    }
}

/// A second panic, while the first unwinds, would end the process.
#[tokio::test(start_paused = true)]
async fn destructors_that_panic_end_the_reflector_and_not_the_process() {
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(Breaking).sink(store.clone()).build();
    let ended = reflector.run(tokio::time::sleep(Duration::from_secs(5))).await;
    assert!(matches!(ended, Err(SourceError::Panicked(_))), "{ended:?}");
    assert!(store.is_empty());
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_store_learns_how_its_source_fails() {
    let direct = Arc::new(Store::new());
    let merged = Arc::new(Store::new());
    let [part] = Merge::new([Arc::clone(&merged)]).parts();
    let refuse = || Answer::List(Err(unavailable()));
    let answers = [refuse(), refuse(), page(10, None, &[("a/1", 10)]), open(Vec::new())];
    let reflector = Reflector::builder(Script::new(answers)).sink(Arc::clone(&direct)).sink(part);
    let reflector = reflector.build();
    let failures = reflector.monitor();
    let running = tokio::spawn(reflector.run(std::future::pending()));
    while failures.progress().failures == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let last_error = Some("connection refused".into());
    for store in [&direct, &merged] {
        let waited = store.wait_synced_async(Some(Duration::ZERO)).await;
        assert_eq!(waited, Err(SyncError::Timeout { last_error: last_error.clone() }));
    }
    for store in [&direct, &merged] {
        assert_eq!(store.wait_synced_async(None).await, Ok(()));
        assert!(store.snapshot().is_synced());
    }
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_store_learns_that_its_source_refused_for_good() {
    let store = Arc::new(Store::<Pod>::new());
    let forbidden = Status::forbidden("", "pods", "", "not for you");
    let answers = [Answer::List(Err(failed(forbidden)))];
    let reflector = Reflector::builder(Script::new(answers)).sink(Arc::clone(&store)).build();
    let waiting = tokio::spawn(store.wait_synced_async(None));
    assert!(reflector.run(std::future::pending()).await.is_err());
    let Err(SyncError::SourceEnded { error: Some(error) }) = waiting.await.unwrap() else {
        panic!("it is told why");
    };
    assert!(error.contains("not for you"), "{error}");
}

fn fragile(key: &str, version: u64, breaks: bool) -> Arc<Fragile> {
    Arc::new(Fragile { pod: Pod::new(key, version), breaks })
}

/// Answers by what was asked, and how often before.
type Fragiles = Box<dyn Fn(usize) -> Answered + Send + Sync>;

enum Answered {
    List(Vec<Item<Fragile>>, Option<&'static str>),
    Fails,
    Watch(Vec<Result<WatchEvent<Fragile>, SourceError>>),
}

struct Scripted(Fragiles, AtomicUsize);

impl Scripted {
    fn next(&self) -> Answered {
        (self.0)(self.1.fetch_add(1, Ordering::Relaxed))
    }
}

impl Source for Scripted {
    type Object = Fragile;
    type Watch = BoxStream<'static, Result<WatchEvent<Fragile>, SourceError>>;

    async fn list(&self, _: ListRequest) -> Result<ListPage<Fragile>, SourceError> {
        match self.next() {
            Answered::List(items, next) => {
                let mut page = ListPage::new(items, "10");
                page.continue_token = next.map(str::to_owned);
                Ok(page)
            }
            _ => Err(unavailable()),
        }
    }

    async fn watch(&self, _: WatchRequest) -> Result<Self::Watch, SourceError> {
        match self.next() {
            Answered::Watch(events) => Ok(stream::iter(events).chain(stream::pending()).boxed()),
            _ => Err(unavailable()),
        }
    }
}

/// Wherever objects are when they are let go.
#[tokio::test(start_paused = true)]
async fn destructors_that_panic_outside_of_a_batch_do_not_end_the_process_either() {
    let two = |breaks| {
        let items = [("a/1", 1), ("a/2", 2)];
        items.map(|(key, version)| Item::Object(fragile(key, version, breaks))).into()
    };
    // A list that breaks off between two pages.
    let torn: Fragiles = Box::new(move |n| match n {
        0 => Answered::List(two(true), Some("more")),
        _ => Answered::Fails,
    });
    // One that names its keys twice.
    let twice: Fragiles = Box::new(move |n| match n {
        0 => Answered::List(two(true).into_iter().chain(two(false)).collect(), None),
        _ => Answered::Fails,
    });
    // One without what the one before it had.
    let replaced: Fragiles = Box::new(move |n| match n {
        0 => Answered::List(two(true), None),
        1 => {
            let message = String::new();
            Answered::Watch(vec![Err(SourceError::Expired { message, continue_token: None })])
        }
        _ => Answered::List(Vec::new(), None),
    });
    // A streaming list that does not come to its end.
    let streamed: Fragiles = Box::new(move |n| match n {
        0 => {
            let added = [("a/1", 1), ("a/2", 2)];
            let added = added.map(|(key, at)| Ok(WatchEvent::Added(fragile(key, at, true))));
            Answered::Watch(added.into_iter().chain([Err(unavailable())]).collect())
        }
        _ => Answered::Fails,
    });
    for (n, answers) in [torn, twice, replaced, streamed].into_iter().enumerate() {
        let source = Scripted(answers, AtomicUsize::new(0));
        // A store of its own frees what it held when it pleases.
        let builder = Reflector::builder(source).streaming_list(n == 3).sink(Forgets);
        let ended = builder.build().run(tokio::time::sleep(Duration::from_secs(60))).await;
        assert!(matches!(ended, Err(SourceError::Panicked(_))), "{n}: {ended:?}");
    }
}

/// Holds nothing.
struct Forgets;

impl Sink<Fragile> for Forgets {
    fn apply(&self, _: &watchcache::Batch<Fragile>) {}

    fn replace(&self, _: &watchcache::Listing<Fragile>) {}
}

/// What functions have captured goes with the reflector: several destructors that panic end no process.
#[test]
fn destructors_of_what_a_reflector_was_given_are_contained() {
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("what was captured panics");
        }
    }

    let (failures, transforms) = (Bomb, Bomb);
    let recording = Recording::default();
    let reflector = Reflector::builder(Script::new([]))
        .sink(recording.clone())
        .on_failure(move |_| {
            let _ = &failures;
        })
        .transform(move |pod| {
            let _ = &transforms;
            pod
        })
        .build();
    assert!(!panicked(|| drop(reflector)));
    assert_eq!(ends(&recording).len(), 1);
}
