//! The `watchcache` command: mirrors a cluster, or an embedded one, and shows what the cache does.

mod args;
mod cluster;
mod connect;
mod course;
mod discovery;
mod duration;
mod embedded;
mod exporter;
mod failure;
mod kind;
mod kubeconfig;
mod latency;
mod limit;
mod mirror;
mod mirrored;
mod notes;
mod proxy;
mod readers;
mod report;
mod selector;
mod signals;
mod staleness;
mod states;
mod target;
mod top;
mod verify;
mod view;
mod workers;

use std::io::Write;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use args::{Cli, Command, KindArgs, Output};
use failure::Failure;
use signals::Interrupts;

fn main() -> ExitCode {
    let cli = match Cli::of_process() {
        Ok(cli) => cli,
        Err(error) => return told(&error),
    };
    // Silent unless RUST_LOG is set: the command prints its own report.
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off")),
        )
        .with_writer(std::io::stderr)
        .init();
    let is_json = cli.output() == Some(Output::Json);
    match run(cli) {
        Ok(code) => code,
        Err(failure) => {
            failure.print();
            if is_json {
                // If it cannot be written, the sentence has been told.
                let _ = view::json(&failure.json());
            }
            failure.exit_code()
        }
    }
}

/// The help that was asked for, or what is wrong with the command line.
fn told(error: &clap::Error) -> ExitCode {
    let written = error.print().and_then(|()| std::io::stdout().flush());
    match written.map_err(|error| view::unwritten(&error)) {
        Err(failure) if !error.use_stderr() => {
            failure.print();
            failure.exit_code()
        }
        _ => u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from),
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let failed = |error| Failure::run(format!("the async runtime does not start: {error}"));
    // First: what the first process of a container does not receive is lost.
    let interrupts = Interrupts::new().map_err(failed)?;
    let runtime = tokio::runtime::Runtime::new().map_err(failed)?;
    let code = runtime.block_on(async {
        match cli.command {
            None => mirror::run(KindArgs::default(), cli.mirror, interrupts).await,
            Some(Command::Mirror(args)) => mirror::run(args.kinds, args.options, interrupts).await,
            Some(Command::Top(args)) => top::run(args, interrupts).await,
            Some(Command::EmbeddedServer(args)) => embedded::run(args, interrupts).await,
        }
    });
    runtime.shutdown_background();
    code
}
