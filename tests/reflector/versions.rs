//! What versions mean: when they are told, and where they have no order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use watchcache::reflector::{ChangeFilter, Item, ListPage, Shard, Undecodable, WatchEvent};
use watchcache::store::feed::WaitError;
use watchcache::{Reflector, Status, Store, reflector};

use crate::common::Pod;
use crate::recording::{Plain, Recording, Told};
use crate::script::{
    Answer, End, Event, FIVE_MINUTES, Script, closed, expired, failed, mirror, mirror_with, odd,
    odd_page, open, page, pod, run, served, unavailable,
};

fn versions(store: &Store<Pod>) -> Vec<(String, String, String)> {
    let pods = store.list();
    let mut found: Vec<_> = pods
        .iter()
        .map(|pod| (pod.key.clone(), pod.uid.clone(), pod.resource_version.clone()))
        .collect();
    found.sort();
    found
}

fn owned(pods: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    pods.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn any_number_of_changes_at_one_version_arrive_whole_and_at_once() {
    const MANY: usize = 20_000;
    let keys: Vec<String> = (0..MANY).map(|n| format!("a/{n}")).collect();
    let listed: Vec<_> = keys.iter().map(|key| (key.as_str(), 5)).collect();
    // One delete by prefix, after a change and before another.
    let mut events = vec![WatchEvent::Added(pod("b/1", 11))];
    events.extend(keys.iter().map(|key| WatchEvent::Deleted(pod(key, 12))));
    events.push(WatchEvent::Added(pod("b/2", 13)));
    let mirror = mirror([page(10, None, &listed), open(events)]).await;
    assert_eq!(mirror.content(), [("b/1".into(), 11), ("b/2".into(), 13)]);
    let progress = mirror.monitor.progress();
    assert_eq!((progress.stale_events, progress.relists), (0, 0));
    assert_eq!(progress.largest_batch, MANY as u64 + 1);
    // Whoever sees the version sees all of it.
    let recording = Recording::default();
    let events = [12, 12, 12, 13].into_iter().enumerate();
    let events = events.map(|(n, version)| WatchEvent::Added(pod(&format!("a/{n}"), version)));
    let sink = recording.clone();
    let answers = [page(10, None, &[]), open(events.collect())];
    mirror_with(answers, |builder| builder.batch_limit(1).sink(sink)).await;
    let told: Vec<_> = recording
        .take()
        .into_iter()
        .filter_map(|told| match told {
            Told::Batch(changes, version) => Some((changes.len(), version.unwrap())),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(3, "12".to_owned()), (1, "13".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_breaks_within_a_version_goes_on_before_it() {
    let half = |from: usize| {
        (from..from + 2_500).map(|n| Ok(WatchEvent::Added(pod(&format!("a/{n}"), 11)))).collect()
    };
    let mut first: Vec<Event> = half(0);
    first.push(Err(unavailable()));
    let mut whole: Vec<Event> = half(0);
    whole.extend(half(2_500));
    let mirror = mirror([
        page(10, None, &[]),
        Answer::Watch(Ok(first), End::Closes),
        Answer::Watch(Ok(whole), End::StaysOpen),
    ])
    .await;
    assert_eq!(mirror.asked(), ["list ", "watch 10", "watch 10"]);
    assert_eq!(mirror.content().len(), 5_000);
    assert_eq!(mirror.monitor.progress().stale_events, 2_500);
    // Until the rest has come, the version is not told.
    let mut first: Vec<Event> = half(0);
    first.push(Err(unavailable()));
    let answers = [page(10, None, &[]), Answer::Watch(Ok(first), End::Closes), Answer::Hangs];
    let mirror = self::mirror(answers).await;
    assert_eq!(mirror.content().len(), 2_500);
    assert_eq!(mirror.store.resource_version().unwrap().as_str(), "10");
    assert_eq!(mirror.monitor.progress().resource_version.unwrap().as_str(), "10");
    // A bookmark says that nothing is missing.
    let bookmark = WatchEvent::Bookmark("11".into());
    let both = ["a/1", "a/2"].map(|key| WatchEvent::Added(pod(key, 11)));
    let events = both.into_iter().chain([bookmark]).collect();
    let mirror = self::mirror([page(10, None, &[]), closed(events)]).await;
    assert_eq!(mirror.asked(), ["list ", "watch 10", "watch 11"]);
}

#[tokio::test(start_paused = true)]
async fn a_late_event_is_known_among_four_thousand_others() {
    let mut events: Vec<_> =
        (0..4_000).map(|n| WatchEvent::Added(pod(&format!("a/{n}"), 100 + n))).collect();
    events.push(WatchEvent::Added(pod("b/late", 50)));
    events.push(WatchEvent::Added(pod("a/0", 60)));
    events.push(WatchEvent::Modified(pod("a/1", 101)));
    let mirror = mirror([page(10, None, &[]), open(events)]).await;
    assert_eq!(mirror.store.get("b/late").unwrap().version(), 50);
    assert_eq!(mirror.store.get("a/0").unwrap().version(), 100);
    assert_eq!(mirror.monitor.progress().stale_events, 2);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_may_carry_the_version_that_is_held() {
    let mirror = mirror([
        page(10, None, &[("a/1", 5), ("a/2", 6), ("a/3", 7)]),
        open(vec![
            // The object's last version, from the list.
            WatchEvent::Deleted(pod("a/1", 5)),
            // The same of one that has changed since.
            WatchEvent::Modified(pod("a/2", 11)),
            WatchEvent::Deleted(pod("a/2", 11)),
            // Of an object that was there before this one, or of an older version: late.
            WatchEvent::Deleted(Arc::new(Pod::new("a/3", 7).with_uid("other"))),
            WatchEvent::Deleted(pod("a/3", 6)),
        ]),
    ])
    .await;
    assert_eq!(mirror.content(), [("a/3".into(), 7)]);
    assert_eq!(mirror.monitor.progress().stale_events, 2);
    let queued: Vec<_> = mirror.fifo.list().iter().map(|pod| pod.key.clone()).collect();
    assert_eq!(queued, ["a/3"]);
}

#[tokio::test(start_paused = true)]
async fn another_uid_is_another_object() {
    let relisted = |uid: &str, version: u64| {
        let pod = Pod::new("a/1", version).with_uid(uid);
        Answer::List(Ok(ListPage::new(vec![Item::Object(Arc::new(pod))], "20")))
    };
    for (uid, version) in [("new", 5), ("new", 4), ("uid", 15)] {
        let gone = Answer::Watch(Err(expired()), End::Closes);
        let mirror = mirror([page(10, None, &[("a/1", 5)]), gone, relisted(uid, version)]).await;
        let held = mirror.store.get("a/1").unwrap();
        assert_eq!((held.uid.as_str(), held.version()), (uid, version));
    }
}

#[tokio::test(start_paused = true)]
async fn bookmarks_without_a_version_say_nothing() {
    let mirror = mirror([
        page(10, None, &[]),
        closed(vec![
            WatchEvent::Modified(pod("a/1", 11)),
            WatchEvent::Bookmark("0".into()),
            WatchEvent::Bookmark("".into()),
        ]),
        open(vec![]),
    ])
    .await;
    assert_eq!(mirror.asked(), ["list ", "watch 10", "watch 11"]);
    assert_eq!(mirror.monitor.progress().empty_bookmarks, 2);
}

#[tokio::test(start_paused = true)]
async fn an_empty_version_of_an_object_is_none() {
    let mirror = mirror([
        odd_page(Some("10"), &[("a/1", "u", "")]),
        closed(vec![WatchEvent::Modified(odd("a/1", "u", "")), WatchEvent::Added(pod("a/2", 11))]),
        open(vec![]),
    ])
    .await;
    assert_eq!(mirror.asked(), ["list ", "watch 10", "watch 11"]);
    assert_eq!(mirror.monitor.progress().events, 2, "what has no version may have changed");
    assert_eq!(mirror.store.revision().get(), 2);
}

/// Lists are opaque, items carry their own clusters' numbers, events something else again.
#[tokio::test(start_paused = true)]
async fn opaque_versions_are_taken_as_they_come() {
    let mirror = mirror([
        odd_page(Some("eyJ1"), &[("a", "u-a", "659432795"), ("b", "u-b", "70")]),
        Answer::Watch(
            Ok(vec![
                Ok(WatchEvent::Modified(odd("a", "u-a", "eyJ2"))),
                Ok(WatchEvent::Added(odd("c", "u-c", "eyJ3"))),
                Ok(WatchEvent::Deleted(odd("b", "u-b", "eyJ4"))),
                Ok(WatchEvent::Deleted(odd("a", "u-a", "eyJ5"))),
                Ok(WatchEvent::Added(odd("a", "u-a2", "3"))),
                Err(expired()),
            ]),
            End::Closes,
        ),
        odd_page(Some("eyJ9"), &[("a", "u-a2", "100"), ("c", "u-c", "3")]),
        // A number that is far lower than what is held.
        open(vec![WatchEvent::Modified(odd("a", "u-a2", "7"))]),
    ])
    .await;
    assert_eq!(mirror.asked(), ["list ", "watch eyJ1", "list ", "watch eyJ9"]);
    assert_eq!(versions(&mirror.store), owned(&[("a", "u-a2", "7"), ("c", "u-c", "3")]));
}

/// The list's version is a number, those of its items are others' numbers.
#[tokio::test(start_paused = true)]
async fn versions_that_exceed_their_lists_are_not_compared() {
    let mirror = mirror([
        odd_page(Some("100"), &[("a", "u-a", "900000"), ("b", "u-b", "800000")]),
        closed(vec![
            WatchEvent::Modified(odd("b", "u-b2", "42")),
            WatchEvent::Added(odd("c", "u-c", "41")),
        ]),
        Answer::Watch(Err(expired()), End::Closes),
        odd_page(Some("200"), &[("b", "u-b2", "42"), ("c", "u-c", "40")]),
    ])
    .await;
    assert_eq!(mirror.asked()[..4], ["list ", "watch 100", "watch 41", "list "]);
    assert_eq!(versions(&mirror.store), owned(&[("b", "u-b2", "42"), ("c", "u-c", "40")]));
    assert_eq!(mirror.store.resource_version().unwrap().as_str(), "200");
}

/// The second list's number happens to be no smaller than its objects'.
#[tokio::test(start_paused = true)]
async fn versions_that_exceeded_their_list_once_have_no_order() {
    let mirror = mirror([
        odd_page(Some("10"), &[("a", "u", "12")]),
        Answer::Watch(Err(expired()), End::Closes),
        odd_page(Some("20"), &[("a", "u", "12")]),
        open(vec![WatchEvent::Added(odd("c", "u", "3"))]),
    ])
    .await;
    assert_eq!(versions(&mirror.store), owned(&[("a", "u", "12"), ("c", "u", "3")]));
    assert!(mirror.monitor.progress().unordered);
}

#[tokio::test(start_paused = true)]
async fn a_resync_does_not_say_that_versions_have_an_order() {
    let held = Plain::default();
    let mirrored = Arc::clone(&held.0);
    mirror_with([odd_page(Some("10"), &[("a", "u", "12")]), open(vec![])], |builder| {
        builder.sink(held.clone()).resync(Duration::from_secs(1), move || mirrored.list())
    })
    .await;
    let waited = held.0.wait_for_version(&"1".into(), Some(Duration::ZERO));
    assert_eq!(waited, Err(WaitError::Unordered("1".into())));
}

#[tokio::test(start_paused = true)]
async fn numbers_of_any_length_have_an_order() {
    let mirror = mirror([
        odd_page(Some("18446744073709551615"), &[("a", "u", "18446744073709551614")]),
        closed(vec![
            WatchEvent::Modified(odd("a", "u", "18446744073709551618")),
            WatchEvent::Bookmark("18446744073709551621".into()),
        ]),
        open(vec![]),
    ])
    .await;
    assert_eq!(mirror.asked()[2], "watch 18446744073709551621");
    assert_eq!(versions(&mirror.store), owned(&[("a", "u", "18446744073709551618")]));
}

/// A watch without a version begins with what exists, and tells of no deletion before it.
#[tokio::test(start_paused = true)]
async fn a_list_without_a_version_is_watched_from_now_and_followed_by_another_list() {
    let half_a_minute = End::ClosesAfter(Duration::from_secs(30));
    let lists = AtomicUsize::new(0);
    let mirror = served(move |question, _| {
        let list = lists.load(Ordering::Relaxed);
        Some(match question {
            "list " => {
                lists.fetch_add(1, Ordering::Relaxed);
                match list {
                    0 => odd_page(None, &[("a", "u", "5"), ("b", "u", "6")]),
                    _ => odd_page(Some(""), &[("a", "u", "5")]),
                }
            }
            "watch " => {
                let replay = vec![Ok(WatchEvent::Added(odd("a", "u", "5")))];
                Answer::Watch(Ok(replay), half_a_minute)
            }
            other => panic!("{other}"),
        })
    })
    .await;
    assert_eq!(versions(&mirror.store), owned(&[("a", "u", "5")]));
    let progress = mirror.monitor.progress();
    assert_eq!((progress.events, progress.resource_version), (0, None), "replays are known");
    assert_eq!(mirror.asked().len(), 20, "a list each half minute");
    assert_eq!(progress.relist_causes.unversioned, progress.relists);
}

/// What went between the list and its watch is told by none of the two, wherever the watch comes to.
#[tokio::test(start_paused = true)]
async fn what_goes_between_a_list_without_a_version_and_its_watch_goes_with_the_next_list() {
    let mirror = mirror([
        odd_page(None, &[("a", "u", "5"), ("gone", "u", "6")]),
        closed(vec![
            WatchEvent::Added(odd("b", "u", "50")),
            WatchEvent::Added(odd("a", "u", "5")),
            WatchEvent::Modified(odd("a", "u", "60")),
            WatchEvent::Added(odd("c", "u", "61")),
        ]),
        odd_page(Some("61"), &[("a", "u", "60"), ("b", "u", "50"), ("c", "u", "61")]),
        closed(vec![WatchEvent::Bookmark("62".into())]),
    ])
    .await;
    assert_eq!(mirror.asked(), ["list ", "watch ", "list ", "watch 61", "watch 62"]);
    let expected = owned(&[("a", "u", "60"), ("b", "u", "50"), ("c", "u", "61")]);
    assert_eq!(versions(&mirror.store), expected);
    assert_eq!(mirror.monitor.progress().relist_causes.unversioned, 1);
}

/// As the Kubernetes source tells of another shard's objects.
#[tokio::test(start_paused = true)]
async fn what_is_gone_in_another_shard_ends_no_replay() {
    let shard = Shard::by_key(0, 2).unwrap();
    let mut names = (0..).map(|n| format!("a/{n}"));
    let foreign = names.clone().find(|name| !shard.owns(name.as_str())).unwrap();
    let own = names.find(|name| shard.owns(name.as_str())).unwrap();
    let answers = [
        odd_page(None, &[(&own, "u", "5")]),
        open(vec![
            WatchEvent::Gone { key: foreign.parse().unwrap(), version: "7".into() },
            WatchEvent::Added(odd(&own, "u", "5")),
        ]),
    ];
    let mirror = mirror_with(answers, |builder| builder.shard(shard)).await;
    let progress = mirror.monitor.progress();
    assert_eq!((progress.events, progress.stale_events), (0, 1), "it is known");
    assert_eq!(progress.resource_version, None, "a replayed version is no place");
}

/// A queue does not tell what it holds, and a filter's store may hold less than was told.
#[tokio::test(start_paused = true)]
async fn a_deletion_in_a_version_that_is_not_new_counts_where_nobody_knows_what_is_held() {
    type Gone = fn() -> WatchEvent<Pod>;
    let undecodable = || {
        let mut bad = Undecodable::new("a/1".parse().ok(), Some("5".into()), "it is bad");
        bad.deleted = true;
        WatchEvent::Undecodable(bad)
    };
    let alone = || WatchEvent::Gone { key: "a/1".parse().unwrap(), version: "5".into() };
    let gone: [Gone; 3] = [|| WatchEvent::Deleted(pod("a/1", 5)), undecodable, alone];
    for gone in gone {
        let script = Script::new([page(10, None, &[("a/1", 5), ("a/2", 6)]), open(vec![gone()])]);
        let recording = Recording::default();
        let reflector = Reflector::builder(script).sink(recording.clone()).build();
        reflector.run(tokio::time::sleep(Duration::from_secs(100))).await.unwrap();
        let deleted = vec![("a/1".to_owned(), None)];
        let told = recording.take();
        assert!(
            told.iter().any(|told| matches!(told, Told::Batch(it, _) if *it == deleted)),
            "{told:?}"
        );
    }

    let script = Script::new([
        page(10, None, &[("a/1", 5), ("a/2", 6)]),
        Answer::Watch(Err(expired()), End::Closes),
        page(20, None, &[("a/1", 15), ("a/2", 6)]),
        open(vec![WatchEvent::Deleted(pod("a/1", 15))]),
    ]);
    let store = Arc::new(Store::new());
    let filter = ChangeFilter::new(store.clone()).on(|pod: &Pod| &pod.key);
    let reflector = Reflector::builder(script).sink(filter).build();
    reflector.run(tokio::time::sleep(Duration::from_secs(100))).await.unwrap();
    assert_eq!(versions(&store), owned(&[("a/2", "uid", "6")]));
}

/// A server that was restored from a backup, and says so when it is asked for its future.
#[tokio::test(start_paused = true)]
async fn a_history_that_was_set_back_is_mirrored_again() {
    let restored = |question: &str, n: usize| {
        Some(match question {
            "list " if n == 0 => page(1200, None, &[("a/1", 1100), ("b/1", 1150)]),
            "list " => page(1001, None, &[("a/1", 900), ("c/1", 1001)]),
            "watch 1001" => open(vec![WatchEvent::Modified(pod("a/1", 1002))]),
            _ => {
                let current = Duration::from_secs(1);
                let status = Status::resource_version_too_large(1200, 1001, current);
                Answer::Watch(Err(failed(status)), End::Closes)
            }
        })
    };
    let mirror = served(restored).await;
    assert_eq!(mirror.content(), [("a/1".into(), 1002), ("c/1".into(), 1001)]);
    let progress = mirror.monitor.progress();
    assert_eq!((progress.restarts, progress.behind), (1, None));
    assert_eq!(mirror.store.resource_version().unwrap().as_str(), "1002");
    let asked = mirror.asked.lock().unwrap().clone();
    let (at, _) = asked.iter().find(|(_, question)| question == "watch 1001").unwrap();
    assert!(*at < Duration::from_secs(60), "{asked:?}");

    // What was written in the history that is void is not waited for in the next.
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(Script::of(restored)).sink(store.clone()).build();
    let (monitor, written) = (reflector.monitor(), "1201".into());
    let waits = (monitor.wait_for(&written), store.wait_for_version_async(&written, None));
    reflector.run(tokio::time::sleep(FIVE_MINUTES)).await.unwrap();
    assert_eq!(waits.0.await, Err(reflector::WaitError::StartedOver));
    assert_eq!(waits.1.await, Err(WaitError::StartedOver(written)));
    assert_eq!(monitor.wait_for(&"1002".into()).await, Ok(()), "of the new one");

    let keep = |builder: watchcache::reflector::ReflectorBuilder<Script>| builder.start_over(false);
    let mirror = run(Script::of(restored), keep, tokio::time::sleep(FIVE_MINUTES)).await;
    assert_eq!(mirror.content(), [("a/1".into(), 1100), ("b/1".into(), 1150)]);
    let progress = mirror.monitor.progress();
    assert_eq!(progress.behind.map(|version| version.to_string()).as_deref(), Some("1001"));
    assert!(mirror.asked().len() < 40, "{:?}", mirror.asked());
}

/// The same, by a server that takes the watch, and names its true version in bookmarks.
#[tokio::test(start_paused = true)]
async fn bookmarks_that_stay_behind_show_that_a_history_was_set_back() {
    let mirror = served(|question, n| {
        Some(match question {
            "list " if n == 0 => page(1200, None, &[("a/1", 1100)]),
            "list " => page(1001, None, &[("a/1", 900)]),
            "watch 1001" => open(vec![]),
            _ => open((0..20).map(|_| WatchEvent::Bookmark("1001".into())).collect()),
        })
    })
    .await;
    assert_eq!(mirror.content(), [("a/1".into(), 900)]);
    let progress = mirror.monitor.progress();
    assert_eq!((progress.restarts, progress.relist_causes.behind), (1, 1));
    assert!(!mirror.monitor.is_ready(Duration::from_secs(3600)), "it has stopped");
}

/// The same without bookmarks: the watch goes on in the new history.
#[tokio::test(start_paused = true)]
async fn events_that_stay_behind_show_that_a_history_was_set_back() {
    let events = |from: u64| (from..from + 8).map(|at| Ok(WatchEvent::Modified(pod("a/1", at))));
    let mirror = served(move |question, n| {
        let second = End::Every(Duration::from_secs(2));
        Some(match question {
            "list " if n == 0 => page(1200, None, &[("a/1", 1100), ("a/lost", 1150)]),
            "list " => page(1001, None, &[("a/1", 900)]),
            "watch 1001" => open(vec![]),
            _ => Answer::Watch(Ok(events(901).collect()), second),
        })
    })
    .await;
    assert_eq!(mirror.content(), [("a/1".into(), 900)]);
    let progress = mirror.monitor.progress();
    assert_eq!((progress.restarts, progress.relist_causes.out_of_order), (1, 1));
    // What a server repeats as a watch begins is another matter.
    let repeated = events(901).chain([Ok(WatchEvent::Modified(pod("a/1", 1201)))]).collect();
    let mirror = self::mirror([
        page(1200, None, &[("a/1", 1100)]),
        Answer::Watch(Ok(repeated), End::StaysOpen),
    ])
    .await;
    assert_eq!(mirror.asked(), ["list ", "watch 1200"]);
}

#[tokio::test(start_paused = true)]
async fn one_old_bookmark_is_a_fault_and_no_more() {
    let old = || WatchEvent::Bookmark("5".into());
    let mirror = mirror([
        page(10, None, &[]),
        open(vec![old(), old(), WatchEvent::Bookmark("11".into()), old(), old()]),
    ])
    .await;
    assert_eq!(mirror.asked(), ["list ", "watch 10"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_was_only_opened_shows_nothing_to_be_complete() {
    // Each is opened, says nothing of use, and ends.
    let useless: [fn() -> Vec<WatchEvent<Pod>>; 3] = [
        Vec::new,
        || vec![WatchEvent::Modified(pod("a/1", 5))],
        || vec![WatchEvent::Bookmark("7".into())],
    ];
    for events in useless {
        let source = Script::of(move |question, _| {
            Some(match question {
                "list " => page(10, None, &[("a/1", 5)]),
                _ => {
                    let events = events().into_iter().map(Ok).collect();
                    Answer::Watch(Ok(events), End::ClosesAfter(Duration::from_secs(40)))
                }
            })
        });
        let reflector = Reflector::builder(source).sink(Arc::new(Store::new())).build();
        let monitor = reflector.monitor();
        let stop = async {
            monitor.synced().await.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
            let lag = monitor.progress().lag().unwrap();
            assert!(lag >= Duration::from_secs(60), "{lag:?}");
            assert!(!monitor.is_ready(Duration::from_secs(59)));
        };
        reflector.run(stop).await.unwrap();
    }
    let answers = [page(10, None, &[]), open(vec![WatchEvent::Bookmark("10".into())])];
    let mirror = mirror(answers).await;
    let progress = mirror.monitor.progress();
    assert!(progress.last_complete.is_some() && progress.last_complete <= progress.last_contact);
}

/// Two lists that are behind, however far apart, or many at once, may come from a server that lags.
#[tokio::test(start_paused = true)]
async fn a_server_that_lags_for_a_while_is_no_history_that_was_set_back() {
    let ten = Duration::from_secs(10);
    for (lists, delay) in [(2, ten), (4, Duration::from_millis(1))] {
        let expired = Answer::Watch(Err(expired()), End::Closes);
        let behind = (0..lists).map(|_| page(5, None, &[("a/old", 5)]));
        let answers = [page(10, None, &[("a/1", 9)]), expired].into_iter().chain(behind);
        let answers = answers.chain([page(20, None, &[("a/2", 15)])]);
        let mirror = mirror_with(answers, |builder| builder.backoff(delay, delay)).await;
        assert_eq!(mirror.monitor.progress().restarts, 0);
        assert_eq!(mirror.content(), [("a/2".into(), 15)]);
    }
}

/// A watch that began before a version of which several changes came says with its first bookmark no more than
/// where it began: the version is still open, and what is missing of it comes by the watch after it.
#[tokio::test(start_paused = true)]
async fn a_bookmark_from_before_an_unfinished_version_does_not_finish_it() {
    let torn = |keys: &[&str], bookmark: Option<&str>| {
        let bookmark = bookmark.map(|version| Ok(WatchEvent::Bookmark(version.into())));
        let added = keys.iter().map(|key| Ok(WatchEvent::Added(pod(key, 11))));
        let events = bookmark.into_iter().chain(added).chain([Err(unavailable())]);
        Answer::Watch(Ok(events.collect()), End::Closes)
    };
    let mirror = mirror([
        page(10, None, &[]),
        torn(&["k/1", "k/2"], None),
        torn(&["k/1", "k/2", "k/3"], Some("10")),
        torn(&["k/1", "k/2", "k/3", "k/4"], Some("10")),
        open(vec![WatchEvent::Bookmark("11".into())]),
    ])
    .await;
    assert_eq!(mirror.asked(), ["list ", "watch 10", "watch 10", "watch 10", "watch 10"]);
    assert_eq!(mirror.content().len(), 4);
    assert_eq!(mirror.monitor.progress().resource_version.unwrap().as_str(), "11");
}

/// Nor does it show that the source is behind, however often such a watch breaks.
#[tokio::test(start_paused = true)]
async fn where_a_watch_begins_within_a_version_the_source_is_not_behind() {
    let bookmarked = || {
        let events = vec![Ok(WatchEvent::Bookmark("10".into()))];
        Answer::Watch(Ok(events), End::BreaksAfter(Duration::from_secs(20)))
    };
    let both = ["k/1", "k/2"].map(|key| Ok(WatchEvent::Added(pod(key, 11))));
    let mirror = mirror([
        page(10, None, &[]),
        Answer::Watch(Ok(both.into_iter().collect()), End::BreaksAfter(Duration::from_secs(20))),
        bookmarked(),
        bookmarked(),
        bookmarked(),
        open(vec![WatchEvent::Added(pod("k/3", 11)), WatchEvent::Bookmark("11".into())]),
    ])
    .await;
    let watches = ["list ", "watch 10", "watch 10", "watch 10", "watch 10", "watch 10"];
    assert_eq!(mirror.asked(), watches);
    assert_eq!(mirror.content().len(), 3);
}

/// But where it says so again and again, it is: the version that has come in part is lost.
#[tokio::test(start_paused = true)]
async fn a_history_that_was_set_back_to_just_before_an_unfinished_version_is_mirrored_again() {
    let mirror = served(|question, n| {
        Some(match question {
            "list " if n == 0 => page(10, None, &[("k/0", 9)]),
            "list " => page(10, None, &[("k/0", 9)]),
            _ if n == 1 => {
                let both = ["k/1", "k/2"].map(|key| Ok(WatchEvent::Added(pod(key, 11))));
                let events = both.into_iter().collect();
                Answer::Watch(Ok(events), End::BreaksAfter(Duration::from_secs(20)))
            }
            _ => {
                let events = (0..5).map(|_| Ok(WatchEvent::Bookmark("10".into()))).collect();
                Answer::Watch(Ok(events), End::Every(Duration::from_secs(10)))
            }
        })
    })
    .await;
    assert_eq!(mirror.content(), [("k/0".into(), 9)]);
    let progress = mirror.monitor.progress();
    assert_eq!((progress.restarts, progress.relist_causes.behind), (1, 1));
}

/// The sinks have a part of a version that is not told yet: a list from before it would take them back.
#[tokio::test(start_paused = true)]
async fn a_list_from_before_what_was_delivered_in_part_is_refused() {
    let recording = Recording::default();
    let sink = recording.clone();
    let both = ["k/1", "k/2"].map(|key| Ok(WatchEvent::Modified(pod(key, 107))));
    let events = both.into_iter().chain([Err(unavailable())]).collect();
    let answers = [
        page(100, None, &[("k/1", 59), ("k/2", 60)]),
        Answer::Watch(Ok(events), End::Closes),
        Answer::Watch(Err(expired()), End::Closes),
        page(106, None, &[("k/1", 59), ("k/2", 60)]),
        page(107, None, &[("k/1", 107), ("k/2", 107), ("k/3", 107)]),
    ];
    let mirror = mirror_with(answers, |builder| builder.sink(sink)).await;
    assert_eq!(mirror.asked()[..5], ["list ", "watch 100", "watch 106", "list ", "list "]);
    let lists = recording.take().into_iter().filter_map(|told| match told {
        Told::Listing(_, version) => version,
        _ => None,
    });
    assert_eq!(lists.collect::<Vec<_>>(), ["100", "107"]);
}
