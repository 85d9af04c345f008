//! The `watchcache` command: mirrors a cluster, or an embedded one, and shows what the cache does.

mod args;
mod connect;
mod discovery;
mod duration;
mod embedded;
mod exporter;
mod failure;
mod kubeconfig;
mod latency;
mod mirror;
mod mirrored;
mod proxy;
mod readers;
mod report;
mod selector;
mod signals;
mod staleness;
mod states;
mod target;
mod verify;
mod view;
mod workers;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use args::{Cli, Command};
use failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Silent unless RUST_LOG is set: the command prints its own report.
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off")),
        )
        .with_writer(std::io::stderr)
        .init();
    match run(cli) {
        Ok(code) => code,
        Err(failure) => {
            failure.print();
            failure.exit_code()
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::run(format!("the async runtime does not start: {error}")))?;
    let code = runtime.block_on(async {
        match cli.command {
            None => mirror::run(cli.mirror).await,
            Some(Command::Mirror(args)) => mirror::run(args).await,
            Some(Command::EmbeddedServer(args)) => embedded::run(args).await,
        }
    });
    runtime.shutdown_background();
    code
}
