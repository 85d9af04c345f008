//! Measures watchcache on the workload of `client-go/`, and prints one JSON line per figure. `./run`
//! runs the two in turn and prints them side by side.

mod feed;
mod informer;
mod item;
mod queue;
mod serve;
#[path = "../slim.rs"]
mod slim;
mod store;
mod sync;
mod watch;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::json;

#[derive(Parser)]
struct Arguments {
    /// Objects in the store.
    #[arg(long, default_value_t = 100_000)]
    objects: usize,
    /// How long a case runs, in milliseconds.
    #[arg(long, default_value_t = 500)]
    duration: u64,
    /// Run the cases whose name contains this, or one of these between slashes.
    #[arg(long, default_value = "")]
    only: String,
    /// Only sync with this server.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// What the mirror of the server keeps: typed, lazy, or slim.
    #[arg(long, default_value = "typed")]
    keep: String,
    /// With a server: what both sides ask for, JSON, the default of custom resources, or what
    /// they ask for by default, protobuf first.
    #[arg(long, value_enum, default_value_t = Accept::Json)]
    accept: Accept,
    /// With a server: not its list but its watch, once a line of input says up to which version.
    #[arg(long, requires = "kubeconfig")]
    watch: bool,
    /// Only serve so many Pods, and make as many changes as each line of input says.
    #[arg(long)]
    serve: Option<usize>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Accept {
    Json,
    Default,
}

impl Accept {
    /// What the case is called.
    fn label(self) -> &'static str {
        match self {
            Accept::Json => "JSON",
            Accept::Default => "client-go's default",
        }
    }
}

/// What a case may know.
struct Bench {
    objects: usize,
    duration: Duration,
}

type Case = (String, Box<dyn Fn(&Bench)>);

fn main() {
    let arguments = Arguments::parse();
    if let Some(pods) = arguments.serve {
        return serve::run(pods);
    }
    if let Some(kubeconfig) = &arguments.kubeconfig {
        let measure = if arguments.watch { watch::run } else { sync::run };
        return measure(kubeconfig, &arguments.keep, arguments.accept);
    }
    let bench =
        Bench { objects: arguments.objects, duration: Duration::from_millis(arguments.duration) };
    let cases = [store::cases(), queue::cases(), feed::cases(), informer::cases()];
    for (name, case) in cases.into_iter().flatten() {
        if arguments.only.split('/').any(|part| name.contains(part)) {
            case(&bench);
        }
    }
}

impl Bench {
    /// Repeats `operate`, which does a number of operations, and reports the time of one.
    fn per_operation(&self, name: &str, mut operate: impl FnMut() -> usize) {
        let (mut count, started) = (0, Instant::now());
        while started.elapsed() < self.duration {
            count += operate();
        }
        nanoseconds(name, started.elapsed(), count);
    }
}

fn nanoseconds(name: &str, spent: Duration, count: usize) {
    report(name, "ns", spent.as_nanos() as f64 / count as f64);
}

fn per_second(name: &str, count: u64, spent: Duration) {
    report(name, "/s", count as f64 / spent.as_secs_f64());
}

fn bytes(name: &str, value: f64) {
    report(name, "B", value);
}

fn report(case: &str, unit: &str, value: f64) {
    println!("{}", json!({ "case": case, "unit": unit, "value": value }));
}
