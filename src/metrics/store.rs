//! A store's metrics.

use std::time::Duration;

use ::metrics::{
    Counter, Histogram, SharedString, Unit, counter, describe_counter, describe_gauge,
    describe_histogram, histogram,
};

use super::{set, version};
use crate::store::{Applied, Observer};
use crate::{Object, Store};

const CHANGES: &str = "watchcache_store_changes_total";
const WRITE: &str = "watchcache_store_write_duration_seconds";
const OBJECTS: &str = "watchcache_store_objects";
const REVISION: &str = "watchcache_store_revision";
const VERSION: &str = "watchcache_store_resource_version";
const SNAPSHOTS: &str = "watchcache_store_snapshots";
const OLDEST_SNAPSHOT: &str = "watchcache_store_oldest_snapshot_age_seconds";
const OLDEST_PIN: &str = "watchcache_store_oldest_pin_age_seconds";
const RETAINED: &str = "watchcache_store_retained_versions";
const RETAINED_BYTES: &str = "watchcache_store_retained_bytes";
const TABLE_BYTES: &str = "watchcache_store_table_bytes";
const REFUSED: &str = "watchcache_store_reclamation_refused";
const SUBSCRIPTIONS: &str = "watchcache_feed_subscriptions";
const WAITING: &str = "watchcache_feed_waiting";
const LOG_CHANGES: &str = "watchcache_feed_log_changes";
const LOG_BYTES: &str = "watchcache_feed_log_bytes";
const BEHIND_CHANGES: &str = "watchcache_feed_behind_changes";
const BEHIND_BYTES: &str = "watchcache_feed_behind_bytes";
const DIFFERENCES: &str = "watchcache_feed_differences_total";
const RESETS: &str = "watchcache_feed_resets_total";

/// The metrics of one [`Store`]: its [observer](crate::store::StoreBuilder::observer), and what
/// [`record`](Self::record) reads. A handle: clones are the same metrics.
///
/// ```
/// use watchcache::metrics::StoreMetrics;
/// use watchcache::{Key, Store};
/// # use std::sync::Arc;
/// # use std::sync::atomic::{AtomicU64, Ordering};
/// # use metrics::{Counter, Gauge, Histogram, KeyName, Metadata, SharedString, Unit};
/// # struct Objects(Arc<AtomicU64>);
/// # impl metrics::Recorder for Objects {
/// #     fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
/// #     fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
/// #     fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
/// #     fn register_counter(&self, _: &metrics::Key, _: &Metadata<'_>) -> Counter { Counter::noop() }
/// #     fn register_gauge(&self, key: &metrics::Key, _: &Metadata<'_>) -> Gauge {
/// #         let is_count = key.name() == "watchcache_store_objects";
/// #         if is_count { Gauge::from_arc(Arc::clone(&self.0)) } else { Gauge::noop() }
/// #     }
/// #     fn register_histogram(&self, _: &metrics::Key, _: &Metadata<'_>) -> Histogram { Histogram::noop() }
/// # }
/// # let recorded = Arc::new(AtomicU64::new(0));
/// # let watchcache_store_objects = || f64::from_bits(recorded.load(Ordering::Relaxed));
/// # let recorder = Objects(Arc::clone(&recorded));
/// # let _local = metrics::set_default_local_recorder(&recorder);
///
/// // Once the program's recorder is installed:
/// let of_store = StoreMetrics::new("pods");
/// let store = Store::<Key>::builder().observer(of_store.clone()).build();
/// store.add("a/web".parse::<Key>()?)?;
/// // As often as somebody looks:
/// of_store.record(&store);
/// // What the recorder has:
/// assert_eq!(watchcache_store_objects(), 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    name: SharedString,
    /// Added, updated, deleted, unchanged, stale, rejected.
    changes: [Counter; 6],
    write: Histogram,
    differences: Counter,
    resets: Counter,
}

impl StoreMetrics {
    /// Metrics with this value of the label `name`, which must be this store's alone, for the recorder that
    /// is installed by now.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        describe();
        let name = SharedString::from_shared(name.into().into());
        let outcomes = ["added", "updated", "deleted", "unchanged", "stale", "rejected"];
        let changes =
            outcomes.map(|outcome| counter!(CHANGES, "name" => name.clone(), "outcome" => outcome));
        Self {
            changes,
            write: histogram!(WRITE, "name" => name.clone()),
            differences: counter!(DIFFERENCES, "name" => name.clone()),
            resets: counter!(RESETS, "name" => name.clone()),
            name,
        }
    }

    /// Sets the gauges to what the store has now, by [`Store::stats`]: the calling thread may free a
    /// bounded part of what can be freed.
    pub fn record<T: Object>(&self, store: &Store<T>) {
        let stats = store.stats();
        let set = |metric, value| set(metric, &self.name, value);
        let age = |age: Option<Duration>| age.unwrap_or_default().as_secs_f64();
        set(OBJECTS, stats.objects as f64);
        set(REVISION, stats.revision.get() as f64);
        if let Some(version) = store.resource_version().as_ref().and_then(version) {
            set(VERSION, version);
        }
        set(SNAPSHOTS, stats.live_snapshots as f64);
        set(OLDEST_SNAPSHOT, age(stats.oldest_snapshot_age));
        set(OLDEST_PIN, age(stats.oldest_pin.map(|pin| pin.age)));
        set(RETAINED, stats.retained_versions as f64);
        set(RETAINED_BYTES, stats.retained_bytes as f64);
        set(TABLE_BYTES, stats.table_bytes as f64);
        set(REFUSED, f64::from(u8::from(stats.reclamation_refused)));
        let feed = stats.feed;
        set(SUBSCRIPTIONS, feed.subscriptions as f64);
        set(WAITING, feed.waiting as f64);
        set(LOG_CHANGES, feed.log_changes as f64);
        set(LOG_BYTES, feed.log_bytes as f64);
        set(BEHIND_CHANGES, feed.behind_changes as f64);
        set(BEHIND_BYTES, feed.behind_bytes as f64);
        self.differences.absolute(feed.differences);
        self.resets.absolute(feed.resets);
    }
}

impl Observer for StoreMetrics {
    fn applied(&self, applied: &Applied, took: Duration) {
        let Applied { added, updated, deleted, unchanged, stale, rejected, .. } = applied;
        let counts = [*added, *updated, *deleted, *unchanged, *stale, rejected.len()];
        for (counter, count) in self.changes.iter().zip(counts) {
            counter.increment(count as u64);
        }
        self.write.record(took);
    }
}

fn describe() {
    describe_counter!(
        CHANGES,
        Unit::Count,
        "Changes written to the store, by what became of them."
    );
    describe_histogram!(WRITE, Unit::Seconds, "How long writes took, waiting for others included.");
    describe_gauge!(OBJECTS, Unit::Count, "Objects in the store.");
    describe_gauge!(REVISION, Unit::Count, "The store's own sequence number.");
    describe_gauge!(VERSION, Unit::Count, "The source's version of the content, last 15 digits.");
    describe_gauge!(SNAPSHOTS, Unit::Count, "Snapshots that are alive.");
    describe_gauge!(OLDEST_SNAPSHOT, Unit::Seconds, "Age of the oldest superseded snapshot.");
    describe_gauge!(OLDEST_PIN, Unit::Seconds, "Age of the oldest pin that keeps memory.");
    describe_gauge!(RETAINED, Unit::Count, "Superseded versions that are not freed yet.");
    describe_gauge!(RETAINED_BYTES, Unit::Bytes, "Bytes of their objects.");
    describe_gauge!(TABLE_BYTES, Unit::Bytes, "Bytes of the hash table and its records.");
    describe_gauge!(REFUSED, "1 while the system refuses to let memory be freed.");
    describe_gauge!(SUBSCRIPTIONS, Unit::Count, "Subscriptions, handlers' among them.");
    describe_gauge!(WAITING, Unit::Count, "Threads and tasks that wait for a version or a list.");
    describe_gauge!(LOG_CHANGES, Unit::Count, "Changes in the feed's log.");
    describe_gauge!(LOG_BYTES, Unit::Bytes, "Bytes in the feed's log, objects' among them.");
    describe_gauge!(BEHIND_CHANGES, Unit::Count, "Changes kept for those behind the log.");
    describe_gauge!(BEHIND_BYTES, Unit::Bytes, "Bytes of these.");
    describe_counter!(DIFFERENCES, Unit::Count, "Differences told to those behind the log.");
    describe_counter!(RESETS, Unit::Count, "Whole contents told again, to the slowest.");
}
