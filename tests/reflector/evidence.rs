//! What shows that a source's history was set back, or that its versions have no order, and what does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use watchcache::reflector::{ReflectorBuilder, Shard, Undecodable, WatchEvent};
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
    let version = Some(version.to_string().into());
    let mut bad = Undecodable::new(key.parse().ok(), version, "it is bad");
    bad.deleted = deleted;
    WatchEvent::Undecodable(bad)
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

/// Of several clusters, whose versions are all lower than the one that the list bears: as of a server whose
/// lists are older than they say, or of two of which one was restored.
#[tokio::test(start_paused = true)]
async fn events_that_contradict_their_list_lead_to_lists_however_often() {
    let answers = [
        odd_page(Some("1000000"), &[("a", "u", "500"), ("b", "u", "70"), ("d", "u", "5")]),
        open(vec![WatchEvent::Modified(odd("a", "u", "501"))]),
        odd_page(Some("1000001"), &[("a", "u", "501"), ("b", "u", "70"), ("d", "u", "5")]),
        open(vec![WatchEvent::Deleted(odd("b", "u", "71"))]),
        odd_page(Some("1000002"), &[("a", "u", "501"), ("d", "u", "5")]),
        open(vec![WatchEvent::Gone { key: "d".parse().unwrap(), version: "6".into() }]),
        odd_page(Some("1000003"), &[("a", "u", "501")]),
        open(vec![bad("a", 502, false)]),
        odd_page(Some("1000004"), &[("a", "u", "502")]),
    ];
    let mirror = mirror_with(answers, |builder| builder.start_over(false)).await;
    let told = mirror.asked();
    let lists = told.iter().filter(|asked| *asked == "list ").count();
    assert_eq!((lists, told.len()), (5, 10), "{told:?}");
    let held: Vec<_> = mirror.store.list().iter().map(|pod| pod.resource_version.clone()).collect();
    assert_eq!(held, ["502"]);
    let progress = mirror.monitor.progress();
    assert!(!progress.unordered);
    assert_eq!((progress.relist_causes.out_of_order, progress.restarts), (4, 0));
    assert_eq!((progress.relist_causes.behind, progress.behind), (0, None));
    let error = progress.last_error.unwrap();
    assert!(error.contains("version 502 came after 1000003"), "{error}");
}

/// What is added there, and nobody holds, may be a repetition; a list shows it.
#[tokio::test(start_paused = true)]
async fn an_addition_that_is_older_than_its_list_comes_with_a_list_within_minutes() {
    for ends in [true, false] {
        let added = |n: u64| Ok(WatchEvent::Added(pod("a/new", n)));
        let mut events = vec![added(7)];
        events.extend((1..5).map(|_| Ok(WatchEvent::Bookmark("1000".into()))));
        let minute = Duration::from_secs(60);
        let watch = match ends {
            true => Answer::Watch(Ok(events), End::ClosesAfter(minute * 4)),
            false => Answer::Watch(Ok(events), End::Every(minute)),
        };
        let mirror = mirror([
            page(1000, None, &[("a/1", 5)]),
            watch,
            page(1001, None, &[("a/1", 5), ("a/new", 7)]),
            open(vec![]),
        ])
        .await;
        assert_eq!(mirror.content(), [("a/1".into(), 5), ("a/new".into(), 7)], "{ends}");
        assert!(!mirror.monitor.progress().unordered);
    }
}

/// As by a server that begins each watch with what was once added.
#[tokio::test(start_paused = true)]
async fn lists_that_do_not_show_what_is_repeated_become_rare() {
    let source = Script::of(|question, _| {
        Some(match question {
            "list " => page(1000, None, &[("a/1", 5)]),
            _ => Answer::Watch(
                Ok(vec![
                    Ok(WatchEvent::Added(pod("a/gone", 7))),
                    Ok(WatchEvent::Bookmark("1000".into())),
                ]),
                End::ClosesAfter(Duration::from_secs(60)),
            ),
        })
    });
    let mirror = run(source, |builder| builder, tokio::time::sleep(FIVE_MINUTES * 24)).await;
    let lists = mirror.asked().iter().filter(|asked| *asked == "list ").count();
    assert!((5..10).contains(&lists), "{lists} lists in two hours");
    assert_eq!(mirror.content(), [("a/1".into(), 5)]);
}

/// The list that would answer an event is refused, and watches work.
#[tokio::test(start_paused = true)]
async fn a_contradiction_does_not_end_watching_where_lists_fail() {
    let asked = Arc::new(AtomicUsize::new(0));
    let lists = Arc::clone(&asked);
    let source = Script::of(move |question, n| {
        Some(match question {
            "list " if n == 0 => page(100, None, &[("a/1", 50)]),
            "list " if lists.fetch_add(1, Ordering::Relaxed) < 3 => {
                Answer::List(Err(unavailable()))
            }
            "list " => page(110, None, &[("a/1", 60), ("a/2", 101)]),
            "watch 100" => {
                open(vec![WatchEvent::Modified(pod("a/1", 60)), WatchEvent::Added(pod("a/2", 101))])
            }
            _ => slowly((0..200).map(|_| WatchEvent::Bookmark("109".into()))),
        })
    });
    let stop = tokio::time::sleep(Duration::from_secs(60));
    let mirror = run(source, |builder| builder, stop).await;
    assert_eq!(mirror.content(), [("a/1".into(), 50), ("a/2".into(), 101)]);
    assert_eq!(asked.load(Ordering::Relaxed), 1, "{:?}", mirror.asked());
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
    assert_eq!((progress.restarts, progress.relist_causes.out_of_order), (1, 1));
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

/// The list that was due fails, and the watch goes on where it was.
fn fails_to_list(watch: fn() -> Answer) -> Script {
    Script::of(move |question, n| {
        Some(match question {
            "list " if n == 0 => page(100, None, &[("a/1", 50)]),
            "list " => Answer::List(Err(unavailable())),
            "watch 100" if n == 1 => watch(),
            _ => open(vec![]),
        })
    })
}

/// A watch is given up for a list once it has nothing ready: what is late in it would be lost.
#[tokio::test(start_paused = true)]
async fn a_late_event_is_not_lost_with_the_watch_that_is_given_up() {
    let source = fails_to_list(|| {
        open(vec![
            WatchEvent::Modified(pod("a/1", 60)),
            WatchEvent::Added(pod("a/3", 103)),
            WatchEvent::Added(pod("a/2", 102)),
        ])
    });
    let mirror = run(source, |builder| builder, tokio::time::sleep(Duration::from_secs(60))).await;
    assert_eq!(mirror.content(), [("a/1".into(), 50), ("a/2".into(), 102), ("a/3".into(), 103)]);
}

/// But not only then.
#[tokio::test(start_paused = true)]
async fn a_watch_that_is_always_ready_is_given_up_too() {
    let source = fails_to_list(|| {
        let old = WatchEvent::Modified(pod("a/1", 60));
        let busy = (101..40_000).map(|n| WatchEvent::Modified(pod("a/2", n)));
        open([old].into_iter().chain(busy).collect())
    });
    let mirror = run(source, |builder| builder, tokio::time::sleep(Duration::from_secs(9))).await;
    let asked = mirror.asked();
    assert_eq!(asked[..3], ["list ", "watch 100", "list "], "{asked:?}");
    assert!(asked[3..].iter().all(|asked| asked != "watch 39999"), "{asked:?}");
}

/// One becomes due with the first change of a version, and the others are still on their way.
#[tokio::test(start_paused = true)]
async fn a_watch_that_is_given_up_within_a_version_begins_before_it_again() {
    let source = fails_to_list(|| {
        let added = |key: &str, version| Ok(WatchEvent::Added(pod(key, version)));
        let events =
            vec![added("a/new", 7), added("a/1", 101), added("a/2", 102), added("a/3", 102)];
        Answer::Watch(Ok(events), End::Every(Duration::from_secs(61)))
    });
    let mirror = run(source, |builder| builder, tokio::time::sleep(FIVE_MINUTES)).await;
    let asked = mirror.asked();
    assert_eq!(asked[..3], ["list ", "watch 100", "list "], "{asked:?}");
    assert_eq!(asked.last().unwrap(), "watch 101", "{asked:?}");
}

/// Of a source that joins others, though no list shows it: what the others change never is newer than what came,
/// while the one of the largest numbers goes on. A queue alone does not tell what it was given.
#[tokio::test(start_paused = true)]
async fn behind_a_queue_alone_old_events_lead_to_a_list_whatever_comes_between() {
    let source = Script::of(|question, n| {
        Some(match question {
            "list " if n == 0 => page(1000, None, &[("big/1", 900), ("small/1", 5)]),
            "list " => page(1020, None, &[("big/1", 1010), ("small/1", 10)]),
            "watch 1000" => slowly((1..12).flat_map(|n| {
                let small = WatchEvent::Modified(pod("small/1", 5 + n));
                [small, WatchEvent::Modified(pod("big/1", 1000 + n))]
            })),
            _ => open(vec![]),
        })
    });
    let asked = source.asked();
    let fifo = watchcache::Fifo::<Pod>::new();
    let reflector = Reflector::builder(source).sink(fifo.clone()).build();
    reflector.run(tokio::time::sleep(Duration::from_secs(60))).await.unwrap();
    let asked: Vec<_> = asked.lock().unwrap().iter().map(|(_, asked)| asked.clone()).collect();
    assert_eq!(asked, ["list ", "watch 1000", "list ", "watch 1020"]);
    let small = fifo.list().into_iter().find(|pod| pod.key == "small/1");
    assert_eq!(small.unwrap().version(), 10);
}

/// A store tells that it holds something newer.
#[tokio::test(start_paused = true)]
async fn old_events_between_new_ones_show_nothing_to_a_store() {
    let events = (1..12).flat_map(|n| {
        let old = WatchEvent::Modified(pod("a/1", 5 + n));
        [old, WatchEvent::Modified(pod("a/1", 1000 + n))]
    });
    let mirror = mirror([page(1000, None, &[("a/1", 900)]), slowly(events)]).await;
    assert_eq!(mirror.asked(), ["list ", "watch 1000"]);
}
