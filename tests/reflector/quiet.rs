//! Watches that are granted and say nothing: when a list shows what they keep back, and who hears of it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use watchcache::reflector::{ReflectorBuilder, WatchEvent};

use crate::script::{
    Answer, End, FIVE_MINUTES, Mirror, Script, expired, mirror, odd, odd_page, open, page, pod,
    run, unavailable,
};

const HOUR: Duration = Duration::from_secs(3600);

/// A watch that says nothing for so long.
fn quiet(seconds: u64) -> Answer {
    Answer::Watch(Ok(vec![]), End::ClosesAfter(Duration::from_secs(seconds)))
}

fn lists(mirror: &Mirror) -> usize {
    mirror.asked().iter().filter(|question| *question == "list ").count()
}

/// Runs a script; how often it was told that a list shows what watches did not bring.
async fn revelations(answers: impl IntoIterator<Item = Answer>) -> usize {
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let configure = |builder: ReflectorBuilder<Script>| {
        builder.on_failure(move |failure| {
            let reveals = failure.error.to_string().contains("did not bring");
            count.fetch_add(usize::from(reveals), Ordering::Relaxed);
        })
    };
    let mirror = run(Script::new(answers), configure, tokio::time::sleep(FIVE_MINUTES)).await;
    assert_eq!(lists(&mirror), 2, "{:?}", mirror.asked());
    told.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_was_not_granted_is_not_one_that_says_nothing() {
    let mirror = mirror([
        page(10, None, &[]),
        quiet(125),
        Answer::Watch(Err(unavailable()), End::Closes),
        open(vec![WatchEvent::Added(pod("a/2", 11))]),
    ])
    .await;
    assert_eq!(mirror.asked(), ["list ", "watch 10", "watch 10", "watch 10"]);
    assert_eq!(mirror.content(), [("a/2".into(), 11)]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_something_else_asked_for_reveals_nothing() {
    // At the very moment at which one is due.
    let gone = Answer::Watch(Ok(vec![Err(expired())]), End::Every(Duration::from_secs(70)));
    let list = page(20, None, &[("a/1", 15)]);
    assert_eq!(revelations([page(10, None, &[("a/1", 5)]), quiet(70), gone, list]).await, 0);
    // The same list when nothing else asks for it.
    let list = page(20, None, &[("a/1", 15)]);
    let told = revelations([page(10, None, &[("a/1", 5)]), quiet(70), quiet(70), list]).await;
    assert_eq!(told, 1);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_was_due_and_failed_is_forgotten_once_another_is_asked_for() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&told);
    let answers = [
        page(10, None, &[("a/1", 5)]),
        quiet(70),
        quiet(70),
        Answer::List(Err(unavailable())),
        Answer::Watch(Err(expired()), End::Closes),
        page(20, None, &[("a/1", 15)]),
    ];
    let configure = |builder: ReflectorBuilder<Script>| {
        builder.on_failure(move |failure| note.lock().unwrap().push(failure.error.to_string()))
    };
    let mirror = run(Script::new(answers), configure, tokio::time::sleep(FIVE_MINUTES)).await;
    assert_eq!(mirror.content(), [("a/1".into(), 15)]);
    let told = told.lock().unwrap();
    assert!(told.iter().all(|text| !text.contains("did not bring")), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_watch_that_works_the_next_silence_is_noticed_as_soon_as_the_first() {
    let started = tokio::time::Instant::now();
    let said = AtomicBool::new(false);
    let source = Script::of(move |question, _| {
        let late = started.elapsed() >= Duration::from_secs(6000);
        let cut = End::BreaksAfter(Duration::from_secs(20));
        Some(match question {
            "list " if late => page(20, None, &[("a/1", 15)]),
            "list " => page(10, None, &[("a/1", 5)]),
            _ if late && !said.swap(true, Ordering::Relaxed) => {
                Answer::Watch(Ok(vec![Ok(WatchEvent::Bookmark("10".into()))]), cut)
            }
            _ => Answer::Watch(Ok(vec![]), cut),
        })
    });
    let stop = tokio::time::sleep(Duration::from_secs(6400));
    let mirror = run(source, |builder| builder, stop).await;
    assert_eq!(mirror.content(), [("a/1".into(), 15)]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fails_is_asked_for_ever_less_often() {
    let source = Script::of(|question, n| {
        Some(match question {
            "list " if n == 0 => page(10, None, &[]),
            "list " => Answer::List(Err(unavailable())),
            _ => Answer::Watch(Ok(vec![]), End::BreaksAfter(Duration::from_secs(30))),
        })
    });
    let mirror = run(source, |builder| builder, tokio::time::sleep(HOUR)).await;
    // After 2, 4, 8, 16 and 30 minutes.
    assert!((5..8).contains(&lists(&mirror)), "{} lists", lists(&mirror));
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_back_shows_without_an_order_of_versions() {
    let changed = Answer::Watch(
        Ok(vec![Ok(WatchEvent::Modified(odd("a/1", "u", "x2")))]),
        End::ClosesAfter(Duration::from_secs(70)),
    );
    let told = revelations([
        odd_page(Some("x1"), &[("a/1", "u", "x1"), ("a/2", "u", "x0")]),
        changed,
        quiet(70),
        quiet(70),
        odd_page(Some("x3"), &[("a/1", "u", "x3"), ("a/2", "u", "x0")]),
    ])
    .await;
    assert_eq!(told, 1);
    // The same content, which the watch brought.
    let changed = Answer::Watch(
        Ok(vec![Ok(WatchEvent::Modified(odd("a/1", "u", "x2")))]),
        End::ClosesAfter(Duration::from_secs(70)),
    );
    let told = revelations([
        odd_page(Some("x1"), &[("a/1", "u", "x1"), ("a/2", "u", "x0")]),
        changed,
        quiet(70),
        quiet(70),
        odd_page(Some("x3"), &[("a/1", "u", "x2"), ("a/2", "u", "x0")]),
    ])
    .await;
    assert_eq!(told, 0);
}

/// As of a source of one's own that has versions for its lists alone.
#[tokio::test(start_paused = true)]
async fn news_without_a_version_is_as_fresh_as_any() {
    let changes = || {
        let events = (0..3).map(|_| Ok(WatchEvent::Modified(odd("a", "u", "")))).collect();
        Answer::Watch(Ok(events), End::Every(Duration::from_secs(50)))
    };
    let lag = Arc::new(Mutex::new(None));
    let source = Script::new([odd_page(Some("10"), &[("a", "u", "")]), changes()]);
    let reflector =
        watchcache::Reflector::builder(source).sink(Arc::new(watchcache::Store::new())).build();
    let monitor = reflector.monitor();
    let seen = Arc::clone(&lag);
    let stop = async move {
        tokio::time::sleep(Duration::from_secs(155)).await;
        *seen.lock().unwrap() = monitor.progress().lag();
    };
    reflector.run(stop).await.unwrap();
    assert!(lag.lock().unwrap().unwrap() <= Duration::from_secs(6), "{lag:?}");
    // Nor are such watches quiet ones.
    let answers = [odd_page(Some("10"), &[("a", "u", "")])].into_iter();
    let ends = || {
        let events = vec![Ok(WatchEvent::Modified(odd("a", "u", "")))];
        Answer::Watch(Ok(events), End::ClosesAfter(Duration::from_secs(70)))
    };
    let mirror = mirror(answers.chain((0..4).map(|_| ends()))).await;
    assert_eq!(lists(&mirror), 1, "{:?}", mirror.asked());
}
