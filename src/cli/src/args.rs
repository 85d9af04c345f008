//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use watchcache_embedded_server::{Admission, HistoryLimit};

use crate::duration;

const EXAMPLES: &str = "\
Examples:
  watchcache
      Start the embedded server (10,000 Pods, 2,000 changes a second) and mirror it, live.
  watchcache mirror --objects 5000 --rate 2000 --duration 5s --output json
      The same for five seconds, verified, with one JSON object as the last line.
  watchcache mirror --context kind-dev --resource deployments.apps --namespace default
      Mirror a real cluster, as the kubeconfig describes it.
  kubectl proxy & watchcache --server http://127.0.0.1:8001 -l app=web
      Mirror the Pods with a label through kubectl's proxy.
  watchcache mirror --in-cluster --metrics 0.0.0.0:9090
      Mirror the cluster that this runs in; Prometheus and probes ask at port 9090.
  watchcache embedded-server --port 8011
      Run the embedded server alone, for kubectl and other clients.

Proxies: a kubeconfig's proxy-url, or HTTPS_PROXY, HTTP_PROXY and NO_PROXY; of http, https or socks5.

Exit codes: 0 the run ended and the store equals a fresh list of the server; 1 it does not, or the
run failed; 2 the command line is wrong.";

/// Mirrors a list+watch stream into a watchcache store and shows what the cache does.
///
/// Without a subcommand it does what `mirror` does. Without a cluster, `mirror` starts an embedded
/// API server and mirrors that.
#[derive(Debug, Parser)]
#[command(
    name = "watchcache",
    version,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) mirror: MirrorArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Mirror a cluster, or the embedded one, and show what the cache does (the default)
    #[command(after_help = EXAMPLES, max_term_width = 100)]
    Mirror(MirrorArgs),
    /// Run the embedded API server alone until Ctrl-C
    ///
    /// It speaks JSON and, of built-in kinds, protobuf: whichever a client prefers.
    #[command(max_term_width = 100)]
    EmbeddedServer(EmbeddedServerArgs),
}

#[derive(Debug, Args)]
pub(crate) struct MirrorArgs {
    /// Connect to the cluster of this kubeconfig
    #[arg(long, value_name = "PATH", help_heading = "Cluster")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Connect to the cluster of this context (of --kubeconfig, $KUBECONFIG or ~/.kube/config)
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub(crate) context: Option<String>,

    /// Connect to this address without credentials, for example kubectl proxy's
    #[arg(
        long,
        value_name = "URL",
        help_heading = "Cluster",
        conflicts_with_all = ["kubeconfig", "context", "in_cluster"]
    )]
    pub(crate) server: Option<String>,

    /// Connect with the service account of the Pod that this runs in
    #[arg(long, help_heading = "Cluster", conflicts_with_all = ["kubeconfig", "context"])]
    pub(crate) in_cluster: bool,

    /// What to mirror: plural, singular, kind or short name, with ".group" where it is ambiguous
    #[arg(long, value_name = "NAME", default_value = "pods", help_heading = "Objects")]
    pub(crate) resource: String,

    /// Only this namespace (default: all)
    #[arg(short, long, value_name = "NAME", help_heading = "Objects")]
    pub(crate) namespace: Option<String>,

    /// Only objects with these labels, for example app=web,tier!=db
    #[arg(short = 'l', long, value_name = "LABELS", help_heading = "Objects")]
    pub(crate) selector: Option<String>,

    /// Only objects with these fields, for example status.phase=Running
    #[arg(long, value_name = "FIELDS", help_heading = "Objects")]
    pub(crate) field_selector: Option<String>,

    #[command(flatten)]
    pub(crate) simulation: SimulationArgs,

    /// Stop this long after the start: 5s, 2m, 1h30m (default: Ctrl-C)
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = "Run")]
    pub(crate) duration: Option<Duration>,

    /// Threads that work through the Fifo; with 0, changes only coalesce in it
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2,
        value_parser = clap::value_parser!(u16).range(0..=256),
        help_heading = "Run"
    )]
    pub(crate) workers: u16,

    /// Threads that read from the store all the while, as fast as they can; 0 for none
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(0..=256),
        help_heading = "Run"
    )]
    pub(crate) readers: u16,

    /// Serve /metrics for Prometheus, /healthz and /readyz at this address, for example 127.0.0.1:9090
    #[arg(long, value_name = "ADDRESS", help_heading = "Run")]
    pub(crate) metrics: Option<SocketAddr>,

    /// How to report (default: live on a terminal, otherwise plain)
    #[arg(long, value_name = "FORM", help_heading = "Run")]
    pub(crate) output: Option<Output>,
}

/// The embedded server's cluster. Options, so that one that was given can be told from a default.
#[derive(Debug, Default, Args)]
pub(crate) struct SimulationArgs {
    /// Pods in the embedded cluster [default: 10000]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
        help_heading = "Embedded server"
    )]
    pub(crate) objects: Option<u32>,

    /// Changes a second in the embedded cluster; 0 for none [default: 2000]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(0..=1_000_000),
        help_heading = "Embedded server"
    )]
    pub(crate) rate: Option<u32>,

    /// Seed of the embedded cluster: the same seed makes the same changes [default: 1]
    #[arg(long, value_name = "N", help_heading = "Embedded server")]
    pub(crate) seed: Option<u64>,

    /// How much history it keeps for watches and pages, in changes and bytes [default: 100000,32MiB]
    #[arg(long, value_name = "CHANGES,SIZE", help_heading = "Embedded server")]
    pub(crate) history: Option<HistoryLimit>,

    /// Who binds Pods to Nodes [default: simulated]
    #[arg(long, value_name = "WHO", help_heading = "Embedded server")]
    pub(crate) scheduler: Option<Scheduler>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scheduler {
    /// The embedded cluster itself
    Simulated,
    /// A scheduler of yours: Pods stay unbound until it posts their Binding
    External,
}

#[derive(Debug, Args)]
pub(crate) struct EmbeddedServerArgs {
    #[command(flatten)]
    pub(crate) simulation: SimulationArgs,

    /// The port to listen on; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 0, help_heading = "Embedded server")]
    pub(crate) port: u16,

    /// A webhook that is asked about each write of a client's, as a validating admission webhook is
    #[arg(long, value_name = "URL", help_heading = "Admission")]
    pub(crate) admission: Option<Admission>,

    /// What becomes of a write while the webhook fails [default: fail]
    #[arg(long, value_name = "POLICY", requires = "admission", help_heading = "Admission")]
    pub(crate) admission_failure_policy: Option<FailurePolicy>,

    /// How long the webhook may take to answer: 500ms, 10s [default: 10s]
    #[arg(
        long,
        value_name = "TIME",
        value_parser = duration::parse,
        requires = "admission",
        help_heading = "Admission"
    )]
    pub(crate) admission_timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailurePolicy {
    /// The write fails, too
    Fail,
    /// The write is admitted
    Ignore,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A block on the terminal that keeps itself up to date
    Live,
    /// A line a second
    Plain,
    /// One JSON object at the end
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_work_with_and_without_the_subcommand() {
        let bare = Cli::try_parse_from(["watchcache", "--objects", "7"]);
        assert_eq!(bare.map(|cli| cli.mirror.simulation.objects).ok(), Some(Some(7)));
        let named = Cli::try_parse_from(["watchcache", "mirror", "--objects", "7"]);
        let Ok(Some(Command::Mirror(args))) = named.map(|cli| cli.command) else {
            panic!("not mirror")
        };
        assert_eq!(args.simulation.objects, Some(7));
    }
}
