//! The server's configuration, and why it may not start.

use crate::admission::Admission;
use crate::simulation::Scheduler;
use crate::storage::HistoryLimit;

/// The content of the server and how fast it changes. More may come to be chosen: whoever makes one leaves the rest
/// to `..Config::default()`.
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
