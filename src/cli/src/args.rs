//! The command line.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand, ValueEnum};
use watchcache_embedded_server::{Admission, HistoryLimit};

use crate::duration;

const EXAMPLES: &str = "\
Examples:
  watchcache
      Start the embedded server (10,000 Pods, 2,000 changes a second) and mirror its Pods, live.
  watchcache mirror pods,nodes --objects 5000 --duration 5s --output json
      Mirror two kinds for five seconds, verify them, and print the summary as JSON.
  watchcache top pods,deployments.apps --context kind-dev
      What a real cluster has by kind and namespace, and what changes most there.
  kubectl proxy & watchcache --server http://127.0.0.1:8001 -l app=web
      Mirror the Pods with a label through kubectl's proxy.
  watchcache mirror --in-cluster --metrics 0.0.0.0:9090
      Mirror the cluster that this runs in; Prometheus and probes ask at port 9090.
  watchcache embedded-server --port 8011
      Run the embedded server alone, for kubectl and other clients.

Proxies: a kubeconfig's proxy-url, or HTTPS_PROXY, HTTP_PROXY and NO_PROXY; of http, https or socks5.

Exit codes: 0 the run ended and each store equals a fresh list of the server (top does not compare);
1 one does not, has objects that cannot be decoded, or could not be compared; or the server refuses a
kind, does not have it or never lists it, or the run failed; 2 the command line is wrong.";

/// Mirrors a list+watch stream into watchcache stores and shows what the cache does.
///
/// Without a subcommand it does what `mirror` does. Without a cluster, it starts an embedded API
/// server and mirrors that.
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
    pub(crate) mirror: MirrorOptions,
}

impl Cli {
    /// What the process was started with.
    pub(crate) fn of_process() -> Result<Self, clap::Error> {
        Self::try_parse().map_err(with_tip)
    }

    /// The form of report that is asked for, by whichever command has one.
    pub(crate) fn output(&self) -> Option<Output> {
        match &self.command {
            None => self.mirror.output,
            Some(Command::Mirror(args)) => args.options.output,
            Some(Command::Top(args)) => args.output,
            Some(Command::EmbeddedServer(_)) => None,
        }
    }
}

/// Says where options belong that stand before the name of their command: clap only says that they cannot.
fn with_tip(mut error: clap::Error) -> clap::Error {
    if error.kind() == ErrorKind::ArgumentConflict
        && let Some(ContextValue::String(command)) = error.get(ContextKind::InvalidSubcommand)
    {
        let options = match error.get(ContextKind::PriorArg) {
            Some(ContextValue::String(option)) => option.clone(),
            Some(ContextValue::Strings(options)) => options.join(" "),
            _ => "[OPTIONS]".to_owned(),
        };
        let tip = format!("options follow the command: 'watchcache {command} {options}'");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Mirror kinds of objects, measure the cache, and compare it with the server in the end (the default)
    #[command(after_help = EXAMPLES, max_term_width = 100)]
    Mirror(MirrorArgs),
    /// Show objects by kind and namespace, the keys that change most, memory, lag and quarantine
    ///
    /// Live on a terminal, until Ctrl-C. Otherwise it watches for a while and prints what it saw, once.
    #[command(after_help = EXAMPLES, max_term_width = 100)]
    Top(TopArgs),
    /// Run the embedded API server alone until Ctrl-C
    ///
    /// It speaks JSON and, of built-in kinds, protobuf: whichever a client prefers.
    #[command(max_term_width = 100)]
    EmbeddedServer(EmbeddedServerArgs),
}

#[derive(Debug, Args)]
pub(crate) struct KindArgs {
    /// What to mirror, as kubectl names it: pods,deployments.apps. Plural, singular, kind or short name,
    /// with ".group" where it is ambiguous
    #[arg(
        value_name = "KIND",
        value_delimiter = ',',
        default_value = "pods",
        value_parser = kind_name,
    )]
    pub(crate) kinds: Vec<String>,
}

fn kind_name(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a name is missing".to_owned()),
        name => Ok(name.to_owned()),
    }
}

/// An address to listen at: without a host, this machine's own for a port, and all of them for a colon
/// and a port.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let full = match text.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None if text.parse::<u16>().is_ok() => format!("127.0.0.1:{text}"),
        None => text.to_owned(),
    };
    let found = full.to_socket_addrs().map_err(|error| {
        format!("{error}: write it as 127.0.0.1:9090, localhost:9090, :9090 or 9090")
    })?;
    let mut found: Vec<_> = found.collect();
    // What is asked for by its IPv4 address is found there.
    found.sort_by_key(SocketAddr::is_ipv6);
    found.first().copied().ok_or_else(|| format!("{text} has no address"))
}

impl Default for KindArgs {
    fn default() -> Self {
        Self { kinds: vec!["pods".to_owned()] }
    }
}

/// Where the objects are, and which of them.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
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

    /// Only this namespace (default: all)
    #[arg(short, long, value_name = "NAME", help_heading = "Objects")]
    pub(crate) namespace: Option<String>,

    /// Of all namespaces, as it is without --namespace
    #[arg(short = 'A', long, help_heading = "Objects", conflicts_with = "namespace")]
    pub(crate) all_namespaces: bool,

    /// Only objects with these labels, for example app=web,tier!=db
    #[arg(short = 'l', long, value_name = "LABELS", help_heading = "Objects")]
    pub(crate) selector: Option<String>,

    /// Only objects with these fields, for example status.phase=Running
    #[arg(long, value_name = "FIELDS", help_heading = "Objects")]
    pub(crate) field_selector: Option<String>,

    #[command(flatten)]
    pub(crate) simulation: SimulationArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MirrorArgs {
    #[command(flatten)]
    pub(crate) kinds: KindArgs,

    #[command(flatten)]
    pub(crate) options: MirrorOptions,
}

#[derive(Debug, Args)]
pub(crate) struct MirrorOptions {
    #[command(flatten)]
    pub(crate) source: SourceArgs,

    /// Stop this long after the start: 5s, 2m, 1h30m (default: at Ctrl-C)
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = "Run")]
    pub(crate) duration: Option<Duration>,

    /// Threads that work through each kind's Fifo; with 0, changes only coalesce in it
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2,
        value_parser = clap::value_parser!(u16).range(0..=256),
        help_heading = "Run"
    )]
    pub(crate) workers: u16,

    /// Threads that read from the stores all the while, as fast as they can; 0 for none
    /// [default: 1 with the embedded server, 0 with a cluster]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(0..=256),
        help_heading = "Run"
    )]
    pub(crate) readers: Option<u16>,

    /// Serve /metrics for Prometheus, /healthz and /readyz at this address: 127.0.0.1:9090, localhost:9090,
    /// :9090 for every interface, or a port of this machine's own
    #[arg(long, value_name = "ADDRESS", value_parser = listen_address, help_heading = "Run")]
    pub(crate) metrics: Option<SocketAddr>,

    /// How to report (default: live on a terminal, otherwise plain)
    #[arg(short, long, value_name = "FORM", help_heading = "Run")]
    pub(crate) output: Option<Output>,
}

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) kinds: KindArgs,

    #[command(flatten)]
    pub(crate) source: SourceArgs,

    /// How long to watch: 5s, 2m, 1h30m (default: live until Ctrl-C, otherwise 5s from the first lists on)
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = "Run")]
    pub(crate) duration: Option<Duration>,

    /// Namespaces, keys and quarantined objects to show of each, at most
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(1..=10_000),
        help_heading = "Run"
    )]
    pub(crate) limit: u16,

    /// How to report (default: live on a terminal, otherwise plain)
    #[arg(short, long, value_name = "FORM", help_heading = "Run")]
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

    /// Changes a second in the embedded cluster, over all its kinds; 0 for none [default: 2000]
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
    /// A screen that keeps itself up to date
    Live,
    /// Lines of text
    Plain,
    /// One JSON object in the end
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
        let objects = bare.map(|cli| cli.mirror.source.simulation.objects);
        assert_eq!(objects.ok(), Some(Some(7)));
        let named = Cli::try_parse_from(["watchcache", "mirror", "--objects", "7"]);
        let Ok(Some(Command::Mirror(args))) = named.map(|cli| cli.command) else {
            panic!("not mirror")
        };
        assert_eq!(args.options.source.simulation.objects, Some(7));
        assert_eq!(args.kinds.kinds, ["pods"]);
    }

    #[test]
    fn kinds_are_named_with_commas_or_one_by_one() {
        for line in [&["pods,nodes", "leases"][..], &["pods", "nodes,leases"]] {
            let words = ["watchcache", "top"].iter().chain(line);
            let Ok(Some(Command::Top(args))) = Cli::try_parse_from(words).map(|cli| cli.command)
            else {
                panic!("not top")
            };
            assert_eq!(args.kinds.kinds, ["pods", "nodes", "leases"]);
        }
        assert!(Cli::try_parse_from(["watchcache", "mirror", "pods,,nodes"]).is_err());
        let spaced = Cli::try_parse_from(["watchcache", "top", "pods, nodes", "-A", "-o", "json"]);
        let Ok(Some(Command::Top(args))) = spaced.map(|cli| cli.command) else { panic!("not top") };
        assert_eq!(args.kinds.kinds, ["pods", "nodes"]);
        assert_eq!(args.output, Some(Output::Json));
        assert!(Cli::try_parse_from(["watchcache", "-A", "-n", "default"]).is_err());
    }

    #[test]
    fn an_address_to_listen_at_may_be_short() {
        for (text, address) in [
            ("9090", "127.0.0.1:9090"),
            (":9090", "0.0.0.0:9090"),
            ("localhost:9090", "127.0.0.1:9090"),
            ("[::1]:9090", "[::1]:9090"),
        ] {
            assert_eq!(listen_address(text).map(|found| found.to_string()), Ok(address.to_owned()));
        }
        for text in ["", ":", "localhost", "70000", "127.0.0.1"] {
            assert!(
                listen_address(text).is_err_and(|error| error.contains("write it as")),
                "{text}"
            );
        }
    }
}
