//! The mirror: connects, reflects, measures, and verifies in the end.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::Client;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use watchcache::reflector::{KubeSource, Monitor, Reflector, SourceError};
use watchcache::{Fifo, Store};
use watchcache_embedded_server::EmbeddedServer;

use crate::args::MirrorArgs;
use crate::connect::{Route, Step};
use crate::discovery::{self, Found};
use crate::failure::Failure;
use crate::mirrored::Mirrored;
use crate::readers::{Readers, Reads};
use crate::report::{BatchSize, Meter, Rates, Sample, Summary, tenths, waiting_for};
use crate::staleness::Staleness;
use crate::states::States;
use crate::target::{Scope, Target};
use crate::verify::{Fresh, Verdict};
use crate::view::View;
use crate::workers::Workers;
use crate::{connect, embedded, signals};

pub(crate) async fn run(args: MirrorArgs) -> Result<ExitCode, Failure> {
    let end = args.duration.map(|duration| tokio::time::Instant::now() + duration);
    let target = Target::of(&args)?;
    let scope = Scope::of(&args)?;
    let step = Step::new("the server has not said yet what it has".to_owned());
    let opening = async {
        let cluster = Cluster::open(target, &step).await?;
        let found = discovery::find(&cluster.client, &cluster.url, &args.resource).await?;
        Ok((cluster, found))
    };
    let (cluster, found) = tokio::select! {
        biased;
        opened = opening => opened?,
        () = elapsed(end) => {
            return Err(too_short(&args, &step.borrow()));
        }
    };
    if scope.namespace.is_some() && !found.namespaced {
        return Err(Failure::run(format!("{} are in no namespace", found.resource.plural))
            .advise("leave out --namespace"));
    }
    let title = format!("{} of {}", qualified(&found), cluster.name());
    let mut view = View::new(args.output, &title);
    let mut mirror = Mirror::start(&cluster, &found, &scope);
    let ran = mirror.watch(&args, end, &cluster, &found, &mut view).await;
    // Whatever ended it: signals that somebody has waited for once do nothing by themselves any more.
    signals::end_at_next();
    if let Err(failure) = ran {
        mirror.stop().await;
        return Err(failure);
    }
    let last = mirror.sample();
    view.note("verifying: comparing the store with a fresh list of the server");
    // What is measured has been measured; the machine is the verification's now.
    mirror.readers.iter_mut().for_each(Readers::stop);
    if let Some(server) = &cluster.server {
        server.pause().await;
    }
    let fresh = Fresh::new(cluster.client.clone(), &found.resource, scope.clone());
    let verdict = fresh.compare(&mirror.states, &mirror.monitor).await;
    mirror.stop().await;
    let summary = mirror.summary(&args, &cluster, &found, &last, verdict);
    view.finish(&summary);
    drop(mirror);
    cluster.close().await;
    Ok(if summary.verified { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The server and a client of it.
struct Cluster {
    url: String,
    client: Client,
    /// Here, if it is the embedded one.
    server: Option<Arc<EmbeddedServer>>,
    seed: Option<u64>,
}

impl Cluster {
    async fn open(target: Target, step: &Step) -> Result<Self, Failure> {
        let (route, server, seed) = match target {
            Target::Embedded(config) => {
                let seed = config.seed;
                let server = embedded::start(config).await?;
                let config = connect::check_url(&server.url())?;
                (Route::direct(config), Some(Arc::new(server)), Some(seed))
            }
            target => (connect::configure(&target).await?, None, None),
        };
        let url = route.url();
        let client = connect::connect(route, step).await?;
        Ok(Self { url, client, server, seed })
    }

    fn name(&self) -> String {
        match self.server {
            Some(_) => format!("the embedded server at {}", self.url),
            None => self.url.clone(),
        }
    }

    async fn close(self) {
        if let Some(server) = self.server.and_then(Arc::into_inner) {
            server.stop().await;
        }
    }
}

fn qualified(found: &Found) -> String {
    match found.resource.group.as_str() {
        "" => found.resource.plural.clone(),
        group => format!("{}.{group}", found.resource.plural),
    }
}

/// The cache under observation.
struct Mirror {
    store: Arc<Store<Mirrored>>,
    fifo: Fifo<Mirrored>,
    staleness: Arc<Staleness>,
    states: Arc<States>,
    monitor: Monitor,
    stop: Option<oneshot::Sender<()>>,
    reflector: JoinHandle<Result<(), SourceError>>,
    readers: Option<Readers>,
    workers: Option<Workers>,
    meter: Meter,
    started: Instant,
    synced: Option<Instant>,
}

impl Mirror {
    fn start(cluster: &Cluster, found: &Found, scope: &Scope) -> Self {
        let store = Arc::new(Store::new());
        let fifo = Fifo::new();
        let staleness = Arc::new(Staleness::new(cluster.server.clone()));
        let states = Arc::new(States::new(Arc::clone(&store)));
        let reflector = Reflector::builder(source(cluster.client.clone(), found, scope))
            .sink(Arc::clone(&store))
            .sink(fifo.clone())
            .sink(Arc::clone(&staleness))
            .sink(Arc::clone(&states))
            .build();
        let monitor = reflector.monitor();
        let (stop, stopped) = oneshot::channel::<()>();
        let reflector = tokio::spawn(reflector.run(async {
            // An error means that the sender is gone, which is as good a reason to stop.
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

    /// Shows what goes on until the time is up or Ctrl-C.
    async fn watch(
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

    /// The first list is in: from here on there is something to read, to work on and to measure.
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

    fn sample(&mut self) -> Sample {
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

    async fn stop(&mut self) {
        drop(self.stop.take());
        if !self.reflector.is_finished() {
            // How it ended no longer matters.
            let _ = (&mut self.reflector).await;
        }
        let (readers, workers) = (self.readers.as_mut(), self.workers.as_mut());
        readers.into_iter().for_each(Readers::stop);
        workers.into_iter().for_each(Workers::stop);
    }

    /// `last` was taken when the measurements ended; what is not measured but counted goes on
    /// until the store has caught up.
    fn summary(
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

fn source(client: Client, found: &Found, scope: &Scope) -> KubeSource<Mirrored> {
    let mut source = match &scope.namespace {
        Some(namespace) => KubeSource::namespaced_with(client, namespace, &found.resource),
        None => KubeSource::all_with(client, &found.resource),
    };
    if let Some(labels) = &scope.labels {
        source = source.labels(labels);
    }
    if let Some(fields) = &scope.fields {
        source = source.fields(fields);
    }
    // What is verified is the whole object, against the server's JSON.
    source.keep_managed_fields().json_only()
}

/// Waits for the end, if there is one.
async fn elapsed(end: Option<tokio::time::Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

fn too_short(args: &MirrorArgs, why: &str) -> Failure {
    let duration = args.duration.unwrap_or_default();
    Failure::run(format!("no complete list came within {duration:?}: {why}"))
        .advise("a longer --duration, if nothing is wrong with the server")
}

/// Why the reflector ended though nobody had stopped it.
fn explain_end(
    ended: Result<Result<(), SourceError>, tokio::task::JoinError>,
    cluster: &Cluster,
    found: &Found,
) -> Failure {
    let what = qualified(found);
    match ended {
        Ok(Err(SourceError::Status(status))) if status.is_forbidden() => {
            Failure::run(format!("{} forbids to list {what}: {}", cluster.url, status.message()))
                .advise(format!("ask for list and watch on {what}, or narrow with --namespace"))
        }
        Ok(Err(SourceError::Status(status))) if status.is_unauthorized() => Failure::run(format!(
            "{} does not accept the credentials: {}",
            cluster.url,
            status.message()
        ))
        .advise("log in again, so that the kubeconfig gets fresh credentials"),
        Ok(Err(SourceError::Status(status))) if status.is_bad_request() => {
            Failure::run(format!("{} does not understand: {}", cluster.url, status.message()))
                .advise("other --selector and --field-selector: each resource has its own fields")
        }
        Ok(Err(error)) => {
            Failure::run(format!("{what} of {} cannot be listed: {error}", cluster.url))
                .advise("the same list with kubectl")
        }
        Ok(Ok(())) => Failure::run("the reflector stopped by itself"),
        Err(error) => Failure::run(format!("the reflector failed: {error}")),
    }
}
