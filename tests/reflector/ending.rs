//! What those learn who wait, when a reflector ends.

use std::sync::Arc;
use std::time::Duration;

use watchcache::reflector::{Merge, Phase, Stopped, WaitError};
use watchcache::{Reflector, Status, Store};

use crate::common::Pod;
use crate::recording::{Recording, Told};
use crate::script::{Answer, Script, failed, page};

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

#[tokio::test(start_paused = true)]
async fn a_store_keeps_what_it_holds() {
    let store = Arc::new(Store::new());
    let source = Script::new([page(10, None, &[("a/1", 1)])]);
    let reflector = Reflector::builder(source).sink(store.clone()).build();
    let monitor = reflector.monitor();
    reflector.run(async { monitor.synced().await.unwrap() }).await.unwrap();
    assert!(store.contains("a/1"));
}
