//! What is reported through the `metrics` facade, under which names.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};
use watchcache::fifo::{Backoff, ManualClock};
use watchcache::metrics::{FifoMetrics, ReflectorMetrics, StoreMetrics};
use watchcache::reflector::{
    Item, ListPage, ListRequest, Source, SourceError, Undecodable, WatchEvent, WatchRequest,
};
use watchcache::store::FeedLimits;
use watchcache::{Batch, Fifo, KeyRef, Object, Reflector, Store};

/// A recorder that can be read.
#[derive(Default)]
struct Recorded {
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    gauges: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    histograms: Mutex<BTreeMap<String, Arc<Values>>>,
    described: Mutex<BTreeSet<String>>,
}

#[derive(Default)]
struct Values(Mutex<Vec<f64>>);

impl HistogramFn for Values {
    fn record(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }
}

/// `name{label,label}`, by the labels' values.
fn text(key: &Key) -> String {
    let labels: Vec<_> = key.labels().map(metrics::Label::value).collect();
    format!("{}{{{}}}", key.name(), labels.join(","))
}

impl Recorder for Recorded {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.described.lock().unwrap().insert(key.as_str().to_owned());
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.described.lock().unwrap().insert(key.as_str().to_owned());
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.described.lock().unwrap().insert(key.as_str().to_owned());
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut counters = self.counters.lock().unwrap();
        Counter::from_arc(Arc::clone(counters.entry(text(key)).or_default()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let mut gauges = self.gauges.lock().unwrap();
        Gauge::from_arc(Arc::clone(gauges.entry(text(key)).or_default()))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let mut histograms = self.histograms.lock().unwrap();
        Histogram::from_arc(Arc::clone(histograms.entry(text(key)).or_default()))
    }
}

impl Recorded {
    fn counter(&self, key: &str) -> u64 {
        self.counters.lock().unwrap()[key].load(Ordering::Relaxed)
    }

    fn gauge(&self, key: &str) -> f64 {
        f64::from_bits(self.gauges.lock().unwrap()[key].load(Ordering::Relaxed))
    }

    fn has_gauge(&self, key: &str) -> bool {
        self.gauges.lock().unwrap().contains_key(key)
    }

    fn histogram(&self, key: &str) -> Vec<f64> {
        self.histograms.lock().unwrap()[key].0.lock().unwrap().clone()
    }
}

#[derive(Debug)]
struct Thing(&'static str, &'static str);

impl Object for Thing {
    fn key(&self) -> KeyRef<'_> {
        self.0.into()
    }

    fn resource_version(&self) -> Option<&str> {
        Some(self.1)
    }
}

#[test]
fn a_store_tells_what_became_of_each_change_and_what_it_holds() {
    let recorded = Recorded::default();
    with_local_recorder(&recorded, || {
        let metrics = StoreMetrics::new("things");
        let store = Store::builder().observer(metrics.clone()).build();
        store.add(Thing("a", "1")).unwrap();
        let snapshot = store.snapshot();
        store.add(Thing("a", "2")).unwrap();
        store.add(Thing("a", "2")).unwrap();
        store.add(Thing("a", "1")).unwrap();
        store.delete("a");
        metrics.record(&store);
        let version = "watchcache_store_resource_version{things}";
        assert!(!recorded.has_gauge(version), "the source has told none");
        let mut bookmark = Batch::new();
        bookmark.set_resource_version("41".into());
        store.apply(&bookmark);
        metrics.record(&store);
        assert_eq!(recorded.gauge(version), 41.0);
        drop(snapshot);
    });
    let changes =
        |outcome| recorded.counter(&format!("watchcache_store_changes_total{{things,{outcome}}}"));
    let outcomes = ["added", "updated", "unchanged", "stale", "deleted", "rejected"];
    assert_eq!(outcomes.map(changes), [1, 1, 1, 1, 1, 0]);
    assert_eq!(recorded.histogram("watchcache_store_write_duration_seconds{things}").len(), 6);
    assert_eq!(recorded.gauge("watchcache_store_objects{things}"), 0.0);
    assert_eq!(recorded.gauge("watchcache_store_snapshots{things}"), 1.0);
    assert!(recorded.gauge("watchcache_store_retained_versions{things}") >= 1.0);
}

#[test]
fn a_store_tells_what_its_feed_keeps() {
    let recorded = Recorded::default();
    let feed = with_local_recorder(&recorded, || {
        let metrics = StoreMetrics::new("things");
        let limits = FeedLimits::default().log(8, usize::MAX).behind(64, usize::MAX);
        let store = Store::builder().feed(limits).build();
        let mut late = store.subscribe().start().unwrap();
        let mut stalled = store.subscribe().start().unwrap();
        for i in 0..1000_u64 {
            let object = format!("a/{}", i % 200);
            store.add(Named(object)).unwrap();
            if i < 100 {
                while late.try_next().is_ok() {}
            }
        }
        assert!(late.try_next().is_ok() && stalled.try_next().is_ok());
        metrics.record(&store);
        store.stats().feed
    });
    assert!(feed.resets > 0 && feed.log_changes > 0);
    let gauge = |metric| recorded.gauge(&format!("watchcache_feed_{metric}{{things}}")) as usize;
    assert_eq!((gauge("subscriptions"), gauge("waiting")), (2, 0));
    assert_eq!((gauge("log_changes"), gauge("log_bytes")), (feed.log_changes, feed.log_bytes));
    let behind = (feed.behind_changes, feed.behind_bytes);
    assert_eq!((gauge("behind_changes"), gauge("behind_bytes")), behind);
    let total = |metric| recorded.counter(&format!("watchcache_feed_{metric}_total{{things}}"));
    assert_eq!((total("differences"), total("resets")), (feed.differences, feed.resets));
}

struct Named(String);

impl Object for Named {
    fn key(&self) -> KeyRef<'_> {
        self.0.as_str().into()
    }
}

#[test]
fn a_queue_counts_as_client_go_does() {
    let recorded = Recorded::default();
    with_local_recorder(&recorded, || {
        let (clock, metrics) = (ManualClock::new(), FifoMetrics::new("things"));
        let second = Duration::from_secs(1);
        let backoff = Backoff::new(second * 5, second * 5);
        let builder = Fifo::builder().observer(metrics.clone()).backoff(backoff).clock(&clock);
        let fifo = builder.build().unwrap();
        fifo.add(Thing("a", "1")).unwrap();
        fifo.add(Thing("a", "2")).unwrap();
        fifo.add(Thing("b", "1")).unwrap();
        clock.advance(second * 3);
        let lease = fifo.lease().unwrap();
        clock.advance(second * 4);
        fifo.add(Thing("a", "3")).unwrap();
        metrics.record(&fifo);
        assert_eq!(recorded.gauge("workqueue_depth{things}"), 2.0, "b, and a once more");
        assert_eq!(recorded.gauge("workqueue_unfinished_work_seconds{things}"), 4.0);
        assert_eq!(recorded.gauge("workqueue_longest_running_processor_seconds{things}"), 4.0);
        // Something newer waits, so nothing is put back.
        lease.retry();
        fifo.lease().unwrap().retry();
        metrics.record(&fifo);
    });
    assert_eq!(recorded.gauge("watchcache_fifo_delayed{things}"), 1.0);
    assert_eq!(recorded.gauge("watchcache_fifo_leased{things}"), 0.0);
    assert_eq!(
        recorded.counter("workqueue_adds_total{things}"),
        4,
        "a, b, a, and what was put back"
    );
    assert_eq!(recorded.counter("workqueue_retries_total{things}"), 2);
    assert_eq!(recorded.counter("watchcache_fifo_coalesced_total{things}"), 1);
    assert_eq!(recorded.histogram("workqueue_queue_duration_seconds{things}"), [3.0, 7.0]);
    assert_eq!(recorded.histogram("workqueue_work_duration_seconds{things}"), [4.0, 0.0]);
}

/// A list of two, of which one does not decode, and a change of the other.
struct Two;

impl Source for Two {
    type Object = Thing;
    type Watch = BoxStream<'static, Result<WatchEvent<Thing>, SourceError>>;

    async fn list(&self, _: ListRequest) -> Result<ListPage<Thing>, SourceError> {
        let bad = Undecodable::new("b".parse().ok(), Some("2".into()), "it is bad");
        let items = vec![Item::Object(Arc::new(Thing("a", "1"))), Item::Undecodable(bad)];
        Ok(ListPage::new(items, "2"))
    }

    async fn watch(&self, _: WatchRequest) -> Result<Self::Watch, SourceError> {
        let event = WatchEvent::Modified(Arc::new(Thing("a", "3")));
        Ok(stream::iter([Ok(event)]).chain(stream::pending()).boxed())
    }
}

#[test]
fn a_reflector_tells_how_it_is_doing() {
    let recorded = Recorded::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let metrics = with_local_recorder(&recorded, || ReflectorMetrics::new("things"));
    let reflector = Reflector::builder(Two).sink(Arc::new(Store::new())).build();
    let monitor = reflector.monitor();
    with_local_recorder(&recorded, || metrics.record(&monitor));
    assert_eq!(recorded.gauge("watchcache_reflector_synced{things}"), 0.0);
    assert!(!recorded.has_gauge("watchcache_reflector_lag_seconds{things}"));

    let wait = monitor.wait_for(&"3".into());
    runtime.block_on(reflector.run(async { wait.await.unwrap() })).unwrap();
    with_local_recorder(&recorded, || metrics.record(&monitor));
    let total = |metric| recorded.counter(&format!("{metric}{{things}}"));
    let gauge = |metric| recorded.gauge(&format!("{metric}{{things}}"));
    assert_eq!((total("reflector_lists_total"), total("reflector_watches_total")), (1, 1));
    assert_eq!(total("watchcache_reflector_events_total"), 1);
    assert_eq!(gauge("reflector_last_resource_version"), 3.0);
    assert_eq!(gauge("watchcache_reflector_quarantined"), 1.0);
    assert_eq!(gauge("watchcache_reflector_synced"), 1.0);
    assert!((0.0..600.0).contains(&gauge("watchcache_reflector_lag_seconds")));
    let page = include_str!("../docs/metrics.md");
    let all = format!("{:?}", monitor.progress().relist_causes);
    let causes: Vec<_> = monitor.progress().relist_causes.iter().collect();
    assert_eq!(causes.len(), all.split(',').count(), "{all}");
    for (cause, count) in causes {
        assert!(all.contains(&format!("{cause}: {count}")), "{cause} in {all}");
        let metric = format!("watchcache_reflector_relists_total{{things,{cause}}}");
        assert_eq!(recorded.counter(&metric), count);
        assert!(page.contains(&format!("`{cause}`")), "{cause} is not in the page");
    }
}

#[test]
fn the_page_lists_every_name_and_no_other() {
    let recorded = Recorded::default();
    with_local_recorder(&recorded, || {
        drop((StoreMetrics::new("a"), FifoMetrics::new("a"), ReflectorMetrics::new("a")));
    });
    let page = include_str!("../docs/metrics.md");
    let quoted = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    // Elsewhere there are conditions on them.
    let is_name = |text: &&str| text.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase());
    let names: BTreeSet<String> = quoted.filter(is_name).map(str::to_owned).collect();
    assert_eq!(names, *recorded.described.lock().unwrap());
}

#[test]
fn the_dashboard_asks_for_names_that_there_are() {
    let recorded = Recorded::default();
    with_local_recorder(&recorded, || {
        drop((StoreMetrics::new("a"), FifoMetrics::new("a"), ReflectorMetrics::new("a")));
    });
    let described = recorded.described.lock().unwrap();
    let dashboard = include_str!("../docs/dashboard.json");
    let expressions = dashboard.lines().filter(|line| line.trim().starts_with("\"expr\""));
    let words = expressions.flat_map(|line| {
        line.split(|at: char| at != '_' && !at.is_ascii_lowercase())
            .filter(|word| word.starts_with("watchcache_") || word.starts_with("workqueue_"))
    });
    let mut asked = 0;
    for word in words {
        let name = word.strip_suffix("_bucket").unwrap_or(word);
        assert!(described.contains(name), "{name}");
        asked += 1;
    }
    assert!(asked > 20, "{asked}");
}
