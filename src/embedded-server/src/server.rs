//! Starting and stopping.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admission::Webhook;
use crate::api::{self, Api};
use crate::churn::{self, BATCH, Churn};
use crate::config::{Config, StartError};
use crate::connections;
use crate::control;
use crate::fault::{Fault, Faults, Request};
use crate::resource::Registry;
use crate::simulation::Simulation;
use crate::storage::Storage;
use crate::write::Writer;

/// A running server; it stops when this is dropped.
///
/// ```
/// use watchcache_embedded_server::{Config, EmbeddedServer};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// // It changes nothing by itself.
/// let config = Config { pods: 10, rate: 0, ..Config::default() };
/// let server = EmbeddedServer::start(config).await?;
/// let before = server.resource_version();
/// server.advance(5);
/// assert_eq!(server.resource_version(), before + 5);
/// server.stop().await;
/// # Ok::<(), watchcache_embedded_server::StartError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EmbeddedServer {
    address: SocketAddr,
    storage: Arc<Storage>,
    churn: Arc<Churn>,
    cut: watch::Sender<u64>,
    faults: Faults,
    tasks: [JoinHandle<()>; 3],
}

impl EmbeddedServer {
    /// Makes the initial content and begins to serve and to change it, on this tokio runtime, which has I/O and timers.
    ///
    /// # Errors
    ///
    /// When the port is taken or cannot be listened on.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without I/O.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, nothing is served, and the port is free. Content that is being made is made to
    /// its end, on a thread of the runtime's, and dropped.
    pub async fn start(config: Config) -> Result<EmbeddedServer, StartError> {
        let port = config.port;
        let listen = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AddrInUse => StartError::PortInUse { port },
            _ => StartError::Listen { port, source },
        };
        // Before the content is made: a taken port should not cost the wait for it.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;

        let (rate, scheduler) = (config.rate, config.scheduler);
        let webhook = config.admission.clone().map(Webhook::new);
        let registry = Arc::new(Registry::new());
        let of_content = Arc::clone(&registry);
        let churn = tokio::task::spawn_blocking(move || fill(&config, &of_content))
            .await
            .map_err(StartError::Content)?;
        let storage = Arc::clone(churn.storage());
        let cut = watch::Sender::new(0);
        let faults = Faults::default();
        let writer = Writer::new(Arc::clone(&storage), registry, Arc::clone(&churn));
        let api = Api {
            storage: Arc::clone(&storage),
            writer: Arc::new(writer),
            webhook: webhook.map(Arc::new),
            cut: cut.subscribe(),
            faults: faults.clone(),
        };
        let controllers = control::run(Arc::clone(&api.writer), scheduler);
        let tasks = [
            tokio::spawn(connections::accept(listener, api::router(api))),
            tokio::spawn(churn::run(Arc::clone(&churn), rate)),
            tokio::spawn(controllers),
        ];
        tracing::info!(%address, version = storage.version(), "serving");
        Ok(EmbeddedServer { address, storage, churn, cut, faults, tasks })
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
        self.storage.version()
    }

    /// When the change `rv` was committed, as long as it is within the kept history.
    ///
    /// Cheap enough to be called for each event.
    pub fn committed_at(&self, rv: u64) -> Option<Instant> {
        self.storage.committed_at(rv)
    }

    /// Stops the changes of the simulation; the resourceVersion of the last change. Requests are
    /// still answered, and clients' writes done. It is ready when it is first polled, so there is nothing to cancel.
    pub async fn pause(&self) -> u64 {
        self.churn.pause();
        self.storage.version()
    }

    /// Goes on changing after [`pause`](Self::pause), without making up for the time between.
    pub fn resume(&self) {
        self.churn.resume();
    }

    /// Forgets the history before `rv`: older lists and watches are answered "410 Expired".
    pub fn compact(&self, rv: u64) {
        self.storage.compact(rv);
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

    /// How many changes the simulation has made since the start.
    pub fn commits(&self) -> u64 {
        self.churn.commits()
    }

    /// Stops the server: when this returns, every connection is closed and the port is free.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the server stops as it does when it is dropped itself: soon, and not by then.
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

/// The storage with the initial content, and the simulation that goes on from it.
fn fill(config: &Config, registry: &Registry) -> Arc<Churn> {
    let storage = Arc::new(Storage::new(config.history));
    let simulation = Simulation::new(config.seed, config.pods, config.scheduler);
    let churn = Churn::new(simulation, storage, registry);
    churn.fill();
    Arc::new(churn)
}
