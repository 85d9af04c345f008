//! What a reflector does while nothing is wrong, and with the faults that every server has.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use watchcache::reflector::{
    Item, ListPage, Phase, SourceError, Undecodable, WaitError, WatchEvent,
};
use watchcache::{Fifo, Key, Reflector, Status, Store};

use crate::script::{
    Answer, End, FIVE_MINUTES, Script, closed, expired, expired_with, mirror, mirror_with, odd,
    odd_page, open, page, pod, run, unavailable,
};

#[tokio::test(start_paused = true)]
async fn lists_in_pages_then_watches_into_every_sink() {
    let mirror = mirror([
        page(10, Some("next"), &[("a/1", 1), ("a/2", 2)]),
        page(10, None, &[("a/3", 3)]),
        open(vec![
            WatchEvent::Added(pod("a/4", 11)),
            WatchEvent::Modified(pod("a/1", 12)),
            WatchEvent::Deleted(pod("a/2", 13)),
        ]),
    ])
    .await;
    assert_eq!(mirror.content(), [("a/1".into(), 12), ("a/3".into(), 3), ("a/4".into(), 11)]);
    assert_eq!(mirror.asked(), ["list ", "list next", "watch 10"]);
    assert_eq!(mirror.store.resource_version().unwrap().as_str(), "13");
    let queued: Vec<_> = mirror.fifo.list().iter().map(|pod| pod.key.clone()).collect();
    assert_eq!(queued, ["a/1", "a/3", "a/4"]);
    let progress = mirror.monitor.progress();
    assert_eq!((progress.events, progress.batches, progress.relists), (3, 1, 0));
    assert_eq!(progress.phase, Phase::Stopped);
    mirror.result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_busy_stream_is_applied_in_batches_up_to_the_limit() {
    let events = (0..250).map(|i| WatchEvent::Modified(pod("a/1", 11 + i))).collect();
    let mirror = mirror([page(10, None, &[("a/1", 1)]), open(events)]).await;
    let progress = mirror.monitor.progress();
    assert_eq!((progress.events, progress.batches, progress.largest_batch), (250, 3, 100));
    assert_eq!(mirror.content(), [("a/1".into(), 260)]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_or_breaks_resumes_without_a_relist() {
    let mirror = mirror([
        page(10, None, &[("a/1", 1)]),
        closed(vec![WatchEvent::Modified(pod("a/1", 11))]),
        Answer::Watch(
            Ok(vec![Ok(WatchEvent::Modified(pod("a/1", 12))), Err(unavailable())]),
            End::Closes,
        ),
        Answer::Watch(Err(unavailable()), End::Closes),
        closed(vec![]),
        open(vec![WatchEvent::Bookmark("40".into())]),
    ])
    .await;
    assert_eq!(
        mirror.asked(),
        ["list ", "watch 10", "watch 11", "watch 12", "watch 12", "watch 12"]
    );
    assert_eq!(mirror.monitor.progress().relists, 0);
    assert_eq!(mirror.store.resource_version().unwrap().as_str(), "40");
}

#[tokio::test(start_paused = true)]
async fn an_expired_version_relists_and_tells_what_is_gone() {
    for answer in [
        Answer::Watch(Ok(vec![Err(expired())]), End::Closes),
        Answer::Watch(Err(expired()), End::Closes),
        Answer::Watch(Ok(vec![Err(Status::expired("gone").into())]), End::Closes),
    ] {
        let mirror = mirror([
            page(10, None, &[("a/1", 1), ("a/2", 2)]),
            answer,
            page(50, None, &[("a/2", 2), ("a/3", 45)]),
        ])
        .await;
        assert_eq!(mirror.content(), [("a/2".into(), 2), ("a/3".into(), 45)]);
        assert_eq!(mirror.asked(), ["list ", "watch 10", "list ", "watch 50"]);
        assert_eq!(mirror.monitor.progress().relists, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_list_is_asked_less_and_less_often_and_the_store_is_kept() {
    let failures = (0..200).map(|_| Answer::List(Err(unavailable())));
    let answers =
        [page(10, None, &[("a/1", 1)]), Answer::Watch(Err(expired()), End::Closes)].into_iter();
    let mirror = mirror(answers.chain(failures)).await;
    assert_eq!(mirror.content(), [("a/1".into(), 1)]);
    let lists = mirror.asked().len();
    // 0.8 s doubling to 30 s: five virtual minutes hold between 8 and 16 tries, not 200.
    assert!((8..=17).contains(&lists), "{lists} requests");
    assert_eq!(mirror.monitor.progress().last_error.as_deref(), Some("connection refused"));
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured() {
    let busy = Status::too_many_requests(Duration::from_secs(120));
    let mirror = mirror([
        Answer::List(Err(busy.clone().into())),
        Answer::List(Err(busy.clone().into())),
        Answer::List(Err(busy.into())),
    ])
    .await;
    assert_eq!(mirror.asked().len(), 3, "two waits of two minutes fit into five");
}

#[tokio::test(start_paused = true)]
async fn unknown_events_and_bad_objects_are_counted_and_the_stream_goes_on() {
    let bad = |version: &str| {
        let (key, error) = ("a/bad".parse().ok(), "expected v1 Pod, found v1 Node");
        Undecodable::new(key, Some(version.into()), error)
    };
    let mirror = mirror([
        Answer::List(Ok(ListPage::new(
            vec![Item::Undecodable(bad("2")), Item::Object(pod("a/1", 1))],
            "10",
        ))),
        closed(vec![
            WatchEvent::Unknown { event_type: "FROBBED".to_owned() },
            WatchEvent::Added(pod("/no-key", 11)),
            WatchEvent::Undecodable(bad("12")),
            WatchEvent::Added(pod("a/2", 13)),
            WatchEvent::Undecodable(bad("14")),
        ]),
    ])
    .await;
    assert_eq!(mirror.content(), [("a/1".into(), 1), ("a/2".into(), 13)]);
    let progress = mirror.monitor.progress();
    assert_eq!((progress.unknown_events, progress.undecodable), (1, 4));
    assert_eq!(mirror.asked(), ["list ", "watch 10", "watch 14"]);
}

#[tokio::test(start_paused = true)]
async fn a_first_list_that_is_refused_for_good_ends_the_run() {
    let refused = Status::forbidden("", "pods", "", "User \"dev\" cannot list resource");
    let mirror = mirror([Answer::List(Err(refused.into()))]).await;
    let error = mirror.result.unwrap_err();
    assert!(error.to_string().contains("cannot list"), "{error}");
    assert_eq!(mirror.monitor.progress().phase, Phase::Stopped);
}

#[tokio::test(start_paused = true)]
async fn every_waiter_for_the_first_sync_is_woken() {
    let source = Script::new([page(10, None, &[("a/1", 1)])]);
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(source).sink(store.clone()).build();
    let monitor = reflector.monitor();
    let waiters: Vec<_> = (0..3).map(|_| tokio::spawn(monitor.synced())).collect();
    tokio::task::yield_now().await;
    reflector
        .run(async {
            futures_util::future::join_all(waiters).await;
        })
        .await
        .unwrap();
    assert!(store.contains("a/1"));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_expires_between_pages_reads_on_and_watches_from_its_own_version() {
    let mirror = mirror([
        page(10, Some("next"), &[("a/1", 1), ("a/2", 2)]),
        Answer::List(Err(expired_with(Some("newer")))),
        page(30, None, &[("b/1", 25), ("b/2", 3)]),
        open(vec![
            WatchEvent::Deleted(pod("a/1", 12)),
            // Older than what the last page brought: no news.
            WatchEvent::Modified(pod("b/1", 15)),
            WatchEvent::Modified(pod("b/1", 25)),
            WatchEvent::Added(pod("a/3", 28)),
        ]),
    ])
    .await;
    assert_eq!(mirror.asked(), ["list ", "list next", "list newer", "watch 10"]);
    assert_eq!(
        mirror.content(),
        [("a/2".into(), 2), ("a/3".into(), 28), ("b/1".into(), 25), ("b/2".into(), 3)]
    );
    let progress = mirror.monitor.progress();
    assert_eq!((progress.relists, progress.stale_events), (0, 2));
    let queued: Vec<_> = mirror.fifo.list().iter().map(|pod| pod.version()).collect();
    assert_eq!(queued, [2, 25, 3, 28], "a worker never sees the older b/1");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_read_on_is_asked_for_at_once() {
    let mirror = mirror([
        page(10, Some("next"), &[("a/1", 1)]),
        Answer::List(Err(expired())),
        page(30, None, &[("a/2", 20)]),
    ])
    .await;
    assert_eq!(mirror.asked(), ["list ", "list next", "list at once", "watch 30"]);
    assert_eq!(mirror.content(), [("a/2".into(), 20)]);
}

#[tokio::test(start_paused = true)]
async fn a_streaming_list_goes_on_as_a_watch() {
    let answers = [open(vec![
        WatchEvent::Added(pod("a/2", 9)),
        WatchEvent::Added(pod("a/1", 3)),
        WatchEvent::InitialEventsEnd("10".into()),
        WatchEvent::Deleted(pod("a/2", 11)),
    ])];
    let mirror = mirror_with(answers, |builder| builder.streaming_list(true)).await;
    assert_eq!(mirror.asked()[0], "stream");
    assert!(!mirror.asked().iter().any(|question| question.starts_with("list")));
    assert_eq!(mirror.content(), [("a/1".into(), 3)]);
    assert_eq!(mirror.store.resource_version().unwrap().as_str(), "11");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_stream_lists_is_asked_for_one_once() {
    let refused = Status::bad_request("sendInitialEvents is forbidden for watch");
    let answers = [
        Answer::Watch(Err(refused.into()), End::Closes),
        page(10, None, &[("a/1", 1)]),
        Answer::Watch(Err(expired()), End::Closes),
        page(20, None, &[("a/1", 15)]),
    ];
    let mirror = mirror_with(answers, |builder| builder.streaming_list(true)).await;
    assert_eq!(mirror.asked()[..5], ["stream", "list ", "watch 10", "list ", "watch 20"]);
    assert_eq!(mirror.content(), [("a/1".into(), 15)]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_opened_anew_at_the_same_place() {
    let source = Script::of(|question, _| match question {
        "list " => Some(page(10, None, &[("a/1", 1)])),
        _ => Some(open(vec![WatchEvent::Bookmark("10".into())])),
    });
    let configure = |builder: watchcache::reflector::ReflectorBuilder<Script>| {
        builder.silence_limit(Duration::from_secs(70))
    };
    let mirror = run(source, configure, tokio::time::sleep(FIVE_MINUTES)).await;
    assert_eq!(
        mirror.asked(),
        ["list ", "watch 10", "watch 10", "watch 10", "watch 10", "watch 10"]
    );
    let progress = mirror.monitor.progress();
    assert_eq!((progress.silences, progress.relists, progress.watches), (4, 0, 5));
    assert_eq!(progress.failures, 4, "each is told");
}

#[tokio::test(start_paused = true)]
async fn watches_that_end_at_once_are_not_opened_in_a_tight_loop() {
    let answers =
        (0..100_000).map(|i| closed(vec![WatchEvent::Bookmark((11 + i).to_string().into())]));
    let mirror = mirror([page(10, None, &[])].into_iter().chain(answers)).await;
    let watches = mirror.asked().len();
    assert!(watches < 3_100, "{watches} watches within 300 s");
}

#[tokio::test(start_paused = true)]
async fn repeated_and_late_events_never_move_a_key_back() {
    let mirror = mirror([
        page(10, None, &[("a/1", 1), ("a/2", 2), ("a/3", 3)]),
        open(vec![
            WatchEvent::Modified(pod("a/1", 11)),
            WatchEvent::Deleted(pod("a/2", 12)),
            WatchEvent::Added(pod("a/2", 9)),
            WatchEvent::Modified(pod("a/2", 11)),
            WatchEvent::Modified(pod("a/1", 11)),
            WatchEvent::Bookmark("5".into()),
            WatchEvent::Modified(pod("a/1", 15)),
            WatchEvent::Modified(pod("a/3", 14)),
        ]),
    ])
    .await;
    assert_eq!(mirror.content(), [("a/1".into(), 15), ("a/3".into(), 14)]);
    assert_eq!(mirror.store.resource_version().unwrap().as_str(), "15");
    assert_eq!(mirror.monitor.progress().stale_events, 3);
}

#[tokio::test(start_paused = true)]
async fn what_stays_unintelligible_is_listed_anew() {
    let garbage = || {
        let error = SourceError::Protocol("this is not an event".to_owned());
        Answer::Watch(Ok(vec![Err(error)]), End::Closes)
    };
    let list = page(20, None, &[("a/1", 12)]);
    let mirror = mirror([page(10, None, &[]), garbage(), garbage(), garbage(), list]).await;
    assert_eq!(mirror.asked(), ["list ", "watch 10", "watch 10", "watch 10", "list ", "watch 20"]);
    assert_eq!(mirror.content(), [("a/1".into(), 12)]);
    assert_eq!(mirror.monitor.progress().relist_causes.protocol, 1);
}

#[tokio::test(start_paused = true)]
async fn a_list_from_a_server_that_lags_does_not_take_the_store_back() {
    let mirror = mirror([
        page(10, None, &[("a/1", 1)]),
        Answer::Watch(
            Ok(vec![Ok(WatchEvent::Modified(pod("a/1", 30))), Err(expired())]),
            End::Closes,
        ),
        page(20, None, &[("a/1", 15), ("a/2", 5)]),
        page(40, None, &[("a/1", 30)]),
    ])
    .await;
    assert_eq!(mirror.asked()[..4], ["list ", "watch 10", "list ", "list "]);
    assert_eq!(mirror.content(), [("a/1".into(), 30)]);
}

#[tokio::test(start_paused = true)]
async fn a_quarantined_object_is_listed_with_its_text_until_a_good_version_comes() {
    let bad = |key: &str, version: &str, deleted| {
        let (key, error) = (key.parse().ok(), "spec: invalid type");
        let mut bad = Undecodable::new(key, Some(version.into()), error);
        (bad.raw, bad.deleted) = (Some("{\"spec\":1}".into()), deleted);
        WatchEvent::Undecodable(bad)
    };
    let mirror = mirror([
        page(10, None, &[("a/1", 1), ("a/2", 2), ("a/3", 3)]),
        open(vec![
            bad("a/1", "11", false),
            bad("a/2", "12", false),
            bad("a/3", "13", true),
            WatchEvent::Modified(pod("a/1", 14)),
        ]),
    ])
    .await;
    assert_eq!(mirror.content(), [("a/1".into(), 14), ("a/2".into(), 2)]);
    let listed = mirror.monitor.quarantined();
    let key: Key = "a/2".parse().unwrap();
    assert_eq!(listed.iter().map(|(key, _)| key).collect::<Vec<_>>(), [&key]);
    let entry = mirror.monitor.quarantine_of(&key).unwrap();
    assert_eq!(entry.error, "spec: invalid type");
    assert_eq!(entry.raw.as_deref(), Some("{\"spec\":1}"));
    let progress = mirror.monitor.progress();
    assert_eq!((progress.quarantined, progress.undecodable), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_version_ends_with_it_or_with_the_reflector() {
    let source = Script::new([
        page(10, None, &[("a/1", 1)]),
        open(vec![WatchEvent::Modified(pod("a/1", 20))]),
    ]);
    let reflector = Reflector::builder(source).sink(Arc::new(Store::new())).build();
    let monitor = reflector.monitor();
    assert!(!monitor.is_ready(Duration::from_secs(60)));
    let reached = tokio::spawn(monitor.wait_for(&"15".into()));
    let unknown = tokio::spawn(monitor.wait_for(&"abc".into()));
    let never = tokio::spawn(monitor.wait_for(&"21".into()));
    let ready = monitor.clone();
    reflector
        .run(async move {
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert!(ready.is_ready(Duration::from_secs(60)));
            assert!(!ready.is_ready(Duration::from_secs(5)), "nothing was heard for ten seconds");
        })
        .await
        .unwrap();
    assert_eq!(reached.await.unwrap(), Ok(()));
    assert_eq!(unknown.await.unwrap(), Err(WaitError::Incomparable));
    assert_eq!(never.await.unwrap(), Err(WaitError::Stopped));
    assert!(!monitor.is_ready(Duration::from_secs(60)));
}

#[tokio::test(start_paused = true)]
async fn a_version_of_a_source_without_any_is_not_waited_for() {
    let mut list = ListPage::new(vec![Item::Object(pod("a/1", 1))], "");
    list.resource_version = None;
    let source = Script::new([Answer::List(Ok(list))]);
    let reflector = Reflector::builder(source).sink(Arc::new(Store::new())).build();
    let monitor = reflector.monitor();
    let waited = tokio::spawn(monitor.wait_for(&"1".into()));
    reflector.run(tokio::time::sleep(Duration::from_secs(10))).await.unwrap();
    assert_eq!(waited.await.unwrap(), Err(WaitError::Incomparable));
}

/// The larger number is another cluster's.
#[tokio::test(start_paused = true)]
async fn a_larger_version_of_a_source_without_an_order_is_no_later_one() {
    let source = Script::new([
        odd_page(Some("100"), &[("a", "u", "900000")]),
        open(vec![WatchEvent::Modified(odd("a", "u", "800000"))]),
    ]);
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(source).sink(store.clone()).build();
    let monitor = reflector.monitor();
    let waited = tokio::spawn(monitor.wait_for(&"50".into()));
    reflector.run(tokio::time::sleep(Duration::from_secs(10))).await.unwrap();
    assert_eq!(waited.await.unwrap(), Err(WaitError::Incomparable));
    assert_eq!(monitor.wait_for(&"700000".into()).await, Err(WaitError::Incomparable));
    assert_eq!(monitor.wait_for(&"800000".into()).await, Ok(()), "it is this very one");
    assert!(store.wait_for_version(&"700000".into(), None).is_err());
    assert!(monitor.progress().unordered);
}

#[tokio::test(start_paused = true)]
async fn a_transform_is_applied_once_per_object() {
    let answers = [
        page(10, None, &[("a/1", 1)]),
        open(vec![WatchEvent::Added(pod("a/2", 11)), WatchEvent::Deleted(pod("a/1", 12))]),
    ];
    let mirror = mirror_with(answers, |builder| {
        builder.transform(|mut pod| {
            Arc::get_mut(&mut pod).expect("fresh from the source").uid.push('+');
            pod
        })
    })
    .await;
    let uids: Vec<_> = mirror.store.list().iter().map(|pod| pod.uid.clone()).collect();
    assert_eq!(uids, ["uid+"]);
}

#[tokio::test(start_paused = true)]
async fn a_resync_sends_everything_to_the_workers_again() {
    let source = Script::new([page(10, None, &[("a/1", 1), ("a/2", 2)])]);
    let (store, fifo) = (Arc::new(Store::new()), Fifo::new());
    let reflector = Reflector::builder(source)
        .sink(store.clone())
        .sink(fifo.clone())
        .resync(Duration::from_secs(60), {
            let store = store.clone();
            move || store.list()
        })
        .build();
    let seen = Arc::new(Mutex::new(0));
    let count = Arc::clone(&seen);
    reflector
        .run(async move {
            let until = tokio::time::Instant::now() + Duration::from_secs(200);
            while tokio::time::timeout_at(until, fifo.pop_async()).await.is_ok() {
                *count.lock().unwrap() += 1;
            }
        })
        .await
        .unwrap();
    assert_eq!(*seen.lock().unwrap(), 8, "the list, and three times all of it");
    assert_eq!(store.revision().get(), 1, "the store is unchanged by it");
}

/// Each publication of a monitor's figures copies it.
#[tokio::test(start_paused = true)]
async fn of_a_long_error_the_beginning_is_kept() {
    let long = || SourceError::Protocol("\u{e9}".repeat(1 << 20));
    let bad = Undecodable::new("a/1".parse().ok(), None, "\u{e9}".repeat(1 << 20));
    let page = ListPage::new(vec![Item::Undecodable(bad)], "10");
    let mirror = mirror([Answer::List(Err(long())), Answer::List(Ok(page)), open(vec![])]).await;
    let progress = mirror.monitor.progress();
    let error = progress.last_error.unwrap();
    assert!(error.starts_with("unexpected answer: \u{e9}") && error.len() < 5_000);
    let quarantined = mirror.monitor.quarantined();
    assert!(quarantined[0].1.error.len() < 5_000);
}
