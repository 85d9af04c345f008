//! The server's configuration, and why it may not start.

use crate::admission::Admission;
use crate::simulation::Scheduler;
use crate::storage::HistoryLimit;

/// The content of the server and how fast it changes. More may come to be chosen: whoever makes one leaves the rest
/// to `..Config::default()`.
///
/// ```
/// use watchcache_embedded_server::{Config, EmbeddedServer, HistoryLimit, Scheduler};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// // Content that stands still, for a test that is to see each change.
/// let quiet = Config { pods: 10, rate: 0, ..Config::default() };
/// // A program under test that schedules, and that comes late now and then.
/// let busy = Config {
///     pods: 10,
///     scheduler: Scheduler::External,
///     history: HistoryLimit::changes(100),
///     ..Config::default()
/// };
/// for config in [quiet, busy] {
///     let server = EmbeddedServer::start(config).await?;
///     assert!(server.url().starts_with("http://127.0.0.1:"));
///     server.stop().await;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// How many Pods the cluster has; everything else is in proportion.
    pub pods: usize,
    /// Changes per second; 0 for none.
    pub rate: u32,
    /// The seed of the content and its changes.
    pub seed: u64,
    /// How many changes, and how many bytes of them, are kept before they are compacted.
    pub history: HistoryLimit,
    /// What binds Pods to Nodes.
    pub scheduler: Scheduler,
    /// A webhook that may reject what clients write, if any.
    pub admission: Option<Admission>,
    /// The port on 127.0.0.1; 0 lets the system choose.
    pub port: u16,
}

impl Default for Config {
    /// 10,000 Pods, 2,000 changes per second, seed 1, the default history, bound by the server, no
    /// webhook, any port.
    fn default() -> Config {
        Config {
            pods: 10_000,
            rate: 2_000,
            seed: 1,
            history: HistoryLimit::default(),
            scheduler: Scheduler::default(),
            admission: None,
            port: 0,
        }
    }
}

/// Why the server did not start.
///
/// ```
/// use watchcache_embedded_server::{Config, EmbeddedServer, StartError};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// let config = Config { pods: 10, rate: 0, ..Config::default() };
/// let first = EmbeddedServer::start(config.clone()).await?;
/// let port = first.address().port();
/// match EmbeddedServer::start(Config { port, ..config }).await {
///     Err(StartError::PortInUse { port: taken }) => assert_eq!(taken, port),
///     Err(error) => return Err(error),
///     Ok(_) => panic!("it is taken"),
/// }
/// # Ok(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
        /// The system's error.
        source: std::io::Error,
    },
    /// The initial content could not be made.
    #[error("the initial content could not be made: {0}")]
    Content(#[source] tokio::task::JoinError),
}
