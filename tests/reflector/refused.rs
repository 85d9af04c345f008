//! What a sink does not take.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use watchcache::reflector::{
    ChangeFilter, Item, ListPage, ListRequest, Merge, Shard, Source, SourceError, Undecodable,
    WatchEvent, WatchRequest,
};
use watchcache::store::Index;
use watchcache::{Batch, Fifo, Listing, Reflector, Refused, Sink, Store};

use crate::common::Pod;
use crate::recording::{Recording, Told};
use crate::script::{Answer, Event, Script, closed, expired, mirror_with, open, page, pod};

/// A store whose index fails on every version that ends in 3.
fn picky() -> Arc<Store<Pod>> {
    let values = |pod: &Pod| match pod.version() % 10 {
        3 => Err("it ends in 3"),
        _ => Ok(["fine"]),
    };
    Arc::new(Store::builder().index(&Index::try_new("picky", values)).build())
}

fn held(store: &Store<Pod>) -> Vec<(String, u64)> {
    let mut held: Vec<_> =
        store.list().iter().map(|pod| (pod.key.clone(), pod.version())).collect();
    held.sort();
    held
}

fn refused(refused: &[Refused]) -> Vec<(&str, &str)> {
    let refused = refused.iter().map(|refused| {
        assert!(refused.error.contains("it ends in 3"), "{}", refused.error);
        (refused.key.as_str(), refused.resource_version.as_ref().unwrap().as_str())
    });
    let mut refused: Vec<_> = refused.collect();
    refused.sort_unstable();
    refused
}

#[tokio::test(start_paused = true)]
async fn it_is_listed_as_quarantined_until_another_version_is_taken() {
    let events = || {
        vec![
            WatchEvent::Modified(pod("a/1", 13)),
            WatchEvent::Added(pod("a/3", 14)),
            // What counts is the last that comes.
            WatchEvent::Added(pod("a/4", 23)),
            WatchEvent::Modified(pod("a/4", 24)),
            WatchEvent::Added(pod("a/5", 33)),
            WatchEvent::Deleted(pod("a/5", 34)),
            WatchEvent::Added(pod("a/6", 43)),
            WatchEvent::Modified(pod("a/6", 53)),
        ]
    };
    let answers = || [page(10, None, &[("a/1", 1), ("a/2", 3), ("a/7", 7)]), closed(events())];
    let listed = |mirror: &crate::script::Mirror| {
        let listed = mirror.monitor.quarantined();
        assert_eq!(listed.len() as u64, mirror.monitor.progress().quarantined);
        let listed = listed.into_iter().map(|(key, entry)| {
            assert!(entry.error.contains("it ends in 3"), "{}", entry.error);
            format!("{key}@{}", entry.resource_version.unwrap())
        });
        listed.collect::<Vec<_>>()
    };

    let store = picky();
    let mirror = mirror_with(answers(), |builder| builder.sink(store.clone())).await;
    assert_eq!(listed(&mirror), ["a/1@13", "a/2@3", "a/6@53"]);
    let expected = [("a/1", 1), ("a/3", 14), ("a/4", 24), ("a/7", 7)];
    assert_eq!(held(&store), expected.map(|(key, at)| (key.to_owned(), at)));
    assert!(mirror.store.contains("a/2"), "other sinks hold it");
    assert_eq!(mirror.monitor.progress().undecodable, 0);
    assert!(mirror.monitor.progress().refused >= 3);

    let later = open(vec![
        WatchEvent::Modified(pod("a/1", 61)),
        WatchEvent::Deleted(pod("a/2", 62)),
        WatchEvent::Modified(pod("a/7", 63)),
    ]);
    let answers_and_later = answers().into_iter().chain([later]);
    let store = picky();
    let mirror = mirror_with(answers_and_later, |builder| builder.sink(store.clone())).await;
    assert_eq!(listed(&mirror), ["a/6@53", "a/7@63"]);

    // A list brings it again, and it is refused again.
    let gone = Answer::Watch(Err(expired()), crate::script::End::Closes);
    let relisted = page(70, None, &[("a/1", 13), ("a/6", 64)]);
    let relist = answers().into_iter().chain([gone, relisted]);
    let store = picky();
    let mirror = mirror_with(relist, |builder| builder.sink(store.clone())).await;
    assert_eq!(listed(&mirror), ["a/1@13"]);
}

/// The store holds an older version than its neighbours, and must not give it to them.
#[tokio::test(start_paused = true)]
async fn a_resync_takes_nobody_back() {
    let (store, recording) = (picky(), Recording::default());
    let events = vec![WatchEvent::Modified(pod("a/1", 13)), WatchEvent::Modified(pod("a/2", 14))];
    mirror_with([page(10, None, &[("a/1", 1), ("a/2", 2)]), open(events)], |builder| {
        let content = Arc::clone(&store);
        let builder = builder.sink(store.clone()).sink(recording.clone());
        builder.resync(Duration::from_secs(200), move || content.list())
    })
    .await;
    let told = recording.take();
    assert!(told.contains(&Told::Resync(vec!["a/2".to_owned()])), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_resync_takes_nobody_back_once_a_newer_version_did_not_decode() {
    let store = picky();
    let (mirrored, queue) = (store.clone(), Fifo::new());
    let bad = Undecodable::new("a/1".parse().ok(), Some("14".into()), "bad");
    let script = Script::new([
        page(10, None, &[("a/1", 1)]),
        closed(vec![WatchEvent::Modified(pod("a/1", 13))]),
        open(vec![WatchEvent::Undecodable(bad)]),
    ]);
    let reflector = Reflector::builder(script)
        .sink(store.clone())
        .sink(queue.clone())
        .resync(Duration::from_secs(10), move || mirrored.list())
        .build();
    reflector.run(tokio::time::sleep(Duration::from_secs(15))).await.unwrap();
    assert_eq!(held(&store), [("a/1".to_owned(), 1)]);
    assert_eq!(queue.list().last().map(|pod| pod.version()), Some(13));
}

fn listing(pods: &[(&str, u64)]) -> Listing<Pod> {
    let pods = pods.iter().map(|(key, version)| Pod::new(key, *version));
    Listing::new(pods, Some("13".into())).unwrap()
}

fn puts(pods: &[(&str, u64)]) -> Batch<Pod> {
    let mut batch = Batch::new();
    pods.iter().for_each(|(key, version)| batch.add(Pod::new(key, *version)).unwrap());
    batch
}

#[test]
fn each_part_of_a_merge_hears_of_what_it_holds() {
    let [a, b] = Merge::new([picky()]).parts();
    assert_eq!(a.replace_reporting(&listing(&[("a/1", 3), ("n/x", 3), ("n/y", 1)])), []);
    let told = b.replace_reporting(&listing(&[("b/1", 13), ("n/x", 3), ("n/y", 1)]));
    assert_eq!(refused(&told), [("b/1", "13"), ("n/x", "3")]);
    let told = a.apply_reporting(&puts(&[("n/y", 23)]));
    assert_eq!(refused(&told), [("a/1", "3"), ("n/x", "3"), ("n/y", "23")]);
    assert_eq!(a.apply_reporting(&puts(&[])), [], "it was told");
    let mut batch = puts(&[("n/x", 3)]);
    batch.delete("n/x");
    assert_eq!(b.apply_reporting(&batch), [], "it is the other part's only");
    // The sinks are not asked again, and the answer is the same.
    assert_eq!(refused(&b.apply_reporting(&puts(&[("n/y", 23)]))), [("n/y", "23")]);
    assert_eq!(refused(&a.replace_reporting(&listing(&[("n/y", 23)]))), [("n/y", "23")]);
    assert_eq!(b.apply_reporting(&puts(&[("n/y", 24)])), []);
    assert_eq!(a.apply_reporting(&puts(&[("n/y", 24)])), []);
}

/// A deletion in the very version that was listed: some servers write the object's last one.
#[tokio::test(start_paused = true)]
async fn a_part_that_was_not_told_yet_takes_the_deletion() {
    let store = picky();
    let [first, late] = Merge::new([store.clone()]).parts();
    let deleted = async || {
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(WatchEvent::Deleted(pod("a/1", 3)))
    };
    let bookmark = async || {
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(WatchEvent::Bookmark("80".into()))
    };
    let events = stream::once(deleted()).chain(stream::once(bookmark()));
    let reflector = Reflector::builder(Late(Mutex::new(Some(events.boxed())))).sink(first).build();
    let monitor = reflector.monitor();
    let stop = async {
        monitor.synced().await.unwrap();
        late.replace(&listing(&[]));
        monitor.wait_for(&"80".into()).await.unwrap();
    };
    reflector.run(stop).await.unwrap();
    assert_eq!(monitor.quarantined(), []);
    assert_eq!(monitor.progress().stale_events, 0);
}

/// A source that lists what is refused.
struct Late(Mutex<Option<BoxStream<'static, Event>>>);

impl Source for Late {
    type Object = Pod;
    type Watch = BoxStream<'static, Event>;

    async fn list(&self, _: ListRequest) -> Result<ListPage<Pod>, SourceError> {
        Ok(ListPage::new(vec![Item::Object(pod("a/1", 3))], "60"))
    }

    async fn watch(&self, _: WatchRequest) -> Result<Self::Watch, SourceError> {
        Ok(self.0.lock().unwrap().take().unwrap_or_else(|| stream::pending().boxed()))
    }
}

#[test]
fn a_resync_of_a_part_that_is_behind_takes_nobody_back() {
    let (store, recording) = (picky(), Recording::default());
    let [a, b] = Merge::new([store.clone()]).sink(recording.clone()).parts();
    a.replace(&listing(&[("n/x", 1), ("n/y", 2)]));
    b.replace(&listing(&[("n/x", 1), ("n/y", 2)]));
    assert_eq!(refused(&a.apply_reporting(&puts(&[("n/x", 13)]))), [("n/x", "13")]);
    recording.take();
    b.resync(&puts(&[("n/x", 1), ("n/y", 2)]));
    assert_eq!(recording.take(), [Told::Resync(vec!["n/y".to_owned()])]);
}

#[test]
fn filters_and_shards_pass_the_answer_on() {
    let filter = ChangeFilter::new(picky()).on(|pod: &Pod| &pod.uid);
    let told = filter.replace_reporting(&listing(&[("a/1", 3), ("a/2", 2)]));
    assert_eq!(refused(&told), [("a/1", "3")]);
    // It is not compared with what was not taken.
    let told = filter.replace_reporting(&listing(&[("a/1", 3), ("a/2", 2)]));
    assert_eq!(refused(&told), [("a/1", "3")]);
    assert_eq!(refused(&filter.apply_reporting(&puts(&[("a/1", 13)]))), [("a/1", "13")]);

    let shards = [0, 1].map(|index| Shard::by_key(index, 2).unwrap().of(picky()));
    let keys = ["a/1", "a/2", "a/3", "a/4", "a/5"].map(|key| (key, 3));
    let lists = shards.iter().flat_map(|shard| shard.replace_reporting(&listing(&keys)));
    assert_eq!(refused(&lists.collect::<Vec<_>>()).len(), 5);
    let batches = shards.iter().flat_map(|shard| shard.apply_reporting(&puts(&keys)));
    assert_eq!(refused(&batches.collect::<Vec<_>>()).len(), 5);
}
