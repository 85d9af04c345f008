//! `--metrics`: figures for Prometheus, and whether the mirror is alive and ready.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use watchcache::metrics::{FifoMetrics, ReflectorMetrics, StoreMetrics};
use watchcache::reflector::Monitor;
use watchcache::{Fifo, Store};

use crate::failure::Failure;
use crate::mirrored::Mirrored;

/// Not ready once the content was last known to be complete this long ago. An idle server confirms it about
/// once a minute.
const MAX_LAG: Duration = Duration::from_secs(240);

/// How often what was told is taken into the histograms, whether anybody asks or not.
const UPKEEP: Duration = Duration::from_secs(5);

/// Upper bounds of durations, in seconds: those that client-go's work queues have.
const BOUNDS: [f64; 10] = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0];

/// The server, which ends when this is dropped.
pub(crate) struct Exporter {
    served: Arc<Served>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// What requests are answered from.
struct Served {
    recorder: PrometheusHandle,
    /// Not before the server has said what it has.
    kinds: OnceLock<Vec<Observed>>,
}

/// The metrics of one kind.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) store: StoreMetrics,
    pub(crate) fifo: FifoMetrics,
    reflector: ReflectorMetrics,
}

/// A kind whose figures are served.
pub(crate) struct Observed {
    pub(crate) name: String,
    pub(crate) metrics: Metrics,
    pub(crate) store: Arc<Store<Mirrored>>,
    pub(crate) fifo: Fifo<Mirrored>,
    pub(crate) monitor: Monitor,
}

impl Metrics {
    /// With the kind's name in the label `name`, for the recorder that an exporter has installed.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            store: StoreMetrics::new(name),
            fifo: FifoMetrics::new(name),
            reflector: ReflectorMetrics::new(name),
        }
    }
}

impl Observed {
    fn record(&self) {
        self.metrics.store.record(&self.store);
        self.metrics.fifo.record(&self.fifo);
        self.metrics.reflector.record(&self.monitor);
    }

    /// `None` if it is ready.
    fn why_not_ready(&self) -> Option<String> {
        let progress = self.monitor.progress();
        if progress.is_ready(MAX_LAG) {
            return None;
        }
        let why = match progress.lag() {
            Some(lag) if progress.synced => {
                format!("the content was last known to be complete {} s ago", lag.as_secs())
            }
            _ => crate::report::waiting_for(&progress),
        };
        Some(format!("{}: {why}", self.name))
    }
}

impl Exporter {
    /// Installs the recorder, and listens.
    pub(crate) async fn start(address: SocketAddr) -> Result<Self, Failure> {
        let refused = |error: &dyn std::fmt::Display| {
            Failure::run(format!("no metrics can be served at {address}: {error}"))
                .advise("another address, or port 0 for any free one")
        };
        let listener = TcpListener::bind(address).await.map_err(|error| refused(&error))?;
        let address = listener.local_addr().map_err(|error| refused(&error))?;
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), &BOUNDS)
            .map_err(|error| refused(&error))?;
        let recorder = builder.install_recorder().map_err(|error| refused(&error))?;
        let served = Arc::new(Served { recorder, kinds: OnceLock::new() });
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .with_state(Arc::clone(&served));
        let recorder = served.recorder.clone();
        let task = tokio::spawn(async move {
            let upkeep = async {
                loop {
                    tokio::time::sleep(UPKEEP).await;
                    recorder.run_upkeep();
                }
            };
            tokio::select! {
                // Neither ends before the task does.
                _ = axum::serve(listener, router).into_future() => {}
                () = upkeep => {}
            }
        });
        Ok(Self { served, address, task })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// These are all kinds: their figures are served from now on.
    pub(crate) fn observe(&self, kinds: Vec<Observed>) {
        // They are told once in a run.
        let _ = self.served.kinds.set(kinds);
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn metrics(State(served): State<Arc<Served>>) -> impl IntoResponse {
    served.kinds.get().into_iter().flatten().for_each(Observed::record);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], served.recorder.render())
}

/// Once every kind is.
async fn ready(State(served): State<Arc<Served>>) -> (StatusCode, String) {
    let not = |why: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n"));
    let Some(kinds) = served.kinds.get() else {
        return not("the server has not answered yet");
    };
    let why: Vec<_> = kinds.iter().filter_map(Observed::why_not_ready).collect();
    if why.is_empty() { (StatusCode::OK, "ready\n".to_owned()) } else { not(&why.join("; ")) }
}
