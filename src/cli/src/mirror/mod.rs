//! The mirror: connects, reflects, measures, and verifies in the end.

mod latencies;
mod live;
mod measured;
mod plain;
#[cfg(test)]
mod samples;
mod summary;
mod view;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::args::{KindArgs, MirrorOptions};
use crate::cluster::Cluster;
use crate::course::{Course, Event};
use crate::discovery::Found;
use crate::exporter::Exporter;
use crate::failure::{Failure, note};
use crate::kind;
use crate::limit::Limit;
use crate::readers::{Readers, Reads};
use crate::report::{Meter, Sample, Summary, rate, tenths};
use crate::signals::Interrupts;
use crate::target::{Scope, Target};
use crate::verify::Verdict;
use crate::view::Form;
use measured::Measured;
use view::View;

pub(crate) async fn run(
    kinds: KindArgs,
    args: MirrorOptions,
    mut interrupts: Interrupts,
) -> Result<ExitCode, Failure> {
    let limit = Limit::from_now(args.duration);
    let (target, scope) = (Target::of(&args.source)?, Scope::of(&args.source)?);
    // They take a processor each, which is a demonstration's to take.
    let is_embedded = matches!(target, Target::Embedded(_));
    let readers = args.readers.unwrap_or(u16::from(is_embedded));
    let form = Form::of(args.output);
    let exporter = match args.metrics {
        Some(address) => Some(Exporter::start(address).await?),
        None => None,
    };
    if let Some(exporter) = &exporter {
        note(&format!("metrics are at http://{}/metrics", exporter.address()));
    }
    let (cluster, found) = Cluster::open(target, scope, &kinds, limit, &mut interrupts).await?;
    let mut mirror = Mirror::start(&cluster, found, exporter.as_ref());
    // Before the view: a signal must not leave its screen behind.
    let mut course = Course::new(limit, form, interrupts);
    let mut view = View::new(form, &mirror.names(), &cluster)?;
    let ran = mirror.watch(args.workers, readers, &mut course, &mut view).await;
    // Whatever ended it: the next signal does so at once.
    course.end();
    if let Err(failure) = ran {
        drop(view);
        mirror.stop().await;
        return Err(failure);
    }
    let last = mirror.sample();
    view.end("verifying: comparing with a fresh list of the server, object by object")?;
    // The measurements are over; the verification may use the whole machine.
    mirror.readers.iter_mut().for_each(Readers::stop);
    if let Some(server) = &cluster.server {
        server.pause().await;
    }
    let verdicts = mirror.verify(&cluster).await;
    mirror.stop().await;
    let summary = mirror.summary(&args, readers, &cluster, &last, verdicts);
    view.finish(&summary, &cluster.scope)?;
    drop(mirror);
    cluster.close().await;
    Ok(if summary.verified && summary.panics == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All kinds under observation, and the threads that read from them.
struct Mirror {
    kinds: Vec<Measured>,
    measures_staleness: bool,
    readers: Option<Readers>,
    meter: Meter<1>,
    started: Instant,
    /// When every first list was in.
    synced: Option<Instant>,
}

impl Mirror {
    fn start(cluster: &Cluster, found: Vec<Found>, exporter: Option<&Exporter>) -> Self {
        let start = |found| Measured::start(cluster, found, exporter.is_some());
        let kinds: Vec<_> = found.into_iter().map(start).collect();
        if let Some(exporter) = exporter {
            exporter.observe(kinds.iter().filter_map(Measured::observed).collect());
        }
        let measures_staleness = cluster.server.is_some();
        Self {
            kinds,
            measures_staleness,
            readers: None,
            meter: Meter::new([0]),
            started: Instant::now(),
            synced: None,
        }
    }

    fn names(&self) -> Vec<&str> {
        self.kinds.iter().map(|measured| &*measured.kind.name).collect()
    }

    /// Shows progress until the time is up or a signal comes.
    async fn watch(
        &mut self,
        workers: u16,
        readers: u16,
        course: &mut Course,
        view: &mut View,
    ) -> Result<(), Failure> {
        loop {
            let kinds = self.kinds.iter_mut().map(|measured| &mut measured.kind);
            match course.next(kinds.collect()).await {
                Event::Synced => self.begin(workers, readers)?,
                Event::Ended(ended) => return Err(kind::Ended::failure(ended)),
                Event::Tick => view.show(self.sample())?,
                Event::Resized => view.redraw()?,
                Event::Suspended => view.suspend()?,
                Event::End(ended) => return ended,
            }
        }
    }

    /// Every first list is in: from now on there is something to read, to work on and to measure.
    fn begin(&mut self, workers: u16, readers: u16) -> Result<(), Failure> {
        let failed = |error| {
            Failure::run(format!("a thread does not start: {error}"))
                .advise("fewer --readers and --workers")
        };
        self.synced = Some(Instant::now());
        self.meter = Meter::new([0]);
        self.kinds.iter_mut().try_for_each(|kind| kind.begin(workers)).map_err(failed)?;
        let stores: Vec<_> =
            self.kinds.iter().map(|measured| Arc::clone(&measured.kind.store)).collect();
        self.readers = Some(Readers::start(readers.into(), &stores).map_err(failed)?);
        Ok(())
    }

    fn sample(&mut self) -> Sample {
        let reads = self.readers.as_ref().map_or_else(Reads::default, Readers::measured);
        let [reads_per_s] = self.meter.rates([reads.count]);
        Sample {
            running: self.started.elapsed(),
            elapsed: self.synced.map_or(Duration::ZERO, |synced| synced.elapsed()),
            kinds: self.kinds.iter_mut().map(Measured::sample).collect(),
            measures_staleness: self.measures_staleness,
            readers: self.readers.as_ref().map_or(0, Readers::count),
            reads,
            reads_per_s,
        }
    }

    async fn verify(&self, cluster: &Cluster) -> Vec<Verdict> {
        // In tasks, so that one that takes long holds up no other.
        let tasks = self.kinds.iter().map(|measured| tokio::spawn(measured.verify(cluster)));
        let verdicts = join_all(tasks).await.into_iter();
        let failed = |error| Verdict::not_compared(format!("the comparison failed: {error}"));
        verdicts.map(|verdict| verdict.unwrap_or_else(failed)).collect()
    }

    async fn stop(&mut self) {
        self.readers.iter_mut().for_each(Readers::stop);
        for measured in &mut self.kinds {
            measured.stop().await;
        }
    }

    fn summary(
        &self,
        args: &MirrorOptions,
        readers: u16,
        cluster: &Cluster,
        last: &Sample,
        verdicts: Vec<Verdict>,
    ) -> Summary {
        let seconds = last.elapsed.as_secs_f64();
        let kinds = self.kinds.iter().zip(&last.kinds).zip(verdicts);
        let kinds: Vec<_> =
            kinds.map(|((kind, last), verdict)| kind.summary(last, seconds, verdict)).collect();
        let first_list = self.kinds.iter().map(Measured::first_list).max().unwrap_or_default();
        let stale = last.stale();
        Summary {
            source: cluster.lasting_name(),
            namespace: args.source.namespace.clone(),
            seed: cluster.seed,
            duration_s: last.elapsed.as_millis() as f64 / 1e3,
            first_list_ms: tenths(first_list.as_secs_f64() * 1e3),
            objects: kinds.iter().map(|kind| kind.objects as u64).sum(),
            events: kinds.iter().map(|kind| kind.events).sum(),
            events_per_s: tenths(kinds.iter().map(|kind| kind.events_per_s).sum()),
            relists: kinds.iter().map(|kind| kind.relists).sum(),
            failures: kinds.iter().map(|kind| kind.failures).sum(),
            quarantined: kinds.iter().map(|kind| kind.quarantined).sum(),
            staleness_us: stale.whole.micros(),
            staleness_last_10s_us: stale.last.micros(),
            readers,
            reads: last.reads.count,
            reads_per_s: rate(last.reads.count, seconds),
            get_ns: last.reads.get_ns,
            list_us: last.reads.list_us,
            workers: args.workers,
            items: kinds.iter().map(|kind| kind.items).sum(),
            items_per_s: tenths(kinds.iter().map(|kind| kind.items_per_s).sum()),
            panics: kinds.iter().map(|kind| kind.panics).sum::<u64>()
                + self.readers.as_ref().map_or(0, Readers::panics),
            verified: kinds.iter().all(|kind| kind.verified),
            differing: kinds.iter().map(|kind| kind.differing).sum(),
            left_out: kinds.iter().map(|kind| kind.left_out).sum(),
            kinds,
        }
    }
}
