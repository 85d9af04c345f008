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
    store: StoreMetrics,
    fifo: FifoMetrics,
    reflector: ReflectorMetrics,
    /// Not before there is a mirror.
    mirror: OnceLock<(Arc<Store<Mirrored>>, Fifo<Mirrored>, Monitor)>,
}

impl Exporter {
    /// Listens. All metrics have this name in their label `name`.
    pub(crate) async fn start(address: SocketAddr, name: &str) -> Result<Self, Failure> {
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
        let served = Arc::new(Served {
            recorder,
            store: StoreMetrics::new(name),
            fifo: FifoMetrics::new(name),
            reflector: ReflectorMetrics::new(name),
            mirror: OnceLock::new(),
        });
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

    /// What a store and a queue are to tell as it happens.
    pub(crate) fn observers(&self) -> (StoreMetrics, FifoMetrics) {
        (self.served.store.clone(), self.served.fifo.clone())
    }

    /// There is a mirror: its figures are served from now on.
    pub(crate) fn observe(
        &self,
        store: &Arc<Store<Mirrored>>,
        fifo: &Fifo<Mirrored>,
        it: &Monitor,
    ) {
        // There is one mirror in a run.
        let _ = self.served.mirror.set((Arc::clone(store), fifo.clone(), it.clone()));
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn metrics(State(served): State<Arc<Served>>) -> impl IntoResponse {
    if let Some((store, fifo, monitor)) = served.mirror.get() {
        served.store.record(store);
        served.fifo.record(fifo);
        served.reflector.record(monitor);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], served.recorder.render())
}

async fn ready(State(served): State<Arc<Served>>) -> (StatusCode, String) {
    let not = |why: String| (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n"));
    let Some((_, _, monitor)) = served.mirror.get() else {
        return not("the server has not answered yet".to_owned());
    };
    let progress = monitor.progress();
    if progress.is_ready(MAX_LAG) {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    not(match progress.lag() {
        Some(lag) if progress.synced => {
            format!("the content was last known to be complete {} s ago", lag.as_secs())
        }
        _ => crate::report::waiting_for(&progress),
    })
}
