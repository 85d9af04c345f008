//! Starting and stopping, and the task that changes the content.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use crate::api::{self, Api};
use crate::fault::{Fault, Faults, Request};
use crate::history::History;
use crate::simulation::Simulation;

/// How often the content is changed; each tick makes the changes that are due.
const TICK: Duration = Duration::from_millis(2);

/// The most changes of one tick, so that a tick never holds its thread for long.
const BATCH: u64 = 64;

/// What the server holds and how fast it changes.
#[derive(Debug, Clone)]
pub struct Config {
    /// How many Pods the cluster has; everything else is in proportion.
    pub pods: usize,
    /// Changes per second; 0 for none.
    pub rate: u32,
    /// What the content and its changes are made from.
    pub seed: u64,
    /// How many changes are kept before they are compacted.
    pub history: usize,
    /// The port on 127.0.0.1; 0 lets the system choose.
    pub port: u16,
}

impl Default for Config {
    /// 10,000 Pods, 2,000 changes per second, seed 1, 100,000 changes kept, any port.
    fn default() -> Config {
        Config { pods: 10_000, rate: 2_000, seed: 1, history: 100_000, port: 0 }
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another program listens on the port.
    #[error("port {port} on 127.0.0.1 is already in use; choose another, or 0 for any free one")]
    PortInUse {
        /// The port asked for.
        port: u16,
    },
    /// The system refused to let the server listen.
    #[error("cannot listen on 127.0.0.1:{port}: {source}")]
    Listen {
        /// The port asked for.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// The initial content could not be made.
    #[error("the initial content could not be made: {0}")]
    Content(#[source] tokio::task::JoinError),
}

/// A running server; it stops when this is dropped.
#[derive(Debug)]
pub struct EmbeddedServer {
    address: SocketAddr,
    history: Arc<History>,
    churn: Arc<Churn>,
    cut: watch::Sender<u64>,
    faults: Faults,
    tasks: [JoinHandle<()>; 2],
}

impl EmbeddedServer {
    /// Makes the initial content and begins to serve and to change it.
    ///
    /// # Errors
    ///
    /// When the port is taken or cannot be listened on.
    pub async fn start(config: Config) -> Result<EmbeddedServer, StartError> {
        let port = config.port;
        let listen = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AddrInUse => StartError::PortInUse { port },
            _ => StartError::Listen { port, source },
        };
        // Before the content is made: a taken port should not cost the wait for it.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;

        let rate = config.rate;
        let (history, simulation) = tokio::task::spawn_blocking(move || fill(&config))
            .await
            .map_err(StartError::Content)?;
        let history = Arc::new(history);
        let churn = Arc::new(Churn {
            simulation: Mutex::new(simulation),
            history: Arc::clone(&history),
            paused: AtomicBool::new(false),
            commits: AtomicU64::new(0),
        });
        let cut = watch::Sender::new(0);
        let faults = Faults::default();
        let api =
            Api { history: Arc::clone(&history), cut: cut.subscribe(), faults: faults.clone() };
        let tasks = [
            tokio::spawn(accept(listener, api::router(api))),
            tokio::spawn(run_churn(Arc::clone(&churn), rate)),
        ];
        tracing::info!(%address, version = history.version(), "serving");
        Ok(EmbeddedServer { address, history, churn, cut, faults, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as clients take it: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The resourceVersion of the last change.
    pub fn resource_version(&self) -> u64 {
        self.history.version()
    }

    /// When the change `rv` was committed, as long as it is within the kept history.
    ///
    /// Cheap enough to be called for each event.
    pub fn committed_at(&self, rv: u64) -> Option<Instant> {
        self.history.committed_at(rv)
    }

    /// Stops the changes; the resourceVersion of the last one. Requests are still answered.
    pub async fn pause(&self) -> u64 {
        self.churn.paused.store(true, Ordering::SeqCst);
        // A tick checks the flag with the simulation locked: after this, no change can follow.
        drop(self.churn.simulation.lock().unwrap_or_else(PoisonError::into_inner));
        self.history.version()
    }

    /// Goes on changing after [`pause`](Self::pause), without making up for the time between.
    pub fn resume(&self) {
        self.churn.paused.store(false, Ordering::SeqCst);
    }

    /// Forgets the history before `rv`: older lists and watches are answered "410 Expired".
    pub fn compact(&self, rv: u64) {
        self.history.compact(rv);
    }

    /// Cuts the connection of every running watch, as a failing network would.
    pub fn disconnect_watches(&self) {
        self.cut.send_modify(|epoch| *epoch += 1);
    }

    /// Makes this many changes at once, whatever the rate; none while paused. Blocks the thread:
    /// some 6,500 changes take a second.
    pub fn advance(&self, changes: u64) {
        for done in (0..changes).step_by(BATCH as usize) {
            self.churn.advance(BATCH.min(changes - done));
        }
    }

    /// Lets the next request of a kind go wrong, once. Faults of one kind of request happen in the
    /// order in which they were added.
    pub fn inject(&self, request: Request, fault: Fault) {
        self.faults.add(request, fault);
    }

    /// How many faults are still to happen.
    pub fn faults_left(&self) -> usize {
        self.faults.left()
    }

    /// How many changes were made since the start.
    pub fn commits(&self) -> u64 {
        self.churn.commits.load(Ordering::SeqCst)
    }

    /// Stops the server: when this returns, every connection is closed and the port is free.
    pub async fn stop(mut self) {
        for task in &mut self.tasks {
            task.abort();
            // Aborted: the only thing awaited is its end.
            let _ = task.await;
        }
    }
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// The history that holds the initial content, and the simulation that goes on from it.
fn fill(config: &Config) -> (History, Simulation) {
    let simulation = Simulation::new(config.seed, config.pods);
    let history = History::new(config.history);
    history.commit(simulation.contents());
    // The cluster begins here: nobody can have seen it being filled.
    history.compact(history.version());
    (history, simulation)
}

/// Serves connections until it is aborted, which closes them: they live in its set.
async fn accept(listener: TcpListener, router: axum::Router) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, mostly: it passes when connections close.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        // Events are small and awaited: without this each would wait for the last one's ACK.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        });
    }
}

#[derive(Debug)]
struct Churn {
    simulation: Mutex<Simulation>,
    history: Arc<History>,
    paused: AtomicBool,
    commits: AtomicU64,
}

impl Churn {
    /// Makes `count` changes unless paused; whether it did.
    fn advance(&self, count: u64) -> bool {
        let mut simulation = self.simulation.lock().unwrap_or_else(PoisonError::into_inner);
        if self.paused.load(Ordering::SeqCst) {
            return false;
        }
        let mutations: Vec<_> = (0..count).map(|_| simulation.step()).collect();
        self.history.commit(mutations);
        self.commits.fetch_add(count, Ordering::SeqCst);
        true
    }
}

async fn run_churn(churn: Arc<Churn>, rate: u32) {
    if rate == 0 {
        return;
    }
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut since = Instant::now();
    let mut done = 0;
    loop {
        ticks.tick().await;
        let due = (since.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        let count = due.saturating_sub(done).min(BATCH);
        if count > 0 && churn.advance(count) {
            done += count;
        } else if count > 0 {
            // Paused: the time of the pause is not made up for.
            since = Instant::now();
            done = 0;
        }
        if due.saturating_sub(done) > u64::from(rate) {
            // A machine too slow for the rate: go on at what it can do, without a growing debt.
            since = Instant::now();
            done = 0;
        }
    }
}
