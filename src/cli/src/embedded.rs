//! The embedded server alone.

use std::process::ExitCode;

use watchcache_embedded_server::{Admission, Config, EmbeddedServer, FailurePolicy};

use crate::args::{self, EmbeddedServerArgs};
use crate::failure::Failure;
use crate::signals::Interrupts;
use crate::view;

pub(crate) async fn start(config: Config) -> Result<EmbeddedServer, Failure> {
    EmbeddedServer::start(config)
        .await
        .map_err(|error| Failure::run(format!("the embedded server does not start: {error}")))
}

pub(crate) async fn run(
    args: EmbeddedServerArgs,
    mut interrupts: Interrupts,
) -> Result<ExitCode, Failure> {
    let config = Config { admission: admission(&args), ..args.simulation.config(args.port) };
    let (pods, rate, seed) = (config.pods, config.rate, config.seed);
    let server = start(config).await?;
    let url = server.url();
    view::line(&format!(
        "An embedded API server with {pods} Pods and {rate} changes a second over all kinds (seed {seed}) is at {url}

  kubectl --server {url} get pods --all-namespaces
  kubectl --server {url} get pods --all-namespaces --watch
  kubectl --server {url} api-resources
  watchcache --server {url}

Ctrl-C stops it."
    ))?;
    interrupts.next().await;
    interrupts.end_at_next();
    let commits = server.commits();
    server.stop().await;
    view::line(&format!("Stopped after {commits} changes."))?;
    Ok(ExitCode::SUCCESS)
}

/// The webhook that the command line names, if any.
fn admission(args: &EmbeddedServerArgs) -> Option<Admission> {
    let mut admission = args.admission.clone()?;
    if let Some(timeout) = args.admission_timeout {
        admission = admission.timeout(timeout);
    }
    Some(admission.failure_policy(match args.admission_failure_policy {
        None | Some(args::FailurePolicy::Fail) => FailurePolicy::Fail,
        Some(args::FailurePolicy::Ignore) => FailurePolicy::Ignore,
    }))
}
