//! The embedded server alone.

use std::process::ExitCode;

use watchcache_embedded_server::{Config, EmbeddedServer};

use crate::args::EmbeddedServerArgs;
use crate::failure::Failure;
use crate::{signals, view};

pub(crate) async fn start(config: Config) -> Result<EmbeddedServer, Failure> {
    EmbeddedServer::start(config)
        .await
        .map_err(|error| Failure::run(format!("the embedded server does not start: {error}")))
}

pub(crate) async fn run(args: EmbeddedServerArgs) -> Result<ExitCode, Failure> {
    let config = args.simulation.config(args.port);
    let (pods, rate, seed) = (config.pods, config.rate, config.seed);
    let server = start(config).await?;
    let url = server.url();
    view::line(&format!(
        "An embedded API server with {pods} Pods and {rate} changes a second (seed {seed}) is at {url}

  kubectl --server {url} get pods --all-namespaces
  kubectl --server {url} get pods --all-namespaces --watch
  kubectl --server {url} api-resources
  watchcache --server {url}

Ctrl-C stops it."
    ));
    signals::interrupted().await;
    signals::end_at_next();
    let commits = server.commits();
    server.stop().await;
    view::line(&format!("Stopped after {commits} changes."));
    Ok(ExitCode::SUCCESS)
}
