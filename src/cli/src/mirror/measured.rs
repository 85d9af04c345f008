//! One kind under observation: its mirror with a queue behind it, workers, and measurements.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use watchcache::{Fifo, Store};

use crate::cluster::Cluster;
use crate::discovery::Found;
use crate::exporter::{Metrics, Observed};
use crate::kind::Kind;
use crate::mirrored::Mirrored;
use crate::report::{BatchSize, KindSample, KindSummary, Meter, Rates, rate, tenths};
use crate::staleness::Staleness;
use crate::states::States;
use crate::verify::{self, Fresh, Verdict};
use crate::workers::{Items, Workers};

pub(super) struct Measured {
    pub(super) kind: Kind,
    fifo: Fifo<Mirrored>,
    staleness: Arc<Staleness>,
    states: Arc<States>,
    metrics: Option<Metrics>,
    workers: Option<Workers>,
    meter: Meter<2>,
    /// Changes that came before every first list was in.
    early_events: u64,
}

impl Measured {
    pub(super) fn start(cluster: &Cluster, found: Found, with_metrics: bool) -> Self {
        let metrics = with_metrics.then(|| Metrics::new(&found.name()));
        let (mut store, mut fifo) = (Store::builder(), Fifo::builder());
        if let Some(metrics) = &metrics {
            store = store.observer(metrics.store.clone());
            fifo = fifo.observer(metrics.fifo.clone());
        }
        let store = Arc::new(store.build());
        let fifo = fifo.build().expect("it has no limit that could be wrong");
        let staleness = Arc::new(Staleness::new(cluster.server.clone()));
        let states = Arc::new(States::new(Arc::clone(&store)));
        let kind = Kind::start(cluster, found, store, |reflector| {
            let reflector = reflector.sink(fifo.clone()).sink(Arc::clone(&staleness));
            reflector.sink(Arc::clone(&states))
        });
        Self {
            kind,
            fifo,
            staleness,
            states,
            metrics,
            workers: None,
            meter: Meter::new([0; 2]),
            early_events: 0,
        }
    }

    /// What an exporter serves, if it was started with metrics.
    pub(super) fn observed(&self) -> Option<Observed> {
        Some(Observed {
            name: self.kind.name.clone(),
            metrics: self.metrics.clone()?,
            store: Arc::clone(&self.kind.store),
            fifo: self.fifo.clone(),
            monitor: self.kind.monitor.clone(),
        })
    }

    /// Every first list is in: from now on there is something to work on and to measure.
    pub(super) fn begin(&mut self, workers: u16) -> io::Result<()> {
        self.early_events = self.kind.monitor.progress().events;
        self.meter = Meter::new([self.early_events, 0]);
        let workers = Workers::start(workers.into(), &self.fifo, &self.kind.store)?;
        self.workers = Some(workers);
        Ok(())
    }

    pub(super) fn sample(&mut self) -> KindSample {
        let snapshot = self.kind.store.snapshot();
        let progress = self.kind.monitor.progress();
        let items = self.items();
        let rates = match self.workers {
            Some(_) => {
                let [changes, items] = self.meter.rates([progress.events, items.count]);
                Rates { changes, items }
            }
            None => Rates::default(),
        };
        KindSample {
            name: self.kind.name.clone(),
            held: snapshot.len(),
            revision: snapshot.revision().get(),
            resource_version: snapshot.resource_version().map(ToString::to_string),
            stale: self.staleness.measured(),
            fifo: self.fifo.stats(),
            lag: progress.lag(),
            progress,
            items,
            rates,
        }
    }

    fn items(&self) -> Items {
        self.workers.as_ref().map(Workers::items).unwrap_or_default()
    }

    pub(super) fn verify(&self, cluster: &Cluster) -> impl Future<Output = Verdict> + use<> {
        let (client, scope) = (cluster.client.clone(), cluster.scope.clone());
        let fresh = Fresh::new(client, &self.kind.found.resource, scope);
        verify::compare(fresh, Arc::clone(&self.states), self.kind.monitor.clone())
    }

    pub(super) async fn stop(&mut self) {
        self.kind.stop().await;
        self.workers.iter_mut().for_each(Workers::stop);
    }

    pub(super) fn first_list(&self) -> Duration {
        let listed = self.staleness.first_list();
        listed.map_or(Duration::ZERO, |listed| listed - self.kind.started)
    }

    /// `last` was taken when the measurements ended, after `seconds`; counters that are not measurements go
    /// on until the store has caught up.
    pub(super) fn summary(&self, last: &KindSample, seconds: f64, verdict: Verdict) -> KindSummary {
        let snapshot = self.kind.store.snapshot();
        let progress = self.kind.monitor.progress();
        KindSummary {
            kind: self.kind.name.clone(),
            first_list_ms: tenths(self.first_list().as_secs_f64() * 1e3),
            objects: snapshot.len(),
            revision: snapshot.revision().get(),
            resource_version: snapshot.resource_version().map(ToString::to_string),
            events: last.progress.events,
            events_per_s: rate(last.progress.events - self.early_events, seconds),
            batches: last.progress.batches,
            batch_size: BatchSize::of(&last.progress),
            relists: progress.relists,
            failures: progress.failures,
            undecodable: progress.undecodable,
            unknown_events: progress.unknown_events,
            quarantined: progress.quarantined,
            last_error: progress.last_error,
            staleness_us: last.stale.whole.micros(),
            staleness_last_10s_us: last.stale.last.micros(),
            items: self.workers.as_ref().map_or(0, Workers::all_items),
            items_per_s: rate(last.items.count, last.items.seconds),
            fifo: self.fifo.stats().into(),
            panics: self.workers.as_ref().map_or(0, Workers::panics),
            verified: verdict.verified(),
            not_compared: verdict.not_compared,
            differing: verdict.differing,
            left_out: verdict.left_out,
            differences: verdict.differences,
        }
    }
}
