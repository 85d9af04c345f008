//! What follows when watches or lists fail, and at what pace.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use watchcache::reflector::{
    Item, ListPage, ListRequest, Phase, RequestKind, Source, SourceError, WatchEvent, WatchRequest,
};
use watchcache::{Reflector, Status, Store};

use crate::common::Pod;
use crate::script::{
    Answer, End, Event, FIVE_MINUTES, Script, closed, expired, failed, garbage, mirror, open, page,
    pod, run, served, unavailable,
};

/// The version that a question names.
fn version(question: &str) -> u64 {
    question.split_whitespace().last().unwrap().parse().unwrap()
}

/// A first list at 10, later ones at 20; watches from before 20 end as told.
async fn stuck_at_ten(watch: impl Fn() -> Answer + Send + Sync + 'static) {
    let lists = AtomicUsize::new(0);
    let mirror = served(move |question, _| {
        Some(match question {
            "list " if lists.fetch_add(1, Ordering::Relaxed) == 0 => page(10, None, &[("a/1", 5)]),
            "list " => page(20, None, &[("a/1", 5), ("a/2", 20)]),
            question if version(question) < 20 => watch(),
            _ => open(vec![]),
        })
    })
    .await;
    assert_eq!(mirror.content(), [("a/1".into(), 5), ("a/2".into(), 20)]);
    let progress = mirror.monitor.progress();
    assert_eq!((progress.relists, mirror.asked().len() <= 12), (1, true), "{:?}", mirror.asked());
    mirror.result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_cannot_go_on_leads_to_a_list_whatever_keeps_it() {
    let statuses: [fn() -> Status; 8] = [
        || Status::internal("etcd event received with PrevKv=nil"),
        || Status::bad_request("invalid resource version"),
        || Status::forbidden("", "pods", "", "no watch for you"),
        || Status::unauthorized("Unauthorized"),
        || Status::from_http_code(405, "GET", Default::default(), ""),
        || Status::from_http_code(500, "GET", Default::default(), "delete notification timeout"),
        || Status::service_unavailable("the server is starting"),
        || Status::too_many_requests(Duration::from_secs(2)),
    ];
    for status in statuses {
        stuck_at_ten(move || Answer::Watch(Err(failed(status())), End::Closes)).await;
        stuck_at_ten(move || Answer::Watch(Ok(vec![Err(failed(status()))]), End::Closes)).await;
    }
    stuck_at_ten(|| Answer::Watch(Ok(vec![Err(garbage())]), End::Closes)).await;
    stuck_at_ten(|| Answer::Watch(Ok(vec![Err(unavailable())]), End::Closes)).await;
    stuck_at_ten(|| Answer::Watch(Err(unavailable()), End::Closes)).await;
    stuck_at_ten(|| closed(vec![])).await;
    stuck_at_ten(|| Answer::Hangs).await;
    // What is no news is no progress.
    stuck_at_ten(|| closed(vec![WatchEvent::Modified(pod("a/1", 5))])).await;
    stuck_at_ten(|| closed(vec![WatchEvent::Bookmark("10".into())])).await;
}

#[tokio::test(start_paused = true)]
async fn where_watches_never_work_the_content_is_as_fresh_as_lists() {
    let started = tokio::time::Instant::now();
    let mirror = served(move |question, _| {
        let now = 10 + started.elapsed().as_secs();
        Some(match question {
            "list " => page(now, None, &[("a/1", now)]),
            _ => Answer::Watch(Ok(vec![Err(unavailable())]), End::Closes),
        })
    })
    .await;
    let [(_, newest)] = &mirror.content()[..] else { panic!("{:?}", mirror.content()) };
    assert!(*newest > 310 - 125, "the content is of second {}", newest - 10);
    let asked = mirror.asked();
    assert!(asked.len() < 40, "{asked:?}");
    assert!(mirror.monitor.progress().relist_causes.stalled >= 2);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_away_is_resumed_and_not_listed() {
    let started = tokio::time::Instant::now();
    let mirror = served(move |question, n| {
        let away = started.elapsed() < Duration::from_secs(200);
        Some(match question {
            _ if n == 0 => page(10, None, &[("a/1", 5)]),
            "list " if away => Answer::List(Err(unavailable())),
            "list " => page(20, None, &[]),
            _ if away => Answer::Watch(Err(unavailable()), End::Closes),
            _ => open(vec![WatchEvent::Added(pod("a/2", 11))]),
        })
    })
    .await;
    assert_eq!(mirror.content(), [("a/1".into(), 5), ("a/2".into(), 11)]);
    assert_eq!(mirror.monitor.progress().relists, 0);
    assert!(mirror.asked().len() < 30, "{:?}", mirror.asked());
}

#[tokio::test(start_paused = true)]
async fn relists_have_a_pace_of_their_own() {
    // One event, then 410, for ever: each list is followed by progress.
    let endings: [fn(u64) -> Vec<Event>; 3] = [
        |at| vec![Ok(WatchEvent::Modified(pod("a/1", at + 1))), Err(expired())],
        |at| vec![Ok(WatchEvent::Bookmark((at + 1).to_string().into())), Err(expired())],
        |_| vec![Err(expired())],
    ];
    for ending in endings {
        let mirror = served(move |question, n| {
            let at = 10 * (n as u64 + 1);
            Some(match question {
                "list " => page(at, None, &[("a/1", at)]),
                question => Answer::Watch(Ok(ending(version(question))), End::Closes),
            })
        })
        .await;
        let asked = mirror.asked.lock().unwrap().clone();
        assert!(asked.len() < 40, "{} requests within five minutes", asked.len());
        let lists: Vec<_> =
            asked.iter().filter(|(_, question)| question == "list ").map(|(at, _)| *at).collect();
        assert!(lists[1] - lists[0] >= Duration::from_millis(800), "{lists:?}");
        assert!(lists[5] - lists[4] >= Duration::from_secs(12), "{lists:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_after_a_watch_that_lasted_is_asked_for_at_once() {
    let mirror = served(|question, n| {
        let at = 10 * (n as u64 + 1);
        Some(match question {
            "list " => page(at, None, &[]),
            _ => Answer::Watch(Ok(vec![]), End::BreaksAfter(Duration::from_secs(40))),
        })
        .map(|answer| match answer {
            Answer::Watch(..) if n % 4 == 3 => Answer::Watch(Err(expired()), End::Closes),
            answer => answer,
        })
    })
    .await;
    let asked = mirror.asked.lock().unwrap().clone();
    let after_410 = asked.windows(2).filter(|pair| pair[1].1 == "list ");
    for pair in after_410 {
        assert!(pair[1].0 - pair[0].0 < Duration::from_millis(10), "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_to_wait_has_a_cap() {
    for (cap, run_for) in [(None, 310), (Some(Duration::from_secs(20)), 60)] {
        let busy = Status::too_many_requests(Duration::from_secs(86_400));
        let source = Script::new([
            page(10, None, &[]),
            Answer::Watch(Err(busy.into()), End::Closes),
            open(vec![WatchEvent::Added(pod("b", 11))]),
        ]);
        let configure = |builder: watchcache::reflector::ReflectorBuilder<Script>| match cap {
            Some(cap) => builder.retry_after_limit(cap),
            None => builder,
        };
        let stop = tokio::time::sleep(Duration::from_secs(run_for));
        let mirror = run(source, configure, stop).await;
        assert_eq!(mirror.content(), [("b".into(), 11)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_cuts_idle_watches_does_not_make_the_mirror_blind() {
    let mirror = served(|question, _| {
        Some(match question {
            "list " => page(10, None, &[]),
            _ => Answer::Watch(Ok(vec![]), End::BreaksAfter(Duration::from_secs(20))),
        })
    })
    .await;
    let asked = mirror.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 17, "two lists, and a watch each 20 s: {asked:?}");
    let progress = mirror.monitor.progress();
    assert_eq!((progress.failures, progress.relists), (14, 1), "each cut is told");
}

/// As behind a proxy that buffers: watches are granted, and bring nothing.
#[tokio::test(start_paused = true)]
async fn where_watches_are_silent_the_content_is_as_fresh_as_lists() {
    let watches: [fn() -> Answer; 3] = [
        || open(vec![]),
        || Answer::Watch(Ok(vec![]), End::ClosesAfter(Duration::from_secs(30))),
        || {
            Answer::Watch(
                Ok(vec![Ok(WatchEvent::Bookmark("0".into()))]),
                End::ClosesAfter(Duration::from_secs(60)),
            )
        },
    ];
    for watch in watches {
        let started = tokio::time::Instant::now();
        let source = Script::of(move |question, _| {
            let now = 10 + started.elapsed().as_secs();
            Some(match question {
                "list " => page(now, None, &[("a/1", now)]),
                _ => watch(),
            })
        });
        let told = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&told);
        let configure = |builder: watchcache::reflector::ReflectorBuilder<Script>| {
            builder
                .silence_limit(Duration::from_secs(120))
                .on_failure(move |failure| note.lock().unwrap().push(failure.error.to_string()))
        };
        let hour = Duration::from_secs(3600);
        let mirror = run(source, configure, tokio::time::sleep(hour)).await;
        let [(_, newest)] = &mirror.content()[..] else { panic!("{:?}", mirror.content()) };
        assert!(*newest > 3610 - 300, "the content is of second {}", newest - 10);
        let lists = mirror.asked().iter().filter(|question| *question == "list ").count();
        assert!((12..32).contains(&lists), "{lists} lists");
        let told = told.lock().unwrap();
        let revealed = told.iter().filter(|text| text.contains("did not bring")).count();
        assert_eq!(revealed, lists - 1, "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_source_behind_a_proxy_is_listed_ever_less_often() {
    let source = Script::of(|question, _| {
        Some(match question {
            "list " => page(10, None, &[("a/1", 5)]),
            _ => Answer::Watch(Ok(vec![]), End::BreaksAfter(Duration::from_secs(20))),
        })
    });
    let day = Duration::from_secs(24 * 3600);
    let mirror = run(source, |builder| builder, tokio::time::sleep(day)).await;
    let progress = mirror.monitor.progress();
    assert!((40..60).contains(&progress.relists), "{} lists", progress.relists);
    assert!(progress.last_error.unwrap().contains("refused"), "nothing was missing");
}

#[tokio::test(start_paused = true)]
async fn every_failure_is_told_as_it_happens() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let source = Script::new([
        Answer::List(Err(unavailable())),
        page(10, None, &[]),
        Answer::Watch(Err(failed(Status::internal("boom"))), End::Closes),
        Answer::Watch(Err(expired()), End::Closes),
        page(20, None, &[("a/1", 20)]),
    ]);
    let note = Arc::clone(&told);
    let mirror = run(
        source,
        |builder| {
            builder.on_failure(move |failure| {
                let text = failure.error.to_string();
                note.lock().unwrap().push((failure.request, text, failure.wait));
                panic!("a callback that panics changes nothing");
            })
        },
        tokio::time::sleep(FIVE_MINUTES),
    )
    .await;
    assert_eq!(mirror.content(), [("a/1".into(), 20)]);
    let told = told.lock().unwrap();
    let [(list, refused, wait), (watch, boom, _), (_, gone, _)] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((*list, *watch), (RequestKind::List, RequestKind::Watch));
    assert_eq!(refused, "connection refused");
    assert!(boom.contains("boom") && gone.contains("too old"), "{boom}, {gone}");
    assert!(*wait >= Duration::from_millis(800));
    assert_eq!(mirror.monitor.progress().failures, told.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_over_once_something_came_of_a_request() {
    let boom = || Answer::Watch(Err(failed(Status::internal("boom"))), End::Closes);
    let event = WatchEvent::Modified(pod("a/1", 11));
    for (after, failing) in [
        (vec![], true),
        // It has ended without a word, which is what is waited for now.
        (vec![closed(vec![])], false),
        (vec![open(vec![event])], false),
        (vec![boom(), boom(), page(20, None, &[("a/1", 20)])], false),
    ] {
        let script = [page(10, None, &[("a/1", 1)]), boom()].into_iter().chain(after);
        let mirror = run(
            Script::new(script),
            |builder| builder,
            tokio::time::sleep(Duration::from_secs(30)),
        )
        .await;
        let progress = mirror.monitor.progress();
        assert_eq!(progress.failing, failing, "{:?}", mirror.asked());
        assert!(progress.last_error.is_some_and(|error| error.contains("boom")));
    }
}

#[tokio::test(start_paused = true)]
async fn the_back_off_is_as_it_was_set() {
    let failing = |_: &str, _| Some(Answer::List(Err(unavailable())));
    let ms = Duration::from_millis;
    let configure =
        |builder: watchcache::reflector::ReflectorBuilder<Script>| builder.backoff(ms(10), ms(100));
    let mirror = run(Script::of(failing), configure, tokio::time::sleep(FIVE_MINUTES)).await;
    // 10 ms doubling to 100 ms, each spread over one to two times its length.
    assert!((1_500..3_010).contains(&mirror.asked().len()), "{} requests", mirror.asked().len());
}

#[tokio::test(start_paused = true)]
async fn never_is_a_duration_like_any_other() {
    let never = Duration::MAX;
    let answers = [page(10, None, &[("a/1", 1)]), closed(vec![]), open(vec![])];
    let configure = |builder: watchcache::reflector::ReflectorBuilder<Script>| {
        builder
            .watch_timeout(never..never)
            .silence_limit(never)
            .answer_limit(never)
            .retry_after_limit(never)
            .page_size(None)
            .resync(never, Vec::new)
            .backoff(Duration::from_secs(1), never)
    };
    let mirror = run(Script::new(answers), configure, tokio::time::sleep(FIVE_MINUTES)).await;
    assert_eq!(mirror.content(), [("a/1".into(), 1)]);
    assert_eq!(mirror.monitor.progress().silences, 0);
    // A back-off of "never" is waited for, and no sum of it overflows.
    let configure =
        |builder: watchcache::reflector::ReflectorBuilder<Script>| builder.backoff(never, never);
    let refused = Script::of(|_, _| Some(Answer::List(Err(unavailable()))));
    let mirror = run(refused, configure, tokio::time::sleep(FIVE_MINUTES)).await;
    assert_eq!(mirror.asked().len(), 1);
}

/// Always ready, and of no use.
#[derive(Clone, Copy, Debug)]
enum Busy {
    /// Endless pages.
    Lists,
    /// An endless streaming list.
    Streams,
    /// Endless changes.
    Changes,
    /// Endless changes of one version.
    Repeats,
}

impl Busy {
    fn pods(self) -> impl Stream<Item = Arc<Pod>> {
        let mut sent = 0;
        stream::repeat_with(move || {
            sent += 1;
            // Nothing else ends what leaves others no turn.
            assert!(sent < 100_000, "others had no turn");
            pod("a/1", if matches!(self, Self::Changes) { 10 + sent } else { 11 })
        })
    }
}

impl Source for Busy {
    type Object = Pod;
    type Watch = stream::BoxStream<'static, Event>;

    async fn list(&self, _: ListRequest) -> Result<ListPage<Pod>, SourceError> {
        let mut page = ListPage::new(vec![], "10");
        if matches!(self, Self::Lists) {
            page.items = self.pods().map(Item::Object).boxed();
        }
        Ok(page)
    }

    async fn watch(&self, _: WatchRequest) -> Result<Self::Watch, SourceError> {
        Ok(self.pods().map(|pod| Ok(WatchEvent::Modified(pod))).boxed())
    }
}

#[tokio::test]
async fn a_source_that_is_always_ready_leaves_others_their_turns() {
    let store = Arc::new(Store::new());
    for busy in [Busy::Lists, Busy::Streams, Busy::Changes, Busy::Repeats] {
        let reflector = Reflector::builder(busy)
            .sink(store.clone())
            .streaming_list(matches!(busy, Busy::Streams))
            .batch_limit(100)
            .build();
        let monitor = reflector.monitor();
        // Each turn of another task is one of the reflector's, and of `stop`.
        let others = tokio::spawn(async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        });
        let stop = async { others.await.unwrap() };
        let result = reflector.run(stop).await;
        assert!(result.is_ok(), "{busy:?}: {result:?}");
        assert_eq!(monitor.progress().phase, Phase::Stopped);
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_silent_at_once_is_no_tight_loop() {
    let configure = |builder: watchcache::reflector::ReflectorBuilder<Script>| {
        builder.silence_limit(Duration::ZERO)
    };
    let source = Script::new([page(10, None, &[])]);
    let mirror = run(source, configure, tokio::time::sleep(FIVE_MINUTES)).await;
    assert!(mirror.asked().len() < 30, "{} requests", mirror.asked().len());
}

#[tokio::test(start_paused = true)]
async fn a_first_list_that_is_refused_is_asked_for_again_if_that_is_wanted() {
    let source = Script::new([
        Answer::List(Err(failed(Status::not_found("example.com", "widgets", "")))),
        Answer::List(Err(failed(Status::forbidden("", "pods", "", "not yet")))),
        page(10, None, &[("a/1", 1)]),
    ]);
    let mirror =
        run(source, |builder| builder.retry_refused(true), tokio::time::sleep(FIVE_MINUTES)).await;
    assert_eq!(mirror.content(), [("a/1".into(), 1)]);
    assert_eq!(mirror.monitor.progress().failures, 2);
    mirror.result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_failure_between_two_events_costs_no_list() {
    let mirror = mirror([
        page(10, None, &[]),
        Answer::Watch(
            Ok(vec![Ok(WatchEvent::Added(pod("a/1", 11))), Err(failed(Status::internal("x")))]),
            End::Closes,
        ),
        open(vec![WatchEvent::Added(pod("a/2", 12))]),
    ])
    .await;
    assert_eq!(mirror.asked(), ["list ", "watch 10", "watch 11"]);
    assert_eq!(mirror.content(), [("a/1".into(), 11), ("a/2".into(), 12)]);
}
