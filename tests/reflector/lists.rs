//! Lists: what they may cost, what breaks them, and lists as the beginning of a watch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, Pending, pending};
use watchcache::reflector::{
    Item, ListPage, ListRequest, Source, SourceError, Undecodable, WatchEvent, WatchRequest,
};
use watchcache::{Key, KeyRef, Object, Reflector, Status, Store};

use crate::common::Pod;
use crate::script::{
    Answer, End, Script, closed, expired, failed, garbage, mirror, mirror_with, open, page, pod,
    run, served, unavailable,
};

fn error(mirror: &crate::script::Mirror) -> String {
    mirror.monitor.progress().last_error.unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn continue_tokens_that_lead_in_a_circle_are_a_failure() {
    for period in [1, 2, 7] {
        let mirror = served(move |question, n| {
            let next = format!("token {}", (n + 1) % period);
            question.starts_with("list").then(|| page(10, Some(&next), &[("a/1", 1)]))
        })
        .await;
        let bound = 20 * (period + 2);
        assert!(mirror.asked().len() < bound, "{} requests", mirror.asked().len());
        assert!(error(&mirror).contains("leads back to itself"), "{}", error(&mirror));
        assert!(mirror.content().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_pages_may_be_right_at_once() {
    let mirror = mirror([
        page(10, Some("stuck"), &[("a/1", 1)]),
        page(10, Some("stuck"), &[("a/1", 1)]),
        page(10, None, &[("a/1", 1), ("a/2", 2)]),
    ])
    .await;
    assert_eq!(mirror.asked(), ["list ", "list stuck", "list at once", "watch 10"]);
    assert_eq!(mirror.content().len(), 2);
}

/// One mishap with pages, of a source that lists in pages only.
#[tokio::test(start_paused = true)]
async fn after_a_list_at_once_that_failed_pages_are_tried_again() {
    let mirror = served(|question, n| {
        Some(match question {
            "list " if n == 0 => page(10, Some("stuck"), &[("a/1", 1)]),
            "list stuck" => page(10, Some("stuck"), &[("a/1", 1)]),
            "list at once" => Answer::List(Err(failed(Status::internal("it took too long")))),
            "list " => page(10, None, &[("a/1", 1)]),
            _ => open(vec![]),
        })
    })
    .await;
    assert_eq!(mirror.asked(), ["list ", "list stuck", "list at once", "list ", "watch 10"]);
    assert_eq!(mirror.content(), [("a/1".into(), 1)]);
    // The same after a list of mixed versions.
    let mirror = self::mirror([
        page(10, Some("next"), &[("a/1", 1)]),
        page(30, None, &[("b/1", 25)]),
        Answer::Watch(Err(expired()), End::Closes),
        Answer::List(Err(failed(Status::internal("it took too long")))),
        page(40, None, &[("b/1", 35)]),
    ])
    .await;
    assert_eq!(mirror.asked()[3..], ["list at once", "list ", "watch 40"]);
}

#[tokio::test(start_paused = true)]
async fn pages_that_bring_nothing_come_to_an_end() {
    let mirror = served(|question, n| {
        question.starts_with("list").then(|| page(10, Some(&n.to_string()), &[]))
    })
    .await;
    assert!(mirror.asked().len() < 20_000, "{} requests", mirror.asked().len());
    assert!(error(&mirror).contains("without a new object"), "{}", error(&mirror));
}

#[tokio::test(start_paused = true)]
async fn pages_of_objects_without_a_name_come_to_an_end() {
    let mirror = served(|question, n| {
        let nameless = || Item::Undecodable(Undecodable::default());
        let mut page = ListPage::new((0..5).map(|_| nameless()).collect(), "10");
        page.continue_token = Some(n.to_string());
        question.starts_with("list").then_some(Answer::List(Ok(page)))
    })
    .await;
    assert!(mirror.asked().len() < 20_000, "{} requests", mirror.asked().len());
    assert!(error(&mirror).contains("without a new object"), "{}", error(&mirror));
}

/// As the Kubernetes source sends pages of other shards' objects.
#[tokio::test(start_paused = true)]
async fn pages_of_which_the_source_leaves_everything_out_are_not_empty() {
    let mirror = served(|question, n| {
        let mut page = ListPage::new(vec![], "10");
        (page.count, page.continue_token) = (500, Some(n.to_string()));
        Some(match question {
            "list 1100" => self::page(10, None, &[("a/1", 1)]),
            question if question.starts_with("list") => Answer::List(Ok(page)),
            _ => open(vec![]),
        })
    })
    .await;
    assert_eq!((mirror.asked().len(), mirror.monitor.progress().failures), (1103, 0));
    assert_eq!(mirror.content(), [("a/1".into(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_repeats_under_ever_new_tokens_comes_to_an_end() {
    for keys in [vec![("a/1", 1), ("a/2", 2)], vec![("a/1", 1)]] {
        let mirror = served(move |question, n| {
            // Now and then an empty one, which is no progress either.
            let keys = if n % 7 == 6 { &[] } else { &keys[..] };
            question.starts_with("list").then(|| page(10, Some(&n.to_string()), keys))
        })
        .await;
        assert!(mirror.asked().len() < 20 * 125, "{} requests", mirror.asked().len());
        assert!(error(&mirror).contains("repeat what came before"), "{}", error(&mirror));
        assert!(mirror.content().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn pages_that_overlap_are_a_list() {
    let mirror = served(|question, n| {
        let names = [n, n + 1, n + 2].map(|n| format!("a/{n}"));
        let pods: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let next = (n < 300).then(|| n.to_string());
        question.starts_with("list").then(|| page(10, next.as_deref(), &pods))
    })
    .await;
    assert_eq!(mirror.content().len(), 303);
}

#[tokio::test(start_paused = true)]
async fn a_list_has_a_limit() {
    let endless = |question: &str, n: usize| {
        let keys: Vec<String> = (0..100).map(|i| format!("a/{n}-{i}")).collect();
        let pods: Vec<_> = keys.iter().map(|key| (key.as_str(), 1)).collect();
        question.starts_with("list").then(|| page(10, Some(&n.to_string()), &pods))
    };
    let limit = 1000 * size_of::<Pod>() as u64;
    let stop = tokio::time::sleep(Duration::from_secs(30));
    let mirror = run(Script::of(endless), |builder| builder.list_limit(limit), stop).await;
    assert!(mirror.asked().len() < 12 * 11, "{} requests", mirror.asked().len());
    assert!(error(&mirror).contains("the limit set for it"), "{}", error(&mirror));
    let at_once = mirror.asked().iter().filter(|question| *question == "list at once").count();
    assert_eq!(at_once, 0, "all at once is no less");
    assert!(mirror.content().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_source_may_promise_anything() {
    let mut huge = ListPage::new(vec![], "10");
    huge.remaining = Some(u64::MAX);
    huge.continue_token = Some("next".to_owned());
    let mirror = mirror([Answer::List(Ok(huge)), page(10, None, &[("a/1", 1)])]).await;
    assert_eq!(mirror.content(), [("a/1".into(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_names_a_key_twice_counts_the_last() {
    let mirror =
        mirror([page(10, Some("next"), &[("a/1", 1), ("a/2", 2)]), page(12, None, &[("a/1", 11)])])
            .await;
    assert_eq!(mirror.content(), [("a/1".into(), 11), ("a/2".into(), 2)]);
}

#[tokio::test(start_paused = true)]
async fn after_a_list_of_mixed_versions_the_next_comes_at_once() {
    // Its history is shorter than a list in pages takes.
    let mirror = mirror([
        page(10, Some("next"), &[("a/1", 1)]),
        page(30, None, &[("b/1", 25)]),
        Answer::Watch(Err(expired()), End::Closes),
        page(40, None, &[("a/1", 1), ("b/1", 35)]),
        closed(vec![WatchEvent::Added(pod("c/1", 41))]),
        Answer::Watch(Err(expired()), End::Closes),
        page(50, None, &[("b/1", 35)]),
    ])
    .await;
    let asked = mirror.asked();
    let (mixed, later) = asked.split_at(3);
    assert_eq!(mixed, ["list ", "list next", "watch 10"]);
    // What came at once is of one version, so that pages are tried again.
    assert_eq!(later, ["list at once", "watch 40", "watch 41", "list ", "watch 50"]);
    assert_eq!(mirror.content(), [("b/1".into(), 35)]);
}

#[tokio::test(start_paused = true)]
async fn what_a_relist_brings_again_is_dropped_as_it_comes() {
    let (again, changed) = (Mutex::new(Weak::new()), Mutex::new(Weak::new()));
    let mirror = served(move |question, n| match (question, n) {
        ("list ", 0) => Some(page(10, None, &[("a/1", 1), ("a/2", 2), ("a/3", 3)])),
        ("watch 10", _) => Some(Answer::Watch(Err(expired()), End::Closes)),
        ("list ", _) => {
            let pods = [pod("a/1", 1), pod("a/2", 12)];
            let [first, second] = [&pods[0], &pods[1]].map(Arc::downgrade);
            (*again.lock().unwrap(), *changed.lock().unwrap()) = (first, second);
            let mut page = ListPage::new(pods.map(Item::Object).into(), "20");
            page.continue_token = Some("second".to_owned());
            Some(Answer::List(Ok(page)))
        }
        ("list second", _) => Some(page(20, Some("third"), &[("a/3", 3)])),
        // Of the first page only what the sinks do not hold is in memory.
        ("list third", _) => {
            assert_eq!(again.lock().unwrap().strong_count(), 0);
            assert_ne!(changed.lock().unwrap().strong_count(), 0);
            Some(page(20, None, &[]))
        }
        _ => None,
    })
    .await;
    assert_eq!(mirror.content(), [("a/1".into(), 1), ("a/2".into(), 12), ("a/3".into(), 3)]);
    assert_eq!(mirror.monitor.progress().relists, 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_relist_brings_again_is_not_transformed_again() {
    let transformed = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&transformed);
    let answers = [
        page(10, None, &[("a/1", 1), ("a/2", 2)]),
        Answer::Watch(Err(expired()), End::Closes),
        page(20, None, &[("a/1", 1), ("a/2", 12)]),
    ];
    let mirror = mirror_with(answers, |builder| {
        builder.transform(move |pod| {
            noted.lock().unwrap().push(pod.version());
            pod
        })
    })
    .await;
    assert_eq!(mirror.content(), [("a/1".into(), 1), ("a/2".into(), 12)]);
    assert_eq!(*transformed.lock().unwrap(), [1, 2, 12]);
}

async fn streamed(answers: impl IntoIterator<Item = Answer>) -> crate::script::Mirror {
    mirror_with(answers, |builder| builder.streaming_list(true)).await
}

#[tokio::test(start_paused = true)]
async fn a_streaming_list_that_fails_in_any_way_is_followed_by_pages() {
    let broken: [fn() -> Answer; 7] = [
        || Answer::Watch(Err(failed(Status::bad_request("no"))), End::Closes),
        || Answer::Watch(Err(failed(Status::internal("no"))), End::Closes),
        || Answer::Watch(Err(SourceError::Protocol("no".to_owned())), End::Closes),
        || Answer::Watch(Ok(vec![Err(expired())]), End::Closes),
        // It says that it is complete, and not at which version.
        || open(vec![WatchEvent::Added(pod("a/9", 9)), WatchEvent::InitialEventsEnd("".into())]),
        || closed(vec![WatchEvent::Added(pod("a/9", 9))]),
        // The end alone.
        || open(vec![WatchEvent::InitialEventsEnd("10".into())]),
    ];
    for broken in broken {
        let mirror = streamed([
            broken(),
            page(10, None, &[("a/1", 1)]),
            Answer::Watch(Err(expired()), End::Closes),
            page(20, None, &[("a/1", 15)]),
        ])
        .await;
        let asked = mirror.asked();
        assert_eq!(asked[..5], ["stream", "list ", "watch 10", "list ", "watch 20"], "remembered");
        assert_eq!(mirror.content(), [("a/1".into(), 15)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_was_away_is_asked_for_a_stream_again() {
    let mirror = streamed([
        Answer::Watch(Err(unavailable()), End::Closes),
        Answer::List(Err(unavailable())),
        open(vec![WatchEvent::Added(pod("a/1", 1)), WatchEvent::InitialEventsEnd("10".into())]),
    ])
    .await;
    assert_eq!(mirror.asked(), ["stream", "list ", "stream"]);
    // Asked to wait, it waits; then it asks for pages.
    let busy = || failed(Status::too_many_requests(Duration::from_secs(5)));
    let mirror = streamed([
        Answer::Watch(Err(busy()), End::Closes),
        Answer::Watch(Err(busy()), End::Closes),
        page(10, None, &[("a/1", 1)]),
    ])
    .await;
    assert_eq!(mirror.asked(), ["stream", "stream", "list ", "watch 10"]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_stream_of_an_empty_source_stays_one() {
    let empty = || open(vec![WatchEvent::InitialEventsEnd("10".into())]);
    let mirror = streamed([
        empty(),
        page(11, None, &[]),
        Answer::Watch(Err(expired()), End::Closes),
        open(vec![WatchEvent::Added(pod("a/1", 20)), WatchEvent::InitialEventsEnd("20".into())]),
    ])
    .await;
    assert_eq!(mirror.asked(), ["stream", "list ", "watch 11", "stream"]);
    assert_eq!(mirror.content(), [("a/1".into(), 20)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_within_a_streaming_list_is_not_there() {
    let gone = |name: &str| {
        let key: Key = name.parse().unwrap();
        WatchEvent::Gone { key, version: "9".into() }
    };
    let mut undecodable = Undecodable::new("a/5".parse().ok(), Some("9".into()), "it is bad");
    undecodable.deleted = true;
    let mirror = streamed([open(vec![
        WatchEvent::Added(pod("a/1", 1)),
        WatchEvent::Added(pod("a/2", 2)),
        WatchEvent::Added(pod("a/3", 3)),
        WatchEvent::Added(pod("a/5", 4)),
        WatchEvent::Deleted(pod("a/1", 8)),
        WatchEvent::Undecodable(undecodable),
        gone("a/2"),
        WatchEvent::Modified(pod("a/3", 9)),
        gone("a/4"),
        WatchEvent::InitialEventsEnd("10".into()),
    ])])
    .await;
    assert_eq!(mirror.content(), [("a/3".into(), 9)]);
    assert_eq!(mirror.monitor.quarantined(), []);
}

#[tokio::test(start_paused = true)]
async fn half_a_streaming_list_is_never_published() {
    let torn = Answer::Watch(
        Ok(vec![Ok(WatchEvent::Added(pod("a/1", 1))), Err(unavailable())]),
        End::Closes,
    );
    let mirror = streamed([torn, Answer::List(Err(unavailable()))]).await;
    assert!(mirror.content().is_empty());
    assert!(!mirror.monitor.progress().synced);
}

/// Notes how often it is asked for its version.
struct Asked {
    key: String,
    versions: Arc<AtomicU64>,
}

impl Object for Asked {
    fn key(&self) -> KeyRef<'_> {
        self.key.as_str().into()
    }

    fn resource_version(&self) -> Option<&str> {
        self.versions.fetch_add(1, Ordering::Relaxed);
        Some("5")
    }
}

struct Many(Arc<AtomicU64>);

impl Source for Many {
    type Object = Asked;
    type Watch = Pending<Result<WatchEvent<Asked>, SourceError>>;

    async fn list(&self, _: ListRequest) -> Result<ListPage<Asked>, SourceError> {
        let object = |n| Asked { key: format!("a/{n}"), versions: Arc::clone(&self.0) };
        let items = (0..1000).map(|n| Item::Object(Arc::new(object(n)))).collect();
        Ok(ListPage::new(items, "10"))
    }

    async fn watch(&self, _: WatchRequest) -> Result<Self::Watch, SourceError> {
        Ok(pending())
    }
}

/// Once the last object has come, nothing walks all of them but the sinks: other tasks would wait.
#[tokio::test(start_paused = true)]
async fn of_a_list_each_object_is_looked_at_as_it_comes() {
    let versions = Arc::<AtomicU64>::default();
    let reflector = Reflector::builder(Many(Arc::clone(&versions))).build();
    let monitor = reflector.monitor();
    reflector.run(async { monitor.synced().await.unwrap() }).await.unwrap();
    assert_eq!(versions.load(Ordering::Relaxed), 1000);
}

/// The trait can be written for by hand: what is provided is of use.
#[test]
fn a_source_need_not_count_bytes() {
    assert_eq!(Script::new([]).received_bytes(), 0);
}

/// A list of which a piece comes every 50 s, this many times, and nothing more unless that was all.
struct Slow {
    pieces: u64,
    whole: bool,
    received: AtomicU64,
}

impl Source for Slow {
    type Object = Pod;
    type Watch = Pending<Result<WatchEvent<Pod>, SourceError>>;

    async fn list(&self, _: ListRequest) -> Result<ListPage<Pod>, SourceError> {
        for _ in 0..self.pieces {
            tokio::time::sleep(Duration::from_secs(50)).await;
            self.received.fetch_add(100, Ordering::Relaxed);
        }
        match self.whole {
            true => Ok(ListPage::new(vec![Item::Object(pod("a/1", 1))], "10")),
            false => std::future::pending().await,
        }
    }

    async fn watch(&self, _: WatchRequest) -> Result<Self::Watch, SourceError> {
        Ok(pending())
    }

    fn received_bytes(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_may_be_slow_and_may_not_stop() {
    for (whole, failures) in [(true, 0), (false, 1)] {
        let source = Slow { pieces: 4, whole, received: AtomicU64::new(0) };
        let reflector = Reflector::builder(source).sink(Arc::new(Store::<Pod>::new())).build();
        let monitor = reflector.monitor();
        // The limit is a minute, which may be found out an eighth of it late.
        reflector.run(tokio::time::sleep(Duration::from_secs(200 + 60 + 8))).await.unwrap();
        let progress = monitor.progress();
        assert_eq!((progress.synced, progress.failures), (whole, failures));
    }
}

/// A server that does not know the option, and sends bookmarks as ever.
#[tokio::test(start_paused = true)]
async fn a_streaming_list_without_an_end_is_given_up_when_its_watch_should_have_ended() {
    let script = Script::of(|question, _| {
        Some(match question {
            "list " => page(10, None, &[("a/1", 1)]),
            "stream" => {
                let bookmarks = (0..100).map(|_| Ok(WatchEvent::Bookmark("10".into()))).collect();
                Answer::Watch(Ok(bookmarks), End::Every(Duration::from_secs(60)))
            }
            _ => Answer::Watch(Ok(Vec::new()), End::ClosesAfter(Duration::from_secs(300))),
        })
    });
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let configure = |builder: watchcache::reflector::ReflectorBuilder<Script>| {
        builder.streaming_list(true).watch_timeout(minutes(5)..minutes(6))
    };
    let mirror = run(script, configure, tokio::time::sleep(minutes(60))).await;
    assert_eq!(mirror.content(), [("a/1".to_owned(), 1)]);
    let asked = mirror.asked();
    assert_eq!(asked[..3], ["stream", "list ", "watch 10"]);
    assert_eq!(
        asked.iter().filter(|question| *question == "stream").count(),
        1,
        "it is remembered"
    );
}

/// Its answer came, but its objects do not, which a source may take from afar.
#[tokio::test(start_paused = true)]
async fn a_page_whose_objects_do_not_come_is_given_up() {
    for next in [None, Some("2")] {
        let first = Item::Object(pod("a/1", 5));
        let mut stalled = ListPage::new(vec![], "10");
        stalled.items = stream::iter([first]).chain(stream::pending()).boxed();
        stalled.continue_token = next.map(str::to_owned);
        let rest = next.map(|_| page(10, None, &[("a/2", 6)]));
        let answers = [Answer::List(Ok(stalled))].into_iter().chain(rest);
        let mirror = mirror(answers.chain([page(11, None, &[("a/1", 5)]), open(vec![])])).await;
        let asked = mirror.asked();
        assert_eq!(asked[asked.len() - 2..], ["list ", "watch 11"], "{asked:?}");
        assert_eq!(mirror.content(), [("a/1".into(), 5)]);
    }
}

/// One page of a proxy's does not mean that pages are not to be had.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_list_leaves_the_next_one_in_pages() {
    let mirror = mirror([
        Answer::List(Err(garbage())),
        page(10, Some("2"), &[("a/1", 5)]),
        Answer::List(Err(garbage())),
        page(10, None, &[("a/1", 5)]),
        open(vec![]),
    ])
    .await;
    assert_eq!(mirror.asked(), ["list ", "list ", "list 2", "list ", "watch 10"]);
}

/// Each time it says how long to wait, and that counts also for the pages that are asked for then.
#[tokio::test(start_paused = true)]
async fn a_streaming_list_that_is_postponed_again_gives_way_to_pages_in_time() {
    let busy = || {
        let minute = Duration::from_secs(60);
        Answer::Watch(Err(failed(Status::too_many_requests(minute))), End::Closes)
    };
    let answers = [busy(), busy(), page(10, None, &[("a/1", 1)]), open(vec![])];
    let mirror = mirror_with(answers, |builder| builder.streaming_list(true)).await;
    assert_eq!(mirror.asked(), ["stream", "stream", "list ", "watch 10"]);
    let at: Vec<_> = mirror.asked.lock().unwrap().iter().map(|(at, _)| at.as_secs()).collect();
    assert!(at[1] >= 60 && at[2] >= 120, "{at:?}");
}
