//! A reflector's metrics.

use ::metrics::{SharedString, Unit, counter, describe_counter, describe_gauge};

use super::{set, version};
use crate::reflector::Monitor;

const LISTS: &str = "reflector_lists_total";
const WATCHES: &str = "reflector_watches_total";
const VERSION: &str = "reflector_last_resource_version";
const RELISTS: &str = "watchcache_reflector_relists_total";
const EVENTS: &str = "watchcache_reflector_events_total";
const FAILURES: &str = "watchcache_reflector_failures_total";
const SILENCES: &str = "watchcache_reflector_silences_total";
const RESTARTS: &str = "watchcache_reflector_restarts_total";
const BYTES: &str = "watchcache_reflector_received_bytes_total";
const LISTED: &str = "watchcache_reflector_listed";
const QUARANTINED: &str = "watchcache_reflector_quarantined";
const SYNCED: &str = "watchcache_reflector_synced";
const LAG: &str = "watchcache_reflector_lag_seconds";

/// The metrics of one [`Reflector`](crate::Reflector), read from its [`Monitor`].
///
/// ```
/// use std::time::Duration;
/// use watchcache::Key;
/// use watchcache::metrics::ReflectorMetrics;
/// use watchcache::reflector::{Poll, Reflector, SourceError};
/// # use std::sync::Arc;
/// # use std::sync::atomic::{AtomicU64, Ordering};
/// # use metrics::{Counter, Gauge, Histogram, KeyName, Metadata, SharedString, Unit};
/// # struct Lists(Arc<AtomicU64>);
/// # impl metrics::Recorder for Lists {
/// #     fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
/// #     fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
/// #     fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
/// #     fn register_counter(&self, key: &metrics::Key, _: &Metadata<'_>) -> Counter {
/// #         let is_lists = key.name() == "reflector_lists_total";
/// #         if is_lists { Counter::from_arc(Arc::clone(&self.0)) } else { Counter::noop() }
/// #     }
/// #     fn register_gauge(&self, _: &metrics::Key, _: &Metadata<'_>) -> Gauge { Gauge::noop() }
/// #     fn register_histogram(&self, _: &metrics::Key, _: &Metadata<'_>) -> Histogram { Histogram::noop() }
/// # }
/// # let recorded = Arc::new(AtomicU64::new(0));
/// # let reflector_lists_total = || recorded.load(Ordering::Relaxed);
/// # let recorder = Lists(Arc::clone(&recorded));
/// # let _local = metrics::set_default_local_recorder(&recorder);
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// // Once the program's recorder is installed:
/// let of_reflector = ReflectorMetrics::new("settings");
/// let source = Poll::new(Duration::from_secs(10), async || Ok(Vec::<Key>::new()));
/// let reflector = Reflector::builder(source).build();
/// let monitor = reflector.monitor();
/// reflector.run(async { assert!(monitor.synced().await.is_ok()) }).await?;
/// // As often as somebody looks:
/// of_reflector.record(&monitor);
/// // What the recorder has:
/// assert_eq!(reflector_lists_total(), 1);
/// # Ok::<(), SourceError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReflectorMetrics {
    name: SharedString,
}

impl ReflectorMetrics {
    /// Metrics with this value of the label `name`, which must be this reflector's alone.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        describe();
        Self { name: SharedString::from_shared(name.into().into()) }
    }

    /// Sets gauges and counters to how the reflector is doing now. O(1), and never waits for it.
    ///
    /// There is no lag before the first list, and no last version while the source's is no number: these
    /// two are told once there is something to tell.
    pub fn record(&self, monitor: &Monitor) {
        let progress = monitor.progress();
        let set = |metric, value| set(metric, &self.name, value);
        let total = |metric: &'static str, count| {
            counter!(metric, "name" => self.name.clone()).absolute(count);
        };
        total(LISTS, progress.lists);
        total(WATCHES, progress.watches);
        if let Some(version) = progress.resource_version.as_ref().and_then(version) {
            set(VERSION, version);
        }
        for (cause, count) in progress.relist_causes.iter() {
            counter!(RELISTS, "name" => self.name.clone(), "cause" => cause).absolute(count);
        }
        total(EVENTS, progress.events);
        total(FAILURES, progress.failures);
        total(SILENCES, progress.silences);
        total(RESTARTS, progress.restarts);
        total(BYTES, progress.bytes);
        set(LISTED, progress.listed as f64);
        set(QUARANTINED, progress.quarantined as f64);
        set(SYNCED, f64::from(u8::from(progress.synced)));
        if let Some(lag) = progress.lag() {
            set(LAG, lag.as_secs_f64());
        }
    }
}

fn describe() {
    describe_counter!(LISTS, Unit::Count, "Lists that were begun.");
    describe_counter!(WATCHES, Unit::Count, "Watches that were asked for.");
    describe_gauge!(
        VERSION,
        Unit::Count,
        "The version up to which all is mirrored, last 15 digits."
    );
    describe_counter!(RELISTS, Unit::Count, "Lists after the first, by what made them necessary.");
    describe_counter!(EVENTS, Unit::Count, "Changes applied from watches.");
    describe_counter!(FAILURES, Unit::Count, "Lists and watches that failed.");
    describe_counter!(SILENCES, Unit::Count, "Watches given up because nothing came.");
    describe_counter!(RESTARTS, Unit::Count, "Times that the source's history was set back.");
    describe_counter!(BYTES, Unit::Bytes, "Bytes received from the source.");
    describe_gauge!(LISTED, Unit::Count, "Objects that the last list brought.");
    describe_gauge!(QUARANTINED, Unit::Count, "Keys whose newest version could not be taken.");
    describe_gauge!(SYNCED, "1 once the first list is in every sink.");
    describe_gauge!(LAG, Unit::Seconds, "Time since the content was last known to be complete.");
}
