//! What the command line asks for, checked: where to connect and what to mirror from there.

use std::path::PathBuf;

use watchcache_embedded_server::{Config, Scheduler};

use crate::args::{self, SimulationArgs, SourceArgs};
use crate::failure::Failure;
use crate::selector;

/// Where the API server is.
#[derive(Debug)]
pub(crate) enum Target {
    /// Not started yet: the embedded server.
    Embedded(Config),
    Kubeconfig {
        path: Option<PathBuf>,
        context: Option<String>,
    },
    Server(String),
    InCluster,
}

/// Which of the objects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    pub(crate) namespace: Option<String>,
    pub(crate) labels: Option<String>,
    pub(crate) fields: Option<String>,
}

impl Target {
    pub(crate) fn of(args: &SourceArgs) -> Result<Self, Failure> {
        let (target, given) = if let Some(url) = &args.server {
            (Self::Server(url.clone()), "--server")
        } else if args.in_cluster {
            (Self::InCluster, "--in-cluster")
        } else if args.kubeconfig.is_some() || args.context.is_some() {
            let given = if args.kubeconfig.is_some() { "--kubeconfig" } else { "--context" };
            let (path, context) = (args.kubeconfig.clone(), args.context.clone());
            (Self::Kubeconfig { path, context }, given)
        } else {
            return Ok(Self::Embedded(args.simulation.config(0)));
        };
        let simulation = &args.simulation;
        let simulated = [
            ("--objects", simulation.objects.is_some()),
            ("--rate", simulation.rate.is_some()),
            ("--seed", simulation.seed.is_some()),
            ("--history", simulation.history.is_some()),
            ("--scheduler", simulation.scheduler.is_some()),
        ];
        match simulated.into_iter().find(|(_, is_given)| *is_given) {
            None => Ok(target),
            Some((option, _)) => Err(Failure::usage(format!(
                "{option} cannot be used with {given}: --objects, --rate, --seed, --history and \
                 --scheduler apply to the embedded server only"
            ))),
        }
    }

    /// How to ask the same server with kubectl; not the embedded one, which ends with the command.
    pub(crate) fn kubectl(&self) -> Option<String> {
        match self {
            Self::Embedded(_) => None,
            Self::InCluster => Some("kubectl".to_owned()),
            Self::Server(url) => Some(format!("kubectl --server {url}")),
            Self::Kubeconfig { path, context } => {
                let path = path.as_ref().map(|path| format!(" --kubeconfig {}", path.display()));
                let context = context.as_ref().map(|context| format!(" --context {context}"));
                let [path, context] = [path, context].map(Option::unwrap_or_default);
                Some(format!("kubectl{path}{context}"))
            }
        }
    }
}

impl SimulationArgs {
    /// The embedded server's configuration, with its defaults for what was not given.
    pub(crate) fn config(&self, port: u16) -> Config {
        Config {
            pods: self.objects.map_or(10_000, |objects| objects as _),
            rate: self.rate.map_or(2_000, |rate| rate as _),
            seed: self.seed.unwrap_or(1),
            history: self.history.unwrap_or_default(),
            scheduler: match self.scheduler {
                None | Some(args::Scheduler::Simulated) => Scheduler::Simulated,
                Some(args::Scheduler::External) => Scheduler::External,
            },
            admission: None,
            port,
        }
    }
}

impl Scope {
    pub(crate) fn of(args: &SourceArgs) -> Result<Self, Failure> {
        let wrong = |option: &str, value: &str, why: String| {
            Failure::usage(format!("invalid value '{value}' for '{option}': {why}"))
        };
        if let Some(name) = &args.namespace {
            selector::check_namespace(name).map_err(|why| wrong("--namespace", name, why))?;
        }
        if let Some(labels) = &args.selector {
            selector::check_labels(labels).map_err(|why| wrong("--selector", labels, why))?;
        }
        if let Some(fields) = &args.field_selector {
            selector::check_fields(fields).map_err(|why| wrong("--field-selector", fields, why))?;
        }
        Ok(Self {
            namespace: args.namespace.clone(),
            labels: args.selector.clone(),
            fields: args.field_selector.clone(),
        })
    }
    /// What it is restricted to, to be put after the name of a kind.
    pub(crate) fn describe(&self) -> String {
        let part = |words: &str, part: &Option<String>| {
            part.as_ref().map_or_else(String::new, |part| format!(" {words} {part}"))
        };
        let namespace = part("in the namespace", &self.namespace);
        let labels = part("with the labels", &self.labels);
        namespace + &labels + &part("with the fields", &self.fields)
    }
}
