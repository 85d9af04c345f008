//! What becomes of objects that cannot be used.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use watchcache::reflector::{
    ChangeFilter, Interest, Item, ListPage, ListRequest, Report, Source, SourceError, Undecodable,
    WatchEvent, WatchRequest,
};
use watchcache::{KeyRef, Object, Reflector, Store};

use crate::common::Pod;
use crate::script::{Answer, Script, closed, mirror, mirror_with, open, page, pod};

fn bad(key: &str, version: &str) -> Undecodable {
    Undecodable::new(key.parse().ok(), Some(version.into()), "it is bad")
}

fn deleted(mut bad: Undecodable) -> Undecodable {
    bad.deleted = true;
    bad
}

fn names(monitor: &watchcache::reflector::Monitor) -> Vec<String> {
    let listed = monitor.quarantined();
    assert_eq!(listed.len() as u64, monitor.progress().quarantined);
    listed.iter().map(|(key, _)| key.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_gone_is_no_longer_listed() {
    let mirror = mirror([
        page(10, None, &[]),
        open(vec![
            WatchEvent::Undecodable(bad("a/1", "11")),
            WatchEvent::Undecodable(bad("a/2", "12")),
            WatchEvent::Undecodable(bad("a/3", "13")),
            WatchEvent::Undecodable(bad("a/4", "14")),
            WatchEvent::Gone { key: "a/1".parse().unwrap(), version: "15".into() },
            WatchEvent::Deleted(pod("a/2", 16)),
            WatchEvent::Undecodable(deleted(bad("a/3", "17"))),
        ]),
    ])
    .await;
    assert_eq!(names(&mirror.monitor), ["a/4"]);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_may_carry_the_version_that_is_listed_as_bad() {
    let items = vec![Item::Undecodable(bad("a/1", "3")), Item::Undecodable(bad("a/2", "4"))];
    let list = Answer::List(Ok(ListPage::new(items, "10")));
    let events = vec![WatchEvent::Deleted(pod("a/1", 3)), WatchEvent::Deleted(pod("a/2", 3))];
    let mirror = mirror([list, open(events)]).await;
    assert_eq!(names(&mirror.monitor), ["a/2"], "one is of another version");
}

#[tokio::test(start_paused = true)]
async fn what_is_bad_in_an_old_version_is_no_news() {
    let events = vec![
        WatchEvent::Undecodable(bad("a/1", "3")),
        WatchEvent::Modified(pod("a/1", 12)),
        WatchEvent::Undecodable(bad("a/1", "11")),
    ];
    let mirror = mirror([page(10, None, &[("a/1", 3)]), open(events)]).await;
    assert!(names(&mirror.monitor).is_empty());
    assert_eq!(mirror.monitor.progress().stale_events, 2);
}

#[tokio::test(start_paused = true)]
async fn an_object_for_which_the_transform_panics_is_listed_and_the_others_go_on() {
    let answers = [
        page(10, None, &[("a/1", 1), ("a/bad", 2)]),
        closed(vec![
            WatchEvent::Modified(pod("a/bad", 11)),
            WatchEvent::Added(pod("a/worse-bad", 12)),
            WatchEvent::Added(pod("a/2", 13)),
            WatchEvent::Deleted(pod("a/worse-bad", 14)),
        ]),
        open(vec![]),
    ];
    let picky = |builder: watchcache::reflector::ReflectorBuilder<Script>| {
        builder.transform(|pod| {
            assert!(!pod.key.ends_with("bad"), "not this one");
            pod
        })
    };
    let mirror = mirror_with(answers, picky).await;
    assert_eq!(mirror.content(), [("a/1".into(), 1), ("a/2".into(), 13)]);
    assert_eq!(names(&mirror.monitor), ["a/bad"]);
    let entry = mirror.monitor.quarantine_of("a/bad").unwrap();
    assert!(entry.error.contains("not this one"), "{}", entry.error);
    assert_eq!(entry.resource_version.unwrap().as_str(), "11");
    assert_eq!(mirror.asked(), ["list ", "watch 10", "watch 14"]);
    mirror.result.unwrap();
}

/// An object whose key can be asked for once too often.
struct Shy(Pod);

impl Object for Shy {
    fn key(&self) -> KeyRef<'_> {
        assert!(!self.0.key.contains("shy"), "do not look");
        self.0.key()
    }

    fn resource_version(&self) -> Option<&str> {
        Some(&self.0.resource_version)
    }
}

/// Delivers what it is given, and hands out its report.
struct Lazy {
    listed: Mutex<Vec<Vec<Shy>>>,
    events: Mutex<Vec<Vec<WatchEvent<Shy>>>>,
    report: Arc<Mutex<Option<Report>>>,
}

impl Source for Lazy {
    type Object = Shy;
    type Watch = BoxStream<'static, Result<WatchEvent<Shy>, SourceError>>;

    async fn list(&self, _: ListRequest) -> Result<ListPage<Shy>, SourceError> {
        let mut listed = self.listed.lock().unwrap();
        let version = format!("{}", 100 - 10 * listed.len());
        let items = listed.remove(0).into_iter().map(|shy| Item::Object(Arc::new(shy)));
        Ok(ListPage::new(items.collect(), version))
    }

    async fn watch(&self, _: WatchRequest) -> Result<Self::Watch, SourceError> {
        let mut rounds = self.events.lock().unwrap();
        let last = rounds.len() == 1;
        let events = stream::iter(rounds.remove(0).into_iter().map(Ok));
        let gone = SourceError::Expired { message: "gone".to_owned(), continue_token: None };
        Ok(match last {
            true => events.chain(stream::pending()).boxed(),
            false => {
                let pause = stream::once(tokio::time::sleep(Duration::from_secs(60)));
                events.chain(pause.map(move |()| Err(SourceError::from_message(&gone)))).boxed()
            }
        })
    }

    fn attach(&mut self, report: Report, _: Interest<Shy>) {
        *self.report.lock().unwrap() = Some(report);
    }
}

/// Errors cannot be cloned.
trait FromMessage {
    fn from_message(error: &SourceError) -> SourceError;
}

impl FromMessage for SourceError {
    fn from_message(error: &SourceError) -> SourceError {
        SourceError::Expired { message: error.to_string(), continue_token: None }
    }
}

fn shy(key: &str, version: u64) -> Shy {
    Shy(Pod::new(key, version))
}

#[tokio::test(start_paused = true)]
async fn what_is_found_bad_late_is_listed_while_it_is_current() {
    let report = Arc::new(Mutex::new(None));
    let source = Lazy {
        listed: Mutex::new(vec![
            vec![shy("a/1", 1), shy("a/2", 2), shy("a/3", 3), shy("a/shy", 4)],
            vec![shy("a/1", 1), shy("a/2", 2), shy("a/3", 50)],
        ]),
        events: Mutex::new(vec![vec![WatchEvent::Modified(Arc::new(shy("a/2", 85)))], vec![]]),
        report: Arc::clone(&report),
    };
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(source).sink(store.clone()).build();
    let monitor = reflector.monitor();
    let stop = async {
        monitor.wait_for(&"85".into()).await.unwrap();
        assert_eq!(monitor.progress().undecodable, 1, "an object whose key cannot be read");
        let report = report.lock().unwrap().clone().unwrap();
        // Decoded by a reader that still holds an older one, or one of a key that is gone.
        report.undecodable(bad("a/2", "2"));
        report.undecodable(bad("a/9", "1"));
        assert_eq!(names(&monitor), Vec::<String>::new());
        report.undecodable(bad("a/1", "1"));
        report.undecodable(bad("a/3", "3"));
        assert_eq!(names(&monitor), ["a/1", "a/3"]);
        assert_eq!(monitor.progress().undecodable, 5);
        // A list that brings the same version again keeps the entry, another version ends it.
        monitor.wait_for(&"90".into()).await.unwrap();
        assert_eq!(names(&monitor), ["a/1"]);
    };
    reflector.run(stop).await.unwrap();
    assert_eq!(store.len(), 3);
}

/// A filter's sink holds an older version than what the filter left out.
#[tokio::test(start_paused = true)]
async fn what_is_found_bad_late_is_listed_though_a_filter_left_it_out() {
    let report = Arc::new(Mutex::new(None));
    let source = Lazy {
        listed: Mutex::new(vec![vec![shy("a/1", 1), shy("a/2", 2)]]),
        events: Mutex::new(vec![vec![WatchEvent::Modified(Arc::new(shy("a/2", 101)))]]),
        report: Arc::clone(&report),
    };
    let store = Arc::new(Store::new());
    // No aspect is chosen, so that no change passes.
    let reflector = Reflector::builder(source).sink(ChangeFilter::new(store.clone())).build();
    let monitor = reflector.monitor();
    let stop = async {
        monitor.wait_for(&"101".into()).await.unwrap();
        assert_eq!(store.get("a/2").unwrap().0.version(), 2);
        let report = report.lock().unwrap().clone().unwrap();
        report.undecodable(bad("a/1", "1"));
        report.undecodable(bad("a/2", "101"));
        assert_eq!(names(&monitor), ["a/1", "a/2"]);
    };
    reflector.run(stop).await.unwrap();
}

/// Looks at what it is given at once, as an index function does.
struct Looks(Arc<Mutex<Option<Report>>>);

impl Looks {
    fn look(&self, shy: &Shy) {
        if shy.0.key.ends_with("bad") {
            let report = self.0.lock().unwrap().clone().unwrap();
            report.undecodable(bad(&shy.0.key, &shy.0.resource_version));
        }
    }
}

impl watchcache::Sink<Shy> for Looks {
    fn apply(&self, batch: &watchcache::Batch<Shy>) {
        for (_, change) in batch.changes() {
            if let watchcache::Change::Add(shy) = change {
                self.look(shy);
            }
        }
    }

    fn replace(&self, listing: &watchcache::Listing<Shy>) {
        listing.objects().for_each(|(_, shy)| self.look(shy));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_found_bad_before_all_sinks_hold_it_is_listed() {
    for merged in [false, true] {
        let report = Arc::new(Mutex::new(None));
        let source = Lazy {
            listed: Mutex::new(vec![vec![shy("a/1", 1), shy("a/bad", 2)]]),
            events: Mutex::new(vec![vec![
                WatchEvent::Added(Arc::new(shy("a/also-bad", 101))),
                WatchEvent::Added(Arc::new(shy("a/no-longer-bad", 102))),
                WatchEvent::Modified(Arc::new(Shy(Pod::new("a/no-longer-bad", 103)))),
                WatchEvent::Deleted(Arc::new(shy("a/no-longer-bad", 104))),
            ]]),
            report: Arc::clone(&report),
        };
        let store = Arc::new(Store::new());
        let looks = Looks(Arc::clone(&report));
        let builder = Reflector::builder(source);
        let builder = match merged {
            true => {
                let merge = watchcache::reflector::Merge::new([looks]).sink(store.clone());
                let [part] = merge.parts();
                builder.sink(part)
            }
            false => builder.sink(looks).sink(store.clone()),
        };
        let reflector = builder.build();
        let monitor = reflector.monitor();
        let stop = async {
            monitor.wait_for(&"104".into()).await.unwrap();
            assert_eq!(names(&monitor), ["a/also-bad", "a/bad"]);
        };
        reflector.run(stop).await.unwrap();
    }
}
