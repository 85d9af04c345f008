//! A queue's metrics.

use std::time::Duration;

use ::metrics::{
    Histogram, SharedString, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    histogram,
};

use super::set;
use crate::fifo::Observer;
use crate::{Fifo, Object};

const DEPTH: &str = "workqueue_depth";
const ADDS: &str = "workqueue_adds_total";
const QUEUED: &str = "workqueue_queue_duration_seconds";
const WORKED: &str = "workqueue_work_duration_seconds";
const UNFINISHED: &str = "workqueue_unfinished_work_seconds";
const LONGEST: &str = "workqueue_longest_running_processor_seconds";
const RETRIES: &str = "workqueue_retries_total";
const COALESCED: &str = "watchcache_fifo_coalesced_total";
const DELAYED: &str = "watchcache_fifo_delayed";
const LEASED: &str = "watchcache_fifo_leased";
const ABANDONED: &str = "watchcache_fifo_abandoned_total";
const REFUSED: &str = "watchcache_fifo_refused_total";

/// The metrics of one [`Fifo`]: its [observer](crate::fifo::FifoBuilder::observer), and what
/// [`record`](Self::record) reads. A handle: clones are the same metrics.
///
/// ```
/// use watchcache::metrics::FifoMetrics;
/// use watchcache::{Fifo, Key};
/// # use std::sync::Arc;
/// # use std::sync::atomic::{AtomicU64, Ordering};
/// # use metrics::{Counter, Gauge, Histogram, KeyName, Metadata, SharedString, Unit};
/// # struct Depth(Arc<AtomicU64>);
/// # impl metrics::Recorder for Depth {
/// #     fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
/// #     fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
/// #     fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
/// #     fn register_counter(&self, _: &metrics::Key, _: &Metadata<'_>) -> Counter { Counter::noop() }
/// #     fn register_gauge(&self, key: &metrics::Key, _: &Metadata<'_>) -> Gauge {
/// #         let is_depth = key.name() == "workqueue_depth";
/// #         if is_depth { Gauge::from_arc(Arc::clone(&self.0)) } else { Gauge::noop() }
/// #     }
/// #     fn register_histogram(&self, _: &metrics::Key, _: &Metadata<'_>) -> Histogram { Histogram::noop() }
/// # }
/// # let recorded = Arc::new(AtomicU64::new(0));
/// # let workqueue_depth = || f64::from_bits(recorded.load(Ordering::Relaxed));
/// # let recorder = Depth(Arc::clone(&recorded));
/// # let _local = metrics::set_default_local_recorder(&recorder);
///
/// // Once the program's recorder is installed:
/// let of_queue = FifoMetrics::new("pods");
/// let queue = Fifo::<Key>::builder().observer(of_queue.clone()).build()?;
/// queue.add("a/web".parse::<Key>()?)?;
/// // As often as somebody looks:
/// of_queue.record(&queue);
/// // What the recorder has:
/// assert_eq!(workqueue_depth(), 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FifoMetrics {
    name: SharedString,
    queued: Histogram,
    worked: Histogram,
}

impl FifoMetrics {
    /// Metrics with this value of the label `name`, which must be this queue's alone, for the recorder that
    /// is installed by now.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        describe();
        let name = SharedString::from_shared(name.into().into());
        let queued = histogram!(QUEUED, "name" => name.clone());
        let worked = histogram!(WORKED, "name" => name.clone());
        Self { name, queued, worked }
    }

    /// Sets gauges and counters to what the queue has now, by [`Fifo::stats`]. O(keys), as a queue with an
    /// observer keeps times.
    pub fn record<T: Object>(&self, fifo: &Fifo<T>) {
        let stats = fifo.stats();
        let set = |metric, value| set(metric, &self.name, value);
        let total = |metric: &'static str, count| {
            counter!(metric, "name" => self.name.clone()).absolute(count);
        };
        set(DEPTH, stats.depth as f64);
        // What replaced a waiting value is none for client-go, and what came back from a worker is one.
        total(ADDS, stats.adds.saturating_sub(stats.coalesced) + stats.requeued);
        total(RETRIES, stats.retries + stats.abandoned);
        set(UNFINISHED, stats.unfinished_work.as_secs_f64());
        set(LONGEST, stats.longest_running.as_secs_f64());
        total(COALESCED, stats.coalesced);
        set(DELAYED, stats.delayed as f64);
        set(LEASED, stats.processing as f64);
        total(ABANDONED, stats.abandoned);
        total(REFUSED, stats.refused);
    }
}

impl Observer for FifoMetrics {
    fn handed_out(&self, queue_latency: Duration) {
        self.queued.record(queue_latency);
    }

    fn finished(&self, work_duration: Duration) {
        self.worked.record(work_duration);
    }
}

fn describe() {
    describe_gauge!(DEPTH, Unit::Count, "Values in line, including those whose key is leased.");
    describe_counter!(ADDS, Unit::Count, "Values that came into line, from anywhere.");
    describe_histogram!(QUEUED, Unit::Seconds, "How long values were in line.");
    describe_histogram!(WORKED, Unit::Seconds, "How long keys were leased.");
    describe_gauge!(UNFINISHED, Unit::Seconds, "Age of all leases together.");
    describe_gauge!(LONGEST, Unit::Seconds, "Age of the oldest lease.");
    describe_counter!(RETRIES, Unit::Count, "Leases that failed.");
    describe_counter!(COALESCED, Unit::Count, "Waiting values that a newer one replaced.");
    describe_gauge!(DELAYED, Unit::Count, "Values that wait for their time.");
    describe_gauge!(LEASED, Unit::Count, "Keys that are leased.");
    describe_counter!(ABANDONED, Unit::Count, "Leases that were dropped without an outcome.");
    describe_counter!(REFUSED, Unit::Count, "Calls that a closed or full queue refused.");
}
