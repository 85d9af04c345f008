//! What shows that a source's history was set back, or that its versions have no order, and what does not.

use std::sync::Arc;
use std::time::Duration;

use watchcache::reflector::{ReflectorBuilder, Shard, Undecodable, WaitError, WatchEvent};
use watchcache::store::feed::WaitError as NotReached;
use watchcache::{Reflector, Store};

use crate::common::Pod;
use crate::script::{
    Answer, End, Event, FIVE_MINUTES, Script, mirror, mirror_with, odd, odd_page, open, page, pod,
    run, served, unavailable,
};

const EVERY: End = End::Every(Duration::from_secs(2));

fn slowly(events: impl IntoIterator<Item = WatchEvent<Pod>>) -> Answer {
    Answer::Watch(Ok(events.into_iter().map(Ok).collect()), EVERY)
}

fn names(name: &str) -> Vec<String> {
    (0..8).map(|n| format!("{name}/{n}")).collect()
}

/// These keys, each in a version of its own below 100.
fn listed(names: &[String]) -> Vec<(&str, u64)> {
    names.iter().map(String::as_str).zip(1..).collect()
}

fn bad(key: &str, version: u64, deleted: bool) -> WatchEvent<Pod> {
    WatchEvent::Undecodable(Undecodable {
        key: Some(key.parse().unwrap()),
        resource_version: Some(version.to_string().into()),
        deleted,
        ..Undecodable::default()
    })
}

/// Some servers write the object's last version, as aggregators do.
#[tokio::test(start_paused = true)]
async fn deletions_in_the_versions_that_they_delete_show_nothing() {
    type Gone = fn(&str, u64) -> WatchEvent<Pod>;
    let deleted: Gone = |key, version| WatchEvent::Deleted(pod(key, version));
    let alone: Gone = |key, version| WatchEvent::Gone {
        key: key.parse().unwrap(),
        version: version.to_string().into(),
    };
    let undecodable: Gone = |key, version| bad(key, version, true);
    for gone in [deleted, alone, undecodable] {
        let keys = names("a");
        // From the list.
        let events = listed(&keys).into_iter().map(|(key, version)| gone(key, version));
        let answers = [page(100, None, &listed(&keys)), slowly(events)];
        let mirror = self::mirror(answers).await;
        assert_eq!(mirror.asked(), ["list ", "watch 100"]);
        assert!(mirror.store.is_empty());
        // From the watch itself, which has come further.
        let mut events: Vec<_> =
            (0..8).map(|n| WatchEvent::Added(pod(&keys[n], 101 + n as u64))).collect();
        events.push(WatchEvent::Added(pod("b/1", 200)));
        events.extend((0..8).map(|n| gone(&keys[n], 101 + n as u64)));
        let mirror = self::mirror([page(100, None, &[]), slowly(events)]).await;
        assert_eq!(mirror.asked(), ["list ", "watch 100"]);
        assert_eq!(mirror.content(), [("b/1".into(), 200)]);
    }
}

#[tokio::test(start_paused = true)]
async fn old_versions_of_another_shards_objects_show_nothing() {
    let shard = Shard::by_key(0, 2).unwrap();
    let foreign: Vec<String> =
        (0..).map(|n| format!("a/{n}")).filter(|key| !shard.owns(key.as_str())).take(24).collect();
    let events = foreign.iter().zip(1..).map(|(key, version)| match version % 3 {
        0 => WatchEvent::Deleted(pod(key, version)),
        1 => WatchEvent::Added(pod(key, version)),
        _ => bad(key, version, false),
    });
    let answers = [page(100, None, &listed(&foreign)), slowly(events)];
    let mirror = mirror_with(answers, |builder| builder.shard(shard)).await;
    assert_eq!(mirror.asked(), ["list ", "watch 100"]);
}

/// As by a server that begins each watch with what exists, and takes its time.
#[tokio::test(start_paused = true)]
async fn a_slow_replay_of_what_is_held_shows_nothing() {
    let keys = names("a");
    let mut list = listed(&keys);
    list.push(("b/1", 50));
    let replay = list.iter().map(|(key, version)| WatchEvent::Added(pod(key, *version)));
    let mirror = self::mirror([page(100, None, &list), slowly(replay)]).await;
    assert_eq!(mirror.asked(), ["list ", "watch 100"]);
    // And of what came by the watch before it, good or bad.
    let changes = || (0..8).map(|n| WatchEvent::Modified(pod(&keys[n], 101 + n as u64)));
    let poor = || (0..8).map(|n| bad(&format!("c/{n}"), 111 + n, false));
    let end = || [WatchEvent::Modified(pod("b/1", 200))];
    let before: Vec<Event> = changes().chain(poor()).chain(end()).map(Ok).collect();
    let mirror = self::mirror([
        page(100, None, &list),
        Answer::Watch(Ok(before), End::ClosesAfter(Duration::from_secs(10))),
        slowly(changes().chain(poor()).chain(end())),
    ])
    .await;
    assert_eq!(mirror.asked(), ["list ", "watch 100", "watch 200"]);
}

/// Of several clusters, whose versions are all lower than the one that the list bears.
#[tokio::test(start_paused = true)]
async fn events_that_contradict_their_list_show_that_versions_have_no_order() {
    let source = Script::new([
        odd_page(Some("1000000"), &[("a", "u", "500"), ("b", "u", "70")]),
        open(vec![WatchEvent::Modified(odd("a", "u", "501"))]),
        odd_page(Some("1000001"), &[("a", "u", "501"), ("b", "u", "70")]),
        open(vec![WatchEvent::Deleted(odd("b", "u", "71"))]),
        odd_page(Some("1000002"), &[("a", "u", "501")]),
        open(vec![
            WatchEvent::Modified(odd("a", "u", "502")),
            WatchEvent::Added(odd("b", "u2", "72")),
            WatchEvent::Added(odd("c", "u", "3")),
        ]),
    ]);
    let asked = source.asked();
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(source).sink(store.clone()).build();
    let monitor = reflector.monitor();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(100)).await;
        let waited = monitor.wait_for(&"1".into()).await;
        assert_eq!(waited, Err(WaitError::Incomparable));
    };
    reflector.run(stop).await.unwrap();
    let asked: Vec<_> = asked.lock().unwrap().iter().map(|(_, asked)| asked.clone()).collect();
    let expected = ["list ", "watch 1000000", "list ", "watch 1000001", "list ", "watch 1000002"];
    assert_eq!(asked, expected);
    let mut held: Vec<_> =
        store.list().iter().map(|pod| format!("{}@{}", pod.key, pod.resource_version)).collect();
    held.sort();
    assert_eq!(held, ["a@502", "b@72", "c@3"]);
    let progress = monitor.progress();
    assert!(progress.unordered);
    assert_eq!((progress.relist_causes.behind, progress.restarts), (2, 0));
}

/// A list that is older than it says.
#[tokio::test(start_paused = true)]
async fn one_contradiction_costs_one_list_and_changes_nothing_else() {
    let mirror = mirror([
        page(100, None, &[("a/1", 50)]),
        open(vec![WatchEvent::Modified(pod("a/1", 60))]),
        page(110, None, &[("a/1", 60)]),
        open(vec![WatchEvent::Modified(pod("a/1", 111)), WatchEvent::Modified(pod("a/1", 60))]),
    ])
    .await;
    assert_eq!(mirror.asked(), ["list ", "watch 100", "list ", "watch 110"]);
    assert_eq!(mirror.content(), [("a/1".into(), 111)]);
    assert!(!mirror.monitor.progress().unordered);
}

#[tokio::test(start_paused = true)]
async fn what_may_be_another_object_or_is_quarantined_contradicts_nothing() {
    let another = Pod::new("a/1", 60).with_uid("other");
    let mirror = mirror([
        page(100, None, &[("a/1", 50), ("a/2", 50)]),
        open(vec![
            WatchEvent::Deleted(Arc::new(another)),
            WatchEvent::Modified(pod("a/3", 60)),
            WatchEvent::Modified(pod("a/1", 40)),
            bad("a/2", 120, false),
            WatchEvent::Modified(pod("a/2", 60)),
        ]),
    ])
    .await;
    assert_eq!(mirror.asked(), ["list ", "watch 100"]);
    assert_eq!(mirror.content(), [("a/1".into(), 50), ("a/2".into(), 50)]);
}

/// Where the new history changes what the old one held, one event is enough.
#[tokio::test(start_paused = true)]
async fn an_event_of_a_new_history_leads_to_a_list_at_once() {
    let mirror = served(|question, n| {
        Some(match question {
            "list " if n == 0 => page(1200, None, &[("a/1", 900), ("a/lost", 1150)]),
            "list " => page(1002, None, &[("a/1", 1002)]),
            "watch 1002" => open(vec![]),
            _ => open(vec![WatchEvent::Modified(pod("a/1", 1001))]),
        })
    })
    .await;
    assert_eq!(mirror.content(), [("a/1".into(), 1002)]);
    let progress = mirror.monitor.progress();
    assert_eq!((progress.restarts, progress.relist_causes.behind), (1, 1));
    assert!(!progress.unordered);
    // Versions of the new history have an order, though those of the old one are void.
    let wait = |version: &str| mirror.store.wait_for_version(&version.into(), Some(Duration::ZERO));
    assert_eq!((wait("1000"), wait("1002")), (Ok(()), Ok(())));
    assert_eq!(wait("1003"), Err(NotReached::Timeout));
}

/// Two servers behind one address, of which one was restored.
#[tokio::test(start_paused = true)]
async fn lists_that_are_refused_have_the_pace_of_lists() {
    let source = Script::of(|question, n| {
        Some(match question {
            "list " if n == 0 => page(1200, None, &[("a/1", 1100)]),
            "list " => page(1001, None, &[("a/1", 900)]),
            _ => {
                let at = 1201 + n as u64;
                let mut events = vec![WatchEvent::Modified(pod("a/1", at))];
                events.extend((0..3).map(|_| WatchEvent::Bookmark("1001".into())));
                open(events)
            }
        })
    });
    let keep = |builder: ReflectorBuilder<Script>| builder.start_over(false);
    let mirror = run(source, keep, tokio::time::sleep(FIVE_MINUTES)).await;
    assert!(mirror.asked().len() < 50, "{} requests", mirror.asked().len());
    assert_eq!(mirror.monitor.progress().restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_transaction_does_not_complete_the_content() {
    let half = ["a/1", "a/2"].map(|key| Ok(WatchEvent::Added(pod(key, 11))));
    let torn = half.into_iter().chain([Err(unavailable())]).collect();
    let source = Script::new([
        page(10, None, &[]),
        Answer::Watch(Ok(vec![]), End::ClosesAfter(Duration::from_secs(100))),
        Answer::Watch(Ok(torn), End::Closes),
        Answer::Hangs,
    ]);
    let reflector = Reflector::builder(source).sink(Arc::new(Store::new())).build();
    let monitor = reflector.monitor();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(110)).await;
        assert_eq!(monitor.progress().events, 2);
        let lag = monitor.progress().lag().unwrap();
        assert!(lag >= Duration::from_secs(109), "{lag:?}");
    };
    reflector.run(stop).await.unwrap();
}
