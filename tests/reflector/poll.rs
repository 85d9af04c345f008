//! A source that can only list, through the reflector: what changes, what does not, and what fails.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;
use watchcache::reflector::{
    ListRequest, Merge, Monitor, Poll, Polled, Shard, Source, SourceError, Undecodable, WatchEvent,
    WatchRequest, WatchStart,
};
use watchcache::{KeyRef, Object, Reflector, ResourceVersion, Status, Store};

use crate::common::child::in_a_process_of_its_own;

const EVERY: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq)]
struct Row {
    key: &'static str,
    value: i32,
    uid: Option<&'static str>,
}

impl Object for Row {
    fn key(&self) -> KeyRef<'_> {
        assert_ne!(self.key, "bomb", "no key");
        self.key.into()
    }

    fn uid(&self) -> Option<&str> {
        self.uid
    }

    fn label(&self, name: &str) -> Option<&str> {
        (name == "uid").then_some(self.uid).flatten()
    }
}

fn row(key: &'static str, value: i32) -> Row {
    Row { key, value, uid: None }
}

/// What the function that lists is to answer: once each, and then the last one for ever.
#[derive(Clone)]
enum Answer {
    Rows(Vec<Row>),
    Fails(fn() -> SourceError),
    Hangs,
    Panics,
}

#[derive(Clone, Default)]
struct Table {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Instant>>>,
}

impl Table {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.into_iter().collect())), asked: Arc::default() }
    }

    fn of<const N: usize>(polls: [&[(&'static str, i32)]; N]) -> Self {
        Self::new(polls.map(rows))
    }

    async fn list(self) -> Result<Vec<Row>, SourceError> {
        let now = Instant::now();
        let asked = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(now);
            asked.len()
        };
        assert!(asked < 10_000, "a tight loop of polls");
        // Time passes, so that a poll can be dropped in the middle.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
        };
        match answer.unwrap() {
            Answer::Rows(rows) => Ok(rows),
            Answer::Fails(error) => Err(error()),
            Answer::Hangs => std::future::pending().await,
            Answer::Panics => panic!("the table is gone"),
        }
    }

    fn source(&self) -> Poll<Row> {
        self.source_of(EVERY)
    }

    fn source_of(&self, interval: Duration) -> Poll<Row> {
        let table = self.clone();
        Poll::new(interval, move || table.clone().list())
    }

    /// How far apart the polls were, in seconds.
    fn pauses(&self) -> Vec<u64> {
        let asked = self.asked.lock().unwrap();
        asked.windows(2).map(|two| (two[1] - two[0]).as_secs()).collect()
    }
}

fn rows(rows: &[(&'static str, i32)]) -> Answer {
    Answer::Rows(rows.iter().map(|(key, value)| row(key, *value)).collect())
}

struct Mirror {
    store: Arc<Store<Polled<Row>>>,
    monitor: Monitor,
    running: tokio::task::JoinHandle<Result<(), SourceError>>,
}

impl Mirror {
    fn of(source: Poll<Row>) -> Self {
        Self::into(source, Arc::new(Store::new()))
    }

    fn into(source: Poll<Row>, store: Arc<Store<Polled<Row>>>) -> Self {
        let reflector = Reflector::builder(source).sink(store.clone()).jitter_seed(1).build();
        let monitor = reflector.monitor();
        let running = tokio::spawn(reflector.run(std::future::pending()));
        Self { store, monitor, running }
    }

    fn content(&self) -> Vec<(String, i32)> {
        content(&self.store)
    }
}

fn content(store: &Store<Polled<Row>>) -> Vec<(String, i32)> {
    let snapshot = store.snapshot();
    snapshot.prefix("").map(|(key, row)| (key.to_string(), row.value)).collect()
}

fn expected(rows: &[(&str, i32)]) -> Vec<(String, i32)> {
    rows.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
}

async fn polls(count: u32) {
    tokio::time::sleep((EVERY + Duration::from_millis(50)) * count).await;
}

#[tokio::test(start_paused = true)]
async fn what_differs_is_told_as_added_modified_and_deleted_and_all_at_once() {
    let table = Table::of([&[("a", 1), ("b", 1), ("c", 1)], &[("d", 1), ("b", 2), ("c", 1)]]);
    let mirror = Mirror::of(table.source());
    mirror.monitor.synced().await.unwrap();
    assert_eq!(mirror.content(), expected(&[("a", 1), ("b", 1), ("c", 1)]));
    let (first, kept) = (mirror.store.snapshot(), mirror.store.get("c").unwrap());
    let mut changes = mirror.store.subscribe().start().unwrap();
    {
        let delivery = changes.next_async().await.unwrap();
        let mut told: Vec<_> = delivery
            .iter()
            .map(|item| (item.old.map(|row| row.value), item.new.map(|row| row.value)))
            .collect();
        told.sort();
        assert_eq!(told, [(None, Some(1)), (Some(1), None), (Some(1), Some(2))]);
    }
    assert_eq!(mirror.content(), expected(&[("b", 2), ("c", 1), ("d", 1)]));
    let now = mirror.store.snapshot();
    assert_eq!(now.revision().get(), first.revision().get() + 1, "one poll is one batch");
    assert!(Arc::ptr_eq(&kept, &mirror.store.get("c").unwrap()), "what is equal is the same");
    let version = |snapshot: &watchcache::Snapshot<Polled<Row>>| {
        snapshot.resource_version().and_then(ResourceVersion::number).unwrap()
    };
    assert!(version(&now) > version(&first));
    assert_eq!(
        mirror.store.get("b").unwrap().resource_version(),
        Some(&*version(&now).to_string())
    );
}

#[tokio::test(start_paused = true)]
async fn an_equal_poll_changes_nothing_and_shows_that_the_content_is_complete() {
    let table = Table::of([&[("a", 1)]]);
    let mirror = Mirror::of(table.source());
    mirror.monitor.synced().await.unwrap();
    let before = (mirror.store.revision(), mirror.monitor.progress().resource_version);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let progress = mirror.monitor.progress();
    assert_eq!((mirror.store.revision(), progress.resource_version.clone()), before);
    assert!(mirror.monitor.is_ready(EVERY * 2));
    assert_eq!((progress.lists, progress.failures, progress.silences), (1, 0, 0));
    let pauses = table.pauses();
    assert!(pauses.len() > 350, "{}", pauses.len());
    assert!(pauses.iter().all(|pause| *pause == 10), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn another_uid_is_another_object_and_labels_are_the_objects_own() {
    let mut other = row("a", 1);
    other.uid = Some("x");
    let table = Table::new([rows(&[("a", 1)]), Answer::Rows(vec![other])]);
    let table_source = table.clone();
    // A comparison that sees no difference.
    let source =
        Poll::comparing(|_: &Row, _: &Row| true, EVERY, move || table_source.clone().list());
    let mirror = Mirror::of(source);
    mirror.monitor.synced().await.unwrap();
    assert_eq!(mirror.store.get("a").unwrap().uid(), None);
    polls(1).await;
    let held = mirror.store.get("a").unwrap();
    assert_eq!((Object::uid(&*held), held.label("uid")), (Some("x"), Some("x")));
}

#[tokio::test(start_paused = true)]
async fn the_users_comparison_decides() {
    let table = Table::of([&[("a", 1), ("b", 1)], &[("a", -1), ("b", 2)]]);
    let listed = table.clone();
    let same = |old: &Row, new: &Row| old.value.abs() == new.value.abs();
    let mirror = Mirror::of(Poll::comparing(same, EVERY, move || listed.clone().list()));
    polls(1).await;
    assert_eq!(mirror.content(), expected(&[("a", 1), ("b", 2)]));
}

#[tokio::test(start_paused = true)]
async fn where_the_comparison_panics_the_object_counts_as_changed() {
    let table = Table::of([&[("a", 1), ("b", 1)], &[("a", 2), ("b", 1)]]);
    let listed = table.clone();
    let same = |old: &Row, new: &Row| {
        assert_ne!(new.key, "a", "cannot be compared");
        old == new
    };
    let mirror = Mirror::of(Poll::comparing(same, EVERY, move || listed.clone().list()));
    mirror.monitor.synced().await.unwrap();
    let b = mirror.store.get("b").unwrap();
    polls(3).await;
    assert_eq!(mirror.content(), expected(&[("a", 2), ("b", 1)]));
    assert!(Arc::ptr_eq(&b, &mirror.store.get("b").unwrap()));
    assert!(!mirror.running.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_fails_keeps_the_content_and_is_repeated_at_the_pace_of_failures() {
    fn gone() -> SourceError {
        SourceError::transport("no route")
    }
    let mut answers = vec![rows(&[("a", 1)])];
    answers.extend((0..20).map(|_| Answer::Fails(gone)));
    answers.push(rows(&[("a", 2)]));
    let table = Table::new(answers);
    let mirror = Mirror::of(table.source());
    mirror.monitor.synced().await.unwrap();
    polls(3).await;
    assert_eq!(mirror.content(), expected(&[("a", 1)]));
    assert!(!mirror.monitor.is_ready(EVERY * 2), "nobody knows what is there");
    let error = mirror.monitor.progress().last_error.unwrap();
    assert!(error.contains("no route"), "{error}");
    tokio::time::sleep(Duration::from_secs(1200)).await;
    assert_eq!(mirror.content(), expected(&[("a", 2)]));
    assert!(mirror.monitor.is_ready(EVERY * 2));
    let failing: u64 = table.pauses()[1..20].iter().sum();
    assert!(failing > 250, "19 polls in {failing} s");
}

/// A watch is granted at once, so that what its poll takes to fail could pass for its life.
#[tokio::test(start_paused = true)]
async fn polls_that_take_their_time_to_fail_are_backed_off() {
    let polls = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&polls);
    let mirror = Mirror::of(Poll::new(EVERY, move || {
        let polls = Arc::clone(&told);
        async move {
            let began = Instant::now();
            if polls.lock().unwrap().is_empty() {
                polls.lock().unwrap().push((began, began));
                return Ok(vec![row("a", 1)]);
            }
            tokio::time::sleep(Duration::from_secs(6)).await;
            polls.lock().unwrap().push((began, Instant::now()));
            Err(SourceError::transport("no route"))
        }
    }));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(mirror.content(), expected(&[("a", 1)]));
    let polls = polls.lock().unwrap();
    let pauses: Vec<_> = polls.windows(2).map(|two| (two[1].0 - two[0].1).as_secs()).collect();
    // In pairs: a list shows at once whether lists fail, too.
    assert!(pauses.iter().any(|pause| *pause >= 30) && polls.len() < 40, "{pauses:?}");
}

/// That nothing is told for an hour is no silence.
#[tokio::test(start_paused = true)]
async fn an_interval_is_kept_however_long_it_is() {
    let hour = Duration::from_secs(3600);
    let table = Table::of([&[("a", 1)], &[("a", 2)]]);
    let listed = table.clone();
    let mirror = Mirror::of(Poll::new(hour, move || listed.clone().list()));
    tokio::time::sleep(24 * hour).await;
    assert_eq!(mirror.content(), expected(&[("a", 2)]));
    let progress = mirror.monitor.progress();
    assert_eq!((progress.relists, progress.failures, progress.silences), (0, 0, 0));
    let pauses = table.pauses();
    assert!(matches!(pauses.len(), 23 | 24), "{pauses:?}");
    assert!(mirror.monitor.is_ready(hour * 2));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_takes_its_time_is_no_silence_either() {
    let mirror = Mirror::of(Poll::new(EVERY, || async {
        tokio::time::sleep(EVERY * 2).await;
        Ok(vec![row("a", 1)])
    }));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let progress = mirror.monitor.progress();
    assert_eq!((progress.lists, progress.failures, progress.silences), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_a_source_asks_to_wait_is_waited() {
    fn busy() -> SourceError {
        Status::too_many_requests(Duration::from_secs(100)).into()
    }
    let table = Table::new([rows(&[("a", 1)]), Answer::Fails(busy), rows(&[("a", 2)])]);
    let mirror = Mirror::of(table.source());
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(mirror.content(), expected(&[("a", 1)]));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(mirror.content(), expected(&[("a", 2)]));
    assert!(table.pauses()[1] >= 100, "{:?}", table.pauses());
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_hangs_is_dropped_and_made_anew() {
    let table = Table::new([rows(&[("a", 1)]), Answer::Hangs, rows(&[("a", 2)])]);
    let mirror = Mirror::of(table.source());
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(mirror.content(), expected(&[("a", 1)]));
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(mirror.content(), expected(&[("a", 2)]));
    let first = Table::new([Answer::Hangs, rows(&[("a", 2)])]);
    let mirror = Mirror::of(first.source());
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(mirror.content(), expected(&[("a", 2)]));
}

/// However long the interval is, which counts for the first of them only: it came in its time.
#[tokio::test(start_paused = true)]
async fn a_poll_that_hangs_again_and_again_is_dropped_sooner() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let hangs = std::iter::repeat_n(Answer::Hangs, 3);
    let answers = [rows(&[("a", 1)])].into_iter().chain(hangs).chain([rows(&[("a", 2)])]);
    let mirror = Mirror::of(Table::new(answers).source_of(HOUR));
    tokio::time::sleep(HOUR + Duration::from_secs(600)).await;
    assert_eq!(mirror.content(), expected(&[("a", 2)]));
}

#[tokio::test(start_paused = true)]
async fn a_first_list_that_is_refused_for_good_ends_the_reflector_and_so_does_a_panic() {
    fn refused() -> SourceError {
        Status::forbidden("", "rows", "", "not yours").into()
    }
    let mirror = Mirror::of(Table::new([Answer::Fails(refused)]).source());
    assert!(mirror.running.await.unwrap().unwrap_err().is_permanent());
    let mirror = Mirror::of(Table::new([rows(&[("a", 1)]), Answer::Panics]).source());
    let (store, ended) = (mirror.store, mirror.running.await.unwrap());
    assert!(matches!(ended, Err(SourceError::Panicked(text)) if text == "the table is gone"));
    assert_eq!(content(&store), expected(&[("a", 1)]));
}

/// What it lists is what counts, however much older it is.
#[tokio::test(start_paused = true)]
async fn a_table_that_was_set_back_is_mirrored_as_it_is() {
    let table = Table::of([
        &[("a", 1)],
        &[("a", 2), ("b", 1)],
        &[("a", 3), ("c", 1)],
        &[("a", 1)],
        &[],
        &[("a", 1)],
    ]);
    let mirror = Mirror::of(table.source());
    mirror.monitor.synced().await.unwrap();
    for rows in [&[("a", 2), ("b", 1)][..], &[("a", 3), ("c", 1)], &[("a", 1)], &[], &[("a", 1)]] {
        polls(1).await;
        assert_eq!(mirror.content(), expected(rows));
    }
    assert_eq!(mirror.monitor.progress().lists, 1);
}

/// A source that counts from the beginning would be older than the store that its predecessor has filled.
#[tokio::test(start_paused = true)]
async fn a_store_goes_on_with_the_next_source() {
    let table = Table::of([&[("a", 1), ("b", 1)], &[("a", 2), ("b", 1)]]);
    let mirror = Mirror::of(table.source());
    polls(2).await;
    mirror.running.abort();
    let mirror = Mirror::into(Table::of([&[("a", 3)]]).source(), mirror.store);
    mirror.monitor.synced().await.unwrap();
    assert_eq!(mirror.content(), expected(&[("a", 3)]));
}

#[tokio::test(start_paused = true)]
async fn a_store_goes_on_with_a_source_that_was_made_before_another_ran() {
    let values = Arc::new(AtomicI32::new(0));
    let growing = Poll::new(EVERY, move || {
        let value = values.fetch_add(1, Ordering::Relaxed);
        async move { Ok(vec![row("a", value), row("b", value)]) }
    });
    let other = Table::of([&[("a", -1)]]).source();
    let mirror = Mirror::of(growing);
    polls(100).await;
    assert!(mirror.store.get("a").unwrap().value > 90);
    mirror.running.abort();
    let mirror = Mirror::into(other, mirror.store);
    mirror.monitor.synced().await.unwrap();
    assert_eq!(mirror.content(), expected(&[("a", -1)]));
}

#[tokio::test(start_paused = true)]
async fn what_moves_from_one_of_two_merged_sources_to_the_other_is_there() {
    let (moved, values) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI32::new(0)));
    let here = Arc::clone(&moved);
    let from = Poll::new(EVERY, move || {
        let value = values.fetch_add(1, Ordering::Relaxed);
        let rows = if here.load(Ordering::Relaxed) { vec![] } else { vec![row("a", value)] };
        async { Ok(rows) }
    });
    let here = Arc::clone(&moved);
    let to = Poll::new(EVERY * 3, move || {
        let rows = if here.load(Ordering::Relaxed) { vec![row("a", -1)] } else { vec![] };
        async { Ok(rows) }
    });
    let store = Arc::new(Store::new());
    let [one, other] = Merge::new([store.clone()]).parts();
    for (source, part) in [(from, one), (to, other)] {
        tokio::spawn(Reflector::builder(source).sink(part).build().run(std::future::pending()));
    }
    polls(100).await;
    assert!(store.get("a").unwrap().value > 90);
    moved.store(true, Ordering::Relaxed);
    polls(10).await;
    assert_eq!(content(&store), expected(&[("a", -1)]));
}

#[tokio::test(start_paused = true)]
async fn what_has_no_key_is_told_and_costs_nothing_else_and_of_two_the_last_counts() {
    let table = Table::of([
        &[("a", 1), ("bomb", 1), ("", 1), ("a", 2)],
        &[("a", 2), ("bomb", 1), ("", 1)],
        &[("a", 2)],
    ]);
    let mirror = Mirror::of(table.source());
    mirror.monitor.synced().await.unwrap();
    assert_eq!(mirror.content(), expected(&[("a", 2)]));
    assert_eq!(mirror.monitor.progress().undecodable, 2);
    let revision = mirror.store.revision();
    polls(2).await;
    assert_eq!((mirror.content(), mirror.store.revision()), (expected(&[("a", 2)]), revision));
    assert_eq!(mirror.monitor.progress().undecodable, 2, "nothing has changed");
}

#[tokio::test(start_paused = true)]
async fn in_which_order_rows_are_listed_says_nothing() {
    let table = Table::of([
        &[("a", 1), ("b", 1), ("bomb", 1), ("", 1)],
        &[("", 1), ("b", 1), ("bomb", 1), ("a", 1)],
    ]);
    let mirror = Mirror::of(table.source());
    mirror.monitor.synced().await.unwrap();
    let version = mirror.monitor.progress().resource_version;
    polls(3).await;
    let progress = mirror.monitor.progress();
    assert_eq!((progress.resource_version, progress.undecodable), (version, 2));
}

type Rows = Vec<Result<Row, Undecodable>>;

fn no_number(key: &str) -> Result<Row, Undecodable> {
    Err(Undecodable::new(Some(key.parse().unwrap()), None, "not a number"))
}

/// Mirrors what is listed, poll by poll, and then the last for ever.
fn mirror_of_rows(polls: impl IntoIterator<Item = Rows>) -> Mirror {
    let polls = Mutex::new(VecDeque::from_iter(polls));
    Mirror::of(Poll::new(EVERY, move || {
        let mut polls = polls.lock().unwrap();
        let rows = polls.front().cloned().unwrap();
        if polls.len() > 1 {
            polls.pop_front();
        }
        async { Ok(rows) }
    }))
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_bad_keeps_what_is_held_and_is_quarantined_while_it_is() {
    let bad = || vec![Ok(row("a", 2)), no_number("b")];
    let good = || vec![Ok(row("a", 2)), Ok(row("b", 1))];
    let mirror = mirror_of_rows([vec![Ok(row("a", 1)), Ok(row("b", 1))], bad(), bad(), good()]);
    let quarantined = || {
        let quarantined = mirror.monitor.quarantined().into_iter();
        quarantined.map(|(key, why)| format!("{key}: {}", why.error)).collect::<Vec<_>>()
    };
    mirror.monitor.synced().await.unwrap();
    assert!(quarantined().is_empty());
    polls(1).await;
    assert_eq!(mirror.content(), expected(&[("a", 2), ("b", 1)]));
    assert_eq!(quarantined(), ["b: not a number"]);
    let version = mirror.monitor.progress().resource_version;
    polls(1).await;
    let progress = mirror.monitor.progress();
    assert_eq!((progress.resource_version, progress.undecodable), (version, 1), "it is the same");
    polls(1).await;
    assert_eq!(mirror.content(), expected(&[("a", 2), ("b", 1)]));
    assert!(quarantined().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_bad_row_that_is_gone_takes_with_it_what_was_held() {
    let mirror = mirror_of_rows([
        vec![Ok(row("a", 1)), Ok(row("b", 1))],
        vec![Ok(row("a", 1)), no_number("b"), no_number("c")],
        vec![Ok(row("a", 1))],
    ]);
    polls(1).await;
    assert_eq!(mirror.content(), expected(&[("a", 1), ("b", 1)]));
    assert_eq!(mirror.monitor.progress().quarantined, 2);
    polls(1).await;
    assert_eq!(mirror.content(), expected(&[("a", 1)]));
    assert_eq!(mirror.monitor.progress().quarantined, 0);
}

#[tokio::test(start_paused = true)]
async fn a_shard_keeps_its_own_keys() {
    let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let table = Table::new([Answer::Rows(keys.map(|key| row(key, 1)).to_vec())]);
    let shard = Shard::by_key(0, 2).unwrap();
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(table.source()).sink(store.clone()).shard(shard).build();
    let monitor = reflector.monitor();
    reflector.run(async { monitor.synced().await.unwrap() }).await.unwrap();
    let own: Vec<_> = keys.into_iter().filter(|key| shard.owns(*key)).collect();
    assert_eq!(content(&store).iter().map(|(key, _)| key).collect::<Vec<_>>(), own);
}

fn after(version: &ResourceVersion) -> WatchRequest {
    WatchRequest::new(WatchStart::After(version.clone()), Duration::from_secs(25))
}

type Told = Result<WatchEvent<Polled<Row>>, SourceError>;

fn shown(event: &Told) -> String {
    match event.as_ref().unwrap() {
        WatchEvent::Modified(row) => format!("{} {}", row.key, row.value),
        WatchEvent::Gone { key, .. } => format!("{key} gone"),
        WatchEvent::Bookmark(_) => "that is all".to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_dropped_anywhere_is_resumed_with_nothing_lost() {
    let table = Table::of([&[("a", 1), ("b", 1)], &[("a", 2), ("c", 1)], &[("c", 2)]]);
    let source = table.source();
    let listed = source.list(ListRequest::default()).await.unwrap().resource_version.unwrap();
    let mut watch = source.watch(after(&listed)).await.unwrap();
    // In the middle of a poll.
    let early = tokio::time::timeout(EVERY, watch.next()).await;
    assert!(early.is_err());
    drop(watch);
    // Among the changes of one poll.
    let mut watch = source.watch(after(&listed)).await.unwrap();
    assert_eq!(shown(&watch.next().await.unwrap()), "b gone");
    drop(watch);
    let mut watch = source.watch(after(&listed)).await.unwrap();
    let mut told = Vec::new();
    while told.last().is_none_or(|last| last != "that is all") {
        told.push(shown(&watch.next().await.unwrap()));
    }
    assert_eq!(told, ["b gone", "a 2", "c 1", "that is all"]);
    told.clear();
    while let Some(event) = watch.next().await {
        told.push(shown(&event));
    }
    assert_eq!(told, ["a gone", "c 2", "that is all", "that is all"], "it ends when it is to");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_not_known_has_expired() {
    let table = Table::of([&[("a", 1)], &[("a", 2)], &[("a", 3)]]);
    let source = table.source();
    let listed = source.list(ListRequest::default()).await.unwrap().resource_version.unwrap();
    let expired = async |version: &ResourceVersion| {
        source.watch(after(version)).await.err().is_some_and(|error| error.is_expired())
    };
    assert!(!expired(&listed).await);
    let mut versions = Vec::new();
    for _ in 0..2 {
        let page = source.list(ListRequest::default()).await.unwrap();
        versions.push(page.resource_version.unwrap());
    }
    assert!(expired(&listed).await, "what was between is forgotten");
    let [before, last] = &versions[..] else { panic!("{versions:?}") };
    assert!(!expired(before).await);
    assert!(!expired(last).await);
    let number = last.number().unwrap();
    assert!(
        !expired(&(number - 1).to_string().into()).await,
        "a watch resumes within a version so"
    );
    for other in ["", "x", "0", &(number + 1).to_string()] {
        assert!(expired(&other.into()).await, "{other:?}");
    }
    let streamed = WatchRequest::new(WatchStart::InitialEvents, EVERY);
    assert!(source.watch(streamed).await.err().unwrap().is_unsupported());
}

/// As `Source::watch` has it: a watch that has failed has ended.
#[tokio::test(start_paused = true)]
async fn after_a_failure_a_watch_asks_nothing_more() {
    let table = Table::new([rows(&[]), Answer::Fails(|| SourceError::transport("no route"))]);
    let source = table.source();
    let listed = source.list(ListRequest::default()).await.unwrap().resource_version.unwrap();
    let mut watch = source.watch(after(&listed)).await.unwrap();
    assert!(watch.next().await.unwrap().is_err());
    assert!(watch.next().await.is_none());
    assert_eq!(table.asked.lock().unwrap().len(), 2);
}

/// Several destructors that panic at once would end the process, if nobody kept them apart.
#[tokio::test(start_paused = true)]
async fn destructors_that_panic_end_the_reflector_and_not_the_process() {
    struct Bomb(&'static str);
    impl Object for Bomb {
        fn key(&self) -> KeyRef<'_> {
            self.0.into()
        }
    }
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a destructor");
        }
    }
    // Nothing differs, so that each poll but the first drops all that it lists.
    let source = Poll::comparing(
        |_: &Bomb, _: &Bomb| true,
        EVERY,
        async || Ok(vec![Bomb("a"), Bomb("b"), Bomb("c")]),
    );
    let ended = tokio::spawn(Reflector::builder(source).build().run(std::future::pending())).await;
    match ended {
        Ok(ended) => assert!(matches!(ended, Err(SourceError::Panicked(_)))),
        Err(error) => assert!(error.is_panic(), "the source's own content is dropped last"),
    }
}

/// A row that cannot be made, behind others whose destructors panic.
#[test]
fn a_row_that_panics_ends_the_reflector_and_not_the_process() {
    struct Explosive(&'static str);

    impl Object for Explosive {
        fn key(&self) -> KeyRef<'_> {
            self.0.into()
        }
    }

    impl Drop for Explosive {
        fn drop(&mut self) {
            panic!("the destructor of {} panics", self.0);
        }
    }

    struct Listed(&'static str);

    impl From<Listed> for watchcache::reflector::Row<Explosive> {
        fn from(Listed(key): Listed) -> Self {
            assert_ne!(key, "c", "no row");
            Explosive(key).into()
        }
    }

    in_a_process_of_its_own(|| {
        let list = || std::future::ready(Ok(["a", "b", "c", "d"].map(Listed).into()));
        let source = Poll::comparing(|_: &Explosive, _| true, EVERY, list);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let reflector = Reflector::builder(source).build();
        let ended = runtime.block_on(reflector.run(std::future::pending()));
        assert!(matches!(ended, Err(SourceError::Panicked(text)) if text.contains("no row")));
    });
}
