//! What the examples share and none of them is about: the command line, the time that one runs for,
//! what it says.
#![allow(dead_code, missing_docs, unreachable_pub)]

mod most;
mod only;
mod says;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::sync::watch;
#[allow(unused_imports)]
pub use {most::Most, only::Only, says::Says};

pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The command line.
pub struct Arguments {
    /// The cluster to run on; the embedded one if there is none.
    pub kubeconfig: Option<PathBuf>,
    /// Where an example of etcd finds it.
    pub etcd: Option<String>,
    duration: Option<Duration>,
    end: watch::Sender<bool>,
}

/// The time that an example runs for: as long as `--duration` says, and until Ctrl-C at the most.
#[derive(Clone)]
pub struct Until(watch::Receiver<bool>);

impl Until {
    pub async fn over(&mut self) {
        // An error would mean that nobody is left to end it.
        let _ = self.0.wait_for(|over| *over).await;
    }

    pub fn is_over(&self) -> bool {
        *self.0.borrow()
    }

    /// Whether it goes on after this pause, which the end cuts short.
    pub async fn pause(&mut self, pause: Duration) -> bool {
        let _ = tokio::time::timeout(pause, self.over()).await;
        !self.is_over()
    }
}

impl Arguments {
    /// Begins the time. What an example prepares before does not count.
    pub fn begin(&self) -> Until {
        if let Some(duration) = self.duration {
            let end = self.end.clone();
            tokio::spawn(async move {
                tokio::time::sleep(duration).await;
                end.send_replace(true);
            });
        }
        Until(self.end.subscribe())
    }
}

/// Runs an example: 0 if it ends well, 1 if something that it asserts does not hold, 2 for a command
/// line that is none. It takes these options beside `--duration`, each written with its value.
pub fn run(takes: &[&str], example: impl AsyncFnOnce(Arguments) -> Result<(), Error>) -> ExitCode {
    let usage: String = takes.iter().map(|option| format!(" [{option}]")).collect();
    let usage = format!("usage: [--duration 5s]{usage}");
    if std::env::args().skip(1).any(|option| option == "--help" || option == "-h") {
        println!("{usage}\nWithout --duration it runs until Ctrl-C.");
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Runtime::new().expect("an async runtime");
    let (duration, kubeconfig, etcd) = match parse(takes, std::env::args().skip(1)) {
        Ok(parsed) => parsed,
        Err(wrong) => {
            eprintln!("error: {wrong}\n{usage}");
            return ExitCode::from(2);
        }
    };
    let ended = runtime.block_on(async {
        let end = watch::Sender::new(false);
        let interrupted = end.clone();
        tokio::spawn(async move {
            let _ = tokio::signal::ctrl_c().await;
            interrupted.send_replace(true);
            // Whoever does not want to wait for the end asks a second time.
            let _ = tokio::signal::ctrl_c().await;
            std::process::exit(130);
        });
        example(Arguments { kubeconfig, etcd, duration, end }).await
    });
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

type Parsed = (Option<Duration>, Option<PathBuf>, Option<String>);

fn parse(takes: &[&str], mut arguments: impl Iterator<Item = String>) -> Result<Parsed, String> {
    let is_taken = |option: &str| takes.iter().any(|one| one.split(' ').next() == Some(option));
    let (mut duration, mut kubeconfig, mut etcd) = (None, None, None);
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{option} needs a value"));
        match option.as_str() {
            "--duration" => duration = Some(seconds(&value()?)?),
            "--kubeconfig" if is_taken(&option) => kubeconfig = Some(value()?.into()),
            "--etcd" if is_taken(&option) => etcd = Some(value()?),
            other => return Err(format!("{other} is no option of this example")),
        }
    }
    Ok((duration, kubeconfig, etcd))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text} is no duration: write it as 5s or 2m");
    let (number, unit) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60.0),
        None => (text.strip_suffix('s').ok_or_else(wrong)?, 1.0),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())
}

/// Says a line a second until it is over.
pub fn report(mut until: Until, line: impl Fn() -> String + Send + 'static) {
    let began = Instant::now();
    tokio::spawn(async move {
        while until.pause(Duration::from_secs(1)).await {
            println!("{:>4} s  {}", began.elapsed().as_secs(), line());
        }
    });
}

/// Says what holds, or ends with what does not.
pub fn check(holds: bool, what: impl AsRef<str>) -> Result<(), Error> {
    let what = what.as_ref();
    if !holds {
        return Err(format!("this does not hold: {what}").into());
    }
    println!("holds: {what}");
    Ok(())
}
