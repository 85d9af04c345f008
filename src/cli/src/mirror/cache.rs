//! The cache under observation: a store and a queue behind a reflector, their readers and workers, and
//! the measurements.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use watchcache::reflector::{Monitor, Reflector, SourceError};
use watchcache::{Fifo, Store};

use super::cluster::{Cluster, qualified, source};
use super::elapsed;
use super::failures::{explain_end, too_short};
use crate::args::MirrorArgs;
use crate::discovery::Found;
use crate::exporter::Exporter;
use crate::failure::Failure;
use crate::mirrored::Mirrored;
use crate::readers::{Readers, Reads};
use crate::report::{BatchSize, Meter, Rates, Sample, Summary, tenths, waiting_for};
use crate::signals;
use crate::staleness::Staleness;
use crate::states::States;
use crate::target::Scope;
use crate::verify::Verdict;
use crate::view::View;
use crate::workers::Workers;

/// The cache under observation.
pub(super) struct Mirror {
    store: Arc<Store<Mirrored>>,
    fifo: Fifo<Mirrored>,
    staleness: Arc<Staleness>,
    pub(super) states: Arc<States>,
    pub(super) monitor: Monitor,
    stop: Option<oneshot::Sender<()>>,
    reflector: JoinHandle<Result<(), SourceError>>,
    pub(super) readers: Option<Readers>,
    workers: Option<Workers>,
    meter: Meter,
    started: Instant,
    synced: Option<Instant>,
}

impl Mirror {
    pub(super) fn start(
        cluster: &Cluster,
        found: &Found,
        scope: &Scope,
        exporter: Option<&Exporter>,
    ) -> Self {
        let (mut store, mut fifo) = (Store::builder(), Fifo::builder());
        if let Some((of_store, of_fifo)) = exporter.map(Exporter::observers) {
            (store, fifo) = (store.observer(of_store), fifo.observer(of_fifo));
        }
        let store = Arc::new(store.build());
        let fifo = fifo.build().expect("it has no limit that could be wrong");
        let staleness = Arc::new(Staleness::new(cluster.server.clone()));
        let states = Arc::new(States::new(Arc::clone(&store)));
        let reflector = Reflector::builder(source(cluster.client.clone(), found, scope))
            .sink(Arc::clone(&store))
            .sink(fifo.clone())
            .sink(Arc::clone(&staleness))
            .sink(Arc::clone(&states))
            .build();
        let monitor = reflector.monitor();
        if let Some(exporter) = exporter {
            exporter.observe(&store, &fifo, &monitor);
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let reflector = tokio::spawn(reflector.run(async {
            // An error means that the sender was dropped, which is also a reason to stop.
            let _ = stopped.await;
        }));
        Self {
            store,
            fifo,
            staleness,
            states,
            monitor,
            stop: Some(stop),
            reflector,
            readers: None,
            workers: None,
            meter: Meter::new(),
            started: Instant::now(),
            synced: None,
        }
    }

    /// Shows progress until the time is up or Ctrl-C.
    pub(super) async fn watch(
        &mut self,
        args: &MirrorArgs,
        end: Option<tokio::time::Instant>,
        cluster: &Cluster,
        found: &Found,
        view: &mut View,
    ) -> Result<(), Failure> {
        let mut ticks = tokio::time::interval(view.period());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks.tick().await;
        let mut interrupted = std::pin::pin!(signals::interrupted());
        let mut synced = std::pin::pin!(self.monitor.synced());
        let mut end = std::pin::pin!(elapsed(end));
        loop {
            tokio::select! {
                biased;
                () = &mut interrupted => {
                    if self.synced.is_none() {
                        return Err(Failure::run("stopped before the first list was complete"));
                    }
                    return Ok(());
                }
                ended = &mut self.reflector => return Err(explain_end(ended, cluster, found)),
                result = &mut synced, if self.synced.is_none() => {
                    if result.is_err() {
                        let ended = (&mut self.reflector).await;
                        return Err(explain_end(ended, cluster, found));
                    }
                    self.begin(args)?;
                }
                () = &mut end => {
                    if self.synced.is_none() {
                        let progress = self.monitor.progress();
                        return Err(too_short(args, &waiting_for(&progress)));
                    }
                    return Ok(());
                }
                _ = ticks.tick() => view.show(&self.sample()),
            }
        }
    }

    /// The first list is in: from now on there is something to read, to work on and to measure.
    fn begin(&mut self, args: &MirrorArgs) -> Result<(), Failure> {
        let failed = |error| {
            Failure::run(format!("a thread does not start: {error}"))
                .advise("fewer --readers and --workers")
        };
        self.synced = Some(Instant::now());
        self.meter = Meter::new();
        self.workers =
            Some(Workers::start(args.workers.into(), &self.fifo, &self.store).map_err(failed)?);
        self.readers = Some(Readers::start(args.readers.into(), &self.store).map_err(failed)?);
        Ok(())
    }

    pub(super) fn sample(&mut self) -> Sample {
        let snapshot = self.store.snapshot();
        let progress = self.monitor.progress();
        let reads = self.readers.as_ref().map_or_else(Reads::default, Readers::measured);
        let items = self.workers.as_ref().map_or(0, Workers::items);
        let rates = match self.synced {
            Some(_) => self.meter.rates(progress.events, reads.count, items),
            None => Rates::default(),
        };
        Sample {
            elapsed: self.synced.map_or(Duration::ZERO, |synced| synced.elapsed()),
            objects: snapshot.len(),
            revision: snapshot.revision().get(),
            resource_version: snapshot.resource_version().map(ToString::to_string),
            staleness_us: self.staleness.quantiles(),
            fifo: self.fifo.stats(),
            progress,
            reads,
            items,
            rates,
        }
    }

    pub(super) async fn stop(&mut self) {
        drop(self.stop.take());
        if !self.reflector.is_finished() {
            // Its result no longer matters.
            let _ = (&mut self.reflector).await;
        }
        let (readers, workers) = (self.readers.as_mut(), self.workers.as_mut());
        readers.into_iter().for_each(Readers::stop);
        workers.into_iter().for_each(Workers::stop);
    }

    /// `last` was taken when the measurements ended; counters that are not measurements go on until the
    /// store has caught up.
    pub(super) fn summary(
        &self,
        args: &MirrorArgs,
        cluster: &Cluster,
        found: &Found,
        last: &Sample,
        verdict: Verdict,
    ) -> Summary {
        let snapshot = self.store.snapshot();
        let progress = self.monitor.progress();
        let items = self.workers.as_ref().map_or(0, Workers::items);
        let seconds = last.elapsed.as_secs_f64();
        let rate = |count: u64| if seconds > 0.0 { tenths(count as f64 / seconds) } else { 0.0 };
        let first_list = self.synced.map_or(Duration::ZERO, |synced| synced - self.started);
        Summary {
            source: cluster.name(),
            resource: qualified(found),
            namespace: args.namespace.clone(),
            seed: cluster.seed,
            duration_s: last.elapsed.as_millis() as f64 / 1e3,
            first_list_ms: tenths(first_list.as_secs_f64() * 1e3),
            objects: snapshot.len(),
            revision: snapshot.revision().get(),
            resource_version: snapshot.resource_version().map(ToString::to_string),
            events: last.progress.events,
            events_per_s: rate(last.progress.events),
            batches: last.progress.batches,
            batch_size: BatchSize::of(&last.progress),
            relists: progress.relists,
            failures: progress.failures,
            undecodable: progress.undecodable,
            unknown_events: progress.unknown_events,
            quarantined: progress.quarantined,
            last_error: progress.last_error.clone(),
            staleness_us: self.staleness.quantiles(),
            readers: args.readers,
            reads: last.reads.count,
            reads_per_s: rate(last.reads.count),
            get_ns: last.reads.get_ns,
            list_us: last.reads.list_us,
            workers: args.workers,
            items,
            items_per_s: rate(last.items),
            fifo: self.fifo.stats().into(),
            verified: verdict.verified,
            differing: verdict.differing,
            differences: verdict.differences,
        }
    }
}
